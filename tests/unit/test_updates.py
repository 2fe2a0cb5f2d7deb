"""What an update is checked for before it is applied."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pycrdt import Doc, Map, Text

from editor import wire
from editor.document import Document
from editor.updates import Index, Malformed, structs
from tests.conftest import state_clocks

PARTS = st.sampled_from(["a", "bc\n", "é", "漢字", "😀", "e\u0301", "👩\u200d🚀", "x" * 200])


def editing(parts: list[tuple[float, str, bool]]) -> tuple[list[bytes], Doc]:
    """The updates of one client that inserts, or removes, whole characters at places between 0 and 1."""
    doc: Doc = Doc()
    made: list[bytes] = []
    subscription = doc.observe(lambda event: made.append(bytes(event.update)))
    files = doc.get("files", type=Map)
    files["f"] = Map({"path": "a.txt", "text": Text("begin 😀")})
    text = files["f"]["text"]
    for place, part, removes in parts:
        now = str(text)
        at = round(place * len(now))
        start = len(now[:at].encode())
        if removes:
            del text[start : start + len(now[at : at + 3].encode())]
        else:
            text.insert(start, part)
    doc.unobserve(subscription)
    return made, doc


@given(st.lists(st.tuples(st.floats(0, 1), PARTS, st.booleans()), max_size=12))
def test_the_index_agrees_with_the_library(parts: list[tuple[float, str, bool]]) -> None:
    made, doc = editing(parts)
    index = Index(structs(b"\x00\x00"))
    for update in made:
        found = structs(update)
        assert not index.has_hole_before(found)
        index.check(update, found)
        index.add(found)
    assert index.clocks == state_clocks(doc)
    # And it is the same for the whole as for the parts.
    whole = bytes(doc.get_update())
    assert Index(structs(whole)).clocks == index.clocks
    index.check(whole, structs(whole))


def test_an_update_that_builds_on_one_that_never_came_is_seen() -> None:
    made, _ = editing([(0, "a", False), (0, "b", False)])
    index = Index(structs(made[0]))
    assert not index.has_hole_before(structs(made[1]))
    assert index.has_hole_before(structs(made[2]))


def deletion(client: int, clock: int, length: int) -> bytes:
    return b"\x00\x01" + wire.integer(client) + b"\x01" + wire.integer(clock) + wire.integer(length)


def test_no_character_is_cut_in_two() -> None:
    made, _ = editing([])
    (update,) = made
    index = Index(structs(update))
    (client,) = index.clocks
    # The map, its path, its text, then `begin ` and two halves.
    half = 3 + len("begin ") + 1
    whole = deletion(client, half - 1, 2)
    index.check(whole, structs(whole))
    for cut in (deletion(client, half, 1), deletion(client, half - 2, 2)):
        with pytest.raises(Malformed, match="in two"):
            index.check(cut, structs(cut))
    # An insertion behind the first half: one struct of a client 5, a left origin, the text "x".
    into = b"\x01\x01\x05\x00" + b"\x84" + wire.integer(client) + wire.integer(half - 1) + b"\x01x" + b"\x00"
    with pytest.raises(Malformed, match="in two"):
        index.check(into, structs(into))


def test_nothing_is_put_into_a_text_s_characters() -> None:
    made, _ = editing([])
    index = Index(structs(made[0]))
    (client,) = index.clocks
    into = b"\x01\x01\x05\x00" + b"\x04\x00" + wire.integer(client) + wire.integer(4) + b"\x01x" + b"\x00"
    with pytest.raises(Malformed, match="cannot hold"):
        index.check(into, structs(into))


def test_what_was_written_into_a_file_that_is_gone_may_come() -> None:
    """Somebody who was away typed into an empty file; meanwhile it was deleted, and the document loaded anew."""
    doc: Doc = Doc()
    files = doc.get("files", type=Map)
    files["f"] = Map({"path": "a.txt", "text": Text("")})
    files["g"] = Map({"path": "b.txt", "text": Text("other")})
    away: Doc = Doc()
    theirs = away.get("files", type=Map)
    away.apply_update(doc.get_update())
    known = away.get_state()
    theirs["f"]["text"].insert(0, "typed while away")
    theirs["g"]["text"].insert(0, "an")
    del files["f"]
    whole = bytes(doc.get_update())
    late = bytes(away.get_update(known))
    document = Document((whole,), lambda update, origin: None, Index(structs(whole)))
    document.index.check(late, structs(late))
    document.apply(late, None)
    assert document.contents() == [("b.txt", "another")]


def test_what_would_end_the_process_is_refused() -> None:
    nested = b"\x01\x01\x05\x00" + b"\x08\x01\x01q\x01" + b"\x75\x01" * 100_000 + b"\x7e\x00"
    with pytest.raises(Malformed, match="nested"):
        structs(nested)
    for promised in (2**31, 2**53 - 1):
        with pytest.raises(Malformed, match="cut off"):
            structs(wire.integer(promised) + b"\x00")
