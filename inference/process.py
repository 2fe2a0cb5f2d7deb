"""The llama.cpp engine in a process of its own, so that what crashes there takes nobody's text with it.

Imports nothing of llama.cpp. Owner of the process: starts it, hears when it ends or hangs, and starts it again.
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from inference.api import Event, Figures, Finished, Listener, ModelInfo, Progress, Task
from inference.channel import READ_BYTES, Garbled, Incoming, pack, read_told
from inference.options import Options, waiting
from inference.watched import Watched

log = logging.getLogger(__name__)

ROOT = Path(__file__).resolve().parent.parent
# How often the process is asked for figures, and thereby whether it lives.
LOOK_S = 2.0
# A process that has worked for so long begins anew to be forgiven crashes.
STEADY_S = 60.0
# A run that was never begun goes to the next process; once, for its text may be what crashed the first.
TRIES = 2
# What the process has not read yet; beyond it keystrokes are not sent: the newest one counts, and there will be another.
BACKLOG_BYTES = 8 * 2**20
WAY_OUT = "Whoever runs this server finds more in its log, can choose another model (`./manage.py model use`), or start the server again."


@dataclass(frozen=True)
class Patience:
    """``restarts``: crashes in a row after which the model is given up; the second waits ``pause_s``, each further one twice as long,
    up to ``longest_pause_s``. ``step_s``, ``load_s``: how long the process may say nothing while it works, and while it loads."""

    restarts: int = 5
    pause_s: float = 1.0
    longest_pause_s: float = 30.0
    step_s: float = 120.0
    load_s: float = 900.0


@dataclass(eq=False)
class _Run:
    task: Task
    listener: Listener
    asked: float
    sent: int = 0
    waiting: bool = True  # not in the process
    begun: bool = False
    progress: Progress | None = None


class _Child:
    """One life of the process: its socket, and what it has not been told yet."""

    def __init__(
        self,
        module: str,
        options: Options,
        loop: asyncio.AbstractEventLoop,
        heard: Callable[[_Child, Any], None],
        gone: Callable[[_Child, str], None],
    ) -> None:
        """Raises OSError."""
        self._loop = loop
        self._heard = heard
        self._gone = gone
        self._incoming = Incoming(read_told)
        self._outgoing = bytearray()
        self.silent = 0.0  # seconds
        self.asked = False
        self.ready: float | None = None
        self._socket, theirs = socket.socketpair()
        with theirs:
            self._socket.setblocking(False)
            command = [sys.executable, "-m", module, str(theirs.fileno())]
            try:
                # Nothing is expected on its stdout; what libraries print belongs to the log.
                self.process = subprocess.Popen(command, pass_fds=[theirs.fileno()], stdin=subprocess.DEVNULL, stdout=2, env=_environment(options))
            except OSError:
                self._socket.close()
                raise
        loop.add_reader(self._socket, self._readable)
        self.send(options)

    def send(self, message: object) -> None:
        data = pack(message)
        if not self._outgoing:
            try:
                data = data[self._socket.send(data) :]
            except BlockingIOError:
                pass
            except OSError:
                return  # it has ended, and the reader will find out
            if data:
                self._loop.add_writer(self._socket, self._writable)
        self._outgoing += data

    @property
    def backlog(self) -> int:
        return len(self._outgoing)

    def end(self) -> None:
        """At once; what it still says is not heard."""
        if self._socket.fileno() >= 0:
            self._loop.remove_reader(self._socket)
            self._loop.remove_writer(self._socket)
            self._socket.close()
        self.process.kill()

    def _writable(self) -> None:
        try:
            del self._outgoing[: self._socket.send(self._outgoing)]
        except BlockingIOError:
            return
        except OSError:
            self._outgoing.clear()
        if not self._outgoing:
            self._loop.remove_writer(self._socket)

    def _readable(self) -> None:
        try:
            data = self._socket.recv(READ_BYTES)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            return self._gone(self, "")
        self.silent = 0.0
        try:
            for message in self._incoming.feed(data):
                self._heard(self, message)
        except Garbled as fault:
            self._gone(self, f"said what cannot be understood ({fault}) and was ended")


class ProcessEngine(Watched):
    """Implements ``inference.api.Engine``. ``report`` hears, on the loop, what the process has done. ``child``: what the process runs."""

    child = "inference.child"

    def __init__(
        self,
        options: Options,
        loop: asyncio.AbstractEventLoop,
        patience: Patience | None = None,
        report: Callable[[Figures], None] = lambda figures: None,
    ) -> None:
        super().__init__(ModelInfo(options.name))
        self._options = options
        self._loop = loop
        self._patience = patience or Patience()
        self._report = report
        self._runs: dict[str, _Run] = {}
        self._child: _Child | None = None
        self._crashes = 0
        self._notice = ""
        self._closed = False
        self._burying: set[asyncio.Task[None]] = set()
        self._again: asyncio.TimerHandle | None = None
        self._spawn()
        self._look_s = min(LOOK_S, self._patience.step_s / 4)
        self._looking = loop.call_later(self._look_s, self._look)

    def warm(self, task: Task) -> None:
        if self._working and self._working.backlog < BACKLOG_BYTES:
            self._working.send(("warm", task))

    def start(self, run: str, task: Task, listener: Listener) -> None:
        """While the process is being started again the run waits."""
        self._runs[run] = _Run(task, listener, time.perf_counter())
        self._send(run)

    def stop(self, run: str) -> None:
        entry = self._runs.get(run)
        if entry is None:
            return
        if entry.waiting or self._working is None:
            self._loop.call_soon(self._finish, run, "stopped", "")
        else:
            self._working.send(("stop", run))

    def forget(self, cache: str) -> None:
        if self._working:
            self._working.send(("forget", cache))

    def close(self, reason: str = "") -> None:
        """From any thread."""
        self._closed = True
        child = self._child
        try:
            self._loop.call_soon_threadsafe(self._close, reason or "The server is stopping.")
        except RuntimeError:
            log.warning("The loop ended before the model did")
        if child:
            child.process.kill()
            child.process.wait()

    def _close(self, reason: str) -> None:
        self._looking.cancel()
        if self._again:
            self._again.cancel()
        if self._child:
            self._child.end()
        for run in list(self._runs):
            self._finish(run, "stopped", reason)

    @property
    def pid(self) -> int | None:
        """The process's number, where there is one."""
        return self._child.process.pid if self._child else None

    @property
    def _working(self) -> _Child | None:
        return self._child if self._child and self._child.ready is not None else None

    # Runs.

    def _send(self, run: str) -> None:
        entry = self._runs[run]
        if self._working:
            entry.waiting = False
            entry.sent += 1
            self._working.send(("start", run, entry.task, entry.asked))
        elif self.info.state == "failed" or self._closed:
            self._loop.call_soon(self._finish, run, "failed", self.info.detail)

    def _finish(self, run: str, outcome: Any, reason: str) -> None:
        """What the process says no more."""
        entry = self._runs.get(run)
        if entry:
            last = entry.progress or Progress(0, 0.0, None)
            self._deliver(run, [Finished(outcome, last.tokens, last.ttft_ms if last.tokens else None, last.tokens_per_s, reason)])

    def _deliver(self, run: str, events: Sequence[Event]) -> None:
        entry = self._runs.get(run)
        if entry is None:
            return
        entry.begun = True
        for event in events:
            if type(event) is Progress:
                entry.progress = event
        if type(events[-1]) is Finished:
            del self._runs[run]
        try:
            entry.listener(events)
        except Exception:
            log.exception("A listener of the engine failed")

    # The process.

    def _spawn(self) -> None:
        self._again = None
        if self._closed:
            return
        try:
            self._child = _Child(self.child, self._options, self._loop, self._hear, self._gone)
        except OSError as fault:
            return self._crashed(f"cannot be started ({fault.strerror})")
        log.info("The model %s is loaded in process %d", self._options.name, self._child.process.pid)

    def _hear(self, child: _Child, message: Any) -> None:
        if child is not self._child or self._closed:
            return
        _, batches = message
        for run, items in batches:
            if run is not None:
                self._deliver(run, items)
                continue
            for item in items:
                if isinstance(item, Figures):
                    child.asked = False
                    self._report(item)
            infos = [item for item in items if isinstance(item, ModelInfo)]
            if infos:
                self._learn(child, infos[-1])

    def _learn(self, child: _Child, info: ModelInfo) -> None:
        """What the process says of the model."""
        if info.state == "ready":
            child.ready = self._loop.time()
            self._notice = ""
            self.announce(info)
            for run in [run for run, entry in self._runs.items() if entry.waiting]:
                self._send(run)
        elif info.state == "failed":
            # It can do nothing more, and the next model may need its memory.
            child.end()
            self._child = None
            self._bury(child)
            self._fail(f"{self._notice} It cannot be loaded again: {info.detail} {WAY_OUT}" if self._notice else info.detail)
        else:
            self.announce(replace(info, detail=self._notice or info.detail))

    def _fail(self, reason: str) -> None:
        log.error("The model %s cannot be used: %s", self._options.name, reason)
        self.announce(replace(self.info, state="failed", detail=reason, progress=None))
        for run, entry in list(self._runs.items()):
            if entry.waiting:
                self._finish(run, "failed", reason)

    def _look(self) -> None:
        """Does the process still answer? Looks are counted and not seconds: were this loop late, it would be no fault of the other's."""
        self._looking = self._loop.call_later(self._look_s, self._look)
        child = self._child
        if child is None:
            return
        if child.ready is not None and not child.asked:
            child.asked, child.silent = True, 0.0
            return child.send(("figures",))
        child.silent += self._look_s
        name, most = (
            ("ENSEMBLE_MAX_LOAD_SECONDS", self._patience.load_s) if child.ready is None else ("ENSEMBLE_MAX_STEP_SECONDS", self._patience.step_s)
        )
        if child.silent > most:
            self._gone(child, f"said nothing for {most:g} s ({name}) and was ended")

    def _gone(self, child: _Child, what: str) -> None:
        """The process has ended; or it must, and ``what`` says why."""
        child.end()
        if child is self._child and not self._closed:
            self._child = None
            self._bury(child, lambda status: self._ended(child, what or _words(status)))

    def _bury(self, child: _Child, then: Callable[[int], None] = lambda status: None) -> None:
        async def wait() -> None:
            then(await asyncio.to_thread(child.process.wait))

        task = self._loop.create_task(wait())
        self._burying.add(task)
        task.add_done_callback(self._burying.discard)

    def _ended(self, child: _Child, what: str) -> None:
        if child.ready is not None and self._loop.time() - child.ready >= STEADY_S:
            self._crashes = 0
        if not self._closed:
            self._crashed(what)

    def _crashed(self, what: str) -> None:
        self._crashes += 1
        self._report(Figures(restarts=1))
        given_up = self._crashes > self._patience.restarts
        if given_up:
            self._fail(
                f"The model's process {what}. After {self._crashes} such ends in a row it is not started again (ENSEMBLE_MAX_RESTARTS). {WAY_OUT}"
            )
        else:
            pause = 0.0 if self._crashes == 1 else min(self._patience.pause_s * 2 ** (self._crashes - 2), self._patience.longest_pause_s)
            self._notice = f"The model's process {what}; it is started again{f' in {pause:g} s' if pause else ''}."
            log.error("%s", self._notice)
            self._again = self._loop.call_later(pause, self._spawn)
            self.announce(replace(self.info, state="loading", detail=self._notice, progress=None))
        lost = f"While it worked on this the model's process {what}. What stands is in whole lines: give the instruction again."
        for run, entry in list(self._runs.items()):
            if entry.begun or entry.sent >= TRIES or given_up:
                self._finish(run, "failed", lost)
            else:
                entry.waiting = True


def _words(status: int) -> str:
    """How a process ended, for people."""
    if status == -signal.SIGKILL:
        return "was killed (SIGKILL), as systems do when memory runs out"
    if status < 0:
        known = -status in {one.value for one in signal.Signals}  # real-time signals have no names
        return f"crashed ({signal.Signals(-status).name if known else f'signal {-status}'})"
    return f"ended with status {status}"


def _environment(options: Options) -> dict[str, str]:
    """What is set in the server's own environment wins."""
    path = os.pathsep.join(part for part in (str(ROOT), os.environ.get("PYTHONPATH")) if part)
    return {**waiting(options.spin), **os.environ, "PYTHONPATH": path}
