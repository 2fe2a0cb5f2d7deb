"""People and the model in one file: how soon a token is with everybody, what a run costs those who type, how many bytes it sends.

The engine writes by the clock (``benchmarks/scripted.py``); all else is the server as it is.
"""

from __future__ import annotations

import json
import shlex
import statistics
import sys
import threading
import time
from collections.abc import Callable
from contextlib import closing
from typing import Any

from pycrdt import Doc, Map
from websockets.sync.client import connect

from benchmarks.servers import Kind, Load, Server
from editor import wire

SCRIPTED = Kind("scripted", f"exec {shlex.quote(sys.executable)} -m benchmarks.scripted", "ensemble")
LINES = 5000
TYPISTS, KEYS_A_SECOND = 20, 5.0
RATE = 1000
WINDOW_S, WINDOWS = 3.0, 5
CHANGED_LINES = 200
WAIT_S = 120


class Asker:
    """Somebody in the room who asks for runs, and counts what comes."""

    def __init__(self, server: Server, room: dict[str, str]) -> None:
        self._socket = connect(f"{server.socket_url}/{room['name']}", additional_headers={"Authorization": f"Bearer {room['token']}"}, max_size=None)
        self.doc: Doc[Any] = Doc()
        self.files = self.doc.get("files", type=Map)
        self.bytes = self.frames = 0
        self.messages: list[dict[str, Any]] = []
        self._arrived = threading.Condition()
        threading.Thread(target=self._read, daemon=True).start()
        self._socket.send(wire.sync_step1(self.doc.get_state()))
        self._socket.send(json.dumps({"type": "hello", "version": 1, "name": "Bench"}))
        self.wait(lambda: len(self.files) > 0)

    def _read(self) -> None:
        try:
            for data in self._socket:
                with self._arrived:
                    if isinstance(data, str):
                        self.messages.append(json.loads(data))
                    else:
                        self._binary(data)
                    self._arrived.notify_all()
        except Exception as fault:
            print(f"The bench's own connection ended: {fault}", file=sys.stderr)

    def _binary(self, data: bytes) -> None:
        frame = wire.decode(data)
        if isinstance(frame, wire.Update):
            self.bytes += len(data)
            self.frames += 1
            self.doc.apply_update(frame.data)

    def wait(self, condition: Callable[[], Any]) -> Any:
        with self._arrived:
            if not self._arrived.wait_for(condition, WAIT_S):
                raise RuntimeError(f"Nothing came; the last messages: {self.messages[-3:]}")
            return condition()

    @property
    def text(self) -> str:
        with self._arrived:
            return str(next(iter(self.files.values()))["text"])

    def start(self, instruction: str, line: int, lines: int = 1) -> Callable[[], dict[str, Any]]:
        """Asks for a run on some lines; what comes back waits for its end."""
        before = len(self.messages)
        text = self.text
        rows = text.split("\n")
        begin = sum(len(row) + 1 for row in rows[:line])
        end = begin + sum(len(row) + 1 for row in rows[line : line + lines]) - 1
        (file,) = self.files
        self._socket.send(json.dumps({"type": "run.start", "instruction": instruction, "file": file, "selection": {"anchor": begin, "head": end}}))
        self.wait(lambda: any(m["type"] in ("run.started", "error") for m in self.messages[before:]))

        def finished() -> dict[str, Any]:
            return dict(self.wait(lambda: next((m for m in self.messages[before:] if m["type"] in ("run.finished", "error")), None)))

        return finished

    def close(self) -> None:
        self._socket.close()


def _room(server: Server) -> dict[str, str]:
    return server.room("".join(f"    value_{line} = compute(first, second) + {line}  # as code has it\n" for line in range(LINES)))


def _figures(server: Server, before: int) -> dict[str, Any]:
    """What the scripted engine has said of the run that has just ended."""
    end = time.monotonic() + WAIT_S
    while time.monotonic() < end:
        found = [line for line in server.log[before:] if line.startswith("FIGURES ")]
        if found:
            return dict(json.loads(found[0].removeprefix("FIGURES ")))
        time.sleep(0.01)
    raise RuntimeError("The engine said nothing:\n" + "\n".join(server.log[-5:]))


def _run(server: Server, asker: Asker, instruction: str, lines: int = 1, meanwhile: Callable[[], Any] = lambda: None) -> tuple[dict[str, Any], Any]:
    before = len(server.log)
    finished = asker.start(instruction, LINES // 2, lines)
    result = meanwhile()
    ended = finished()
    if ended.get("outcome") != "done":
        raise RuntimeError(f"{instruction}: {ended}")
    return _figures(server, before), result


def tokens(server: Server, watching: int) -> None:
    """From the engine's event to the frame in the last socket, with nobody typing."""
    room = _room(server)
    askers = [Asker(server, room) for _ in range(watching)]
    found = [_run(server, askers[0], f"insert {3 * RATE} at {RATE}")[0] for _ in range(3)]
    p50, p99, most = (statistics.median(f[name] for f in found) for name in ("p50", "p99", "most"))
    print(f"  {watching:3} watching{p50:12.2f}{p99:8.2f}{most:8.2f}{sum(f['unseen'] for f in found):9}", flush=True)
    for asker in askers:
        asker.close()


def load(server: Server) -> None:
    """Keystrokes of twenty people to each other, with and without a run in the same file; windows take turns."""
    room = _room(server)
    asker = Asker(server, room)
    with closing(Load(server)) as people:
        people.open([room], members=TYPISTS, typists=TYPISTS, updates=round(KEYS_A_SECOND * (2 * WINDOWS + 2) * WINDOW_S))
        people.measure(WINDOW_S, KEYS_A_SECOND)
        without, beside, written = [], [], []
        for _ in range(WINDOWS):
            without.append(people.measure(WINDOW_S, KEYS_A_SECOND))
            figures, window = _run(
                server, asker, f"insert {round((WINDOW_S + 1) * RATE)} at {RATE}", meanwhile=lambda: people.measure(WINDOW_S, KEYS_A_SECOND)
            )
            beside.append(window)
            written.append(figures)
        lost = people.lost() + sum(window["missing"] for window in (*without, *beside))
    print(
        f"\npair: {TYPISTS} people type {KEYS_A_SECOND:.0f} keys/s each in a file of {LINES:,} lines, with and without a run of {RATE:,} tokens/s in it"
    )
    print(f"{'':14}{'p50':>8}{'p95':>8}{'p99 ms':>8}{'CPU s/s':>9}{'late ms':>9}")
    for name, windows in (("without", without), ("beside", beside)):
        p50, p95, p99 = (statistics.median(window["latency"][at] for window in windows) for at in range(3))
        cpu = sum(window["cpu"] for window in windows) / sum(window["wall"] for window in windows)
        late = statistics.median(window["late"] for window in windows)
        print(f"  {name:12}{p50:8.2f}{p95:8.2f}{p99:8.2f}{cpu:9.2f}{late:9.1f}")
    ratio = statistics.median(b["latency"][2] / a["latency"][2] for a, b in zip(without, beside, strict=True))
    p50, p99 = (statistics.median(f[name] for f in written) for name in ("p50", "p99"))
    print(f"  p99 beside / without, window by window: {ratio:.2f} (at most 2 is the aim); missing: {lost}")
    print(f"  the run's tokens to the last of {TYPISTS + 1} sockets meanwhile: p50 {p50:.2f} ms, p99 {p99:.2f} ms", flush=True)
    asker.close()


def sent_bytes(server: Server) -> None:
    """What one who watches is sent for each character that a run has changed."""
    print(f"\n{'bytes sent':30}{'changed':>10}{'bytes':>10}{'frames':>9}{'bytes a character':>20}")
    cases = (("new lines, 1,000 tokens/s", f"insert 2000 at {RATE}", 1), ("one word in each line", f"change 100000 at {RATE}", CHANGED_LINES))
    for name, instruction, lines in cases:
        asker = Asker(server, _room(server))
        before, bytes_before, frames_before = asker.text, asker.bytes, asker.frames
        _run(server, asker, instruction, lines)
        time.sleep(0.2)  # the last frame is behind the run's own figures
        changed = _changed(before, asker.text)
        used, frames = asker.bytes - bytes_before, asker.frames - frames_before
        print(f"  {name:28}{changed:10,}{used:10,}{frames:9,}{used / max(1, changed):20.2f}", flush=True)
        asker.close()


def _changed(before: str, after: str) -> int:
    """Characters that went and came, by words: lines correspond or are new."""
    old, new = before.split("\n"), after.split("\n")
    if len(old) != len(new):
        return len(after) - len(before)
    pairs = [(a.split(" "), b.split(" ")) for a, b in zip(old, new, strict=True) if a != b]
    return sum(len(x) + len(y) for a, b in pairs for x, y in zip(a, b, strict=False) if x != y)


def report() -> None:
    with closing(Server(SCRIPTED)) as server:
        print(f"\npair: a token of {RATE:,} a second, from the engine's event to the frame in the last socket (p99 of at most 3 ms is the aim)")
        print(f"{'':14}{'p50':>10}{'p99':>8}{'most':>8}{'unseen':>9}")
        for watching in (1, 5, 20):
            tokens(server, watching)
        load(server)
        sent_bytes(server)
