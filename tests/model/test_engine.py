"""The engine with the real embedded model, and with a chat model of random weights, through llama.cpp."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from benchmarks.worker import ThreadEngine
from inference import native
from inference.api import Event, Figures, Finished, Hunk, ModelInfo, Progress, Started, Task
from inference.certainty import CERTAINTY, UNSURE
from inference.costs import Costs
from inference.drafting import Drafter
from inference.marks import MARKS
from inference.options import Options
from inference.process import Patience, ProcessEngine
from project import config
from tests.engines import Listener
from tests.engines import answer as answer_to

# Some of what is asked here takes long on a machine that does other things.
PATIENCE = 60.0
TASK = Task("room", "ada", "greet.py", "", 'def greet(name):\n    print("Hello " + name)', "", "add a docstring: Say hello.")
FIB = replace(TASK, path="fib.py", region="", instruction="write a fibonacci function")


@asynccontextmanager
async def engine(
    path: Path = config.EMBEDDED_MODEL,
    patience: Patience | None = None,
    report: Callable[[Figures], None] = lambda figures: None,
    **options: Any,
) -> AsyncIterator[ProcessEngine]:
    running = ProcessEngine(Options(path, "test", **{"context": 4096, "threads": 1, **options}), asyncio.get_running_loop(), patience, report)
    ready = asyncio.Event()
    running.watch(lambda info: ready.set())
    try:
        if running.info.state == "loading":
            await asyncio.wait_for(ready.wait(), PATIENCE)
        yield running
    finally:
        running.close()


@asynccontextmanager
async def inside(path: Path = config.EMBEDDED_MODEL, **options: Any) -> AsyncIterator[ThreadEngine]:
    """With the worker in a thread of this process, where a test can look into it and change it."""
    running = ThreadEngine(Options(path, "test", **{"context": 4096, "threads": 1, **options}), asyncio.get_running_loop())
    try:
        yield running
    finally:
        running.close()


async def answer(running: ProcessEngine | ThreadEngine, name: str, task: Task) -> Listener:
    return await answer_to(running, task, name, PATIENCE)


async def test_keystrokes_are_prefilled_and_change_no_answer() -> None:
    async with engine() as running:
        cold = await answer(running, "cold", TASK)
        running.forget(TASK.cache)
        for end in range(1, len(TASK.instruction) + 1):
            running.warm(replace(TASK, instruction=TASK.instruction[:end]))
        # Commands are heard in order and a step comes before the run that is asked for after it has been seen.
        other = await answer(running, "other", replace(FIB, cache="elsewhere"))
        assert other.started.cached == 0
        warm = await answer(running, "warm", TASK)
        assert warm.started.cached == warm.started.prompt
        assert cold.started.cached == 0
        assert warm.text == cold.text == '    """Say hello."""\n'


REGIONS = [
    "def area(w, h):\n    return w * h",
    "import os\nimport sys\n\n\ndef main():\n    print(os.getcwd())\n    return 0",
    "<ul>\n  <li>one</li>\n  <li>two</li>\n</ul>",
    'const limit = 10;\nfunction read(path) {\n  console.log("reading", path);\n  return limit;\n}',
]
ASKED = ["rename w to width", "add a docstring", "change 10 to 25", "add another list item three", "remove the last line", "return 1 instead"]


async def test_what_follows_keystrokes_is_known_at_enter_and_changes_no_answer() -> None:
    """Nothing of the prompt is evaluated at Enter, the first token comes with the news that it has begun, and the answer is the one of a prompt
    that was never typed; of one that is not sure as well, and of variants."""
    tasks = [replace(TASK, who=text, region=region, instruction=text) for region in REGIONS for text in ASKED]
    async with inside() as typed, engine() as plain:
        await answer(typed, "ready", replace(TASK, mode="ask"))
        decoded: list[int] = []
        decode = typed.worker._context.decode

        def step(entries: Sequence[tuple[int, int, int, bool]], threads: int = 0) -> int:
            decoded.append(len(entries))
            return decode(entries, threads)

        typed.worker._context.decode = step  # type: ignore[method-assign]
        told: dict[str, list[Sequence[Event]]] = {}
        emit = typed.worker._emit

        def tell(run: str, events: Sequence[Event]) -> None:
            told.setdefault(run, []).append(events)
            emit(run, events)

        typed.worker._emit = tell
        outcomes = set()
        for number, task in enumerate(tasks):
            typed.warm(replace(task, instruction=task.instruction[:-1]))
            typed.warm(task)
            await answer(typed, f"other{number}", replace(TASK, cache="other"))  # heard and evaluated behind it
            decoded.clear()
            here, there = await answer(typed, f"run{number}", task), await answer(plain, f"run{number}", task)
            assert here.edits == there.edits
            ended, expected = await here.finished(), await there.finished()
            assert (ended.outcome, ended.tokens) == (expected.outcome, expected.tokens)
            assert here.started.cached == here.started.prompt
            # A token that is not sure enough is the last, and is not counted.
            assert decoded == [1] * (ended.tokens - (ended.reason != UNSURE))
            begun = told[f"run{number}"][0]
            assert isinstance(begun[0], Started) and isinstance(begun[-1], Progress | Finished)
            outcomes.add(ended.outcome)
            plain.forget(task.cache)
        assert outcomes >= {"done", "declined"}
        varied = replace(tasks[0], variant=3, tentative=True)
        typed.warm(tasks[0])
        assert (await answer(typed, "variant", varied)).edits == (await answer(plain, "variant", varied)).edits


async def test_a_draft_tells_what_follows_as_well() -> None:
    async with inside() as running:
        task = replace(TASK, instruction="count the greetings")
        draft = await answer(running, "draft", replace(task, draft=True))
        assert (await draft.finished()).outcome == "declined"
        run = await answer(running, "run", task)
        assert run.started.cached == run.started.prompt


async def test_a_first_token_that_is_known_serves_where_the_cells_are_gone() -> None:
    """The room was parked or its cells given away between the last key and Enter."""
    async with inside() as running:
        running.warm(TASK)
        await answer(running, "other", replace(TASK, cache="other"))
        worker = running.worker
        job = next(iter(worker._foreseen._known))
        assert job == (TASK.cache, TASK.who)
        worker._cells.apply(worker._sequences.reset())
        again = await answer(running, "again", TASK)
        assert again.started.cached == 0
        assert again.text == '    """Say hello."""\n'
        running.forget(TASK.cache)
        await answer(running, "last", replace(TASK, cache="other"))
        assert all(cache != TASK.cache for cache, _ in worker._foreseen._known)


async def test_many_at_once_answer_as_they_would_alone() -> None:
    async with engine() as running:
        tasks = [replace(TASK if n % 2 else FIB, cache=str(n), instruction=(TASK if n % 2 else FIB).instruction) for n in range(20)]
        alone = [(await answer(running, f"alone{n}", task)).text for n, task in enumerate(tasks[:2])]
        together = await asyncio.gather(*(answer(running, f"run{n}", task) for n, task in enumerate(tasks)))
        assert [listener.text for listener in together] == alone * 10


async def test_a_stop_ends_the_computing_and_nothing_comes_afterwards(chat_model: Path) -> None:
    streams: list[int] = []
    async with engine(chat_model, report=lambda figures: streams.append(figures.streams), max_tokens=100_000) as running:
        endless = Listener(PATIENCE)
        running.start("endless", TASK, endless)
        await endless.until(lambda: len(endless.text) > 20)
        running.stop("endless")
        assert (await endless.finished()).outcome == "stopped"
        seen = len(endless.events)
        short = Listener(PATIENCE)
        running.start("short", replace(TASK, cache="other"), short)
        await short.until(lambda: len(short.text) > 5)
        assert len(endless.events) == seen
        streams.clear()
        await short.until(lambda: bool(streams))
        assert streams == [1]


async def test_a_stop_in_the_middle_of_a_long_prompt_harms_no_other_run(chat_model: Path) -> None:
    long = replace(TASK, cache="long", region="\n".join(f"value_{n} = {n}" for n in range(390)))
    async with engine(chat_model, context=8192, max_tokens=60) as running:
        alone = (await answer(running, "alone", TASK)).text
        running.forget(TASK.cache)
        stopped, beside = Listener(PATIENCE), Listener(PATIENCE)
        running.start("beside", TASK, beside)
        running.start("stopped", long, stopped)
        await stopped.until(lambda: any(isinstance(event, Started) for event in stopped.events))
        running.stop("stopped")
        assert (await stopped.finished()).outcome == "stopped"
        assert stopped.text == ""
        await beside.finished()
        assert beside.text == alone
        assert (await answer(running, "again", TASK)).text == alone


COSTS = ((1, 1.0), (2, 1.1), (64, 2.0))


async def test_guessing_from_the_old_region_changes_no_answer() -> None:
    """Requests of many kinds, with the real model."""
    tasks = [replace(TASK, region=region, instruction=text) for region in REGIONS for text in ASKED]
    async with engine() as plain, engine(costs=COSTS) as guessing:
        for number, task in enumerate(tasks):
            alone = await answer(plain, f"run{number}", task)
            guessed = await answer(guessing, f"run{number}", task)
            assert guessed.edits == alone.edits
        # The first hangs on a tie: at once, cells stand in another order now and then, and sums are made in theirs (decision 027).
        others = list(enumerate(tasks))[1:]
        together = await asyncio.gather(*(answer(guessing, f"again{number}", task) for number, task in others))
        assert [(await answer(plain, f"third{number}", task)).text for number, task in others] == [listener.text for listener in together]


async def test_guesses_that_are_right_or_wrong_in_places_change_no_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    """A long reply is compared with itself when it is guessed at from a text that is like it."""
    write = replace(FIB, region="\n", tentative=True)
    async with engine() as plain:
        alone = await answer(plain, "run", write)
    made: list[Drafter] = []

    def draft(form: str, region: str, tokenize: Callable[[str, bool], Sequence[int]], costs: Costs) -> Drafter:
        reply = list(tokenize(alone.text, False))
        made.append(Drafter([*reply[:20], 1, 2, 3, *reply[25:]], costs))
        return made[-1]

    monkeypatch.setattr("inference.worker.drafter", draft)
    # A busy machine must not end the guesses.
    monkeypatch.setattr(Costs, "took", lambda *step: None)
    wanted: list[int] = []
    async with inside(costs=COSTS) as guessing:
        await answer(guessing, "ready", replace(TASK, mode="ask"))
        decode = guessing.worker._context.decode

        def step(entries: Sequence[tuple[int, int, int, bool]], threads: int = 0) -> int:
            wanted.append(sum(logits for *_, logits in entries))
            return decode(entries, threads)

        guessing.worker._context.decode = step  # type: ignore[method-assign]
        guessed = await answer(guessing, "run", write)
        assert guessed.text == alone.text
        # People wait for the first token: it comes alone.
        assert [count for count in wanted if count][:1] == [1] < [max(wanted)]
        assert made[0].accepted > 20
        assert made[0].guessed > made[0].accepted


async def test_a_long_region_that_is_guessed_from_is_read_in_pieces_as_well(chat_model: Path) -> None:
    """More text than one command may have tokenised at once, none of which the prompt has tokenised just so."""
    region = "\n".join(f"        self.value_{number} = self._compute_{number}(argument={number})" for number in range(200))
    async with inside(chat_model, context=16384, costs=COSTS, max_tokens=8) as running:
        both = await asyncio.gather(answer(running, "long", replace(TASK, region=region)), answer(running, "other", replace(TASK, cache="other")))
        ended = [await listener.finished() for listener in both]
        # The random model may write less than it is let; what matters is that both wrote.
        assert all(1 <= each.tokens <= 8 and "The model failed" not in each.reason for each in ended), ended


async def test_a_model_is_asked_as_its_file_says_that_it_was_trained(tmp_path: Path) -> None:
    """With the lines of the request's words and the end of the block that they open, or without."""
    without = tmp_path / "without.gguf"
    without.write_bytes(config.EMBEDDED_MODEL.read_bytes().replace(MARKS.encode(), b"ensemble.other"))
    for path, marks in ((config.EMBEDDED_MODEL, ["<|L1|>", "<|to|>", "<|L2|>", "<|L2|>"]), (without, [])):
        async with inside(path) as running:
            await answer(running, "ready", replace(TASK, mode="ask"))
            prompt, _ = running.worker._prompting.prompt(replace(TASK, instruction="rename name to who"))
            controls = [segment.text for segment in prompt.segments if segment.control]
            assert controls[controls.index("<|task|>") + 1 :] == marks


async def test_rooms_that_were_parked_come_back_with_what_they_knew() -> None:
    async with engine(idle_cells=64) as running:
        regions = ["\n".join(f"{name} = {number}" for number in range(20)) for name in ("first", "second", "third")]
        tasks = [replace(TASK, cache=region[:6], region=region, instruction="change 7 to 8") for region in regions]
        fresh = [await answer(running, f"fresh{number}", task) for number, task in enumerate(tasks)]
        again = [await answer(running, f"again{number}", task) for number, task in enumerate(tasks)]
        assert [listener.text for listener in again] == [listener.text for listener in fresh]
        assert all(listener.started.cached >= listener.started.prompt - 1 for listener in again)
        running.forget(tasks[0].cache)
        assert (await answer(running, "forgotten", tasks[0])).started.cached == 0


async def test_rooms_that_nobody_uses_are_parked_while_the_process_is_asked_for_figures(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("inference.worker.REST_S", 0.2)
    region = "\n".join(f"value_{number} = {number}" for number in range(20))
    tasks = [replace(TASK, cache=cache, region=region, instruction="change 7 to 8") for cache in ("first", "second")]
    async with inside() as running:
        for task in tasks:
            await answer(running, task.cache, task)

        async def parked() -> None:
            while not running.worker._sequences.parked:
                # A server asks more often than the worker looks.
                running.worker.commands.put(("figures",))
                await asyncio.sleep(0.02)

        await asyncio.wait_for(parked(), PATIENCE)
        assert {sequence.cache for sequence in running.worker._sequences.parked} == {"first"}
        again = await answer(running, "again", tasks[0])
        assert again.started.cached >= again.started.prompt - 1


BIG = "\n\n".join(f"def step_{n}(value):\n    return value + {n}" for n in range(60))


def about(text: str, line: str, instruction: str, who: str = "ada") -> Task:
    """A task on the one line that reads so."""
    start = text.index(line)
    return replace(TASK, who=who, before=text[:start], region=line, after=text[start + len(line) :], instruction=instruction)


async def test_a_files_text_is_evaluated_once_whatever_is_edited_and_asked(chat_model: Path) -> None:
    async with engine(chat_model, max_tokens=8) as running:
        running.warm(replace(about(BIG, "    return value + 30", ""), who=""))
        first = await answer(running, "first", about(BIG, "    return value + 3\n", "make it 4"))
        # The file was evaluated in idle time, or by the run itself where that came first: another region costs its own tokens.
        other = await answer(running, "other", about(BIG, "    return value + 50", "make it 51"))
        assert first.started.prompt - other.started.cached < 120
        for number, line in enumerate(("    return value + 0\n", "    return value + 31", "    return value + 59")):
            edited = BIG.replace(line, line.replace("value", "values", 1))
            after = await answer(running, f"edited{number}", about(edited, "    return value + 12", "make it 13"))
            assert after.started.prompt - after.started.cached < 200, line


async def test_a_long_log_is_taken_into_a_fresh_text_while_nothing_else_is_to_do(chat_model: Path) -> None:
    async with inside(chat_model, max_tokens=8) as running:
        await answer(running, "first", about(BIG, "    return value + 3\n", "make it 4"))
        text = BIG
        for number in range(0, 28, 4):
            text = text.replace(f"step_{number}(value)", f"step_{number}_renamed(value)")
            running.warm(replace(about(text, "    return value + 59", ""), instruction="make"))
        edits = await answer(running, "edits", about(text, "    return value + 59", "make it 60"))
        running.warm(replace(about(text, "    return value + 59", ""), who=""))
        # A run of another room is asked for behind it, and so the file has its turn while that one waits for its answer to be read.
        held = None
        for _ in range(200):
            await answer(running, "beside", replace(TASK, cache="other"))
            held = running.worker._prompting.snapshots.held(TASK.cache, TASK.path)
            if held and not held.log:
                break
        assert held and not held.log and held.now == text
        again = await answer(running, "again", about(text, "    return value + 59", "make it 60"))
        assert again.started.prompt < edits.started.prompt
        assert again.started.prompt - again.started.cached < 120


def hundred_kilobytes(first: str) -> str:
    return first + "".join(f"\n\ndef step_{n}(value):\n    return value + other_{n}(value)" for n in range(1800))


async def test_a_long_text_is_read_while_others_get_their_tokens(chat_model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("inference.speed.READ_S", 0.0)
    monkeypatch.setattr("inference.speed.READ_SHARE", 0.0)
    text = hundred_kilobytes("import os")
    async with inside(chat_model, max_tokens=100_000) as running:
        worker = running.worker
        beside, long, behind, stopped, other = (Listener(PATIENCE) for _ in range(5))
        running.start("beside", TASK, beside)
        await beside.until(lambda: len(beside.text) > 5)
        read: list[tuple[int, int]] = []
        plain, steps = worker._tokens._tokenize, 0
        decode = worker._context.decode

        def tokenize(piece: str, control: bool) -> Sequence[int]:
            read.append((steps, len(piece)))
            return plain(piece, control)

        def step(entries: Sequence[tuple[int, int, int, bool]], threads: int = 0) -> int:
            nonlocal steps
            steps += 1
            return decode(entries, threads)

        worker._tokens._tokenize, worker._context.decode = tokenize, step
        task = replace(about(text, "return value + other_900(value)", "make it other"), cache="long")
        running.start("long", task, long)
        running.start("stopped", replace(task, who="ben"), stopped)
        running.start("behind", replace(TASK, cache="long", who="eve"), behind)
        running.start("other", replace(TASK, cache="another"), other)
        running.stop("stopped")
        await long.until(lambda: bool(long.events))
        assert (await stopped.finished()).outcome == "stopped" and stopped.text == ""
        assert isinstance(other.events[0], Started) and isinstance(long.events[0], Started)
        assert long.started.prompt > 1000
        assert "did not see lines" in long.started.left_out and "it saw the outline (" in long.started.left_out
        await behind.until(lambda: bool(behind.events))
        pieces = [length for _, length in read if length > 1000]
        assert len(pieces) > 3 and max(pieces) < 3 * 2048
        # Never two long pieces in one go: the streams had their step in between.
        at = [when for when, length in read if length > 2048]
        assert len(set(at)) == len(at) > 3
        for name in ("beside", "long", "behind", "other"):
            running.stop(name)


async def test_a_text_that_is_being_read_is_given_up_with_the_engine(chat_model: Path) -> None:
    text = hundred_kilobytes("import sys")
    async with inside(chat_model) as running:
        await answer(running, "ready", replace(TASK, mode="ask"))
        long = Listener(PATIENCE)
        read = running.worker._tokens.read
        # The close command comes while it is read.
        running.worker._tokens.read = lambda text: (running.worker.commands.put(("close", "The test is over.")) for _ in read(text))
        running.start("long", about(text, "return value + other_900(value)", "make it other"), long)
        finished = await long.finished()
        assert (finished.outcome, finished.reason, finished.tokens) == ("stopped", "The test is over.", 0)


async def test_too_few_cells_for_all_make_some_wait_and_harm_none() -> None:
    regions = ["\n".join(f"{name}_{n} = {n}" for n in range(40)) for name in ("first", "second", "third", "fourth")]
    tasks = [replace(TASK, cache=region[:5], region=region, instruction="change 27 to 30") for region in regions]
    async with engine(context=700, cells=768) as running:
        alone = [await answer(running, f"alone{n}", task) for n, task in enumerate(tasks)]
        assert all(listener.started.prompt > 768 / 2 for listener in alone)
        for task in tasks:
            running.forget(task.cache)
        together = await asyncio.gather(*(answer(running, f"run{n}", task) for n, task in enumerate(tasks)))
        assert [listener.text for listener in together] == [listener.text for listener in alone]
        assert {(await listener.finished()).outcome for listener in together} == {(await alone[0].finished()).outcome}


async def test_variants_differ_and_the_first_is_the_likeliest(chat_model: Path) -> None:
    async with engine(chat_model, max_tokens=60) as running:
        likeliest = (await answer(running, "run", TASK)).text
        three = await asyncio.gather(*(answer(running, f"variant{n}", replace(TASK, variant=n)) for n in range(3)))
        assert three[0].text == likeliest
        assert len({listener.text for listener in three}) == 3


async def test_what_a_model_is_not_sure_of_is_not_written_unless_somebody_looks_first(monkeypatch: pytest.MonkeyPatch) -> None:
    async def asked(certainty: float, task: Task) -> tuple[str, list[Hunk | str]]:
        monkeypatch.setattr(native.Context, "number", lambda context, key: certainty if key == CERTAINTY else 0.0)
        async with inside() as running:
            listener = await answer(running, "run", task)
            return (await listener.finished()).outcome, listener.edits

    free = await asked(0.0, TASK)
    assert free == ("done", [Hunk(2, 1), '    """Say hello."""\n'])
    assert await asked(0.01, TASK) == free
    assert await asked(0.99999, TASK) == ("declined", [])
    assert await asked(0.99999, replace(TASK, tentative=True)) == free


async def test_limits_say_their_name(chat_model: Path) -> None:
    async with engine(chat_model, max_tokens=20) as running:
        finished = await (await answer(running, "cut", TASK)).finished()
        assert finished.outcome == "failed"
        assert "ENSEMBLE_MAX_RUN_TOKENS" in finished.reason
        huge = await (await answer(running, "huge", replace(TASK, region="x = 1\n" * 5000))).finished()
        assert finished.outcome == "failed"
        assert "context" in huge.reason


async def test_a_region_that_is_longer_than_the_model_takes_is_refused_with_the_way_out() -> None:
    async with engine() as running:
        finished = await (await answer(running, "long", replace(TASK, region="x = 1" + "\nx = 1" * 47))).finished()
        assert finished.outcome == "failed" and "48 lines and this model takes 47" in finished.reason and "chat model" in finished.reason
        assert (await (await answer(running, "next", replace(TASK, region="x = 1" + "\nx = 1" * 46))).finished()).outcome != "failed"


async def test_a_run_that_cannot_begin_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(task: Task) -> None:
        raise ValueError("no reader")

    async with inside() as running:
        assert (await (await answer(running, "first", TASK)).finished()).outcome == "done"
        with monkeypatch.context() as broke:
            broke.setattr(running.worker._format, "reader", broken)
            finished = await (await answer(running, "second", TASK)).finished()
        assert finished.outcome == "failed" and "no reader" in finished.reason
        assert (await (await answer(running, "third", TASK)).finished()).outcome == "done"


@pytest.mark.parametrize("damage", ["missing", "text", "cut"])
async def test_a_broken_model_file_is_said_in_plain_words(tmp_path: Path, damage: str) -> None:
    path = tmp_path / "model.gguf"
    if damage == "text":
        path.write_text("not a model")
    elif damage == "cut":
        path.write_bytes(config.EMBEDDED_MODEL.read_bytes()[:1_000_000])
    async with engine(path) as running:
        assert running.info.state == "failed"
        assert str(path) in running.info.detail
        finished = await (await answer(running, "run", TASK)).finished()
        assert finished.outcome == "failed"


async def test_loading_tells_how_far_it_is_and_can_be_given_up(chat_model: Path) -> None:
    loop = asyncio.get_running_loop()
    infos: list[ModelInfo] = []
    running = ProcessEngine(Options(chat_model, "test", context=4096, threads=1), loop)
    ready = asyncio.Event()

    def watch(info: ModelInfo) -> None:
        infos.append(info)
        if info.state != "loading":
            ready.set()

    running.watch(watch)
    await asyncio.wait_for(ready.wait(), PATIENCE)
    running.close()
    shares = [info.progress for info in infos if info.progress is not None]
    assert shares == sorted(shares) and shares[-1] == 1.0
    assert infos[-1].state == "ready" and infos[-1].progress is None
    given_up = ProcessEngine(Options(chat_model, "test", context=4096, threads=1), loop)
    given_up.close()
    assert given_up._child and given_up._child.process.poll() is not None and given_up.info.state != "ready"
