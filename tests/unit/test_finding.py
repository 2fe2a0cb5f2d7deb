"""Where lines of an earlier text stand now."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from editor.finding import find_all, find_changed

OLD = "def area(w, h):\n    # both in metres\n    size = w * h\n    return size"
ABOVE = "import math\n\n\ndef other(x):\n    return x\n\n\n"


def found(text: str, near: int, old: str = OLD) -> str | None:
    regions = find_changed(text, [(near, old)])
    return text[regions[0].start : regions[0].end] if regions else None


@pytest.mark.parametrize(
    "now",
    [
        OLD,
        OLD.replace("w * h", "w * h / 2"),
        OLD.replace("    return", "    print(size)\n    return"),
        OLD.replace("(w, h)", "(w, h=1)"),
        OLD.replace("return size", "return size + 1"),
        OLD.replace("    # both in metres\n", ""),
    ],
)
def test_lines_that_people_have_written_in_are_found(now: str) -> None:
    assert found(f"{ABOVE}{now}\n\n\nx = area(1, 2)\n", 1) == now


def test_what_is_gone_is_not_found_in_something_else() -> None:
    assert found(ABOVE + "x = 1\n", 8) is None
    assert found(ABOVE + "def area(w, h):\n    raise NotImplementedError\n", 8) is None
    assert found("", 1) is None
    assert found(ABOVE, 3, old="\n") is not None, "blank lines are where blank lines are"
    assert found("a\nb", 1, old="") is None


def test_of_one_line_the_likest_is_it_and_of_equals_the_nearest() -> None:
    text = "port = 80\nhost = 'a'\ndebug = False\n\nport = 81\n"
    assert found(text, 1, old="port = 8000") == "port = 80"
    assert found(text, 5, old="port = 99") == "port = 81"
    assert found(text, 1, old="debug = True") == "debug = False"
    assert found(text, 1, old="from x import y") is None


def test_a_bracket_far_away_is_not_of_the_lines() -> None:
    old = "const a = {\n  b: 1,\n  c: 2,\n}"
    text = "const a = {\n  b: 1,\n  c: 2,\n  d: 3,\n]\n" + "x()\n" * 60 + "}\n"
    assert found(text, 1, old) == "const a = {\n  b: 1,\n  c: 2,"


def test_several_are_found_one_behind_the_other() -> None:
    text = "a = 1\nb = 2\nc = 3\n" + "-\n" * 5 + "a = 1\nb = 2\nc = 4\n"
    regions = find_changed(text, [(1, "a = 1\nb = 2\nc = 9"), (9, "a = 1\nb = 2\nc = 9")])
    assert regions and [(region.first, region.last) for region in regions] == [(1, 3), (9, 11)]


@given(st.text(alphabet="ab \n", max_size=40), st.lists(st.tuples(st.integers(1, 9), st.text(alphabet="ab \n", max_size=12)), max_size=3))
def test_what_is_found_is_whole_lines_in_order(text: str, wanted: list[tuple[int, str]]) -> None:
    regions = find_changed(text, wanted)
    for region in regions or ():
        assert 0 <= region.start <= region.end <= len(text)
        assert region.start == 0 or text[region.start - 1] == "\n"
        assert region.end == len(text) or text[region.end] == "\n"
        assert text[: region.start].count("\n") == region.first - 1
    assert all(a.end < b.start for a, b in pairwise(regions or ()))
    exact = find_all(text, wanted)
    assert exact is None or regions == exact


@given(st.lists(st.sampled_from(["a", "a\nb", "", "b"]), min_size=1, max_size=6), st.text(alphabet="ab\n", max_size=20), st.integers(0, 9))
def test_windows_of_equal_text_are_found_again_each_in_its_own_place(windows: list[str], above: str, shift: int) -> None:
    text = "\n-\n".join(windows)
    wanted = [("\n-\n".join(windows[:number]).count("\n") + 1 + 2 * bool(number), lines) for number, lines in enumerate(windows)]
    assert [(region.first, text[region.start : region.end]) for region in find_all(text, wanted) or ()] == wanted
    moved = above + "\n" * shift + "\n" + text
    found = find_all(moved, wanted)
    assert found is None or [moved[region.start : region.end] for region in found] == windows
    assert found is None or all(before.end < after.start for before, after in pairwise(found))
    assert find_all(text, [*wanted, (1, "a\n-\nc")]) is None


def test_equal_windows_that_people_have_pushed_down_are_not_one() -> None:
    text = "f()\n" + "\n" * 8 + "f()"
    moved = "\n" * 9 + text
    assert [region.first for region in find_all(moved, [(1, "f()"), (10, "f()")]) or ()] == [10, 19]
