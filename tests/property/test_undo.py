"""Undo of a run at any later time: by names of characters, whatever people have done and whoever has loaded the document since."""

from __future__ import annotations

import random
from itertools import count

from hypothesis import example, given, settings
from hypothesis import strategies as st

from editor.document import Document, new_document
from editor.edits import Operation, RegionDiff, size
from editor.live import LiveRegion
from editor.order import Order
from editor.undo import Edit, undo
from tests.property.test_edits import rewrite

BEFORE, AFTER = "before\n", "\nafter"
CLIENTS = count(2**30)


def document(*updates: bytes) -> Document:
    return Document(updates, lambda update, origin: None)


class Session:
    """The server's document, people with copies of their own, and runs in it."""

    def __init__(self, text: str, people: int = 0) -> None:
        self.server = document(new_document([("a.py", text), ("b.py", "other")]))
        self.file = next(file for file, path in self.server.files().items() if path == "a.py")
        self.people = [document(self.server.diff()) for _ in range(people)]

    @property
    def text(self) -> str:
        return self.server.text(self.file)

    def reload(self) -> None:
        self.server = document(self.server.diff())

    def sync(self, person: Document, region: LiveRegion | None = None) -> None:
        stop = self.server.watch(
            self.file, lambda changes, origin: [region.people_changed(c.position, c.deleted, size(c.inserted)) for c in changes] if region else None
        )
        self.server.apply(person.diff(self.server.state_vector()), "person")
        stop()
        person.apply(self.server.diff(person.state_vector()), "server")

    def undo(self, edit: Edit, *others: Edit) -> None:
        """As the server does it: from the edit as it has been saved."""
        edit.moved += (found := undo(self.server.diff(), self.text, Edit.read(edit.public()), others, next(CLIENTS))).moved
        self.server.apply(found.update, "undo")

    def names(self) -> dict[tuple[int, int], int]:
        """Of the characters that stand, with their content."""
        order = Order(self.server.diff(), self.file, self.text)
        places = order.visible.nonzero()[0]
        keys = zip(order.clients[places].tolist(), order.clocks[places].tolist(), strict=True)
        return dict(zip(keys, order.content[places].tolist(), strict=True))


class Writing:
    """One run's way into the document, as editor/run.py has it."""

    def __init__(self, session: Session, region: LiveRegion, old: str) -> None:
        self.session, self.region = session, region
        self.edit = Edit(session.file)
        self.diff = RegionDiff(old)
        self.write(self.diff.hunk(1, old.count("\n") + 1))

    def write(self, operations: list[Operation]) -> None:
        for operation in operations:
            for splice in self.region.carry(operation):
                update = self.session.server.splice(self.session.file, splice.position, splice.deleted, splice.text, "run")
                self.edit.note(update, splice.old)


def edit(person: Document, file: str, random: random.Random, deletes: bool, mark: str) -> None:
    text = person.text(file)
    at = random.randint(0, len(text))
    end = min(len(text), at + random.randint(1, 9))
    with person.transaction("person"):
        if deletes and at < end and random.random() < 0.5:
            person.delete(file, size(text[:at]), size(text[at:end]))
        else:
            person.insert(file, size(text[:at]), mark)


def run(session: Session, old: str, pieces: list[str], stop: int, random: random.Random, deletes: bool) -> Writing:
    writing = Writing(session, LiveRegion(len(BEFORE), size(old)), old)
    for piece in pieces[:stop]:
        writing.write(writing.diff.feed(piece))
        for person in session.people:
            if random.random() < 0.4:
                edit(person, session.file, random, deletes, "MÄ😀")
            if random.random() < 0.4:
                session.sync(person, writing.region)
    writing.write(writing.diff.finish() if stop >= len(pieces) else writing.diff.settle())
    return writing


@given(rewrite(), st.integers(0, 14))
@settings(max_examples=200, deadline=None)
def test_an_undo_at_once_gives_the_old_text(case, stop):
    old, _, pieces = case
    session = Session(BEFORE + old + AFTER)
    writing = run(session, old, pieces, stop, random.Random(1), False)
    session.reload()
    session.undo(writing.edit)
    assert session.text == BEFORE + old + AFTER


@given(rewrite(), st.integers(0, 14), st.randoms(use_true_random=False))
@settings(max_examples=200, deadline=None)
def test_an_undo_removes_exactly_what_the_run_wrote_and_still_stands(case, stop, random):
    """People type and delete anywhere, during the run and after it, also on copies that have not heard of it yet."""
    old, _, pieces = case
    session = Session(BEFORE + old + AFTER, people=2)
    writing = run(session, old, pieces, stop, random, True)
    for _ in range(6):
        for person in session.people:
            edit(person, session.file, random, True, "X\nY")
            if random.random() < 0.4:
                session.sync(person)
        if random.random() < 0.3:
            session.reload()
    wrote = {(client, clock) for client, first, end in writing.edit.inserted for clock in range(first, end)}
    before = session.names()
    session.undo(writing.edit)
    after = session.names()
    theirs = {name for name in before if name not in wrote}
    assert theirs == after.keys() & before.keys(), "nobody else's character went, and none of the run's stayed"
    new = set(after) - set(before)
    brought = {(client, first + n) for _, a, b, client, first in writing.edit.moved for n in range(b - a)}
    assert brought <= new
    assert all(after[name] == ord("\n") for name in new - brought), "newlines that whole lines need may be added, nothing else"
    session.reload()
    for person in session.people:
        session.sync(person)
        assert person.text(session.file) == session.text


@given(rewrite(), st.integers(0, 14), st.randoms(use_true_random=False))
@settings(max_examples=200, deadline=None)
def test_where_people_only_typed_the_old_text_is_back_around_what_they_typed(case, stop, random):
    old, _, pieces = case
    session = Session(BEFORE + old + AFTER, people=2)
    writing = run(session, old, pieces, stop, random, False)
    for person in session.people:
        session.sync(person)
        edit(person, session.file, random, False, "MÄ😀")
        session.sync(person)
    session.reload()
    session.undo(writing.edit)
    # The marks may have stood inside of each other.
    bare = session.text
    while "MÄ😀" in bare:
        bare = bare.replace("MÄ😀", "")
    for character in "MÄ":
        bare = bare.replace(character, "")
    assert bare.replace("😀", "") == (BEFORE + old + AFTER).replace("😀", "")


@given(rewrite(), rewrite())
@example(
    ("\n\ndef\n\ndef def def\n\n\ndef def row def", "\n\n\n\ndef def def\n\n\ndef def row def", ["\n\n\n\ndef def def\n\n", "\ndef row def"]),
    ("", "", [""]),
)
@example(
    ("\n\n\n\ndef\ndef def def def\n\nrow\nreturn def", "", ["", "\n\n\n\ndef\ndef def def def\n\nreturn defd", "ef"]),
    ("", "", ["\n\n\n\n\n\n\n\nreturndef def def"]),
)
@settings(max_examples=150, deadline=None)
def test_a_run_and_the_one_that_steered_it_are_undone_one_after_the_other(first, second):
    """What the second deleted of the first comes back by its undo, and goes by the undo of the first."""
    old, _, pieces = first
    session = Session(BEFORE + old + AFTER)
    one = run(session, old, pieces, len(pieces) - 1, random.Random(1), False)
    data = session.text.encode()
    two = Writing(session, LiveRegion(len(BEFORE), one.region.end - len(BEFORE)), data[len(BEFORE) : one.region.end].decode())
    for piece in second[2]:
        two.write(two.diff.feed(piece))
    two.write(two.diff.finish())
    session.reload()
    session.undo(two.edit, one.edit)
    assert session.text.encode() == data
    session.reload()
    session.undo(one.edit, two.edit)
    assert session.text == BEFORE + old + AFTER


def rename(session: Session) -> Writing:
    """`foo` becomes `bar` in the first line, and the second line goes."""
    old = "x = foo + 1\ny = 2\nz = 3"
    writing = Writing(session, LiveRegion(0, len(old)), old)
    writing.write(writing.diff.feed("x = bar + 1\nz = 3\n"))
    writing.write(writing.diff.finish())
    assert session.text == "x = bar + 1\nz = 3"
    return writing


def change(session: Session, old: str, new: str) -> None:
    at = session.text.index(old)
    session.server.splice(session.file, at, size(old), new, "person")


def test_a_word_comes_back_only_in_exchange_for_the_one_that_took_its_place() -> None:
    session = Session("x = foo + 1\ny = 2\nz = 3")
    writing = rename(session)
    change(session, "bar", "qux")
    session.undo(writing.edit)
    assert session.text == "x = qux + 1\ny = 2\nz = 3"


def test_a_whole_line_comes_back_as_one_even_where_lines_were_joined() -> None:
    session = Session("x = foo + 1\ny = 2\nz = 3")
    writing = rename(session)
    change(session, "\nz", "; z")
    session.undo(writing.edit)
    assert session.text == "x = foo + 1; \ny = 2\nz = 3" or session.text == "x = foo + 1\ny = 2\n; z = 3"


@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 200), st.sampled_from(["ab", "é\n", "😀", ""]), st.booleans()), max_size=40))
@settings(max_examples=100, deadline=None)
def test_the_order_is_the_librarys_own(plan):
    session = Session("x = 1\nhé😀llo\n" * 3, people=3)
    for who, place, text, sync in plan:
        person = session.people[who]
        now = person.text(session.file)
        at = place % (len(now) + 1)
        with person.transaction("person"):
            if text:
                person.insert(session.file, size(now[:at]), text)
            elif at < len(now):
                person.delete(session.file, size(now[:at]), size(now[at : at + 3]))
        if sync:
            session.sync(person)
    orders = []
    for person in session.people:
        session.sync(person)
    for person in session.people:
        session.sync(person)
        order = Order(person.diff(), session.file, person.text(session.file))
        assert order.content[order.visible].tobytes().decode("utf-16-le") == person.text(session.file)
        orders.append(list(zip(order.clients.tolist(), order.clocks.tolist(), strict=True)))
    assert orders[0] == orders[1] == orders[2], "the same on every copy"
    assert len(set(orders[0])) == len(orders[0])
