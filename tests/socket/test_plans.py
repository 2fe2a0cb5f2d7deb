"""Random plans: people write, leave, come back, the server is killed. Everybody converges; what was saved is there, once."""

from __future__ import annotations

import asyncio
import os
import random
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from editor import wire
from tests.conftest import Client, Server, join

# More plans: ENSEMBLE_PLANS=1000 make test ARGS='tests/socket/test_plans.py --timeout 0'
PLANS = int(os.environ.get("ENSEMBLE_PLANS", "6"))
LETTERS = ["a", "é", "漢", "😀", "e\u0301", "\n", "👩\u200d🚀"]


class Person:
    """Somebody whose text outlives their connection, as it does in a page."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.stack = AsyncExitStack()
        self.client: Client | None = None
        self.past: list[bytes] = []
        self.own: list[int] = []  # what was written since they came

    async def come(self, server: Server, session: dict) -> None:
        self.own = []
        self.client = await self.stack.enter_async_context(join(server, session, name=self.name))
        for state in self.past:
            # What was written before, and perhaps never arrived: the server takes what it lacks.
            self.client.doc.apply_update(state)
        await self.client.ready("plan.txt")

    async def go(self) -> None:
        if self.client:
            self.past = [self.client.doc.get_update()]
            self.client = None
        await self.stack.aclose()
        self.stack = AsyncExitStack()

    def write(self, chance: random.Random, number: int) -> None:
        assert self.client
        self.own.append(number)
        text = self.client.text_of("plan.txt")
        now = str(text)
        place = len(now[: chance.randint(0, len(now))].encode())
        with self.client.doc.transaction():
            text.insert(place, mark(number) + chance.choice(LETTERS))


def mark(number: int) -> str:
    """A character of its own for each thing written: nobody can write into the middle of it."""
    return chr(0x4E00 + number)


@pytest.mark.timeout(300)
@pytest.mark.parametrize("seed", range(PLANS))
async def test_people_converge_whatever_happens(tmp_path: Path, seed: int) -> None:
    chance = random.Random(seed)
    server = Server(tmp_path / "data")
    people = [Person(f"person {number}") for number in range(3)]
    written = 0
    try:
        session = server.session(("plan.txt", "begin\n"))
        for person in people:
            await person.come(server, session)
        for _ in range(30):
            person = chance.choice(people)
            event = chance.random()
            if event < 0.75:
                if person.client:
                    person.write(chance, written)
                    written += 1
            elif event < 0.85:
                await (person.go() if person.client else person.come(server, session))
            elif event < 0.93:
                await asyncio.sleep(0)
            else:
                saved = await saved_by_somebody(people)
                server.kill()
                for each in people:
                    await each.go()
                server.start()
                now = server.text(session, "plan.txt")
                assert [now.count(mark(number)) for number in saved] == [1] * len(saved), "saved is there, and once"
        for each in people:
            if not each.client:
                await each.come(server, session)
        await asyncio.gather(*(converged(each, written) for each in people))
        texts = {str(each.client.text_of("plan.txt")) for each in people if each.client}
        assert len(texts) == 1
        assert server.text(session, "plan.txt") == texts.pop()
    finally:
        for each in people:
            await each.go()
        server.kill()


async def saved_by_somebody(people: list[Person]) -> list[int]:
    """What one who is there has written, once they have been told that it is saved."""
    somebody = next((person for person in people if person.client and person.own), None)
    if somebody is None or somebody.client is None:
        return []
    client = somebody.client
    own = client.doc.client_id
    clock = wire.state_clocks(bytes(client.doc.get_state()))[own]
    await client.wait(lambda: any(m["type"] == "saved" and m["client"] == own and m["clock"] >= clock for m in client.messages))
    return list(somebody.own)


async def converged(person: Person, written: int) -> None:
    """Everything that was ever written is there exactly once."""
    client = person.client
    assert client
    await client.wait(lambda: all(str(client.text_of("plan.txt")).count(mark(number)) == 1 for number in range(written)))
