"""Our engine against llama-server and llama-bench: the same library, the same GGUF, in one run.

Two models: random weights in the shape of Qwen2.5-Coder-0.5B, and the embedded one. Ours is asked through ``inference.api.Engine`` and so
includes its process and the way to the loop; llama-server gets exactly the same prompts as text over HTTP. They take turns, round by round.
``benchmarks/taught.py`` is why random weights can rewrite a region.
"""

from __future__ import annotations

import asyncio
import itertools
import math
import os
import random
import statistics
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any

import django

from benchmarks import random_gguf
from benchmarks.llama_peers import Answer, LlamaServer, raw
from benchmarks.taught import REWRITE, TaughtEngine, changed
from inference import native
from inference.api import Event, Finished, Progress, Task, Text
from inference.marks import MARKS
from inference.options import Options
from inference.prompts import SYSTEM, ChatFormat, Format, PatchFormat
from inference.templates import ChatTemplate
from project import config
from project.bootstrap import llama, llama_server
from project.bootstrap.steps import CACHE, say

FOLDER = CACHE / "bench"
SHAPE = FOLDER / "qwen2.5-coder-0.5b-shape-q4_0.gguf"
LARGE_SHAPE = FOLDER / "qwen2.5-coder-7b-shape-q4_0.gguf"
SIZES_OF_LARGE = {"layers": 28, "width": 3584, "inner": 18944, "heads": 28, "kv_heads": 4}
FILE, LARGE = 8_000, 100_000  # bytes
SESSIONS = 8
KEY_S = 0.03  # between keystrokes: fast for a person, slow enough that each is evaluated
SETTLE_S = 0.3
EDITS = {"top": 0.02, "middle": 0.5, "end": 0.98}


@dataclass(frozen=True)
class Subject:
    """A model, and how much of each thing is measured with it. ``depth`` tokens of context for the raw rate."""

    name: str
    path: Path
    chat: bool
    depth: int
    tokens: int
    rounds: int
    stops: int


class Table:
    """The rows as they come. ``goal``: the ratio that is wanted, and whether more or less of it is better."""

    def __init__(self) -> None:
        self.missed: list[str] = []

    def head(self, text: str) -> None:
        print(f"\n{text}\n{'':62}{'ours':>9}{'peer':>9}{'ratio':>7}  goal", flush=True)

    def row(self, what: str, ours: float, peer: float | None, goal: str = "", digits: int = 1) -> None:
        ratio = ours / peer if peer else None
        met = ""
        if goal:
            sign, _, number = goal.partition(" ")
            value = ours if ratio is None else ratio
            met = "" if (value >= float(number) if sign == ">=" else value <= float(number)) else "  MISSED"
            if met:
                self.missed.append(what)
        shown = "" if peer is None else f"{peer:9.{digits}f}"
        print(f"{what:62}{ours:9.{digits}f}{shown:>9}{'' if ratio is None else f'{ratio:.2f}':>7}  {goal}{met}", flush=True)


# Ours.


@dataclass(eq=False)
class Heard:
    """What came of a run: seconds of the clock."""

    asked: float
    first: float = 0.0
    texts: list[float] = field(default_factory=list)
    ended: float = 0.0
    finished: Finished | None = None
    changed: asyncio.Event = field(default_factory=asyncio.Event)

    def listen(self, events: Sequence[Event]) -> None:
        now = time.perf_counter()
        for event in events:
            if isinstance(event, Progress | Text):
                self.first = self.first or now
            if isinstance(event, Finished):
                self.finished, self.ended = event, now
        if any(isinstance(event, Text) for event in events):
            self.texts.append(now)
        self.changed.set()

    async def until(self, condition: Callable[[], Any]) -> None:
        while not condition():
            if self.finished:
                raise RuntimeError(f"The run ended: {self.finished.outcome}. {self.finished.reason}")
            self.changed.clear()
            await self.changed.wait()

    async def end(self) -> Finished:
        while self.finished is None:
            self.changed.clear()
            await self.changed.wait()
        return self.finished


class Ours:
    def __init__(self, engine: TaughtEngine) -> None:
        self.engine = engine
        self._number = 0

    def begin(self, task: Task) -> tuple[str, Heard]:
        self._number += 1
        heard = Heard(time.perf_counter())
        self.engine.start(str(self._number), task, heard.listen)
        return str(self._number), heard

    async def first(self, task: Task) -> float:
        """Seconds until the first token; then it is stopped."""
        run, heard = self.begin(task)
        await heard.until(lambda: heard.first)
        self.engine.stop(run)
        await heard.end()
        return heard.first - heard.asked

    async def typed(self, task: Task) -> None:
        """The instruction key by key, and a moment."""
        for end in range(1, len(task.instruction) + 1):
            self.engine.warm(replace(task, instruction=task.instruction[:end]))
            await asyncio.sleep(KEY_S)
        await asyncio.sleep(SETTLE_S)


@asynccontextmanager
async def ours(subject: Subject, **changes: Any) -> AsyncIterator[Ours]:
    engine = TaughtEngine(replace(_options(subject.path), **changes), asyncio.get_running_loop())
    changed = asyncio.Event()
    engine.watch(lambda info: changed.set())
    try:
        while engine.info.state == "loading":
            changed.clear()
            await changed.wait()
        if engine.info.state == "failed":
            raise RuntimeError(engine.info.detail)
        yield Ours(engine)
    finally:
        engine.close()


def _options(path: Path) -> Options:
    """As the server would choose them on this machine, measured once and kept."""
    from project import models, tuning, wiring

    tuning.ensure(path, models.data(), models.extra_buffers())
    return wiring.options(path)


# What is asked.


def sources(most: int) -> str:
    """So many bytes of our own Python."""
    text = ""
    for path in sorted((config.BASE / "editor").glob("*.py")) + sorted((config.BASE / "inference").glob("*.py")):
        text += path.read_text()
        if len(text) > most:
            break
    return text.encode()[:most].decode(errors="ignore")


def task(text: str, at: float, lines: int, instruction: str, session: str = "bench") -> Task:
    """So many lines as the region, beginning at a share of the text."""
    all_ = text.split("\n")
    first = min(int(len(all_) * at), len(all_) - lines)
    before, region, after = all_[:first], all_[first : first + lines], all_[first + lines :]
    return Task(
        session, "ada", "room.py", "".join(f"{line}\n" for line in before), "\n".join(region), "".join(f"\n{line}" for line in after), instruction
    )


def small(number: int, instruction: str) -> Task:
    """A file of a session of its own, of about 400 tokens."""
    text = "\n".join(f"setting_{number}_{line} = {line * 7}" for line in range(40))
    return task(text, 0.5, 1, instruction, f"session {number}")


def edited(given: Task, at: float, letter: str) -> Task:
    """One character more, outside of the region."""
    if at < 0.5:
        place = int(len(given.before) * 2 * at)
        return replace(given, before=given.before[:place] + letter + given.before[place:])
    place = int(len(given.after) * (2 * at - 1))
    return replace(given, after=given.after[:place] + letter + given.after[place:])


def form(subject: Subject, context: int = 8192) -> Format:
    return ChatFormat(ChatTemplate(random_gguf.CHATML, SYSTEM), context) if subject.chat else PatchFormat(marks=_marks(subject.path))


@cache
def _marks(path: Path) -> int:
    vocabulary = native.Vocabulary(path)
    try:
        return int(vocabulary.number(MARKS))
    finally:
        vocabulary.close()


def text_of(form_: Format, given: Task) -> str:
    """The whole prompt, as llama-server is given it."""
    prompt = form_.prompt(given)
    return "".join(segment.text for segment in (*prompt.segments, *prompt.trigger))


def p99(values: list[float]) -> float:
    return sorted(values)[math.ceil(0.99 * len(values)) - 1]


# The rows.


async def decoding(table: Table, subject: Subject, us: Ours, server: LlamaServer, best: float) -> None:
    """``best``: llama-bench's tokens a second."""
    text = sources(int(subject.depth * 3.2) if subject.chat else 2000)
    mine, theirs = [], []
    for number in range(subject.rounds):
        given = task(text, 0.9, 1, f"go on in {subject.tokens} tokens, for the {number}th time")
        _, heard = us.begin(given)
        mine.append((await heard.end()).tokens_per_s or 0)
        theirs.append((await server.ask(text_of(form(subject), given), subject.tokens)).rate)
    table.row("decoding, tokens/s, against llama-bench at its best", max(mine), best, ">= 0.95")
    table.row("decoding, tokens/s, against llama-server as it comes", statistics.median(mine), statistics.median(theirs), ">= 1.8")


async def first_tokens(table: Table, subject: Subject, us: Ours, server: LlamaServer) -> None:
    text, form_ = sources(FILE), form(subject)
    given = task(text, 0.5, 10, "look at it")
    await us.first(given)
    await server.ask(text_of(form_, given), 1)
    mine, theirs = [], []
    for number in range(subject.rounds):
        next_ = replace(given, instruction=f"rename the {number + 1}. of its names to number")
        await us.typed(next_)
        mine.append(await us.first(next_) * 1000)
        theirs.append((await server.ask(text_of(form_, next_), 1)).times[0] * 1000)
    table.row("first token after Enter in ms, file of 8 kB", statistics.median(mine), statistics.median(theirs), "<= 0.2", 2)
    if not subject.chat:
        return  # its prompts show a few lines around the region alone
    for where, at in EDITS.items():
        await edits(table, subject, us, server, given, where, at, at_once=False)
    for where, at in EDITS.items():
        await edits(table, subject, us, server, given, where, at, at_once=True)


async def edits(table: Table, subject: Subject, us: Ours, server: LlamaServer, given: Task, where: str, at: float, at_once: bool) -> None:
    """One character is typed in the file: before the instruction, as people do; or ``at_once`` before Enter, so that nobody has had time for it."""
    form_ = form(subject)
    mine, theirs = [], []
    # Another letter, so that neither side has seen the text before: llama-server keeps old prompts too.
    for number in range(subject.rounds):
        next_ = replace(given, instruction=f"rename the {number + 1}. of its names to {where}{' now' if at_once else ''}")
        if at_once:
            await us.typed(next_)
            await server.ask(text_of(form_, next_), 1)
        next_ = given = replace(edited(given, at, "y" if at_once else "x"), instruction=next_.instruction)
        if not at_once:
            await us.typed(next_)
        mine.append(await us.first(next_) * 1000)
        theirs.append((await server.ask(text_of(form_, next_), 1)).times[0] * 1000)
        # What the editor does in idle time.
        us.engine.warm(replace(given, who="", instruction=""))
        await asyncio.sleep(SETTLE_S)
    when = "at once after one character" if at_once else "typed after one character"
    table.row(f"  {when} at the file's {where}", statistics.median(mine), statistics.median(theirs), "" if at_once else "<= 0.5", 2)


async def rewriting(table: Table, subject: Subject, us: Ours, best: float) -> None:
    """Counted are the tokens of the region as it is afterwards, whether the reply repeats them or not."""
    vocabulary = native.Vocabulary(subject.path)
    rates = []
    for number in range(2 * subject.rounds):
        given = task(sources(FILE), 0.3 + 0.02 * number, 30, f"{REWRITE}one line, for the {number}th time")
        tokens = len(vocabulary.tokenize(changed(given.region) + "\n", False))
        _, heard = us.begin(given)
        finished = await heard.end()
        if finished.outcome != "done":
            raise RuntimeError(f"The region was not rewritten: {finished.reason}")
        rates.append(tokens / (heard.ended - heard.first))
    vocabulary.close()
    table.row("rewriting 30 lines with one changed, tokens/s, against raw", statistics.median(rates), best, ">= 3")


async def together(table: Table, subject: Subject, us: Ours, server: LlamaServer) -> None:
    form_ = form(subject, 2048)
    tasks = [small(n, f"go on in {subject.tokens} tokens") for n in range(SESSIONS)]
    prompts = [text_of(form_, each) for each in tasks]
    for each in tasks:
        await us.first(each)
    await asyncio.gather(*(server.ask(prompt, 1) for prompt in prompts))
    mine, theirs = [], []
    for _ in range(2):
        begun = time.perf_counter()
        running = [us.begin(each) for each in tasks]
        tokens = [(await heard.end()).tokens for _, heard in running]
        mine.append(sum(tokens) / (time.perf_counter() - begun))
        begun = time.perf_counter()
        answers = await asyncio.gather(*(server.ask(prompt, subject.tokens) for prompt in prompts))
        theirs.append(sum(len(answer.times) for answer in answers) / (time.perf_counter() - begun))
    table.row(f"{SESSIONS} sessions, tokens/s of all, against llama-server -np {SESSIONS}", max(mine), max(theirs), ">= 1.2")


async def gaps(table: Table, subject: Subject, us: Ours, server: LlamaServer, seconds: float) -> None:
    """What seven feel of the eighth's 100 kB; the same of llama-server, for comparison."""
    form_ = form(subject, 32768)
    tasks = [small(n, "go on") for n in range(SESSIONS - 1)]
    eighth = task(sources(LARGE), 0.5, 10, "go on in the large file", "large")

    def between(times: list[list[float]], since: float, until: float) -> list[float]:
        return [b - a for one in times for a, b in itertools.pairwise(one) if since <= a and b <= until]

    running = [us.begin(each) for each in tasks]
    for _, heard in running:
        await heard.until(lambda: heard.texts)  # noqa: B023
    begun = time.perf_counter()
    await asyncio.sleep(seconds)
    middle = time.perf_counter()
    running.append(us.begin(eighth))
    await asyncio.sleep(seconds)
    end = time.perf_counter()
    for run, heard in running:
        us.engine.stop(run)
        await heard.end()
    mine = [heard.texts for _, heard in running[:-1]]
    quiet, busy = (p99(between(mine, *span)) * 1000 for span in ((begun, middle), (middle, end)))

    answers = [Answer() for _ in tasks]

    async def stream(prompt: str, answer: Answer) -> None:
        async for _ in server.tokens(prompt, 4000, answer):
            pass

    began = [time.perf_counter() for _ in answers]
    streams = [asyncio.create_task(stream(text_of(form_, each), answer)) for each, answer in zip(tasks, answers, strict=True)]
    for answer in answers:
        await answer.begun.wait()
    begun = time.perf_counter()
    await asyncio.sleep(seconds)
    middle = time.perf_counter()
    streams.append(asyncio.create_task(stream(text_of(form_, eighth), Answer())))
    await asyncio.sleep(seconds)
    end = time.perf_counter()
    for each in streams:
        each.cancel()
    await asyncio.gather(*streams, return_exceptions=True)
    theirs = [[at + start for at in answer.times] for start, answer in zip(began, answers, strict=True)]
    # A gap that has not ended yet is one as well.
    theirs = [[*times, end] for times in theirs]
    their_quiet, their_busy = (p99(between(theirs, *span)) * 1000 for span in ((begun, middle), (middle, end)))
    table.row("gap p99 in ms of 7 streams, beside 100 kB of prompt, against without", busy, quiet, "<= 2")
    table.row("  the same of llama-server, both columns", their_busy, their_quiet)


async def stopping(table: Table, subject: Subject, us: Ours) -> None:
    chance = random.Random(1)
    text = sources(16_000)
    while_decoding, while_reading = [], []
    for number in range(subject.stops):
        run, heard = us.begin(small(0, f"go on, {number}"))
        await heard.until(lambda: heard.texts)  # noqa: B023
        await asyncio.sleep(chance.uniform(0.0, 0.05))
        begun = time.perf_counter()
        us.engine.stop(run)
        await heard.end()
        while_decoding.append((heard.ended - begun) * 1000)
    for number in range(subject.stops if subject.chat else 0):
        us.engine.forget("stop")
        run, heard = us.begin(task(text, 0.5, 10, f"go on, {number}", "stop"))
        await asyncio.sleep(chance.uniform(0.02, 0.4))
        begun = time.perf_counter()
        us.engine.stop(run)
        await heard.end()
        while_reading.append((heard.ended - begun) * 1000)
    table.row("stop to idle in ms, p99, while decoding", p99(while_decoding), None, "<= 10", 2)
    if while_reading:
        table.row("  in the middle of a prompt of 4k tokens", p99(while_reading), None, "<= 10", 2)


async def measure(subject: Subject) -> Table:
    table = Table()
    threads = sorted({1, os.cpu_count() or 1})
    settings = await asyncio.to_thread(raw, subject.path, subject.depth, subject.tokens, threads)
    setting, best = max(settings.items(), key=lambda each: each[1])
    table.head(f"{subject.name}: llama-bench at its best with {setting}, after {subject.depth} tokens")
    async with ours(subject, context=8192) as us:
        server = LlamaServer(subject.path, "-c", "8192", "-np", "1")
        try:
            await decoding(table, subject, us, server, best)
            await first_tokens(table, subject, us, server)
        finally:
            server.close()
        await rewriting(table, subject, us, best)
        server = LlamaServer(subject.path, "-c", str(2048 * SESSIONS), "-np", str(SESSIONS))
        try:
            await together(table, subject, us, server)
        finally:
            server.close()
        await stopping(table, subject, us)
    if subject.chat:
        async with ours(subject, context=32768) as us:
            server = LlamaServer(subject.path, "-c", "40960", "-np", str(SESSIONS), "--kv-unified")
            try:
                await gaps(table, subject, us, server, 6.0)
            finally:
                server.close()
    return table


def prepare() -> list[Subject]:
    config.values["ENSEMBLE_DATA"] = str(FOLDER)
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "project.settings")
    django.setup()
    llama_server.prepare(llama_server.SERVER, llama_server.BENCH)
    # What suits the models is measured anew: it was another day, and perhaps a busy one.
    (FOLDER / "tuning.json").unlink(missing_ok=True)
    make(SHAPE, "Qwen2.5-Coder-0.5B", {})
    subjects = [
        Subject("shape of Qwen2.5-Coder-0.5B, Q4_0, random weights", SHAPE, chat=True, depth=2048, tokens=64, rounds=3, stops=200),
        Subject("the built-in model", config.EMBEDDED_MODEL, chat=False, depth=256, tokens=400, rounds=5, stops=200),
    ]
    if native.offloads():
        make(LARGE_SHAPE, "Qwen2.5-Coder-7B", SIZES_OF_LARGE)
        subjects.append(
            Subject(
                "shape of Qwen2.5-Coder-7B, Q4_0, random weights, on the GPU", LARGE_SHAPE, chat=True, depth=2048, tokens=128, rounds=3, stops=200
            )
        )
    return subjects


def make(path: Path, model: str, character: dict[str, Any]) -> None:
    if path.exists():
        return
    say(f"Making random weights in the shape of {model} (once, some minutes)")
    FOLDER.mkdir(parents=True, exist_ok=True)
    temporary = path.with_suffix(".new")
    random_gguf.make(temporary, llama.source() / "models" / "ggml-vocab-qwen2.gguf", **character)
    temporary.rename(path)


def report() -> None:
    missed = []
    for subject in prepare():
        begun = time.perf_counter()
        table = asyncio.run(measure(subject))
        missed += table.missed
        print(f"  measured in {time.perf_counter() - begun:.0f} s", flush=True)
    print(f"\nMissed: {'; '.join(each.strip() for each in missed) or 'nothing'}.")
