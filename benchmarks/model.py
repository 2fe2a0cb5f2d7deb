"""The engine against a bare llama.cpp loop, and the streaming diff against difflib."""

from __future__ import annotations

import asyncio
import difflib
import random
import statistics
import time
from pathlib import Path

from editor.edits import Insert, RegionDiff, size
from inference import native
from inference.api import Event, Finished, Task
from inference.marks import MARKS
from inference.options import Options
from inference.process import ProcessEngine
from inference.prompts import PatchFormat
from project import config

ROUNDS = 40
TASK = Task("bench", "ada", "main.py", "", "", "", "write a fibonacci function")


def bare_loop(path: Path, threads: int) -> float:
    """Tokens per second of llama_decode and argmax alone, on the same task."""
    context = native.Context(path, context=4096, sequences=1, batch=512, threads=threads, extra_buffers=True)
    prompt = PatchFormat(marks=int(context.number(MARKS))).prompt(TASK)
    tokens = [token for s in (*prompt.segments, *prompt.trigger) for token in context.tokenize(s.text, s.control)]
    rates = []
    for _ in range(ROUNDS):
        context.truncate(0, 0)
        context.decode([(0, i, token, i == len(tokens) - 1) for i, token in enumerate(tokens)])
        token = context.argmax(len(tokens) - 1)
        begun, count = time.perf_counter(), 0
        while token is not None and not context.piece(token).end:
            context.decode([(0, len(tokens) + count, token, True)])
            token = context.argmax(0)
            count += 1
        rates.append(count / (time.perf_counter() - begun))
    context.close()
    return statistics.median(rates)


async def engine(path: Path, threads: int) -> tuple[float, float, float]:
    """Tokens per second, and time to first token in ms, cold and with the instruction prefilled while it was typed."""
    running = ProcessEngine(Options(path, "bench", context=4096, threads=threads), asyncio.get_running_loop())
    ready = asyncio.Event()
    running.watch(lambda info: ready.set())
    await ready.wait()

    async def run(name: str) -> Finished:
        done: asyncio.Future[Finished] = asyncio.get_running_loop().create_future()

        def listen(events: list[Event]) -> None:
            if isinstance(events[-1], Finished):
                done.set_result(events[-1])

        running.start(name, TASK, listen)
        return await done

    rates, cold, warm = [], [], []
    for number in range(ROUNDS):
        running.forget(TASK.cache)
        cold.append((await run(f"cold{number}")).ttft_ms or 0)
        running.forget(TASK.cache)
        running.warm(TASK)
        await asyncio.sleep(0.05)
        finished = await run(f"warm{number}")
        warm.append(finished.ttft_ms or 0)
        rates.append(finished.tokens_per_s or 0)
    running.close()
    return statistics.median(rates), statistics.median(cold), statistics.median(warm)


def diff_against_difflib() -> tuple[float, float]:
    """Bytes changed by the streaming diff as a ratio to difflib's by lines and words; microseconds a token."""
    source = (config.BASE / "editor" / "room.py").read_text().split("\n")
    shuffle = random.Random(1)
    ours = theirs = tokens = 0
    spent = 0.0
    for _ in range(200):
        first = shuffle.randrange(len(source) - 30)
        old = source[first : first + 30]
        new = list(old)
        for _ in range(3):
            line = shuffle.randrange(len(new))
            new[line : line + 1] = shuffle.choice([[], [new[line], "    added = 1"], [new[line].replace("self", "room")]])
        text = "\n".join(new) + "\n"
        begun = time.perf_counter()
        diff = RegionDiff("\n".join(old))
        operations = diff.hunk(1, len(old))
        for at in range(0, len(text), 4):
            operations += diff.feed(text[at : at + 4])
            tokens += 1
        operations += diff.finish()
        spent += time.perf_counter() - begun
        ours += sum(size(o.text) if isinstance(o, Insert) else o.length for o in operations)
        a, b = "\n".join(old), text[:-1]
        for tag, i1, i2, j1, j2 in difflib.SequenceMatcher(None, a, b, autojunk=False).get_opcodes():
            if tag != "equal":
                theirs += (i2 - i1) + (j2 - j1)
    return ours / theirs, spent / tokens * 1e6


def report() -> None:
    path = config.EMBEDDED_MODEL
    print(f"{'':52}{'ours':>10}{'peer':>10}{'ratio':>8}")
    for threads in (1, 2):
        peer = bare_loop(path, threads)
        rate, cold, warm = asyncio.run(engine(path, threads))
        print(f"{f'built-in model, tokens/s, {threads} thread(s), against bare loop':52}{rate:10.0f}{peer:10.0f}{rate / peer:8.2f}")
        print(f"{'  first token in ms, prefilled, against not':52}{warm:10.2f}{cold:10.2f}{warm / cold:8.2f}")
    ratio, micros = diff_against_difflib()
    print(f"{'bytes changed in 30 lines, against difflib':52}{'':20}{ratio:8.2f}")
    print(f"{'  streaming diff, microseconds a token':52}{micros:10.1f}", flush=True)
