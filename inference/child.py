"""The model's process: ``python -m inference.child DESCRIPTOR``. Computes what the server at the other end of the socket asks.

It ends with the server, whatever happens to either, and holds nothing that would be missed: texts, and what was evaluated of them.
The main thread is the worker's; one thread hears commands, one sends what came of them.
"""

from __future__ import annotations

import ctypes
import gc
import logging
import os
import pickle
import queue
import resource
import signal
import socket
import sys
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from inference.api import Event, Figures, ModelInfo, Text
from inference.channel import LOG_FORMAT, READ_BYTES, Incoming, pack
from inference.mailbox import TICK_S
from inference.worker import Worker

log = logging.getLogger(__name__)

PR_SET_PDEATHSIG = 1
# Where memory runs out the system ends this process rather than the server, which comes back from it.
OOM_SCORE = "500"
# A pause after which the server is given a moment to hear what is said, and that moment. Seconds.
PAUSE_S, MOMENT_S = 0.02, 0.00005


class Outbox:
    """Sends what the worker says, merged per tick: at once after a pause, by the worker itself, else by a thread at the tick's end.

    After a longer pause, as before a first token, the worker then waits for a moment: the next step takes all cores, and the server
    would hear of it a millisecond later.
    """

    def __init__(self, server: socket.socket) -> None:
        self._server = server
        self._lock = threading.Lock()
        self._batches: dict[str | None, list[Any]] = {}
        self._stamp = 0.0
        self._sent = 0.0
        self._later: queue.SimpleQueue[None] = queue.SimpleQueue()

    def put(self, run: str | None, items: Sequence[Event | ModelInfo | Figures]) -> None:
        """On the worker's thread. ``run`` is None for what concerns the whole model."""
        now = time.perf_counter()
        with self._lock:
            first = not self._batches
            _join(self._batches.setdefault(run, []), items)
            if not first:
                return
            self._stamp = now
            since = now - self._sent
            if since >= TICK_S:
                self._send()
        if since < TICK_S:
            self._later.put(None)
        elif since >= PAUSE_S:
            time.sleep(MOMENT_S)

    def run(self) -> None:
        """The thread."""
        while True:
            self._later.get()
            time.sleep(max(0.0, self._sent + TICK_S - time.perf_counter()))
            with self._lock:
                self._send()

    def _send(self) -> None:
        """With the lock. The server reads all the time; where it does not, it has ended, or nobody would see what is computed."""
        batches, self._batches = self._batches, {}
        try:
            self._server.sendall(pack((self._stamp, list(batches.items()))))
        except OSError:
            os._exit(0)
        self._sent = time.perf_counter()


def _join(batch: list[Any], items: Sequence[Any]) -> None:
    """Texts that follow each other become one."""
    for item in items:
        if type(item) is Text and batch and type(batch[-1]) is Text:
            batch[-1] = Text(batch[-1].text + item.text)
        else:
            batch.append(item)


def _hear(server: socket.socket, incoming: Incoming, worker: Worker) -> None:
    """Commands, until the server ends. A stop cuts the step that is computing; the worker finds the command when it returns."""
    while data := server.recv(READ_BYTES):
        for command in incoming.feed(data):
            worker.commands.put(command)
            if command[0] == "stop" and command[1] in worker.computing:
                worker.abort.set()
    os._exit(0)


def _detach() -> None:
    """The server decides when this process ends: signals to the whole group are its business, and it is not outlived."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    # A dump would hold people's texts.
    resource.setrlimit(resource.RLIMIT_CORE, (0, resource.getrlimit(resource.RLIMIT_CORE)[1]))
    with suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text(OOM_SCORE)
    if sys.platform == "linux":
        # The end of the socket says so too, but only to a process that can still hear.
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def main() -> None:
    logging.basicConfig(format=LOG_FORMAT, level=logging.INFO)
    server = socket.socket(fileno=int(sys.argv[1]))
    _detach()
    incoming = Incoming(pickle.loads)
    first: list[Any] = []
    while not first:
        data = server.recv(READ_BYTES)
        if not data:
            return
        first = list(incoming.feed(data))
    outbox = Outbox(server)
    worker = Worker(first[0], outbox.put, lambda info: outbox.put(None, [info]), report=lambda figures: outbox.put(None, [figures]))
    for command in first[1:]:
        worker.commands.put(command)
    threading.Thread(target=outbox.run, name="outbox", daemon=True).start()
    threading.Thread(target=_hear, args=(server, incoming, worker), name="commands", daemon=True).start()
    gc.collect()
    gc.freeze()
    try:
        worker.run()
    except BaseException:
        log.exception("The model's process ends")
    # Native threads are not waited for.
    os._exit(1)


if __name__ == "__main__":
    main()
