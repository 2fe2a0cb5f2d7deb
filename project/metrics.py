"""The figures of ``/metrics``: what engines do, as everybody who asks them sees it, and what rooms hold. All names are listed in docs/operations.md.

``Metered`` stands before any engine, local or remote, so that the same is measured of each. On the event loop, but for reading.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from typing import get_args

from prometheus_client import REGISTRY, Counter, Histogram
from prometheus_client.core import GaugeMetricFamily

from editor import rooms
from inference.api import Engine, Event, Figures, Finished, Listener, ModelInfo, Started, State, Task

_RUN = ["engine", "kind"]
_SECONDS = (0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30, 120)
_RATES = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000)

FIRST = Histogram("ensemble_engine_first_token_seconds", "From the request to the first token of the reply.", _RUN, buckets=_SECONDS)
RATE = Histogram("ensemble_engine_tokens_per_second", "Of each reply, after its first token.", _RUN, buckets=_RATES)
WAITED = Histogram("ensemble_engine_wait_seconds", "From the request until the engine has a place for it.", _RUN, buckets=_SECONDS)
STOPPED = Histogram("ensemble_engine_stop_seconds", "From a stop to the end of the step that computed it.", ["engine"], buckets=_SECONDS)
ENDED = Counter("ensemble_engine_replies", "Replies that have ended, by how they did.", [*_RUN, "outcome"])
PROMPT = Counter("ensemble_engine_prompt_tokens", "Tokens of the prompts of replies.", _RUN)
CACHED = Counter("ensemble_engine_cached_tokens", "Those of them that were evaluated before the request came.", _RUN)
QUEUED = Histogram("ensemble_queue_seconds", "From a run's request until its turn in the server's queue.", buckets=_SECONDS)

_DONE = {
    "steps": Counter("ensemble_engine_steps", "Steps (batches of tokens evaluated together).", ["engine"]),
    "busy_s": Counter("ensemble_engine_busy_seconds", "Time in those steps.", ["engine"]),
    "prefilled": Counter("ensemble_engine_prefilled_tokens", "Tokens of prompts that were evaluated, keystrokes included.", ["engine"]),
    "decoded": Counter("ensemble_engine_decoded_tokens", "Tokens of replies.", ["engine"]),
    "keystrokes": Counter("ensemble_engine_keystrokes", "Instructions evaluated as they stood after a keystroke.", ["engine"]),
    "keystroke_tokens": Counter("ensemble_engine_keystroke_tokens", "Tokens that had to be evaluated for them.", ["engine"]),
    "drafted": Counter("ensemble_engine_drafted_tokens", "Tokens of replies that were guessed beforehand.", ["engine"]),
    "accepted": Counter("ensemble_engine_accepted_tokens", "Guesses that were right.", ["engine"]),
    "restarts": Counter("ensemble_engine_restarts", "Times that the model's process had ended unasked.", ["engine"]),
}


def reporter(engine: str) -> Callable[[Figures], None]:
    """What the engine of this name has done is added to the counters."""
    counters = {name: counter.labels(engine) for name, counter in _DONE.items()}

    def report(figures: Figures) -> None:
        for name, counter in counters.items():
            if value := getattr(figures, name):
                counter.inc(value)

    return report


class _Kind:
    """The figures of one kind of reply of one engine."""

    def __init__(self, engine: str, kind: str) -> None:
        self.first, self.rate, self.waited = (histogram.labels(engine, kind) for histogram in (FIRST, RATE, WAITED))
        self.prompt, self.cached = PROMPT.labels(engine, kind), CACHED.labels(engine, kind)
        self.ended = {outcome: ENDED.labels(engine, kind, outcome) for outcome in ("done", "stopped", "declined", "failed")}


class Metered:
    """Implements ``inference.api.Engine`` by passing everything on."""

    def __init__(self, engine: Engine, name: str) -> None:
        self._engine = engine
        self._kinds = {kind: _Kind(name, kind) for kind in ("edit", "ask", "draft")}
        self._stops = STOPPED.labels(name)
        self._waiting: set[str] = set()
        self._streaming: set[str] = set()
        self._stopped: dict[str, float] = {}
        _COLLECTOR.engines[name] = self

    @property
    def info(self) -> ModelInfo:
        return self._engine.info

    @property
    def counts(self) -> tuple[int, int]:
        """Replies that wait for a place in the engine, and those that have one."""
        return len(self._waiting), len(self._streaming)

    def watch(self, callback: Callable[[ModelInfo], None]) -> None:
        self._engine.watch(callback)

    def warm(self, task: Task) -> None:
        self._engine.warm(task)

    def start(self, run: str, task: Task, listener: Listener) -> None:
        kind = self._kinds["draft" if task.draft else task.mode]
        begun = time.perf_counter()
        self._waiting.add(run)

        def hear(events: Sequence[Event]) -> None:
            for event in events:
                if type(event) is Started and run in self._waiting:
                    self._waiting.discard(run)
                    self._streaming.add(run)
                    kind.waited.observe(time.perf_counter() - begun)
                    kind.prompt.inc(event.prompt)
                    kind.cached.inc(event.cached)
            last = events[-1]
            if type(last) is Finished:
                self._end(run, kind, last)
            listener(events)

        self._engine.start(run, task, hear)

    def _end(self, run: str, kind: _Kind, finished: Finished) -> None:
        self._waiting.discard(run)
        self._streaming.discard(run)
        kind.ended[finished.outcome].inc()
        if finished.ttft_ms is not None:
            kind.first.observe(finished.ttft_ms / 1000)
        if finished.tokens_per_s is not None:
            kind.rate.observe(finished.tokens_per_s)
        stopped = self._stopped.pop(run, None)
        if stopped is not None and finished.outcome == "stopped":
            self._stops.observe(time.perf_counter() - stopped)

    def stop(self, run: str) -> None:
        if run in self._waiting or run in self._streaming:
            self._stopped.setdefault(run, time.perf_counter())
        self._engine.stop(run)

    def forget(self, cache: str) -> None:
        self._engine.forget(cache)

    def close(self, reason: str = "") -> None:
        self._engine.close(reason)


class _Collector:
    """What is so now."""

    def __init__(self) -> None:
        self.engines: dict[str, Metered] = {}

    def collect(self) -> Iterator[GaugeMetricFamily]:
        live, members = rooms.current().counts()
        yield GaugeMetricFamily("ensemble_rooms", "Sessions that are live in memory.", value=live)
        yield GaugeMetricFamily("ensemble_connections", "Open WebSockets.", value=members)
        yield GaugeMetricFamily("ensemble_queue_runs", "Runs that wait for their turn.", value=rooms.current().waiting)
        state = GaugeMetricFamily("ensemble_engine_state", "1 for the state that the engine is in.", labels=["engine", "state"])
        waiting = GaugeMetricFamily("ensemble_engine_waiting", "Replies that wait for a place in the engine.", labels=["engine"])
        streaming = GaugeMetricFamily("ensemble_engine_streaming", "Replies that are under way.", labels=["engine"])
        for name, engine in self.engines.items():
            for each in get_args(State):
                state.add_metric([name, each], float(engine.info.state == each))
            counts = engine.counts
            waiting.add_metric([name], counts[0])
            streaming.add_metric([name], counts[1])
        yield from (state, waiting, streaming)

    def describe(self) -> Iterator[GaugeMetricFamily]:
        """Registered before there are rooms: nothing is asked of them yet."""
        return iter(())


_COLLECTOR = _Collector()
REGISTRY.register(_COLLECTOR)
