"""What a run's tokens cost in speed while thirty people type beside it: the whole server with a real model, on the same cores.

The load generator shares them too. Windows with and without typing take turns.
"""

from __future__ import annotations

import shlex
import statistics
import sys
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

from benchmarks import llama
from benchmarks.pair import Asker
from benchmarks.servers import Kind, Load, Server
from project import config

ENDLESS = llama.FOLDER / "qwen2.5-coder-0.5b-shape-endless-q4_0.gguf"
TYPISTS, KEYS_A_SECOND = 30, 3.0
WINDOW_S, WINDOWS = 5.0, 4
# What the built-in model is sure of, and has most to write to.
INSTRUCTION, LINE = "write a fibonacci function", "# fibonacci"
# Lines from one to the next, so that none sees another.
APART, PLACES = 13, 5000


def _kind(model: Path) -> Kind:
    settings = f"ENSEMBLE_MODEL={shlex.quote(str(model))} ENSEMBLE_MAX_RUN_TOKENS=30000"
    return Kind("ours", f"{settings} exec {shlex.quote(sys.executable)} manage.py serve", "ensemble")


def endless(asker: Asker) -> Callable[[float], float]:
    """One run that never ends: its tokens a second over so many seconds."""
    asker.start("go on", 0)

    def tokens() -> int:
        if ended := next((m for m in asker.messages if m["type"] in ("run.finished", "error")), None):
            raise RuntimeError(f"The run has ended: {ended}")
        return int(asker.wait(lambda: next((m["tokens"] for m in reversed(asker.messages) if m["type"] == "run.progress"), None)))

    def rate(seconds: float) -> float:
        begun, before = time.monotonic(), tokens()
        time.sleep(seconds)
        return (tokens() - before) / (time.monotonic() - begun)

    return rate


def one_by_one(asker: Asker) -> Callable[[float], float]:
    """Short runs, from the last line up: the middle of their rates, as each is told of in the end."""
    line = APART * PLACES

    def rate(seconds: float) -> float:
        nonlocal line
        rates, end = [], time.monotonic() + seconds
        while time.monotonic() < end:
            line -= APART
            if line < 0:
                raise RuntimeError("It was faster than there are places: make more.")
            finished = asker.start(INSTRUCTION, line)()
            if finished.get("outcome") != "done":
                raise RuntimeError(f"The built-in model did not write: {finished}")
            rates.append(finished["tokens_per_s"])
        return statistics.median(rates)

    return rate


def measure(name: str, model: Path, text: str, measured: Callable[[Asker], Callable[[float], float]]) -> None:
    with closing(Server(_kind(model))) as server, closing(Load(server)) as people:
        room = server.room(text)
        with closing(Asker(server, room)) as asker:
            people.open(server.rooms(1), members=TYPISTS, typists=TYPISTS, updates=round(KEYS_A_SECOND * (WINDOWS + 1) * (WINDOW_S + 2)))
            rate = measured(asker)
            rate(WINDOW_S)  # threads and guesses find what is best
            without, beside = [], []
            for _ in range(WINDOWS):
                without.append(rate(WINDOW_S))
                with people.typing(WINDOW_S + 1, KEYS_A_SECOND):
                    beside.append(rate(WINDOW_S))
    ratio = statistics.median(b / a for a, b in zip(without, beside, strict=True))
    print(f"  {name:14}{statistics.median(without):10.0f}{statistics.median(beside):10.0f}{ratio:8.2f}", flush=True)


def report() -> None:
    llama.make(ENDLESS, "Qwen2.5-Coder-0.5B", {"endless": True})
    print(f"\nbeside: tokens/s of a run through the whole server, without and beside {TYPISTS} who type {KEYS_A_SECOND:.0f} keys/s each (>= 0.85)")
    print(f"{'':16}{'without':>10}{'beside':>10}{'ratio':>8}")
    measure("built-in model", config.EMBEDDED_MODEL, (LINE + "\n" * APART) * PLACES, one_by_one)
    measure("0.5B shape", ENDLESS, "begin\n", endless)
