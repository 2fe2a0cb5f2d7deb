"""Which lines a run may rewrite."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from editor.regions import RegionError, choose, split_blocks

PYTHON = """import json


@cache
def load(path):
    with open(path) as file:

        return json.load(file)


# Says hello.
def greet(name):
    print("Hello " + name)


SPEED = 5
WIDTH = 640
"""
CSS = "body {\n  color: red;\n}\n\n.card {\n  color: blue;\n\n  margin: 0;\n}\n" + "\n".join(f".c{n} {{\n  top: {n}px;\n}}\n" for n in range(6))


def chosen(text: str, instruction: str, selection: tuple[int, int] | None = None, most: int = 47) -> str:
    region = choose(text, instruction, selection, most)
    assert region.first == text.count("\n", 0, region.start) + 1
    assert region.last == text.count("\n", 0, region.end) + 1
    return text[region.start : region.end]


def caret(text: str, mark: str) -> tuple[int, int]:
    return text.index(mark), text.index(mark)


def test_a_selection_is_widened_to_whole_lines() -> None:
    start = PYTHON.index("SPEED") + 2
    assert chosen(PYTHON, "x", (start, start + 3)) == "SPEED = 5"
    # Down to the beginning of the next line does not mean that line; backwards is the same.
    end = PYTHON.index("WIDTH")
    assert chosen(PYTHON, "x", (end, start)) == "SPEED = 5"


def test_the_block_at_the_caret() -> None:
    assert chosen(PYTHON, "make it faster", caret(PYTHON, "open(")).startswith("@cache\ndef load")
    assert chosen(PYTHON, "make it faster", caret(PYTHON, "return")).endswith("return json.load(file)")
    assert chosen(PYTHON, "louder", caret(PYTHON, "print")) == '# Says hello.\ndef greet(name):\n    print("Hello " + name)'
    assert chosen(CSS, "make it green", caret(CSS, "margin")) == ".card {\n  color: blue;\n\n  margin: 0;\n}"


def test_what_the_instruction_names_wins_over_where_the_caret_happens_to_be() -> None:
    assert chosen(PYTHON, "add a docstring to greet", caret(PYTHON, "import")).startswith("# Says hello.\ndef greet")
    assert chosen(PYTHON, "SPEED should be 12").startswith("SPEED = 5")
    # But the caret's own block wins where it has the name as well.
    assert chosen(PYTHON, "call it path2 instead of path", caret(PYTHON, "open(")).startswith("@cache")


def test_a_caret_between_blocks_is_a_place_to_insert() -> None:
    place = PYTHON.index("# Says") - 1
    assert chosen(PYTHON, "write a fibonacci function", (place, place)) == ""


def test_an_empty_and_a_small_file_are_one_region() -> None:
    assert chosen("", "write a page") == ""
    assert chosen("a = 1\n\nb = 2\n", "double everything") == "a = 1\n\nb = 2"
    assert chosen("def f(a):\n    return a\n\n\ndef g(row):\n    return row\n", "rename row to user", (0, 0)).startswith("def g")


def test_too_many_selected_lines_are_refused_with_the_limit() -> None:
    with pytest.raises(RegionError, match="100 lines are selected and this model rewrites at most 47"):
        choose("x\n" * 100, "x", (0, 199), 47)


def test_a_long_class_is_narrowed_to_the_method_at_the_caret() -> None:
    methods = "\n".join(f"    def method{n}(self):\n        first = {n}\n        return first\n" for n in range(40))
    text = "class Long:\n" + methods
    assert chosen(text, "faster", caret(text, "first = 7")) == "    def method7(self):\n        first = 7\n        return first"
    assert chosen(text, "rename method31 to last").startswith("    def method31")


def test_markdown_and_html() -> None:
    text = "# Title\n\nFirst paragraph.\n\n## Usage\n\nRun it.\n" + "\nmore\n" * 8
    assert chosen(text, "fix the spelling", caret(text, "First")) == "First paragraph."
    page = "<html>\n<body>\n  <h1>Hi</h1>\n</body>\n</html>\n"
    assert chosen(page, "change the heading") == page.strip()


@given(st.text(alphabet="ab {}\n\té😀", max_size=200), st.integers(0, 220), st.integers(0, 220), st.integers(1, 50), st.booleans())
def test_any_text_gives_whole_lines_within_the_limit(text: str, anchor: int, head: int, most: int, selected: bool) -> None:
    try:
        region = choose(text, "change a and b", (min(anchor, len(text)), min(head, len(text))) if selected else None, most)
    except RegionError:
        assert selected
        return
    assert 0 <= region.start <= region.end <= len(text)
    assert region.start == 0 or text[region.start - 1] == "\n"
    assert region.end == len(text) or text[region.end] == "\n"
    assert region.last - region.first < most


def test_blocks_cover_every_line_that_says_something() -> None:
    lines = PYTHON.split("\n")
    covered = {n for first, last in split_blocks(lines) for n in range(first, last + 1)}
    assert all(n in covered for n, line in enumerate(lines) if line.strip())
