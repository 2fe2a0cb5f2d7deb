"""What tests of engines share: somebody who listens to a run, and waiting for an engine's state."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

from inference.api import Engine, Event, Finished, Started, Task, Text


class Listener:
    def __init__(self) -> None:
        self.events: list[Event] = []
        self._changed = asyncio.Event()

    def __call__(self, events: Sequence[Event]) -> None:
        self.events += events
        self._changed.set()

    async def until(self, condition: Callable[[], bool]) -> None:
        async def met() -> None:
            while not condition():
                self._changed.clear()
                await self._changed.wait()

        await asyncio.wait_for(met(), 20)

    async def finished(self) -> Finished:
        await self.until(lambda: bool(self.events) and isinstance(self.events[-1], Finished))
        last = self.events[-1]
        assert isinstance(last, Finished)
        return last

    @property
    def text(self) -> str:
        return "".join(event.text for event in self.events if isinstance(event, Text))

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

    await asyncio.wait_for(met(), 20)


async def answer(running: Engine, task: Task, name: str = "run") -> Listener:
    listener = Listener()
    running.start(name, task, listener)
    await listener.finished()
    return listener
