"""Our server with an engine that writes by the clock: what a model of any speed would ask of the editor, without one.

    python -m benchmarks.scripted       as manage.py serve, with its environment

An instruction says what is written and how: ``insert 3000 at 1000`` adds lines, ``change 3000 at 1000`` changes one word in each
line of the region, in tokens and tokens a second. At the end of each run a line ``FIGURES {...}`` tells how long each token took from the engine's
event to the last frame that carried it, and how many people were sent it.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import time
from collections.abc import Callable
from typing import Any

from inference.api import Event, Finished, Hunk, Listener, ModelInfo, Progress, Started, Task, Text

TICK_S = 0.002
# A token as the engine sends it: six characters that are found again in a frame.
TOKEN = re.compile(rb"k\d{4} ")
TOKENS_A_LINE = 8


class Scripted:
    """One task at a time in each run; any number of runs."""

    info = ModelInfo("scripted", "ready", format="scripted", context=8192, region_lines=1000)

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._writing: dict[str, asyncio.Task[None]] = {}

    def watch(self, callback: Callable[[ModelInfo], None]) -> None: ...

    def warm(self, task: Task) -> None: ...

    def forget(self, cache: str) -> None: ...

    def close(self, reason: str = "") -> None: ...

    def counters(self) -> None:
        return None

    def start(self, run: str, task: Task, listener: Listener) -> None:
        self._writing[run] = self._loop.create_task(self._write(run, task, listener))

    def stop(self, run: str) -> None:
        if writing := self._writing.pop(run, None):
            writing.cancel()

    async def _write(self, run: str, task: Task, listener: Listener) -> None:
        how, count, _, rate = task.instruction.split()
        lines = task.region.split("\n")
        tokens = _inserted(int(count)) if how == "insert" else _changed(lines, int(count))
        begun = time.perf_counter()
        first = len(lines) + 1
        listener([Started(0, 0), Hunk(first, first - 1) if how == "insert" else Hunk(1, len(lines))])
        sent, told = 0, begun
        while sent < len(tokens):
            await asyncio.sleep(TICK_S)
            now = time.perf_counter()
            due = min(len(tokens), int((now - begun) * float(rate)))
            if due == sent:
                continue
            events: list[Event] = [Text("".join(tokens[sent:due]))]
            if now - told > 0.1:
                told = now
                events.append(Progress(due, TICK_S * 1000, due / (now - begun)))
            watch.left(tokens[sent:due])
            listener(events)
            sent = due
        self._writing.pop(run, None)
        took = time.perf_counter() - begun
        listener([Finished("done", len(tokens), TICK_S * 1000, len(tokens) / took)])
        # What the room's tick still holds goes out first.
        await asyncio.sleep(0.1)
        print("FIGURES", json.dumps({"tokens": len(tokens), "seconds": took, **watch.figures()}), flush=True)


def _inserted(count: int) -> list[str]:
    return [f"k{number % 10_000:04} " + "\n" * (number % TOKENS_A_LINE == TOKENS_A_LINE - 1) for number in range(count)]


def _changed(lines: list[str], count: int) -> list[str]:
    """The region's text with one word of each line another, in pieces of about a token's length."""
    tokens = []
    for number, line in enumerate(lines):
        words = line.split(" ")
        words[len(words) // 2] = f"k{number:04}"
        tokens += re.findall(r"(?s).{1,5}", " ".join(words) + "\n")
    return tokens[:count]


class Watch:
    """When each token left the engine, and when frames with it left for the members' sockets."""

    def __init__(self) -> None:
        self._left: dict[bytes, float] = {}
        self._sent: dict[bytes, float] = {}
        self._frames = 0

    def left(self, tokens: list[str]) -> None:
        now = time.perf_counter()
        for token in tokens:
            self._left[token.strip("\n").encode()] = now

    def sending(self, frame: bytes) -> None:
        now = time.perf_counter()
        for token in TOKEN.findall(frame):
            if token in self._left:
                self._sent[token] = now
                self._frames += 1

    def figures(self) -> dict[str, Any]:
        times = sorted((self._sent[token] - left) * 1000 for token, left in self._left.items() if token in self._sent)
        missing = len(self._left) - len(times)
        frames = self._frames / max(1, len(times))
        self._left, self._sent, self._frames = {}, {}, 0
        if not times:
            return {"p50": None, "p99": None, "most": None, "unseen": missing, "members": 0}
        at = [times[int(len(times) * share)] for share in (0.5, 0.99)]
        return {"p50": at[0], "p99": at[1], "most": times[-1], "unseen": missing, "members": round(frames, 1)}


watch = Watch()


def main() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "project.settings")
    import django

    django.setup()
    from editor import rooms

    # It is made at the first use.
    rooms.current()._make_engine = Scripted
    # Daphne's reactor comes before anything else of Twisted.
    from project.server import Socket

    send = Socket.send

    def sending(self: Socket, frame: bytes | str) -> None:
        send(self, frame)
        # Afterwards: the system has it.
        if isinstance(frame, bytes):
            watch.sending(frame)

    Socket.send = sending  # type: ignore[method-assign]
    from django.core.management import call_command

    call_command("serve")


if __name__ == "__main__":
    main()
