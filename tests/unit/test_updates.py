"""What an update is checked for before it is applied."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pycrdt import Doc, Map, Text

from editor import wire
from editor.document import Document
from editor.index import Index, Missing
from editor.updates import Malformed, deletes_more, structs
from tests.conftest import state_clocks

PARTS = st.sampled_from(["a", "bc\n", "é", "漢字", "😀", "e\u0301", "👩\u200d🚀", "x" * 200])


def check(index: Index, update: bytes) -> None:
    index.check(update, structs(update))


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
        index.check(update, found)
        index.add(found)
    assert index.clocks == state_clocks(doc)
    # And it is the same for the whole as for the parts.
    whole = bytes(doc.get_update())
    assert Index(structs(whole)).clocks == index.clocks
    check(index, whole)


def test_an_update_that_builds_on_one_that_never_came_is_seen() -> None:
    made, _ = editing([(0, "a", False), (0, "b", False)])
    index = Index(structs(made[0]))
    check(index, made[1])
    with pytest.raises(Missing):
        check(index, made[2])


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
    check(index, whole)
    for cut in (deletion(client, half, 1), deletion(client, half - 2, 2)):
        with pytest.raises(Malformed, match="in two"):
            check(index, cut)
    # An insertion behind the first half: one struct of a client 5, a left origin, the text "x".
    into = b"\x01\x01\x05\x00" + b"\x84" + wire.integer(client) + wire.integer(half - 1) + b"\x01x" + b"\x00"
    with pytest.raises(Malformed, match="in two"):
        check(index, into)


def test_nothing_is_put_into_a_text_s_characters() -> None:
    made, _ = editing([])
    index = Index(structs(made[0]))
    (client,) = index.clocks
    into = b"\x01\x01\x05\x00" + b"\x04\x00" + wire.integer(client) + wire.integer(4) + b"\x01x" + b"\x00"
    with pytest.raises(Malformed, match="cannot hold"):
        check(index, into)


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
    check(document.index, late)
    document.apply(late, None)
    assert document.contents() == [("b.txt", "another")]


def test_what_would_end_the_process_is_refused() -> None:
    nested = b"\x01\x01\x05\x00" + b"\x08\x01\x01q\x01" + b"\x75\x01" * 100_000 + b"\x7e\x00"
    with pytest.raises(Malformed, match="nested"):
        structs(nested)
    for promised in (2**31, 2**53 - 1):
        with pytest.raises(Malformed, match="cut off"):
            structs(wire.integer(promised) + b"\x00")


def content(kind: int, body: bytes) -> bytes:
    """An update of client 5: one thing put into the map ``other``."""
    return b"\x01\x01\x05\x00" + bytes([kind | 0x20]) + b"\x01\x05other\x01k" + body + b"\x00"


NESTED = b"\x75\x01" * 200_000


@pytest.mark.parametrize(
    "update",
    [
        # What Yjs takes for a hook's name is structs to pycrdt: there, nothing would be looked at.
        content(7, b"\x05\x00"),
        content(7, b"\x05" + wire.chunk(b"\x00\x01" + NESTED + b"\x7e" + bytes(38))),
        content(7, b"\x03\x01p"),
        content(7, b"\x04"),
        content(7, b"\x06"),
        content(9, wire.chunk(b"guid") + b"\x76\x00"),
        content(2, b"\x02" + wire.chunk(b'"a"') + wire.chunk(b"1")),
    ],
)
def test_what_no_session_has_a_use_for_is_refused(update: bytes) -> None:
    with pytest.raises(Malformed):
        Index(structs(b"\x00\x00")).check(update, structs(update))


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        (1, b"\x03"),  # deleted
        (3, wire.chunk(b"bytes")),
        (4, wire.chunk("text 😀".encode())),
        (5, wire.chunk(b'{"a":1}')),
        (6, wire.chunk(b"bold") + wire.chunk(b"true")),
        *((7, bytes([shape])) for shape in range(3)),
        (8, b"\x04\x77\x01a\x7d\x41\x76\x01\x01k\x75\x01\x7e\x7b" + bytes(8)),
    ],
)
def test_every_content_has_the_length_that_the_library_gives_it(kind: int, body: bytes) -> None:
    """And what it makes of it reads the same: else a check would look at other structs than the library takes."""
    update = content(kind, body)
    found = structs(update)
    Index(structs(b"\x00\x00")).check(update, found)
    doc: Doc = Doc()
    doc.apply_update(update)
    again = bytes(doc.get_update())
    assert state_clocks(doc) == found.end == structs(again).end == Index(structs(again)).clocks
    other: Doc = Doc()
    other.apply_update(again)
    assert bytes(other.get_update()) == again


def test_a_document_that_holds_such_types_can_still_be_read() -> None:
    """Refused from now on; what is in a database already is what it is."""
    doc: Doc = Doc()
    doc.apply_update(content(7, b"\x05"))
    assert Index(structs(bytes(doc.get_update()))).clocks == {5: 1}


@pytest.mark.parametrize("entries", [b"\x05\x00" * 3, b"\x05\x01\x00\x01" * 2])
def test_deletions_of_one_client_come_once(entries: bytes) -> None:
    update = b"\x00" + bytes([3 if entries[1] == 0 else 2]) + entries
    with pytest.raises(Malformed, match="twice"):
        Index(structs(b"\x00\x00")).check(update, structs(update))
    known = deletion(5, 0, 9)
    with pytest.raises(Malformed, match="twice"):
        deletes_more(b"\x00\x02" + b"\x05\x01\x00\x01" * 2, 1, b"\x00\x02" + b"\x05\x01\x00\x09" + b"\x06\x01\x00\x09")
    assert not deletes_more(deletion(5, 2, 3), 1, known)


def test_many_clients_that_nobody_knows_are_too_many() -> None:
    entries = b"".join(wire.integer(client) + b"\x01\x00\x01" for client in range(5000))
    update = b"\x00" + wire.integer(5000) + entries
    with pytest.raises(Malformed, match="not known"):
        Index(structs(b"\x00\x00")).check(update, structs(update))
    assert deletes_more(update, 1, deletion(5, 0, 9)), "and more than all that is deleted"


@pytest.mark.parametrize(
    "update", [b"\x01\x01" + wire.integer(2**53) + b"\x00\x04\x01\x01t\x01x\x00", b"\x00\x01\x05\x01" + wire.integer(2**53) + b"\x01"]
)
def test_numbers_that_a_browser_cannot_count_to_are_refused(update: bytes) -> None:
    with pytest.raises(Malformed, match="too large"):
        Index(structs(b"\x00\x00")).check(update, structs(update))


def insertion(left: tuple[int, int], right: tuple[int, int]) -> bytes:
    """Of a client 5: "x", between the two."""
    return b"\x01\x01\x05\x00" + b"\xc4" + b"".join(wire.integer(number) for number in (*left, *right)) + b"\x01x" + b"\x00"


def test_nothing_stands_between_two_texts() -> None:
    made, _ = editing([])
    doc: Doc = Doc()
    doc.apply_update(made[0])
    files = doc.get("files", type=Map)
    files["g"] = Map({"path": "b.txt", "text": Text("other")})
    whole = bytes(doc.get_update())
    index = Index(structs(whole))
    one, other = (client for client in state_clocks(doc))
    if index.clocks[one] < index.clocks[other]:
        one, other = other, one
    # Of each: the map, its path, its text, and then what is in it.
    for right in ((one, 5), (one, 4)):  # behind, and before: where the author wanted it
        update = insertion((one, 4), right)
        check(index, update)
    for right in ((other, 4), (one, 0), (one, 1), (other, 0)):
        update = insertion((one, 4), right)
        with pytest.raises(Malformed, match="the same text"):
            check(index, update)
    # Two that come together are held to the same.
    both = b"\x01\x02\x05\x00" + b"\x84" + wire.integer(one) + b"\x04\x01x" + b"\xc4\x05\x00" + wire.integer(other) + b"\x04\x01y" + b"\x00"
    with pytest.raises(Malformed, match="the same text"):
        check(index, both)
    fitting = both.replace(b"\xc4\x05\x00" + wire.integer(other), b"\xc4\x05\x00" + wire.integer(one))
    check(index, fitting)


def test_two_that_each_stand_beside_the_other_hold_nobody_up() -> None:
    made, _ = editing([])
    index = Index(structs(made[0]))
    for update in (
        b"\x02" + b"\x01\x06\x00\xc4\x05\x00\x05\x00\x01x" + b"\x01\x05\x00\xc4\x06\x00\x06\x00\x01x" + b"\x00",
        b"\x01\x01\x05\x00\x84\x05\x00\x01x" + b"\x00",
        b"\x01\x02\x05\x00\x84\x05\x01\x01x\x04\x01\x01f\x01y" + b"\x00",
    ):
        with pytest.raises(Malformed, match="comes after it"):
            check(index, update)


def test_what_the_library_would_keep_until_more_comes_is_missing() -> None:
    made, _ = editing([])
    index = Index(structs(made[0]))
    (client,) = index.clocks
    end, c = index.clocks[client], wire.integer(client)
    for update in (
        b"\x01\x01\x05\x00\x84" + c + wire.integer(end) + b"\x01x\x00",  # behind what is not here
        b"\x01\x01\x05\x00\x44" + c + wire.integer(end) + b"\x01x\x00",  # before it
        b"\x01\x01\x05\x00\x04\x00" + c + wire.integer(end) + b"\x01x\x00",  # in it
        b"\x01\x01\x05\x00\x84\x07\x00\x01x\x00",  # behind what nobody knows wrote
        deletion(client, end, 1),
        deletion(client, 3, end),
        deletion(7, 0, 1),  # of a character that somebody will write
    ):
        with pytest.raises(Missing):
            check(index, update)


def test_something_is_put_only_into_what_the_same_update_makes() -> None:
    made, _ = editing([])
    index = Index(structs(made[0]))
    (client,) = index.clocks
    text = b"\x04\x00" + wire.integer(client) + b"\x02\x01Q"  # in the text
    into = b"\x04\x00\x05\x00\x01R"  # in that
    for update in (
        b"\x01\x02\x05\x00" + text + into + b"\x00",
        # What has been a letter of the text for long is said to be a map now.
        b"\x02\x01"
        + wire.integer(client)
        + b"\x03"
        + b"\x27\x01\x05files\x01m\x01"
        + b"\x01\x05\x00\x04\x00"
        + wire.integer(client)
        + b"\x03\x01R\x00",
    ):
        with pytest.raises(Malformed, match="cannot hold"):
            check(index, update)


def test_what_is_here_in_part_goes_on_where_it_is() -> None:
    made, _ = editing([])
    index = Index(structs(made[0]))
    (client,) = index.clocks
    end, c = index.clocks[client], wire.integer(client)
    text = b"\x00" + c + b"\x02"
    length = wire.integer(end - 3 + 2)
    rest = length + b"x" * (end - 3 + 2) + b"\x00"
    head = b"\x01\x01" + c + b"\x03"
    # The text's own again, with two letters more; and the same in the map, and behind one of the map.
    for beginning, fits in ((b"\x04" + text, True), (b"\x24\x01\x05files\x01f", False), (b"\x84" + c + b"\x00", False)):
        update = head + beginning + rest
        if fits:
            check(index, update)
        else:
            with pytest.raises(Malformed, match="the same text"):
                check(index, update)


def test_what_is_known_may_come_again() -> None:
    """A queued update follows a sync step 2 that held it; meanwhile its author has written on in another file."""
    doc: Doc = Doc()
    made: list[bytes] = []
    subscription = doc.observe(lambda event: made.append(bytes(event.update)))
    files = doc.get("files", type=Map)
    for file in "fg":
        files[file] = Map({"path": file, "text": Text("some")})
    for file in "fggfgf":
        files[file]["text"].insert(2, "Q")
        files[file]["text"].insert(1, "Z")
    doc.unobserve(subscription)
    index = Index(structs(b"\x00\x00"))
    for update in made:
        check(index, update)
        index.add(structs(update))
    whole = Index(structs(bytes(doc.get_update())))
    for update in made:
        check(index, update)
        check(whole, update)


def test_what_follows_the_end_is_seen_before_it_is_applied() -> None:
    made, _ = editing([(0, "a", False)])
    index = Index(structs(made[0]))
    for end in (b"\x00", b"\xa9" * 12, b"\x80"):
        with pytest.raises(Malformed):
            check(index, made[1] + end)
    check(index, made[1])


STEPS = st.tuples(st.sampled_from(("write", "remove", "again", "meet")), st.integers(0, 2), st.sampled_from("fg"), st.floats(0, 1), PARTS)


@given(st.lists(STEPS, max_size=30))
def test_what_people_write_at_the_same_time_is_taken(steps: list[tuple[str, int, str, float, str]]) -> None:
    """Three write into two files, delete them and make them anew, and meet now and then at the server."""
    first: Doc = Doc()
    files = first.get("files", type=Map)
    files["f"] = Map({"path": "f.txt", "text": Text("begin 😀")})
    whole = bytes(first.get_update())
    server = Document((whole,), lambda update, origin: None, Index(structs(whole)))
    people: list[Doc] = [Doc(), Doc(), Doc()]
    for doc in people:
        doc.apply_update(whole)

    def meet(doc: Doc) -> None:
        update = bytes(doc.get_update(server.state_vector()))
        found = structs(update)
        server.index.check(update, found)
        server.apply(update, None)
        doc.apply_update(server.diff())

    for kind, who, file, place, part in steps:
        here = people[who].get("files", type=Map)
        if kind == "meet":
            meet(people[who])
        elif file not in here:
            here[file] = Map({"path": f"{file}.txt", "text": Text("new")})
        elif kind == "again":
            del here[file]
        else:
            text = here[file]["text"]
            now = str(text)
            at = round(place * len(now))
            start = len(now[:at].encode())
            if kind == "write":
                text.insert(start, part)
            else:
                del text[start : start + len(now[at : at + 3].encode())]
    for doc in (*people, *people):
        meet(doc)
    whole = server.diff()
    check(server.index, whole)
    again = Index(structs(whole))
    assert again.clocks == server.index.clocks
    check(again, whole)
    assert dict(Document((whole,), lambda update, origin: None).contents()) == dict(server.contents())
