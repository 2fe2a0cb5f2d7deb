"""The model in a process of its own against the same worker in a thread of the server: what a token costs, and when it arrives.

The thread form is kept here alone, to be compared with (docs/decisions/014), and for tests that look into the worker. Both take turns, round by round.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import statistics
import tempfile
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from benchmarks import random_gguf
from inference.api import Event, Finished, Listener, ModelInfo, Task, Text
from inference.mailbox import Mailbox
from inference.options import Options
from inference.process import ProcessEngine
from inference.worker import Worker
from project import config
from project.bootstrap import llama

ROUNDS = 5
FIB = Task("bench", "ada", "main.py", "", "", "", "write a fibonacci function")
LONG = replace(FIB, region="\n".join(f"value_{n} = compute({n}, {n * 7})" for n in range(300)))


class ThreadEngine:
    """As much of ``inference.api.Engine`` as is measured, with the worker in a thread of this process."""

    def __init__(self, options: Options, loop: asyncio.AbstractEventLoop) -> None:
        self.info = ModelInfo(options.name)
        self.late: list[float] = []
        self._mailbox = Mailbox(loop)
        self._watchers: list[Callable[[ModelInfo], None]] = []
        self._listeners: dict[str, Callable[[Any], None]] = {}
        self.worker = Worker(options, self._emit, lambda info: self._mailbox.post(self._tell, [info]))
        self._thread = threading.Thread(target=self.worker.run, daemon=True)
        self._thread.start()

    def watch(self, callback: Callable[[ModelInfo], None]) -> None:
        self._watchers.append(callback)

    def warm(self, task: Task) -> None:
        self.worker.commands.put(("warm", task))

    def start(self, run: str, task: Task, listener: Listener) -> None:
        def hear(stamped: Sequence[tuple[float, Event]]) -> None:
            self.late.append(time.perf_counter() - stamped[0][0])
            listener([event for _, event in stamped])

        self._listeners[run] = hear
        self.worker.commands.put(("start", run, task, time.perf_counter()))

    def stop(self, run: str) -> None:
        self.worker.commands.put(("stop", run))
        if run in self.worker.computing:
            self.worker.abort.set()

    def forget(self, cache: str) -> None:
        self.worker.commands.put(("forget", cache))

    def close(self) -> None:
        self.worker.commands.put(("close", ""))
        self._thread.join(timeout=10)

    def _emit(self, run: str, events: Sequence[Event]) -> None:
        now = time.perf_counter()
        self._mailbox.post(self._listeners[run], [(now, event) for event in events])

    def _tell(self, infos: Sequence[ModelInfo]) -> None:
        self.info = infos[-1]
        for watcher in self._watchers:
            watcher(self.info)


class StampedProcess(ProcessEngine):
    """Notes how long after the worker's clock a message is heard."""

    def __init__(self, options: Options, loop: asyncio.AbstractEventLoop) -> None:
        self.late: list[float] = []
        super().__init__(options, loop)

    def _hear(self, child: Any, message: Any) -> None:
        if any(run for run, _ in message[1]):
            self.late.append(time.perf_counter() - message[0])
        super()._hear(child, message)


FORMS = {"thread": ThreadEngine, "process": StampedProcess}


@dataclass
class Found:
    rates: list[float] = field(default_factory=list)
    first: list[float] = field(default_factory=list)
    late: list[float] = field(default_factory=list)
    stops: list[float] = field(default_factory=list)
    blocked: list[float] = field(default_factory=list)


async def ready(engine: Any) -> None:
    done = asyncio.Event()
    engine.watch(lambda info: done.set() if info.state != "loading" else None)
    if engine.info.state == "loading":
        await done.wait()
    assert engine.info.state == "ready", engine.info.detail


class Typists:
    """What people's typing costs a server's loop: ``updates`` a second, ``each`` seconds of Python. Notes how late it gets its turns."""

    def __init__(self, updates: float, each: float = 0.00035) -> None:
        self.late: list[float] = []
        self._updates, self._each = updates, each

    async def run(self) -> None:
        due = time.perf_counter()
        while True:
            due += 1 / self._updates
            await asyncio.sleep(max(0.0, due - time.perf_counter()))
            begun = time.perf_counter()
            self.late.append(begun - due)
            while time.perf_counter() - begun < self._each:
                json.loads(json.dumps({"type": "awareness", "clients": [1, 2, 3]}))
            due = max(due, begun - 0.1)


async def run(engine: Any, name: str, task: Task, tokens: int | None = None) -> tuple[Finished, float]:
    """The end of a run, which is stopped after so many pieces of text; and how long after the stop it came."""
    loop = asyncio.get_running_loop()
    done: asyncio.Future[Finished] = loop.create_future()
    stopped = 0.0
    pieces = 0

    def listen(events: Sequence[Event]) -> None:
        nonlocal stopped, pieces
        pieces += sum(isinstance(event, Text) for event in events)
        if tokens and pieces >= tokens and not stopped:
            stopped = time.perf_counter()
            engine.stop(name)
        if isinstance(events[-1], Finished):
            done.set_result(events[-1])

    engine.start(name, task, listen)
    finished = await done
    return finished, time.perf_counter() - stopped


async def one_round(engine: Any, found: Found, number: itertools.count[int], endless: bool, updates: float, each: float) -> None:
    typists = Typists(updates, each)
    typing = asyncio.create_task(typists.run()) if updates else None
    engine.late.clear()
    for _ in range(2 if endless else 6):
        engine.forget(FIB.cache)
        finished, stop = await run(engine, str(next(number)), FIB, 12 if endless else None)
        found.rates.append(finished.tokens_per_s or 0)
        found.first.append((finished.ttft_ms or 0) / 1000)
        if endless:
            found.stops.append(stop)
    found.late += engine.late
    # A stop in the middle of a long prompt.
    for wait in (0.01, 0.03, 0.05):
        engine.forget(FIB.cache)
        name = str(next(number))
        running = asyncio.create_task(run(engine, name, LONG, None))
        await asyncio.sleep(wait)
        begun = time.perf_counter()
        engine.stop(name)
        finished, _ = await running
        if finished.outcome == "stopped":
            found.stops.append(time.perf_counter() - begun)
    if typing:
        typing.cancel()
        found.blocked += typists.late


def p(values: list[float], share: float, unit: float = 1000) -> str:
    if not values:
        return "-"
    return f"{sorted(values)[min(len(values) - 1, int(share * len(values)))] * unit:.2f}"


async def measure(path: Path, threads: int, endless: bool, updates: float, each: float) -> None:
    loop = asyncio.get_running_loop()
    engines = {name: form(Options(path, name, context=8192, threads=threads, max_tokens=4000), loop) for name, form in FORMS.items()}
    found: dict[str, Found] = defaultdict(Found)
    number = itertools.count()
    for engine in engines.values():
        await ready(engine)
    for turn in range(ROUNDS + 1):
        for name, engine in engines.items():
            await one_round(engine, found[name] if turn else Found(), number, endless, updates, each)
    for name, engine in engines.items():
        engine.close()
        f = found[name]
        print(
            f"  {name:10}{statistics.median(f.rates):10.0f}{p(f.first, 0.5):>10}{p(f.late, 0.5):>10}{p(f.late, 0.99):>10}"
            f"{p(f.stops, 0.5):>10}{p(f.stops, 0.99):>10}{p(f.blocked, 0.5):>10}{p(f.blocked, 0.99):>10}",
            flush=True,
        )


def report() -> None:
    with tempfile.TemporaryDirectory() as folder:
        chat = Path(folder) / "random.gguf"
        random_gguf.make(chat, llama.source() / "models" / "ggml-vocab-qwen2.gguf", endless=True)
        for name, path, threads, endless in (("built-in", config.EMBEDDED_MODEL, 1, False), ("0.5B shape", chat, 1, True)):
            for load, updates, each in (("idle", 0.0, 0.0), ("30 who type", 240.0, 0.00035), ("half busy", 1000.0, 0.0005)):
                print(
                    f"\n{name}, {threads} thread(s), loop: {load}\n{'':12}{'tokens/s':>10}{'first ms':>10}{'late p50':>10}{'p99 ms':>10}"
                    f"{'stop p50':>10}{'p99 ms':>10}{'loop p50':>10}{'p99 ms':>10}"
                )
                asyncio.run(measure(path, threads, endless, updates, each))
