"""What is measured of any engine that stands behind ``Metered``, and that all of it is documented."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from prometheus_client import REGISTRY

from inference.api import Event, Figures, Finished, Listener, ModelInfo, Progress, Started, Task, Text
from project import metrics
from project.metrics import Metered

TASK = Task("room", "ada", "a.py", "", "x = 1", "", "change it")


class Engine:
    """Says what it is told to."""

    def __init__(self) -> None:
        self.info = ModelInfo("test", "ready")
        self.runs: dict[str, Listener] = {}
        self.stopped: list[str] = []

    def watch(self, callback: Callable[[ModelInfo], None]) -> None:
        pass

    def warm(self, task: Task) -> None:
        pass

    def start(self, run: str, task: Task, listener: Listener) -> None:
        self.runs[run] = listener

    def stop(self, run: str) -> None:
        self.stopped.append(run)

    def forget(self, cache: str) -> None:
        pass

    def close(self, reason: str = "") -> None:
        pass


def value(name: str, **labels: str) -> float:
    return REGISTRY.get_sample_value(f"ensemble_engine_{name}", labels) or 0.0


def test_a_reply_from_request_to_end() -> None:
    inner = Engine()
    heard: list[Event] = []
    engine = Metered(inner, "test")
    of = {"engine": "test", "kind": "edit"}
    engine.start("one", TASK, heard.extend)
    engine.start("two", replace(TASK, draft=True), heard.extend)
    assert engine.counts == (2, 0)
    inner.runs["one"]([Started(100, 90), Text("a\n")])
    # Told anew, as what was left out is: it is no second beginning.
    inner.runs["one"]([Started(100, 90, "left out")])
    assert engine.counts == (1, 1)
    assert (value("prompt_tokens_total", **of), value("cached_tokens_total", **of), value("wait_seconds_count", **of)) == (100, 90, 1)
    inner.runs["one"]([Progress(5, 20.0, 50.0), Finished("done", 5, 20.0, 50.0)])
    assert engine.counts == (1, 0)
    assert value("replies_total", **of, outcome="done") == 1
    assert value("first_token_seconds_sum", **of) == 0.02 and value("tokens_per_second_sum", **of) == 50
    assert len(heard) == 5

    # A stop is measured to the end of what it ended, and only that.
    engine.stop("one")
    engine.stop("two")
    inner.runs["two"]([Finished("stopped", 0, None, None)])
    assert inner.stopped == ["one", "two"]
    assert value("stop_seconds_count", engine="test") == 1
    assert value("replies_total", engine="test", kind="draft", outcome="stopped") == 1
    assert value("first_token_seconds_count", engine="test", kind="draft") == 0


def test_what_an_engine_tells_adds_up() -> None:
    report = metrics.reporter("adding")
    report(Figures(steps=3, busy_s=0.5, keystrokes=2, keystroke_tokens=5, drafted=8, accepted=6))
    report(Figures(steps=1, restarts=1, streams=4))
    assert value("steps_total", engine="adding") == 4
    assert value("busy_seconds_total", engine="adding") == 0.5
    assert value("keystroke_tokens_total", engine="adding") == 5
    assert value("accepted_tokens_total", engine="adding") == 6
    assert value("restarts_total", engine="adding") == 1


def test_every_figure_is_in_the_operators_handbook() -> None:
    named = set(re.findall(r"`(ensemble_\w+)`", Path("docs/operations.md").read_text()))
    defined = set(re.findall(r'"(ensemble_\w+)"', Path("project/metrics.py").read_text()))
    assert named == defined
