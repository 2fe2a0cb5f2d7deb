"""Who wrote each character, whatever runs and undos did to it: each writer has letters that nobody else writes."""

from __future__ import annotations

import asyncio
import random

import pytest
from pycrdt import Doc, Map

from editor import storage, wire
from editor.members import Member
from editor.order import Order
from editor.queue import Queue
from inference.api import Finished, Hunk, Text
from tests.property.test_malformed import Nowhere
from tests.unit.test_run_parts import Puppet, Table

NOBODY = ("", "")


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> Puppet:
    monkeypatch.setattr(storage, "writer", Nowhere())
    return Puppet()


class Typist:
    """Somebody with a replica of their own."""

    def __init__(self, at: Table, name: str) -> None:
        self.at = at
        self.member: Member = at.person(name)
        self.doc: Doc = Doc()
        self.files = self.doc.get("files", type=Map)

    def write(self, chance: random.Random, letter: str) -> None:
        """Some letters somewhere; now and then what stood there goes."""
        known = self.doc.get_state()
        self.doc.apply_update(self.at.room.document.diff(known))
        text = self.files[self.at.file]["text"]
        known = self.doc.get_state()
        at = chance.randint(0, len(str(text)))
        with self.doc.transaction():
            if chance.random() < 0.3:
                del text[at : min(at + 2, len(str(text)))]
            text.insert(at, letter * chance.randint(1, 3))
        self.at.room.receive(self.member, wire.update(self.doc.get_update(known)))


def check(at: Table, marks: dict[str, tuple[str, str]], said: dict[str, str]) -> None:
    """``said``: each run's reply. A model may write anew what stood there, and then it is its own."""
    order = Order(at.room.document.diff(), at.file, at.text)
    for client, clock, unit in zip(order.clients[order.visible], order.clocks[order.visible], order.content[order.visible], strict=True):
        if unit != ord("\n"):
            ((entry, _),) = at.room.authors.shares(int(client), int(clock), int(clock) + 1)
            assert (entry.participant, entry.run) == marks[chr(unit)] or chr(unit) in said.get(entry.run, ""), (chr(unit), at.text)


def rewritten(chance: random.Random, line: str, letter: str) -> list[str]:
    half = len(line) // 2
    kinds = ([line], [line], [], [letter * 3, line], [line[:half] + letter * 2 + line[half:]], [line[:half] + letter], [letter * 4])
    return chance.choice(kinds)


@pytest.mark.parametrize("seed", range(30))
async def test_text_stays_its_writers_whoever_takes_a_run_back(engine: Puppet, seed: int) -> None:
    chance = random.Random(seed)
    at = Table(engine, Queue(4), "iii iii\niii\niii iii")
    at.runs.cards._loaded = True  # there is no database here
    people = {"A": Typist(at, "ada"), "G": Typist(at, "grace")}
    marks = {"i": NOBODY, " ": NOBODY, "A": ("ada", ""), "G": ("grace", "")}
    standing: list[str] = []
    said: dict[str, str] = {}
    for step in range(14):
        letter = chance.choice("AG")
        kind = chance.choice(("type", "type", "run", "run", "undo"))
        if kind == "type":
            people[letter].write(chance, letter)
        elif kind == "run":
            name = "KLMNOPQRSTUVWX"[step]
            run = at.start(people[letter].member, "change it")
            lines = engine.asked[run][0].region.split("\n")
            new = [each for line in lines for each in rewritten(chance, line, name)]
            engine.tell(run, Hunk(1, len(lines)), Text("".join(f"{line}\n" for line in new)), Finished("done", 1, 1.0, None))
            await asyncio.gather(*at.runs.cards._making.values())
            marks[name] = (people[letter].member.person.id, run)
            said[run] = "".join(new)
            standing.append(run)
        elif standing:
            run = standing.pop(chance.randrange(len(standing)))
            at.runs.again.undo(people[letter].member, run)
            await asyncio.gather(*at.runs._undos._tasks.values())
            assert at.runs.cards.get(run)["undone"]
        check(at, marks, said)


async def test_a_run_that_only_deletes_writes_for_nobody_else(engine: Puppet) -> None:
    at = Table(engine, Queue(4), "one\ntwo\nthree")
    ada, grace = at.person("ada"), at.person("grace")
    for member, new in ((ada, "one\n"), (grace, "one\nfour\n")):
        run = at.start(member, "change it")
        engine.tell(run, Hunk(1, at.text.count("\n") + 1), Text(new), Finished("done", 1, 1.0, None))
    assert at.text == "one\nfour"
    client, clock = at.room.document.own_clock()
    ((entry, _),) = at.room.authors.shares(client, clock - 1, clock)
    assert (entry.name, entry.run) == ("grace", run)
