"""An engine that is loaded when it is first wanted. With engines that compute nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from inference.api import Engine, EngineError, Finished, Listener, ModelInfo, Task
from inference.lazy import Lazy
from tests.engines import answer, becomes

TASK = Task("room", "ada", "a.py", "", "x = 1", "", "change it")


class FakeEngine:
    def __init__(self) -> None:
        self.info = ModelInfo("large", "loading")
        self.watchers: list[Callable[[ModelInfo], None]] = []
        self.closed = False

    def watch(self, callback: Callable[[ModelInfo], None]) -> None:
        self.watchers.append(callback)

    def warm(self, task: Task) -> None:
        pass

    def start(self, run: str, task: Task, listener: Listener) -> None:
        listener([Finished("done", 1, 1.0, None)])

    def stop(self, run: str) -> None:
        pass

    def forget(self, cache: str) -> None:
        pass

    def close(self, reason: str = "") -> None:
        self.closed = True

    def becomes(self, state: Any, detail: str = "") -> None:
        self.info = replace(self.info, state=state, detail=detail)
        for watcher in self.watchers:
            watcher(self.info)


class Maker:
    def __init__(self) -> None:
        self.made: list[FakeEngine] = []
        self.gate = asyncio.Event()
        self.gate.set()
        self.fault = ""

    async def __call__(self) -> Engine:
        await self.gate.wait()
        if self.fault:
            raise EngineError(self.fault)
        self.made.append(FakeEngine())
        return self.made[-1]


async def test_it_sleeps_until_it_is_wanted_and_is_loaded_once() -> None:
    maker = Maker()
    lazy = Lazy("large", maker)
    states: list[str] = []
    lazy.watch(lambda info: states.append(info.state))
    assert lazy.info.state == "asleep"
    assert (await (await answer(lazy, TASK)).finished()).outcome == "failed"
    for _ in range(3):
        lazy.wake()
    await becomes(lazy, lambda: bool(maker.made))
    maker.made[0].becomes("ready")
    lazy.wake()
    assert (states[0], states[-1], len(maker.made)) == ("loading", "ready", 1)
    assert (await (await answer(lazy, TASK)).finished()).outcome == "done"


async def test_what_failed_is_tried_again_when_it_is_wanted_again() -> None:
    maker = Maker()
    maker.fault = "The file is not there."
    lazy = Lazy("large", maker)
    lazy.wake()
    await becomes(lazy, lambda: lazy.info.state == "failed")
    assert (await (await answer(lazy, TASK)).finished()).reason == lazy.info.detail == maker.fault
    maker.fault = ""
    lazy.wake()
    await becomes(lazy, lambda: len(maker.made) == 1)
    maker.made[0].becomes("failed", "It is damaged.")
    assert (lazy.info.state, lazy.info.detail) == ("failed", "It is damaged.")
    lazy.wake()
    await becomes(lazy, lambda: len(maker.made) == 2)
    assert maker.made[0].closed
    maker.made[1].becomes("ready")
    maker.made[0].becomes("failed", "nobody listens to it any more")
    assert lazy.info.state == "ready"


async def test_closed_while_it_is_made_it_is_closed_when_it_is() -> None:
    maker = Maker()
    maker.gate.clear()
    lazy = Lazy("large", maker)
    lazy.wake()
    waking = lazy._waking
    assert waking
    lazy.close()
    maker.gate.set()
    await waking
    assert maker.made[0].closed
    lazy.wake()
    assert len(maker.made) == 1
