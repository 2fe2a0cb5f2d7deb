"""What tests of engines share: somebody who listens to a run, waiting for an engine's state, and an engine at an address."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

from inference.api import Engine, Event, Finished, Hunk, Started, Task, Text
from inference.options import Endpoint
from inference.remote import RemoteEngine

# Seconds that anything may take.
PATIENCE = 20.0


class Listener:
    def __init__(self, patience: float = PATIENCE) -> None:
        self.events: list[Event] = []
        self._patience = patience
        self._changed = asyncio.Event()

    def __call__(self, events: Sequence[Event]) -> None:
        self.events += events
        self._changed.set()

    async def until(self, condition: Callable[[], bool]) -> None:
        async def met() -> None:
            while not condition():
                self._changed.clear()
                await self._changed.wait()

        await asyncio.wait_for(met(), self._patience)

    async def finished(self) -> Finished:
        await self.until(lambda: bool(self.events) and isinstance(self.events[-1], Finished))
        last = self.events[-1]
        assert isinstance(last, Finished)
        return last

    @property
    def text(self) -> str:
        return "".join(event.text for event in self.events if isinstance(event, Text))

    @property
    def edits(self) -> list[Hunk | str]:
        """However many events the text came in."""
        edits: list[Hunk | str] = []
        for event in self.events:
            if isinstance(event, Hunk):
                edits += [event, ""]
            elif isinstance(event, Text):
                edits = edits or [""]
                edits[-1] = f"{edits[-1]}{event.text}"
        return edits

    @property
    def started(self) -> Started:
        return next(event for event in self.events if isinstance(event, Started))


async def becomes(running: Engine, condition: Callable[[], bool]) -> None:
    changed = asyncio.Event()
    running.watch(lambda info: changed.set())

    async def met() -> None:
        while not condition():
            changed.clear()
            await changed.wait()

    await asyncio.wait_for(met(), PATIENCE)


async def answer(running: Engine, task: Task, name: str = "run", patience: float = PATIENCE) -> Listener:
    listener = Listener(patience)
    running.start(name, task, listener)
    await listener.finished()
    return listener


@asynccontextmanager
async def remote_engine(url: str, state: str = "ready", **options: Any) -> AsyncIterator[RemoteEngine]:
    """At the endpoint, once it is in this state; closed to the end."""
    running = RemoteEngine(Endpoint(**{"url": url, **options}), asyncio.get_running_loop())
    try:
        await becomes(running, lambda: running.info.state == state)
        yield running
    finally:
        running.close()
        await asyncio.sleep(0)
        await running._closing
