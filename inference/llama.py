"""The llama.cpp engine in a thread of this process: the event loop's side of ``inference/worker.py``."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Sequence

from inference.api import Event, Finished, Listener, ModelInfo, Task
from inference.mailbox import Mailbox
from inference.options import Options
from inference.worker import Worker


class LlamaEngine:
    """Implements ``inference.api.Engine``."""

    def __init__(self, options: Options, loop: asyncio.AbstractEventLoop) -> None:
        self.info = ModelInfo(options.name)
        self._mailbox = Mailbox(loop)
        self._watchers: list[Callable[[ModelInfo], None]] = []
        self._listeners: dict[str, Listener] = {}
        self._worker = Worker(options, self._emit, self._tell)
        self._thread = threading.Thread(target=self._worker.run, name="engine", daemon=True)
        self._thread.start()

    def watch(self, callback: Callable[[ModelInfo], None]) -> None:
        self._watchers.append(callback)

    def warm(self, task: Task) -> None:
        self._worker.commands.put(("warm", task))

    def start(self, run: str, task: Task, listener: Listener) -> None:
        self._listeners[run] = listener
        self._worker.commands.put(("start", run, task, time.perf_counter()))

    def stop(self, run: str) -> None:
        self._worker.commands.put(("stop", run))
        if run in self._worker.computing:
            # Cuts the step that is computing; the thread finds the command when it returns.
            self._worker.abort.set()

    def forget(self, cache: str) -> None:
        self._worker.commands.put(("forget", cache))

    def close(self, reason: str = "") -> None:
        self._worker.closing = True
        self._worker.commands.put(("close", reason or "The server is stopping."))
        self._worker.abort.set()
        self._thread.join(timeout=10)

    # On the worker's thread.

    def _emit(self, run: str, events: Sequence[Event]) -> None:
        listener = self._listeners.get(run)
        if isinstance(events[-1], Finished):
            self._listeners.pop(run, None)
        if listener:
            self._mailbox.post(listener, events)

    def _tell(self, info: ModelInfo) -> None:
        self._mailbox.post(self._tell_watchers, [info])

    # On the loop.

    def _tell_watchers(self, infos: Sequence[ModelInfo]) -> None:
        self.info = infos[-1]
        for watcher in self._watchers:
            watcher(self.info)
