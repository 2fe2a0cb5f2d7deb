"""When an instruction concerns more than one region, and how that is cut into windows."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from editor.regions import RegionError, choose, split_blocks
from editor.windows import choose_all

CODE = '''import json

LIMIT = 5


def load(path, limit):
    """Reads it."""
    return json.load(open(path))[:limit]


class Store:
    def put(self, row):
        # Adds a row.
        self.rows.append(row[:LIMIT])

    def all(self):
        return load(self.path, LIMIT)


def main():
    for row in load("a.json", LIMIT):
        print(row)


# The end.
print(LIMIT)
'''


def blocks(instruction: str, text: str = CODE, selection: tuple[int, int] | None = None) -> list[str]:
    """The first lines of the regions."""
    return [text[region.start : region.end].split("\n")[0] for region in choose_all(text, instruction, selection, 12, 64)]


IMPORT, LIMIT, LOAD, STORE, MAIN, END = "import json", "LIMIT = 5", "def load(path, limit):", "class Store:", "def main():", "# The end."

# An instruction, and the regions that a careful colleague would change. One region: what regions.choose finds.
SEVERAL: list[tuple[str, list[str]]] = [
    ("add a docstring to every function", [LOAD, STORE, MAIN]),
    ("add docstrings to all functions", [LOAD, STORE, MAIN]),
    ("Add type hints to each of the methods", [LOAD, STORE, MAIN]),
    ("add a comment above every single function", [LOAD, STORE, MAIN]),
    ("translate all the comments to German", [LOAD, STORE, END]),
    ("rename LIMIT to MOST", [LIMIT, STORE, MAIN, END]),
    ("rename LIMIT to MOST everywhere", [LIMIT, STORE, MAIN, END]),
    ("rename the function load to read", [LOAD, STORE, MAIN]),
    ("rename row to entry everywhere", [STORE, MAIN]),
    ("rename row to entry throughout the file", [STORE, MAIN]),
    ("replace all occurrences of load by read", [LOAD, STORE, MAIN]),
    ("use single quotes everywhere", [IMPORT, LIMIT, LOAD, STORE, MAIN, END]),
    ("reformat the whole file", [IMPORT, LIMIT, LOAD, STORE, MAIN, END]),
    ("log every call of load", [LOAD, STORE, MAIN]),
]
ONE = [
    "add a docstring to load",
    "rename row to entry",  # a local name
    "rename path to file",
    "return all rows",
    "print each row in main",
    "check every row before it is added",
    "sort all users by name",
    "log every call in main",
    "rename LIMIT to MOST in main",
    "add comments to all methods of this class",
    "remove all comments in this function",
    "make all uses of LIMIT here lowercase",
    "handle the case that all is lost",
    "add a test",
    "every Monday the limit is 7",
    "make the file smaller",
    "add a parameter to load that says whether all of the file is read",
    "print the whole list",
]


@pytest.mark.parametrize(("instruction", "expected"), SEVERAL)
def test_instructions_about_everything(instruction: str, expected: list[str]) -> None:
    assert blocks(instruction) == expected


@pytest.mark.parametrize("instruction", ONE)
def test_instructions_about_one_place(instruction: str) -> None:
    caret = (CODE.index("append"), CODE.index("append"))
    for selection in (None, caret):
        assert choose_all(CODE, instruction, selection, 12, 64) == (choose(CODE, instruction, selection, 12),)


def test_where_one_region_holds_all_that_is_concerned_it_stays_one() -> None:
    assert choose_all(CODE, "use single quotes everywhere", None, 47, 64) == (choose(CODE, "use single quotes everywhere", None, 47),)


def test_a_selection_is_never_left() -> None:
    start, end = CODE.index("def load"), CODE.index("class Store")
    assert blocks("rename LIMIT to MOST everywhere", CODE, (start, end - 2)) == [LOAD]


def test_a_long_selection_is_cut_into_windows() -> None:
    text = "\n\n".join(f"def f{number}():\n    return {number}" for number in range(30))
    windows = choose_all(text, "double it", (0, len(text)), 40, 64)
    assert len(windows) == 30
    few = choose_all(text, "double it", (0, len(text)), 40, 8)
    assert len(few) <= 8, "neighbours share a window"
    assert sum(text[w.start : w.end].count("return") for w in few) == 30
    with pytest.raises(RegionError, match="ENSEMBLE_MAX_WINDOWS"):
        choose_all(text, "double it", (0, len(text)), 4, 8)


line = st.sampled_from(["", "def f(a):", "    return LIMIT", "    x = 1", "        y", "class C:", "LIMIT = 1", "}", "# text"])


@given(st.lists(line, max_size=80), st.integers(3, 20), st.integers(1, 30), st.sampled_from([*(text for text, _ in SEVERAL), *ONE]), st.data())
def test_windows_are_whole_blocks_apart_from_each_other_and_short_enough(lines, most, windows, instruction, data):
    text = "\n".join(lines)
    ends = st.integers(0, len(text))
    selection = data.draw(st.none() | st.tuples(ends, ends))
    try:
        found = choose_all(text, instruction, selection, most, windows)
    except RegionError:
        return
    assert 1 <= len(found) <= max(windows, 1)
    for region in found:
        assert region.last - region.first < most
        assert region.first == text.count("\n", 0, region.start) + 1
        assert region.last == text.count("\n", 0, region.end) + 1
        assert region.start == 0 or text[region.start - 1] == "\n"
        assert region.end == len(text) or text[region.end] == "\n"
    for before, after in itertools.pairwise(found):
        assert before.last < after.first
    if len(found) == 1:
        return
    covered = {number for region in found for number in range(region.first - 1, region.last)}
    if selection is None or selection[0] == selection[1]:
        for first, last in split_blocks(lines):
            inside = {number for number in range(first, last + 1) if lines[number].strip()}
            assert inside <= covered or not inside & covered, "whole blocks"
    else:
        a, b = sorted(text.count("\n", 0, end) for end in selection)
        assert covered <= set(range(a, b + 1)), "within the selection"
        chosen = {number for number in range(a, b) if lines[number].strip()}
        assert chosen <= covered
