"""Any two regions: the reply makes the one from the other, is well-formed, and is the same for the same change."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from inference.prompts import Segment
from inference.training import encoding
from inference.training.encoding import END

lines = st.lists(st.sampled_from(["a", "b", "", "}", "  x = 1", "return é😀"]), min_size=1, max_size=14)


@given(lines, lines)
def test_a_reply_makes_the_new_region_from_the_old(old: list[str], new: list[str]) -> None:
    before, after = "\n".join(old), "\n".join(new)
    assert encoding.applied(before, encoding.reply(before, after)) == after


def test_an_insertion_among_equals_stands_as_early_as_it_can() -> None:
    assert encoding.changes(["a", "", "", "b"], ["a", "", "", "", "b"]) == [(1, 1, 1, 2)]
    assert encoding.changes(["x", "x", "x"], ["x", "x"]) == [(0, 1, 0, 0)]


def test_a_rewrite_is_one_hunk_over_a_lonely_bracket() -> None:
    old, new = ["a {", "b", "}", "c"], ["A {", "B", "}", "C"]
    assert encoding.changes(old, new) == [(0, 4, 0, 4)]


def test_a_refusal_is_one_token() -> None:
    reply = encoding.reply("x = 1", None)
    assert [piece.text for piece in reply] == ["<|decline|>", END]
    assert encoding.applied("x = 1", reply) is None


def test_malformed_replies_are_told() -> None:
    line, insert = Segment("<|L1|>", True), Segment("<|ins|>", True)
    for bad in ([Segment("x\n")], [line], [line, line, Segment("no end")], [insert], [line, Segment("<|L9|>", True), Segment("x\n")]):
        assert not encoding.well_formed("one\ntwo", [*bad, Segment(END, True)])
    assert encoding.well_formed("one\ntwo", [line, insert, Segment("x\n"), Segment(END, True)])
