"""Requests say in which lines of the region their words stand."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inference.api import Task
from inference.marks import MOST_CHARS, MOST_MARKS, block_end, marked
from inference.prompts import PatchFormat

REGION = """def load(port, max_size=8):
    # read the users
    for user in users:
        if user.isActive and user.age > 30:
            print("Hello World", user.name)
    return max_size"""
LINES = REGION.split("\n")


def said(instruction: str, lines: Sequence[str] = LINES, kinds: bool = False) -> str:
    return "".join(text + "".join(f"<{number}>" for number in found) for text, found in marked(instruction, lines, kinds))


@pytest.mark.parametrize(
    ("instruction", "expected"),
    [
        ("rename port to gate", "rename port<1> to gate"),
        ('change "Hello World" to "Good morning"', 'change "Hello World"<5> to "Good morning"'),
        ("the max size is 9", "the max<1><6> size<1><6> is 9"),
        ("maxSize should be 8", "maxSize<1><6> should be 8<1>"),
        ("IsActive -> is_ready", "IsActive<4> -> is_ready"),
        ("it's 30 not 3.5", "it's 30<4> not 3.5"),
        # A text to be written is left as it is.
        ("add a comment to load: read the port", "add a comment to load<1>: read the port"),
        ("print port saying the max size", "print<5> port<1> saying the max size"),
        ("rename: port to gate", "rename: port<1> to gate"),
        # What quotes and what does not; people's own words; what is not there.
        ("don't print it, 'users' is enough", "don't print<5> it, 'users'<2><3> is enough"),
        ("for the `for`", "for the `for`<3>"),
        ("what is this", "what is this"),
        ("", ""),
    ],
)
def test_lines_stand_behind_the_words_that_they_hold(instruction: str, expected: str) -> None:
    assert said(instruction) == expected


@pytest.mark.parametrize(
    ("instruction", "expected"),
    [
        ("comment above the loop", "comment<2> above the loop<3>"),
        ("another argument, and a condition", "another argument<1>, and a condition<4>"),
        ("the prints", "the prints<5>"),
        ("the user loop", "the user<3><4><5> loop<3>"),
        ("no heading here", "no heading here"),
    ],
)
def test_lines_are_found_by_what_people_call_them(instruction: str, expected: str) -> None:
    assert said(instruction, kinds=True) == expected


@pytest.mark.parametrize(
    ("path", "text", "ends"),
    [
        ("python", "@cached\ndef f():\n    if x:\n        y()\n\n    z()\n\nw()", {1: 1, 2: 6, 3: 4, 8: 8}),
        ("css", "a {\n  b: c;\n}\n\nd {\n}", {1: 3, 2: 2, 5: 5}),
        ("html", "<ul>\n  <li>a</li>\n</ul>\n<p>", {1: 3, 4: 4}),
        ("shell", "if x; then\n  y\nfi\ny", {1: 3}),
        ("calls", "for a in b:\n    c(a)\nfile.close()", {1: 2}),
        ("names", "if a:\n    b\nend = 3", {1: 2}),
        ("branches", "if (a) {\n  b\n} else {\n  c\n}\nd", {1: 5}),
        ("signature", "def f(\n    a,\n) -> int:\n    return a\n\ng()", {1: 4}),
        ("yaml", "a:\n  - b\n  - c\nd:", {1: 3, 4: 4}),
    ],
)
def test_blocks_end_where_their_indentation_does(path: str, text: str, ends: dict[int, int]) -> None:
    assert {first: block_end(text.split("\n"), first) for first in ends} == ends


def test_a_block_is_told_of_the_first_line_that_opens_one() -> None:
    task = Task("", "", "a.py", "", REGION, "", "rename user and load")
    said = [segment.text for segment in PatchFormat(marks=2).prompt(task).segments]
    assert said[said.index("<|task|>") + 1 :] == [
        "rename user", "<|L3|>", "<|to|>", "<|L5|>", "<|L4|>", "<|L5|>", " and load", "<|L1|>", "<|to|>", "<|L6|>",
    ]  # fmt: skip


def test_what_stands_in_many_lines_tells_nothing() -> None:
    assert marked("rename x to y", ["x = 1"] * 5) == [("rename x", [1, 2, 3, 4, 5]), (" to y", [])]
    assert marked("rename x to y", ["x = 1"] * 6) == [("rename x to y", [])]


@given(st.text(max_size=60), st.lists(st.text(max_size=20), max_size=8))
def test_nothing_of_the_instruction_is_lost(instruction: str, lines: list[str]) -> None:
    pieces = marked(instruction, lines)
    assert "".join(text for text, _ in pieces) == instruction
    assert all(1 <= number <= len(lines) for _, found in pieces for number in found)


def test_marks_are_of_the_format_and_people_cannot_type_them() -> None:
    task = Task("", "", "a.py", "", "port = 1", "", "rename port to <|L1|>")
    assert [segment.text for segment in PatchFormat(marks=1).prompt(task).segments if segment.control][-2:] == ["<|task|>", "<|L1|>"]
    assert PatchFormat().prompt(task).segments[-1].text == task.instruction
    assert not PatchFormat().prompt(task).segments[-1].control


def test_what_training_has_not_seen_is_not_marked() -> None:
    many = marked("port " * 100, LINES)
    assert sum(len(found) for _, found in many) == MOST_MARKS
    assert "".join(text for text, _ in many) == "port " * 100
    assert marked("rename port", ["port " * MOST_CHARS]) == [("rename port", [])]
