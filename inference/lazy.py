"""An engine that is loaded when somebody first wants it. Knows nothing of files, settings or llama.cpp."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import replace

from inference.api import Engine, EngineError, Finished, Listener, ModelInfo, Task

log = logging.getLogger(__name__)


class Lazy:
    """Implements ``inference.api.Engine``. Owner of the engine inside, once there is one.

    ``asleep`` until ``wake``, then as the engine inside is. One that could not be made or loaded is made anew by the next ``wake``.
    ``make`` raises EngineError.
    """

    def __init__(self, name: str, make: Callable[[], Awaitable[Engine]]) -> None:
        self.info = ModelInfo(name, state="asleep", detail="It is loaded when it is first asked for.")
        self._make = make
        self._engine: Engine | None = None
        self._waking: asyncio.Task[None] | None = None
        self._closed = False
        self._watchers: list[Callable[[ModelInfo], None]] = []

    def wake(self) -> None:
        """Begins to load it, unless that has happened."""
        if self._closed or self._waking or self.info.state in ("loading", "ready"):
            return
        self._announce(replace(self.info, state="loading", detail="", progress=None))
        self._waking = asyncio.get_running_loop().create_task(self._wake())

    async def _wake(self) -> None:
        old, self._engine = self._engine, None
        try:
            if old:
                await asyncio.to_thread(old.close)
            engine = await self._make()
        except EngineError as fault:
            return self._announce(replace(self.info, state="failed", detail=str(fault)))
        except Exception as fault:
            log.exception("An engine could not be made")
            return self._announce(replace(self.info, state="failed", detail=f"It could not be loaded: {type(fault).__name__}."))
        finally:
            self._waking = None
        if self._closed:
            return engine.close()

        def changed(info: ModelInfo) -> None:
            if engine is self._engine:
                self._announce(info)

        self._engine = engine
        engine.watch(changed)
        self._announce(engine.info)

    def _announce(self, info: ModelInfo) -> None:
        self.info = info
        for watcher in self._watchers:
            watcher(info)

    def watch(self, callback: Callable[[ModelInfo], None]) -> None:
        self._watchers.append(callback)

    def warm(self, task: Task) -> None:
        if self._engine:
            self._engine.warm(task)

    def start(self, run: str, task: Task, listener: Listener) -> None:
        if self._engine:
            return self._engine.start(run, task, listener)
        reason = self.info.detail if self.info.state == "failed" else "The model is not loaded yet; try again in a moment."
        listener([Finished("failed", 0, None, None, reason)])

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
