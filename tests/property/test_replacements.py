"""What a draft draws is what the run would write, whatever the reply, in lines that can be drawn."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from editor.edits import RegionDiff
from editor.replacements import Replacement, apply, condense, of_reply, operations, tidy
from inference.api import Hunk, Progress, Text
from tests.property.test_edits import line, rewrite, run, text


@st.composite
def reply(draw):
    """An old region and a reply to it: hunks in order, or a whole rewrite in pieces."""
    if draw(st.booleans()):
        old, _, pieces = draw(rewrite())
        return old, [Hunk(1, old.count("\n") + 1), *map(Text, pieces)]
    old = draw(text)
    count, position, events = old.count("\n") + 1, 0, []
    while position < count and draw(st.booleans()):
        first = draw(st.integers(position + 1, count))
        last = draw(st.integers(first - 1, count))
        events += [Hunk(first, last), *(Text(each + "\n") for each in draw(st.lists(line, max_size=3))), Progress(1, 1.0, None)]
        position = max(last, first)
    return old, events


@given(reply())
@settings(max_examples=800)
def test_what_is_drawn_is_what_the_run_would_write(case):
    old, events = case
    expected = run(old.encode(), operations(RegionDiff(old), events)).decode()
    drawn = of_reply(old, events)
    assert apply(old, drawn) == expected
    assert apply(old, condense(old, operations(RegionDiff(old), events))) == expected
    at = -1
    for each in drawn:
        assert at < each.start <= each.end <= len(old), "in order, and not touching"
        assert each.text != old[each.start : each.end]
        at = each.end
        if "\n" in each.text:
            begins = each.start == 0 or old[each.start - 1] == "\n"
            ends = each.end == len(old) or old[each.end] == "\n"
            assert (each.start == each.end and begins and each.text.endswith("\n")) or ends


@given(text, st.data())
@settings(max_examples=400)
def test_tidying_changes_nothing_of_the_edit(old, data):
    places = sorted(data.draw(st.sets(st.integers(0, len(old)), max_size=8)))
    pairs = zip(places[::2], places[1::2], strict=False)
    given_ = [Replacement(a, b, data.draw(st.sampled_from(["", "\n", "x\n", "a\nb", "\n  y", "y"]))) for a, b in pairs]
    assert apply(old, tidy(old, given_)) == apply(old, given_)


def test_an_added_line_is_drawn_as_a_line_before_the_one_it_pushes_down():
    old = "def f():\n    return x"
    events = [Hunk(1, 2), *map(Text, ("def f():\n    ", "log", "(x)", "\n    return", " x\n"))]
    assert of_reply(old, events) == [Replacement(9, 9, "    log(x)\n")]


def test_a_changed_word_is_one_replacement():
    assert of_reply("total = a", [Hunk(1, 1), Text("total = b\n")]) == [Replacement(8, 9, "b")]


def test_a_page_from_nothing_is_one_insertion():
    assert of_reply("", [Hunk(1, 1), Text("def f():\n    pass\n")]) == [Replacement(0, 0, "def f():\n    pass")]


def test_a_line_that_is_split_is_drawn_up_to_its_end():
    drawn = of_reply("a = f(x, y)", [Hunk(1, 1), Text("a = f(\n    x,\n)\n")])
    assert apply("a = f(x, y)", drawn) == "a = f(\n    x,\n)"
    assert all(each.end == 11 for each in drawn if "\n" in each.text)


def test_a_word_is_drawn_as_a_whole():
    drawn = of_reply("def load(path):", [Hunk(1, 1), Text("def read(path):\n")])
    assert drawn == [Replacement(4, 8, "read")]
    assert of_reply("total = a", [Hunk(1, 1), Text("total = ab\n")]) == [Replacement(9, 9, "b")], "what is only added is drawn as such"
