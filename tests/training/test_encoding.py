"""Any two regions: the reply makes the one from the other, is well-formed, and is the same for the same change."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from inference.prompts import Segment
from inference.training import encoding
from inference.training.encoding import END

lines = st.lists(
    st.sampled_from(["a", "b", "", "}", "  x = 1", "  x = 11", "f(x, a, x)", "f(x, x)", "f(x, x, x, x)", "return é😀", "return é-é"]),
    min_size=1,
    max_size=14,
)


@given(lines, lines)
def test_a_reply_makes_the_new_region_from_the_old(old: list[str], new: list[str]) -> None:
    before, after = "\n".join(old), "\n".join(new)
    assert encoding.applied(before, encoding.reply(before, after)) == after


def test_an_insertion_among_equals_stands_as_early_as_it_can() -> None:
    assert encoding.changes(["a", "", "", "b"], ["a", "", "", "", "b"]) == [(1, 1, 1, 2)]
    assert encoding.changes(["x", "x", "x"], ["x", "x"]) == [(0, 1, 0, 0)]
    assert encoding.changes(["x", "x", "x"], ["x", "x"], asked={2}) == [(1, 2, 1, 1)]


def test_what_is_new_or_gone_begins_with_no_bracket() -> None:
    old, new = ["a {", "}"], ["a {", "}", "", "b {", "}"]
    assert encoding.changes(old, new) == [(2, 2, 2, 5)]
    assert encoding.changes(new, old) == [(2, 5, 2, 2)]
    assert encoding.changes([*new, "x"], ["y", *new[1:], "", "c {", "}", "x"])[1:] == [(5, 5, 5, 8)]


def said(region: str, result: str, instruction: str = "") -> str:
    return "".join(piece.text for piece in encoding.reply(region, result, instruction)).removesuffix(END)


def test_a_word_that_is_named_is_renamed_everywhere() -> None:
    assert said("a = 1\nb = a", "c = 1\nb = c") == "<|sub|>a<|to|>c"
    assert said("ab = 1", "cd = 1", "rename ab to cd") == "<|sub|>ab<|to|>cd"
    assert said("verbose = true", "verbose = false", "switch verbose off") == "<|L1|><|sub|>true<|to|>false"
    assert said("width = width + 10", "height = width + 10", "rename width to height") == "<|L1|><|sub|>width =<|to|>height ="
    assert said(".a-b {\n.a {", ".a-b {\n.c {", "rename a to c") == "<|sub|>a<|to|>c"


def test_a_change_within_a_line_is_said_shortly_and_once() -> None:
    assert said("def f(a, b):", "def f(a, b, c):") == "<|L1|><|sub|>b<|to|>b, c"
    assert said("x = [1, 11]", "x = [1, 12]") == "<|L1|><|sub|>11<|to|>12"
    assert said("x = [11, 1, 2]", "x = [11, 2]") == "<|L1|><|sub|> 1, <|to|> "
    assert said("    def f():", "    async def f():") == "<|L1|><|sub|>def<|to|>async def"
    assert said("if a == b:", "if a >= b:") == "<|L1|><|sub|>==<|to|>>="
    assert said("draw(x, SIZE, SIZE, SIZE);", "draw(x, SIZE, SIZE);") == "<|L1|><|L1|>draw(x, SIZE, SIZE);\n"
    assert said("one", "two three") == "<|L1|><|L1|>two three\n"


def test_a_line_is_put_above_the_one_that_is_spoken_of() -> None:
    old, new = "a()\nfor b in c:\n    d()", "a()\n# hm\nfor b in c:\n    d()"
    assert said(old, new, "comment hm above the loop") == "<|L2|><|above|># hm\n"
    assert said(old, new, "comment hm below a") == "<|L1|><|ins|># hm\n"


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
