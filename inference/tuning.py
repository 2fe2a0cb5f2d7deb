"""What suits a model on this machine, measured.   python -m inference.tuning MODEL.gguf [--no-extra-buffers]

Runs as a child process: OpenMP reads once, as it is loaded, whether its waiting threads spin, so each answer to that
question is a process of its own. Each configuration is measured twice: alone, and beside a program that wants a core
half of the time, as the web server does while people type. One line of JSON on stdout.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from inference.options import waiting

# As deep as a prompt with a file of 8 kB; less for a model with a small context, as it is asked little. What is evaluated of it, in how many
# seconds at most, is there several times.
DEPTH, SHARE, EVALUATED, EVALUATED_S = 3072, 8, 512, 2.0
CELLS = 8192
PROMPT = 64
SIZES = (1, 2, 3, 4, 6, 8, 12, 16, 24, 32)
# How long one figure is measured, and the fewest steps of it.
MEASURE_S, STEPS = 0.1, 3
# Streams of several people at once: attention may look at everybody's cells.
STREAMS = 8
# Tokens of one stream in one step, most of them guessed: plain attention reads a key once for all of them.
GUESS = 16
# More threads have to be worth it, by this share and by so many milliseconds a token: they are cores that people's keystrokes could have.
WORTH, FELT_MS = 1.1, 0.5

BESIDE = "import time\nwhile True:\n end = time.perf_counter() + 0.002\n while time.perf_counter() < end: pass\n time.sleep(0.002)"


@dataclass(frozen=True)
class Tuning:
    """``threads`` and ``batch_threads`` are what the engine begins with. ``costs``: ms of a step by the tokens it decodes, at ``depth`` tokens of context.

    ``measured``: every figure, for people.
    """

    flash: bool
    threads: int
    batch_threads: int
    thread_counts: list[int]
    spin: bool
    depth: int
    costs: list[tuple[int, float]]
    measured: dict[str, float]

    @property
    def tokens_per_s(self) -> float:
        return 1000 / self.costs[0][1]


def tune(path: Path, extra_buffers: bool, gpu_layers: int = 0, own: bool = True) -> Tuning:
    """Some seconds of both cores, most of them for loading. Raises RuntimeError where the child ends badly."""
    cores = _cores()
    found = [_ask(path, extra_buffers, gpu_layers, own, spin) for spin in ((True, False) if cores > 1 else (True,))]
    # Where threads spin the engine can still take one alone when others want the core; where they yield, several are hardly ever worth it.
    best = max(found, key=lambda each: each.measured["score"] * WORTH**each.spin)
    return Tuning(**{**asdict(best), "measured": {f"{name}, {_way(each.spin)}": figure for each in found for name, figure in each.measured.items()}})


def _ask(path: Path, extra_buffers: bool, gpu_layers: int, own: bool, spin: bool) -> Tuning:
    flags = [*([] if extra_buffers else ["--no-extra-buffers"]), *([] if own else ["--no-kernels"]), *(["--spin"] if spin else [])]
    flags += ["--gpu-layers", str(gpu_layers)]
    command = [sys.executable, "-m", "inference.tuning", str(path), *flags]
    root = Path(__file__).resolve().parent.parent
    result = subprocess.run(command, cwd=root, env=os.environ | waiting(spin), capture_output=True, text=True, check=False)
    if result.returncode:
        raise RuntimeError((result.stderr.strip().splitlines() or [f"it ended with status {result.returncode}"])[-1])
    return Tuning(**json.loads(result.stdout.splitlines()[-1]))


def _way(spin: bool) -> str:
    return "spinning" if spin else "yielding"


def thread_counts() -> list[int]:
    """What is worth a try on this machine."""
    return sorted({1, max(1, _cores() // 2), _cores()})


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@contextmanager
def beside() -> Iterator[None]:
    """While it is open, another process wants a core half of the time."""
    child = subprocess.Popen([sys.executable, "-c", BESIDE])
    try:
        yield
    finally:
        child.kill()
        child.wait()


def measure(path: Path, extra_buffers: bool, gpu_layers: int, own: bool, spin: bool) -> Tuning:
    """In this process, as OpenMP is set up in it."""
    threads = thread_counts()
    figures: dict[str, float] = {}
    found: dict[bool, dict[int, tuple[float, ...]]] = {}
    for flash in (False, True):
        probe = Probe(path, extra_buffers, gpu_layers, own, flash)
        try:
            way = "flash attention" if flash else "plain attention"
            if flash and probe.decode(1, threads[0]) > 1.3 * figures[f"ms a token, plain attention, {threads[0]} threads"]:
                continue  # it is not worth more of people's time
            found[flash] = {}
            for count in threads:
                alone = figures[f"ms a token, {way}, {count} threads"] = probe.decode(1, count)
                with beside():
                    busy = figures[f"ms a token beside other work, {way}, {count} threads"] = probe.decode(1, count, busy=True)
                together = figures[f"ms a step of {STREAMS} streams, {way}, {count} threads"] = probe.streams(count)
                checked = figures[f"ms a step of {GUESS} tokens, {way}, {count} threads"] = probe.decode(GUESS, count)
                found[flash][count] = (alone, busy, together / STREAMS, checked / GUESS)
        finally:
            probe.close()
    # The engine changes threads as it works: what counts is the best of them in each situation.
    time_of_best, flash = min((_mean(*(min(times) for times in zip(*by_count.values(), strict=True))), flash) for flash, by_count in found.items())
    count = _fewest([(_mean(*times), count) for count, times in found[flash].items()])
    probe = Probe(path, extra_buffers, gpu_layers, own, flash)
    try:
        prompts = {}
        for threads_of_batch in threads:
            alone = figures[f"prompt tokens/s, {threads_of_batch} threads"] = probe.prompt(threads_of_batch)
            with beside():
                prompts[threads_of_batch] = (alone * probe.prompt(threads_of_batch, busy=True)) ** 0.5
        batch = max(prompts, key=lambda each: prompts[each] / WORTH ** (each > count)) if time_of_best > FELT_MS else count
        costs = [(size, probe.decode(size, count)) for size in SIZES]
        # A longer step takes no less; where it seems to, the machine was busy during the shorter one.
        costs = [(size, min(ms for other, ms in costs if other >= size)) for size, _ in costs]
        depth = probe.depth
    finally:
        probe.close()
    figures["score"] = 1000 / time_of_best + prompts[batch] / 100
    return Tuning(
        flash, count, batch, threads, spin, depth, [(size, round(ms, 4)) for size, ms in costs], {name: round(ms, 4) for name, ms in figures.items()}
    )


def _mean(*times: float) -> float:
    """Geometric: a tenth less is worth the same of each."""
    return math.prod(times) ** (1 / len(times))


def _fewest(found: list[tuple[float, int]]) -> int:
    """Of (ms, threads) the fastest, or fewer threads that are hardly slower."""
    best, _ = min(found)
    return min(count for time, count in found if time <= best * WORTH or time - best < FELT_MS)


class Probe:
    """One context with some tokens in it."""

    def __init__(self, path: Path, extra_buffers: bool, gpu_layers: int, own: bool, flash: bool) -> None:
        from inference import native

        self._context = native.Context(
            path,
            context=CELLS,
            cells=CELLS,
            sequences=STREAMS,
            batch=512,
            threads=_cores(),
            extra_buffers=extra_buffers,
            gpu_layers=gpu_layers,
            flash=flash,
            own=own,
        )
        self._length = self.depth = 0
        most = DEPTH if self._context.size >= CELLS else self._context.size // SHARE
        begun = time.perf_counter()
        while self._length < min(EVALUATED, most) and (not self._length or time.perf_counter() < begun + EVALUATED_S):
            self._context.decode([(0, self._length + number, 7 + number % 11, False) for number in range(PROMPT)])
            self._length += PROMPT
        self._saved = self._context.save(0)
        self.depth = self._length
        while self.depth < most:
            # More cells at the same positions: attention looks at them all.
            self._copy(1)
            self._context.copy(1, 0, self._length)
            self._context.truncate(1, 0)
            self.depth += self._length

    def _copy(self, sequence: int) -> None:
        if self._saved is None or not self._context.restore(sequence, self._saved):
            raise RuntimeError("the model's cache cannot be saved")

    def close(self) -> None:
        self._context.close()

    def decode(self, tokens: int, threads: int, busy: bool = False) -> float:
        """Milliseconds of a step with so many tokens whose logits are wanted, and the likeliest of each taken."""

        def step() -> None:
            self._evaluate(tokens, True, threads)
            for index in range(tokens):
                self._context.logits(index).argmax()
            self._context.truncate(0, self._length)

        return _time(step, busy) * 1000

    def streams(self, threads: int) -> float:
        """Milliseconds of a step with a token of each stream. Their cells are there meanwhile: evaluated once, and copied."""
        for stream in range(1, STREAMS):
            self._copy(stream)

        def step() -> None:
            self._context.decode([(stream, self._length, 7, True) for stream in range(STREAMS)], threads)
            for stream in range(STREAMS):
                self._context.logits(stream).argmax()
                self._context.truncate(stream, self._length)

        ms = _time(step, busy=False) * 1000
        for stream in range(1, STREAMS):
            self._context.truncate(stream, 0)
        return ms

    def prompt(self, threads: int, busy: bool = False) -> float:
        """Tokens a second."""

        def step() -> None:
            self._evaluate(PROMPT, False, threads)
            self._context.truncate(0, self._length)

        return PROMPT / _time(step, busy)

    def _evaluate(self, tokens: int, logits: bool, threads: int) -> None:
        # Any tokens will do: their values change nothing of the time.
        self._context.decode([(0, self._length + number, 7 + number % 11, logits) for number in range(tokens)], threads)


def _time(step: Callable[[], None], busy: bool) -> float:
    """Seconds: the shortest of several, for whatever else the machine does only adds; beside other work the mean, for now and then a thread waits long for its core, and people with it."""
    step()
    times = list[float]()
    begun = time.perf_counter()
    while len(times) < STEPS or time.perf_counter() < begun + MEASURE_S:
        start = time.perf_counter()
        step()
        times.append(time.perf_counter() - start)
    return sum(times) / len(times) if busy else min(times)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m inference.tuning", description="Measures what suits a model on this machine.")
    parser.add_argument("model", type=Path)
    parser.add_argument("--no-extra-buffers", action="store_true")
    parser.add_argument("--no-kernels", action="store_true")
    parser.add_argument("--gpu-layers", type=int, default=0)
    parser.add_argument("--spin", action="store_true", help="says how OpenMP was set up; sets nothing")
    arguments = parser.parse_args()
    made = measure(arguments.model, not arguments.no_extra_buffers, arguments.gpu_layers, not arguments.no_kernels, arguments.spin)
    print(json.dumps(asdict(made)))


if __name__ == "__main__":
    main()
