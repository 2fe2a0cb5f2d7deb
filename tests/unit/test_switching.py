"""One engine gives way to another while rooms hold the face of both. With engines that compute nothing."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from inference.api import Event, Finished, Listener, ModelInfo, Task
from inference.switching import Switching
from project import follow, models
from project.models import Choice, Status, Unusable

TASK = Task("room", "ada", "a.py", "", "x = 1", "", "change it")


class FakeEngine:
    def __init__(self, name: str, state: Any = "ready", detail: str = "") -> None:
        self.info = ModelInfo(name, state, detail)
        self.runs: dict[str, Listener] = {}
        self.watchers: list[Callable[[ModelInfo], None]] = []
        self.watched = asyncio.Event()
        self.closed: str | None = None

    def watch(self, callback: Callable[[ModelInfo], None]) -> None:
        self.watchers.append(callback)
        self.watched.set()

    def warm(self, task: Task) -> None:
        pass

    def start(self, run: str, task: Task, listener: Listener) -> None:
        self.runs[run] = listener

    def stop(self, run: str) -> None:
        self.runs.pop(run, None)

    def forget(self, cache: str) -> None:
        pass

    def close(self, reason: str = "") -> None:
        self.closed = reason
        for listener in self.runs.values():
            listener([Finished("stopped", 0, None, None, reason)])

    def becomes(self, **changes: Any) -> None:
        self.info = replace(self.info, **changes)
        for watcher in self.watchers:
            watcher(self.info)


async def test_runs_end_with_a_reason_and_the_next_go_to_the_new_model() -> None:
    old, new = FakeEngine("old"), FakeEngine("new", "loading")
    engine = Switching(old)
    seen: list[tuple[str, str, float | None]] = []
    engine.watch(lambda info: seen.append((info.name, info.state, info.progress)))
    events: list[Event] = []
    engine.start("run", TASK, events.extend)
    changing = asyncio.create_task(engine.replace("new", lambda: new))
    await asyncio.sleep(0)
    assert engine.info.state == "loading"
    between: list[Event] = []
    engine.start("between", TASK, between.extend)
    engine.stop("run")
    assert isinstance(between[-1], Finished) and between[-1].outcome == "failed"
    await asyncio.wait_for(new.watched.wait(), 10)
    last = events[-1]
    assert isinstance(last, Finished) and last.outcome == "stopped" and "another model" in last.reason
    new.becomes(progress=0.5)
    old.becomes(state="failed")  # what the one before still says is heard by nobody
    new.becomes(state="ready", progress=None)
    assert (await changing).name == "new"
    engine.start("next", TASK, events.extend)
    assert list(new.runs) == ["next"]
    assert seen[0] == ("new", "loading", None) and ("new", "loading", 0.5) in seen and seen[-1] == ("new", "ready", None)
    assert all(state != "failed" for _, state, _ in seen)
    engine.close("over")
    assert new.closed == "over"


async def test_a_model_that_cannot_be_made_has_failed() -> None:
    engine = Switching(FakeEngine("old"))
    info = await engine.replace("new", lambda: FakeEngine(str(1 / 0)))
    assert info == engine.info and (info.name, info.state) == ("new", "failed") and "division" in info.detail
    assert (await engine.replace("old", lambda: FakeEngine("old"))).state == "ready"


async def test_an_engine_that_cannot_be_closed_is_replaced_by_none() -> None:
    old = FakeEngine("old")
    old.start("run", TASK, lambda events: events[1])
    info = await Switching(old).replace("new", lambda: FakeEngine("new"))
    assert info.state == "failed" and info.detail


async def test_a_change_that_is_given_up_early_has_failed() -> None:
    closing, closed = asyncio.Event(), threading.Event()
    loop = asyncio.get_running_loop()

    class Slow(FakeEngine):
        def close(self, reason: str = "") -> None:
            loop.call_soon_threadsafe(closing.set)
            closed.wait(10)

    engine = Switching(Slow("old"))
    changing = asyncio.create_task(engine.replace("new", lambda: FakeEngine("new")))
    await closing.wait()
    changing.cancel()
    await asyncio.wait([changing])
    closed.set()
    assert changing.cancelled() and engine.info.state == "failed" and "given up" in engine.info.detail
    events: list[Event] = []
    engine.start("run", TASK, events.extend)
    assert isinstance(events[-1], Finished) and events[-1].reason == engine.info.detail
    assert (await engine.replace("newer", lambda: FakeEngine("newer"))).state == "ready"


async def test_closing_ends_a_change_that_waits_for_its_model() -> None:
    engine, new = Switching(FakeEngine("old")), FakeEngine("new", "loading")
    changing = asyncio.create_task(engine.replace("new", lambda: new))
    await asyncio.wait_for(new.watched.wait(), 10)
    engine.close("over")
    assert (await asyncio.wait_for(changing, 10)).name == "new" and new.closed == "over"


@pytest.fixture
def followed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Status]:
    """A data folder of the test's own; what the server answers is noted."""
    told: list[Status] = []
    monkeypatch.setattr(models, "data", lambda: tmp_path)
    monkeypatch.setattr(models, "tell", told.append)
    monkeypatch.setattr(models, "probe", lambda path: None)
    monkeypatch.setattr(follow, "LOOK_S", 0.001)
    for name in ("good", "bad", "first", "slow"):
        (tmp_path / f"{name}.gguf").touch()
    return told


async def until(condition: Callable[[], Any]) -> Any:
    async def met() -> Any:
        while True:
            if value := condition():
                return value
            await asyncio.sleep(0.001)

    return await asyncio.wait_for(met(), 10)


async def choose(told: list[Status], reference: str) -> Status:
    """What became of it."""
    mark = models.choose(reference)
    return await until(lambda: next((status for status in told if status.mark == mark and status.state in ("ready", "failed")), None))


async def test_a_choice_is_followed_and_one_that_cannot_be_changes_nothing(
    followed: list[Status], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[FakeEngine] = []

    def make(path: Path) -> FakeEngine:
        made.append(FakeEngine(path.stem, *{"bad": ("failed", "It is broken."), "slow": ("loading", "")}.get(path.stem, ())))
        return made[-1]

    engine = Switching(make(tmp_path / "first.gguf"))
    follower = follow.Follower(engine, tmp_path / "first.gguf", make)
    follower.begin(asyncio.get_running_loop())
    assert (await choose(followed, str(tmp_path / "good.gguf"))).state == "ready"
    assert [one.info.name for one in made] == ["first", "good"] and made[0].closed
    # Chosen again: it is there already, and nobody's run ends.
    assert (await choose(followed, str(tmp_path / "good.gguf"))).state == "ready"
    assert len(made) == 2
    answer = await choose(followed, str(tmp_path / "none.gguf"))
    assert answer.state == "failed" and "does not exist" in answer.detail and len(made) == 2
    # It loads and fails: back to the one before.
    answer = await choose(followed, str(tmp_path / "bad.gguf"))
    assert answer.state == "failed" and answer.detail == "It is broken. The server uses good as before."
    assert [one.info.name for one in made] == ["first", "good", "bad", "good"]
    assert engine.info.state == "ready" and "It is broken" in engine.info.detail

    # One that takes for ever is given up as soon as another is wanted.
    slow = models.choose(str(tmp_path / "slow.gguf"))
    await until(lambda: any(status.mark == slow and status.state == "loading" for status in followed))
    assert (await choose(followed, str(tmp_path / "good.gguf"))).state == "ready"
    assert [one.info.name for one in made[4:]] == ["slow", "good"] and made[4].closed
    assert engine.info == ModelInfo("good", "ready")
    made[4:] = []

    def crash(path: Path) -> None:
        raise Unusable("It crashed in its own process.")

    monkeypatch.setattr(models, "probe", crash)
    answer = await choose(followed, str(tmp_path / "first.gguf"))
    assert "crashed" in answer.detail and len(made) == 4
    monkeypatch.setattr(models, "choice", lambda: Choice("x", "ENSEMBLE_MODEL", models.chosen().mark))
    answer = await choose(followed, str(tmp_path / "first.gguf"))
    assert "ENSEMBLE_MODEL=x, which wins" in answer.detail and len(made) == 4


async def test_a_refused_choice_leaves_the_one_before_it_on_its_way(followed: list[Status], tmp_path: Path) -> None:
    """It is what is used then: to go back from it is a choice like any other."""
    made: list[FakeEngine] = []

    def make(path: Path) -> FakeEngine:
        made.append(FakeEngine(path.stem, *(("loading", "") if path.stem == "slow" else ())))
        return made[-1]

    engine = Switching(make(tmp_path / "first.gguf"))
    follow.Follower(engine, tmp_path / "first.gguf", make).begin(asyncio.get_running_loop())
    slow = models.choose(str(tmp_path / "slow.gguf"))
    await until(lambda: any(status.mark == slow and status.state == "loading" for status in followed))
    refused = await choose(followed, str(tmp_path / "none.gguf"))
    assert refused.state == "failed"
    made[-1].becomes(state="ready")
    assert engine.info.state == "ready"
    assert [status.state for status in followed if status.mark == refused.mark][-1] == "failed", "what slow does is no answer to it"
    back = await choose(followed, str(tmp_path / "first.gguf"))
    assert (back.state, back.name) == ("ready", "first")
    assert [one.info.name for one in made] == ["first", "slow", "first"]


async def test_a_change_that_is_broken_off_between_two_models_leaves_one(followed: list[Status], tmp_path: Path) -> None:
    made: list[FakeEngine] = []
    gate = threading.Event()

    class Slow(FakeEngine):
        def close(self, reason: str = "") -> None:
            gate.wait(10)
            super().close(reason)

    def make(path: Path) -> FakeEngine:
        made.append(Slow(path.stem) if not made else FakeEngine(path.stem))
        return made[-1]

    engine = Switching(make(tmp_path / "first.gguf"))
    follow.Follower(engine, tmp_path / "first.gguf", make).begin(asyncio.get_running_loop())
    models.choose(str(tmp_path / "good.gguf"))
    await until(lambda: engine.info.state == "loading")
    refused = models.choose(str(tmp_path / "none.gguf"))
    await until(lambda: any(status.mark == refused and status.state == "failed" for status in followed))
    # The one before has not gone yet, and there may be memory for one model only.
    await until(lambda: engine.info.state == "loading")
    await asyncio.sleep(0.05)
    assert [one.info.name for one in made] == ["first"]
    gate.set()
    await until(lambda: engine.info.state == "ready")
    assert [one.info.name for one in made] == ["first", "first"] and made[0].closed
