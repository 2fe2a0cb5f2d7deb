"""Replies of the kinds that models are known to give, whole and token by token."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from editor.edits import Insert, RegionDiff
from inference.api import Hunk, Task, Text
from inference.replies import Malformed, PatchReader, Reader
from inference.rewrites import RewriteReader

OLD = "def f(a):\n    return a\n# end"
NEW = "def f(a):\n    return a + 1\n# end"


def result(reader: Reader, old: str, pieces: list[tuple[str, bool]]) -> str:
    """The region after a reply, through the same applying of edits as in a room."""
    diff, shadow = RegionDiff(old), old.encode()
    events = [event for piece, control in pieces for event in ([] if reader.complete else reader.feed(piece, control))]
    events += reader.finish()
    operations = []
    for event in events:
        if isinstance(event, Hunk):
            operations += diff.hunk(event.first, event.last)
        elif isinstance(event, Text):
            operations += diff.feed(event.text)
    for operation in operations + diff.finish():
        added, removed = (operation.text.encode(), 0) if isinstance(operation, Insert) else (b"", operation.length)
        shadow = shadow[: operation.at] + added + shadow[operation.at + removed :]
    return shadow.decode()


def rewrite(old: str, reply: str, sizes: list[int]) -> str:
    pieces, at = [], 0
    while at < len(reply):
        size = sizes[len(pieces) % len(sizes)]
        pieces.append((reply[at : at + size], False))
        at += size
    return result(RewriteReader(Task("room", "ada", "f.py", "", old, "", "add one")), old, pieces)


REPLIES = {
    "clean": NEW,
    "with a newline at its end": NEW + "\n",
    "with blank lines at its end": NEW + "\n\n\n",
    "fenced": f"```\n{NEW}\n```",
    "fenced with a language": f"```python\n{NEW}\n```\n",
    "chatter before": f"Sure! Here is the updated code:\n\n```python\n{NEW}\n```",
    "chatter on both sides": f"Here's the rewritten region:\n```py\n{NEW}\n```\n\nI changed the return value.\n",
    "tagged": f"<region>\n{NEW}\n</region>",
    "tagged, with chatter after": f"<region>\n{NEW}\n</region>\nDone: it adds one now.",
    "with carriage returns": NEW.replace("\n", "\r\n"),
}


@pytest.mark.parametrize("reply", REPLIES.values(), ids=REPLIES.keys())
@given(sizes=st.lists(st.integers(1, 30), min_size=1, max_size=5))
def test_what_surrounds_the_code_does_not_reach_the_file(reply: str, sizes: list[int]) -> None:
    assert rewrite(OLD, reply, sizes) == NEW


def test_a_region_that_holds_fences_keeps_them() -> None:
    old = "Text\n```\ncode\n```\nmore"
    new = "Text!\n```\ncode\n```\nmore"
    for size in (1, 3, 100):
        assert rewrite(old, new, [size]) == new


def test_a_comment_that_looks_like_chatter_is_code() -> None:
    assert rewrite("x", "here:\n    y\n", [2]) == "here:\n    y"


def test_an_empty_reply_changes_nothing() -> None:
    assert rewrite(OLD, "", [1]) == OLD
    assert rewrite(OLD, "\n\n", [1]) == OLD


SUB, TO = ("<|sub|>", True), ("<|to|>", True)


def line(number: int) -> tuple[str, bool]:
    return f"<|L{number}|>", True


def test_hunks_replace_insert_and_delete() -> None:
    pieces = [line(1), line(1), ("def g(a):\n", False), line(2), ("<|ins|>", True), ("    # hm", False), ("\n", False), line(3), line(3)]
    assert result(PatchReader(OLD.split("\n")), OLD, pieces) == "def g(a):\n    return a\n    # hm"


def test_a_replacement_names_what_stands_in_a_line_once() -> None:
    pieces = [
        line(1),
        ("<|above|>", True),
        ("# new\n", False),
        line(1),
        SUB,
        ("(", False),
        ("a)", False),
        TO,
        ("(a, b)", False),
        line(3),
        SUB,
        (" end", False),
        TO,
    ]
    assert result(PatchReader(OLD.split("\n")), OLD, pieces) == "# new\ndef f(a, b):\n    return a\n#"


def test_a_word_is_renamed_wherever_it_stands_alone() -> None:
    old = "a = data\nb = a.a + aa  # the a-team, a\n$a"
    pieces = [SUB, ("a", False), TO, ("x", False), ("y", False)]
    assert result(PatchReader(old.split("\n")), old, pieces) == "xy = data\nb = xy.xy + aa  # the a-team, xy\n$a"


@pytest.mark.parametrize("within", [[], [line(2)]])
def test_who_types_without_capitals_means_the_word_that_has_one(within: list[tuple[str, bool]]) -> None:
    old = "- rent\n- call Peter\n- lunch"
    pieces = [*within, SUB, ("peter", False), TO, ("pet", False), ("ra", False)]
    assert result(PatchReader(old.split("\n")), old, pieces) == "- rent\n- call Petra\n- lunch"


def test_a_word_that_is_there_as_typed_is_the_only_one_meant() -> None:
    old = "user = User()"
    assert result(PatchReader([old]), old, [SUB, ("user", False), TO, ("guest", False)]) == "guest = User()"
    assert result(PatchReader([old]), old, [line(1), SUB, ("user", False), TO, ("guest", False)]) == "guest = User()"


@pytest.mark.parametrize(
    ("path", "old", "new"),
    [
        ("a.py", "i = n-i\nreturn a[i-1] + i", "k = n-k\nreturn a[k-1] + k"),
        ("a.js", "i = find('#i-b', \"a-i\") + i-1", "k = find('#i-b', \"a-i\") + k-1"),
        ("a.css", ".i-b, .i, .a-i {", ".i-b, .k, .a-i {"),
        ("a.html", "<p class='i i-b'>i</p>", "<p class='k i-b'>k</p>"),
    ],
)
def test_a_hyphen_is_a_minus_where_names_have_none(path: str, old: str, new: str) -> None:
    assert result(PatchReader(old.split("\n"), path), old, [SUB, ("i", False), TO, ("k", False)]) == new


@pytest.mark.parametrize("pieces", [[line(1), SUB, ("a", False), TO, ("a", False)], [SUB, ("a", False), TO, ("a", False)]])
def test_a_replacement_by_the_same_is_no_edit(pieces: list[tuple[str, bool]]) -> None:
    reader = PatchReader(OLD.split("\n"))
    assert [event for piece in pieces for event in reader.feed(*piece)] + reader.finish() == []


def test_a_refusal_ends_the_reply_and_changes_nothing() -> None:
    reader = PatchReader(OLD.split("\n"))
    assert reader.feed("<|decline|>", True) == [] and reader.complete
    with pytest.raises(Malformed):
        result(PatchReader(OLD.split("\n")), OLD, [("<|L1|>", True), ("<|L1|>", True), ("x\n", False), ("<|decline|>", True)])


def test_text_may_hold_what_looks_like_a_control_token() -> None:
    assert result(PatchReader(["x"]), "x", [line(1), line(1), ("<|L9|>\n", False)]) == "<|L9|>"


@pytest.mark.parametrize(
    "pieces",
    [
        [("text", False)],
        [line(1), ("text\n", False)],
        [line(1)],
        [line(2), line(1), ("x\n", False)],
        [line(1), line(9), ("x\n", False)],
        [line(0), line(1)],
        [line(2), line(2), ("x\n", False), line(1), line(1), ("y\n", False)],
        [line(1), line(1), ("no newline", False)],
        [line(1), line(1), ("no newline", False), line(2), line(2), ("x\n", False)],
        [("<|ins|>", True)],
        [line(1), ("<|file|>", True)],
        [line(4), ("<|above|>", True), ("x\n", False), line(1), line(1)],
        # What is to be replaced is not there, is there twice, is nothing, or is never said to become anything.
        [line(1), SUB, ("b", False), TO, ("c", False)],
        [line(2), SUB, ("r", False), TO, ("c", False)],
        [line(2), SUB, ("  ", False), TO, ("c", False)],
        [line(1), SUB, TO, ("c", False)],
        [line(1), SUB, ("a", False)],
        [line(1), SUB, ("a", False), line(2), line(2)],
        [line(1), SUB, ("a", False), TO, ("b\n", False)],
        [line(1), SUB, ("a", False), TO, ("b", False), TO, ("c", False)],
        [line(1), TO, ("c", False)],
        [SUB, ("b", False), TO, ("c", False)],
        [SUB, ("a", False), TO, ("c", False), line(1), line(1), ("x\n", False)],
        [line(1), line(1), ("x\n", False), SUB, ("a", False), TO, ("c", False)],
        [line(1), line(1), ("x\n", False), line(1), SUB, ("a", False), TO, ("c", False)],
        [line(9), SUB, ("a", False), TO, ("c", False)],
    ],
)
def test_malformed_patches_are_refused(pieces: list[tuple[str, bool]]) -> None:
    with pytest.raises(Malformed):
        result(PatchReader(OLD.split("\n")), OLD, pieces)
