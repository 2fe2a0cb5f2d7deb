"""What goes wrong with a model while people work: real processes that really crash, hang and find their files gone."""

from __future__ import annotations

import asyncio
import os
import resource
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any

import httpx
import pytest

from benchmarks.random_gguf import make
from inference.api import Finished, ModelInfo, Task
from inference.options import Options
from inference.process import Patience, ProcessEngine, _words
from project import config
from project.bootstrap import llama
from tests.conftest import ROOT, Server, join, process_of, wait_until
from tests.engines import Listener, answer, becomes

TASK = Task("room", "ada", "greet.py", "", 'def greet(name):\n    print("Hello " + name)', "", "add a docstring: Say hello.")
SAID = '    """Say hello."""\n'
OTHER = replace(TASK, cache="other")


@asynccontextmanager
async def engine(path: Path = config.EMBEDDED_MODEL, patience: Patience | None = None, **options: Any) -> AsyncIterator[ProcessEngine]:
    """From its beginning: it may never be ready."""
    running = ProcessEngine(Options(path, "test", **{"context": 4096, "threads": 1, **options}), asyncio.get_running_loop(), patience)
    try:
        yield running
    finally:
        running.close()


def watched(running: ProcessEngine) -> list[ModelInfo]:
    infos: list[ModelInfo] = []
    running.watch(infos.append)
    return infos


async def streaming(running: ProcessEngine, name: str = "streaming", task: Task = TASK) -> Listener:
    listener = Listener()
    running.start(name, task, listener)
    await listener.until(lambda: len(listener.text) > 20)
    return listener


def number(running: ProcessEngine) -> int:
    assert running.pid
    return running.pid


def another(running: ProcessEngine, than: set[int]) -> int:
    wait_until(lambda: running.pid not in {None, *than}, "another process")
    return number(running)


def exists(pid: int) -> bool:
    """A process that has ended and that nobody has waited for is none."""
    with suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    return False


def test_every_end_of_a_process_has_words() -> None:
    assert _words(-signal.SIGSEGV) == "crashed (SIGSEGV)"
    assert _words(-(signal.SIGRTMIN + 3)) == f"crashed (signal {signal.SIGRTMIN + 3})"
    assert _words(3) == "ended with status 3"


@pytest.mark.parametrize(("by", "words"), [(signal.SIGSEGV, "crashed (SIGSEGV)"), (signal.SIGKILL, "memory runs out")])
async def test_a_crash_ends_the_runs_under_way_and_those_that_wait_go_to_the_next_process(chat_model: Path, by: int, words: str) -> None:
    async with engine(chat_model, max_tokens=100_000) as running:
        await becomes(running, lambda: running.info.state == "ready")
        infos, pid = watched(running), number(running)
        under_way = await streaming(running)
        # What is asked for now has not been begun when it crashes.
        os.kill(pid, signal.SIGSTOP)
        waiting, stopped = Listener(), Listener()
        running.start("waiting", OTHER, waiting)
        running.start("stopped", OTHER, stopped)
        os.kill(pid, by)
        os.kill(pid, signal.SIGCONT)
        failed = await under_way.finished()
        assert failed.outcome == "failed" and words in failed.reason and "whole lines" in failed.reason
        assert failed.tokens > 0 and failed.ttft_ms
        running.stop("stopped")
        assert (await stopped.finished()).outcome == "stopped"
        assert running.info.state == "loading" and words in running.info.detail
        await waiting.until(lambda: len(waiting.text) > 20)
        assert number(running) != pid and not exists(pid)
        assert [infos[0].state, infos[-1].state] == ["loading", "ready"] and infos[-1].detail == ""
        assert all(words in info.detail for info in infos[:-1]), "as long as it is not back it is said why"
        running.stop("waiting")
        assert (await waiting.finished()).outcome == "stopped"


async def test_what_was_warm_is_made_anew_and_answers_are_as_before() -> None:
    async with engine() as running:
        await becomes(running, lambda: running.info.state == "ready")
        before = await answer(running, TASK, "before")
        os.kill(number(running), signal.SIGKILL)
        # Nothing has been heard of it yet: the run waits.
        cold = await answer(running, TASK, "cold")
        warm = await answer(running, TASK, "warm")
        assert before.text == cold.text == warm.text == SAID
        assert cold.started.cached == 0 and warm.started.cached >= warm.started.prompt - 1


async def test_a_crash_that_repeats_at_once_is_given_up_with_the_way_out() -> None:
    async with engine(patience=Patience(restarts=2, pause_s=0.01)) as running:
        infos = watched(running)
        waiting = Listener()
        running.start("waiting", TASK, waiting)
        killed: set[int] = set()
        for _ in range(3):
            pid = await asyncio.to_thread(another, running, killed)
            killed.add(pid)
            os.kill(pid, signal.SIGSEGV)
        await becomes(running, lambda: running.info.state == "failed")
        assert [info.state for info in infos] == ["loading", "loading", "failed"]
        for reason in (running.info.detail, (await waiting.finished()).reason, (await (await answer(running, TASK, "later")).finished()).reason):
            assert "SIGSEGV" in reason and "ENSEMBLE_MAX_RESTARTS" in reason and "./manage.py model use" in reason
        assert not any(exists(pid) for pid in killed)


async def test_a_run_that_crashes_every_process_does_not_go_round_for_ever() -> None:
    async with engine(patience=Patience(pause_s=0.01)) as running:
        poison = Listener()
        held: list[int] = []

        def hold(info: ModelInfo) -> None:
            """Before the run is sent to it: it would be done too soon."""
            if info.state == "ready" and len(held) < 2:
                held.append(number(running))
                os.kill(held[-1], signal.SIGSTOP)

        running.watch(hold)
        running.start("poison", TASK, poison)
        for count in (1, 2):
            await becomes(running, lambda count=count: len(held) == count)  # type: ignore[misc]
            os.kill(held[-1], signal.SIGKILL)
        assert (await poison.finished()).outcome == "failed"
        await becomes(running, lambda: running.info.state == "ready")
        assert (await answer(running, TASK, "next")).text == SAID


async def test_a_process_that_hangs_is_ended_and_started_again(chat_model: Path) -> None:
    async with engine(chat_model, Patience(step_s=3.0), max_tokens=100_000) as running:
        await becomes(running, lambda: running.info.state == "ready")
        pid = number(running)
        under_way = await streaming(running)
        os.kill(pid, signal.SIGSTOP)
        failed = await under_way.finished()
        assert failed.outcome == "failed" and "said nothing for 3 s (ENSEMBLE_MAX_STEP_SECONDS)" in failed.reason
        assert not exists(pid)
        again = await streaming(running, "again", OTHER)
        running.stop("again")
        await again.finished()


async def test_a_process_that_hangs_while_it_loads_is_ended_as_well() -> None:
    async with engine(patience=Patience(step_s=1.0, load_s=1.0, restarts=0)) as running:
        os.kill(number(running), signal.SIGSTOP)
        await becomes(running, lambda: running.info.state == "failed")
        assert "ENSEMBLE_MAX_LOAD_SECONDS" in running.info.detail


async def test_a_process_can_be_closed_while_it_hangs() -> None:
    async with engine() as running:
        await becomes(running, lambda: running.info.state == "ready")
        pid = number(running)
        os.kill(pid, signal.SIGSTOP)
        waiting = Listener()
        running.start("waiting", TASK, waiting)
        await asyncio.to_thread(running.close, "The end.")
        assert await waiting.finished() == Finished("stopped", 0, None, None, "The end.")
        assert not exists(pid)


async def test_memory_that_is_not_there_is_said_and_the_next_model_finds_it(chat_model: Path) -> None:
    async with engine(chat_model, cells=1_000_000) as running:
        pid = number(running)
        # 2 GB for everything, where the cache alone wants as much.
        resource.prlimit(pid, resource.RLIMIT_AS, (2 * 2**30, 2 * 2**30))
        await becomes(running, lambda: running.info.state == "failed")
        assert "not enough memory" in running.info.detail and "ENSEMBLE_MAX_CONTEXT_TOKENS" in running.info.detail
        assert running.info.detail == (await (await answer(running, TASK, "run")).finished()).reason
        assert running.pid is None
        await asyncio.to_thread(wait_until, lambda: not exists(pid), "its memory is free again")


@pytest.mark.parametrize("seed", range(6))
async def test_a_damaged_file_is_refused_or_crashes_elsewhere(tmp_path: Path, seed: int) -> None:
    """Bytes of the header and of the tensors' list are changed, or the end is missing. What can be loaded all the same may be used."""
    random = Random(seed)
    data = bytearray(config.EMBEDDED_MODEL.read_bytes())
    if seed < 2:
        del data[random.randrange(1000, len(data)) :]
    for _ in range(20 if seed >= 2 else 0):
        data[random.randrange(4, 3000 if seed % 2 else 120_000)] = random.randrange(256)
    path = tmp_path / "damaged.gguf"
    path.write_bytes(data)
    async with engine(path, Patience(restarts=1, pause_s=0.01)) as running:
        await becomes(running, lambda: running.info.state != "loading")
        finished = await (await answer(running, TASK, "run")).finished()
        if running.info.state == "failed":
            assert finished.outcome == "failed" and finished.reason == running.info.detail
            assert str(path) in finished.reason or "crashed" in finished.reason


async def test_a_file_that_is_removed_is_missed_only_at_a_restart(tmp_path: Path) -> None:
    path = tmp_path / "model.gguf"
    path.write_bytes(config.EMBEDDED_MODEL.read_bytes())
    async with engine(path) as running:
        await becomes(running, lambda: running.info.state == "ready")
        path.unlink()
        assert (await answer(running, TASK, "run")).text == SAID
        os.kill(number(running), signal.SIGKILL)
        failed = await (await answer(running, TASK, "next")).finished()
        assert failed.outcome == "failed"
        for part in ("memory runs out", f"The model file {path} does not exist", "./manage.py model use"):
            assert part in failed.reason
        assert running.info.state == "failed" and running.pid is None


async def test_a_model_of_damaged_numbers_is_named_as_such(tmp_path: Path) -> None:
    path = tmp_path / "nan.gguf"
    vocabulary = llama.source() / "models" / "ggml-vocab-qwen2.gguf"
    make(path, vocabulary, layers=1, width=64, inner=64, heads=2, kv_heads=2, quantization="Q8_0", norm=float("nan"))
    async with engine(path) as running:
        await becomes(running, lambda: running.info.state == "ready")
        pid = number(running)
        for name in ("first", "second"):
            finished = await (await answer(running, TASK, name)).finished()
            assert finished.outcome == "failed" and "invalid numbers" in finished.reason
        assert number(running) == pid, "the process is as well as before"


async def test_a_context_that_is_full_ends_one_run_and_no_other(chat_model: Path) -> None:
    async with engine(chat_model, context=512, max_tokens=100_000, cells=4096) as running:
        long = Listener()
        running.start("long", TASK, long)
        small = replace(OTHER, region="x = 1")
        beside = Listener()
        await long.until(lambda: len(long.text) > 20)
        running.start("beside", small, beside)
        full = await long.finished()
        assert full.outcome == "failed" and "context of 512 tokens is full" in full.reason
        seen = len(beside.text)
        await beside.until(lambda: len(beside.text) > seen or isinstance(beside.events[-1], Finished))
        assert "context of 512 tokens is full" in (await beside.finished()).reason


async def test_a_process_that_has_been_taken_over_gains_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ProcessEngine, "child", "tests.garbled")
    async with engine(patience=Patience(restarts=1, pause_s=0.01)) as running:
        pid = number(running)
        await becomes(running, lambda: running.info.state == "failed")
        assert "said what cannot be understood (posix._exit)" in running.info.detail
        assert not exists(pid)


PARENT = """
import asyncio, sys
from pathlib import Path
from inference.options import Options
from inference.process import ProcessEngine

async def main():
    engine = ProcessEngine(Options(Path(sys.argv[1]), "test", context=512, threads=1), asyncio.get_running_loop())
    while engine.info.state == "loading":
        await asyncio.sleep(0.01)
    assert "llama_cpp" not in sys.modules and "numpy" not in sys.modules
    print(engine.pid, flush=True)
    await asyncio.sleep(1000)

asyncio.run(main())
"""


@pytest.mark.parametrize("hanging", [False, True])
def test_the_process_ends_with_the_server(hanging: bool) -> None:
    with subprocess.Popen([sys.executable, "-c", PARENT, str(config.EMBEDDED_MODEL)], cwd=ROOT, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout
        pid = int(parent.stdout.readline())
        if hanging:
            os.kill(pid, signal.SIGSTOP)
        assert exists(pid)
        parent.kill()
    wait_until(lambda: not exists(pid), "the model's process has ended as well")


# Through the whole server.


async def ready(server: Server, is_so: bool) -> dict[str, Any]:
    async with httpx.AsyncClient() as client:
        while True:
            answer = await client.get(server.url + "/readyz")
            if (answer.status_code == 200) == is_so:
                return dict(answer.json())
            await asyncio.sleep(0.01)


def models(messages: list[dict[str, Any]]) -> Callable[[], list[dict[str, Any]]]:
    return lambda: [message["model"] for message in messages if message["type"] == "model"]


async def test_two_rooms_live_through_a_crash(endless: Server) -> None:
    first, second = endless.session(("a.py", "x = 1\ny = 2\n")), endless.session(("b.py", "z = 3\n"))
    async with join(endless, first) as ada, join(endless, second, name="Grace") as grace:
        a, b = await ada.ready("a.py"), await grace.ready("b.py")
        ada.send("run.start", instruction="write", file=a)
        run = (await ada.message("run.started"))["run"]
        await ada.wait(lambda: len(str(ada.text_of("a.py"))) > 60)
        pid = process_of(endless)
        os.kill(pid, signal.SIGSEGV)
        finished = await ada.message("run.finished", run=run)
        assert finished["outcome"] == "failed" and "SIGSEGV" in finished["reason"] and finished["tokens"] > 0
        state = await ready(endless, False)
        assert state["model"] == "loading" and "SIGSEGV" in state["reason"]
        # What stands is in whole lines, the same for everybody, and stays so.
        stands = endless.text(first, "a.py")
        assert stands.endswith("\n") and "y = 2" in stands.split("\n") and len(stands) > 12
        # Whoever asks meanwhile waits, and is served when it is back; typing goes on.
        grace.send("run.start", instruction="write", file=b)
        await grace.message("run.queued")
        with grace.doc.transaction():
            grace.text_of("b.py").insert(0, "# mine\n")
        await grace.all_saved()
        said = models(grace.messages)()
        assert said[0]["state"] == "loading" and "SIGSEGV" in said[0]["detail"]
        started = await grace.message("run.started")
        await ready(endless, True)
        await grace.message("run.progress", run=started["run"])
        figures = (await asyncio.to_thread(httpx.get, endless.url + "/metrics")).text
        for sample in (
            'ensemble_engine_restarts_total{engine="fast"} 1.0',
            'ensemble_engine_state{engine="fast",state="ready"} 1.0',
            'ensemble_engine_replies_total{engine="fast",kind="edit",outcome="failed"} 1.0',
            'ensemble_engine_streaming{engine="fast"} 1.0',
            "ensemble_queue_seconds_count 2.0",
        ):
            assert sample in figures
        assert endless.text(first, "a.py") == stands
        await ada.wait(lambda: str(ada.text_of("a.py")) == stands)
        assert ada.closed is None and grace.closed is None
        assert process_of(endless) != pid

        # A second crash at once is one too many here.
        os.kill(process_of(endless), signal.SIGKILL)
        finished = await grace.message("run.finished", run=started["run"])
        assert finished["outcome"] == "failed"
        await grace.wait(lambda: models(grace.messages)()[-1]["state"] == "failed")
        assert "ENSEMBLE_MAX_RESTARTS" in models(grace.messages)()[-1]["detail"]
        state = await ready(endless, False)
        assert state["model"] == "failed" and "./manage.py model use" in state["reason"]
        ada.send("run.start", instruction="again", file=a)
        assert "ENSEMBLE_MAX_RESTARTS" in (await ada.message("error", code="model_unavailable"))["message"]
        assert "# mine" in endless.text(second, "b.py")
        assert ada.closed is None and grace.closed is None


async def test_the_way_out_of_a_model_that_was_given_up(tmp_path: Path) -> None:
    server = await asyncio.to_thread(lambda: Server(tmp_path, ENSEMBLE_TUNE="off", ENSEMBLE_MAX_RESTARTS="0"))
    try:
        session = await asyncio.to_thread(server.session, ("greet.py", TASK.region + "\n"))
        async with join(server, session) as ada:
            file = await ada.ready("greet.py")
            os.kill(process_of(server), signal.SIGKILL)
            assert "./manage.py model use" in (await ready(server, False))["reason"]
            command = [sys.executable, "manage.py", "model", "use", "built-in"]
            using = await asyncio.create_subprocess_exec(*command, cwd=ROOT, env=server.environment, stdout=subprocess.PIPE)
            said, _ = await using.communicate()
            assert "uses Built-in model now" in said.decode()
            await ready(server, True)
            ada.send("run.start", instruction=TASK.instruction, file=file)
            assert (await ada.message("run.finished"))["outcome"] == "done"
            assert SAID in server.text(session, "greet.py")
    finally:
        server.kill()


def test_ctrl_c_ends_the_server_and_not_the_model_before_it(endless: Server) -> None:
    pid = process_of(endless)
    os.killpg(endless.process.pid, signal.SIGINT)
    endless.process.wait(timeout=30)
    wait_until(lambda: not exists(pid), "the model's process has ended as well")
    assert not any("started again" in line for line in endless.log), endless.log
