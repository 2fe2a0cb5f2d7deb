"""What engines share: telling how they are, and standing around another engine. Knows nothing of files, settings or llama.cpp."""

from __future__ import annotations

from collections.abc import Callable

from inference.api import Engine, Finished, Listener, ModelInfo, Task


class Watched:
    """Owner of ``info``, and of who hears of its changes."""

    def __init__(self, info: ModelInfo) -> None:
        self.info = info
        self._watchers: list[Callable[[ModelInfo], None]] = []

    def watch(self, callback: Callable[[ModelInfo], None]) -> None:
        self._watchers.append(callback)

    def announce(self, info: ModelInfo) -> None:
        """It is so from now on."""
        self.info = info
        for watcher in self._watchers:
            watcher(info)


class Around(Watched):
    """Implements ``inference.api.Engine`` by passing everything on to the engine inside, while there is one. Owner of that engine."""

    def __init__(self, info: ModelInfo) -> None:
        super().__init__(info)
        self._engine: Engine | None = None
        self._closed = False

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

    def _adopt(self, engine: Engine) -> None:
        """What it says of itself is said of the whole, until another takes its place."""

        def changed(info: ModelInfo) -> None:
            if engine is self._engine:
                self.announce(info)

        self._engine = engine
        engine.watch(changed)
        self.announce(engine.info)
