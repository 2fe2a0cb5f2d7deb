"""An engine whose inside can be replaced while rooms hold it. Knows nothing of files, settings or llama.cpp."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from inference.api import Engine, Finished, Listener, ModelInfo, Task

SWITCHED = "The server has changed to another model; what stands was written by the one before. Give the instruction again."


class Switching:
    """Implements ``inference.api.Engine`` by passing everything on. Owner of the engine in use.

    While one model gives way to the next, the state is ``loading``: rooms let their runs wait, and start them afterwards.
    """

    def __init__(self, engine: Engine) -> None:
        self.info = engine.info
        self._watchers: list[Callable[[ModelInfo], None]] = []
        self._engine: Engine | None = None
        self._changed = asyncio.Event()
        self._closed = False
        self._adopt(engine)

    def watch(self, callback: Callable[[ModelInfo], None]) -> None:
        self._watchers.append(callback)

    def warm(self, task: Task) -> None:
        if self._engine:
            self._engine.warm(task)

    def start(self, run: str, task: Task, listener: Listener) -> None:
        if self._engine:
            self._engine.start(run, task, listener)
        else:
            listener([Finished("failed", 0, None, None, "The model is still loading; try again in a moment.")])

    def stop(self, run: str) -> None:
        if self._engine:
            self._engine.stop(run)

    def forget(self, cache: str) -> None:
        if self._engine:
            self._engine.forget(cache)

    def close(self, reason: str = "") -> None:
        self._closed = True
        if self._engine:
            self._engine.close(reason)

    def announce(self, info: ModelInfo) -> None:
        """Tells the watchers something that the engine in use does not know."""
        self.info = info
        self._changed.set()
        for watcher in self._watchers:
            watcher(info)

    async def replace(self, name: str, make: Callable[[], Engine]) -> ModelInfo:
        """Ends the runs under way, closes the engine in use, and waits until the new one is ready or has failed.

        One after the other, for there may be memory for one model only.
        """
        old, self._engine = self._engine, None
        self.announce(ModelInfo(name))
        if old:
            await asyncio.to_thread(old.close, SWITCHED)
        if self._closed:
            return self.info
        self._adopt(make())
        while self.info.state == "loading" and not self._closed:
            self._changed.clear()
            await self._changed.wait()
        return self.info

    def _adopt(self, engine: Engine) -> None:
        def changed(info: ModelInfo) -> None:
            if engine is self._engine:
                self.announce(info)

        self._engine = engine
        engine.watch(changed)
        self.announce(engine.info)
