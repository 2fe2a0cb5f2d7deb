"""The remote engine against a real llama-server, compiled from the source that our own library is compiled from."""

from __future__ import annotations

import asyncio
import re
import signal
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest

from inference import remote
from inference.api import Started, Task
from inference.remote import RemoteEngine
from project.bootstrap import llama_server
from tests.conftest import wait_until
from tests.engines import Listener, answer, becomes, remote_engine

KEY = "sk-of-the-test"
TASK = Task("room", "ada", "a.py", "", "x = 1\ny = 2", "", "write something")

pytestmark = pytest.mark.skipif(
    not llama_server.path(llama_server.SERVER).exists(), reason="llama-server is not compiled here: `make test` does that where it can be"
)


class LlamaServer:
    def __init__(self, model: Path) -> None:
        self.command = [str(llama_server.path(llama_server.SERVER)), "-m", str(model), "--host", "127.0.0.1"]
        self.command += ["-c", "8192", "-np", "2", "-t", "1", "--slots", "--no-warmup", "--api-key", KEY]
        self.port = 0
        self.log: list[str] = []
        self.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        """On the same port as before, if there was a before."""
        self.process = subprocess.Popen(
            [*self.command, "--port", str(self.port)], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True
        )
        listening = threading.Event()

        def read() -> None:
            assert self.process.stdout
            for line in self.process.stdout:
                self.log.append(line.rstrip())
                if found := re.search(r"listening on http://[\d.]+:(\d+)", line):
                    self.port = int(found[1])
                    listening.set()

        threading.Thread(target=read, daemon=True).start()
        assert listening.wait(60), "\n".join(self.log)

    def stop(self) -> None:
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def computing(self) -> int:
        """How many of its slots are at work."""
        slots = httpx.get(self.url + "/slots", headers={"Authorization": f"Bearer {KEY}"}).json()
        return sum(slot["is_processing"] for slot in slots)


@pytest.fixture(scope="module")
def server(chat_model: Path) -> Iterator[LlamaServer]:
    running = LlamaServer(chat_model)
    yield running
    running.stop()


def engine(server: LlamaServer, state: str = "ready", **options: Any) -> AbstractAsyncContextManager[RemoteEngine]:
    return remote_engine(server.url + "/v1", state, **{"key": KEY, "max_tokens": 40, **options})


async def until(condition: Callable[[], Any], what: str) -> None:
    await asyncio.to_thread(wait_until, condition, what)


async def test_it_streams_into_the_region_and_says_what_it_is(server: LlamaServer, chat_model: Path) -> None:
    async with engine(server) as running:
        assert running.info.name == chat_model.stem
        assert running.info.context in (4096, 8192)
        assert running.info.parameters > 1_000_000
        first = await answer(running, TASK)
        finished = await first.finished()
        # Random weights find no end: all that was asked for came, and is counted by the server.
        assert finished.outcome == "failed" and "ENSEMBLE_MAX_RUN_TOKENS" in finished.reason
        assert finished.tokens == 40
        assert finished.ttft_ms and finished.tokens_per_s
        assert isinstance(first.events[0], Started)
        assert first.text
        assert (await answer(running, replace(TASK, variant=1))).text != first.text


async def test_a_stop_ends_its_computing(server: LlamaServer) -> None:
    async with engine(server, max_tokens=7000) as running:
        listener = Listener()
        running.start("run", TASK, listener)
        await listener.until(lambda: len(listener.text) > 20)
        assert server.computing() == 1
        running.stop("run")
        assert (await listener.finished()).outcome == "stopped"
        await until(lambda: server.computing() == 0, "the server computes nothing")


async def test_a_request_that_is_too_long_is_refused_in_its_words(server: LlamaServer) -> None:
    async with engine(server, context=200_000) as running:
        running._format = remote.ChatFormat(remote.Messages(), 200_000)
        finished = await (await answer(running, replace(TASK, before="value = 1\n" * 8000))).finished()
        assert finished.outcome == "failed"
        assert "does not take the request (status 400)" in finished.reason and "context" in finished.reason


async def test_a_wrong_key_is_said(server: LlamaServer) -> None:
    async with engine(server, state="failed", key="sk-another") as running:
        assert "ENSEMBLE_DEEP_KEY" in running.info.detail
        finished = await (await answer(running, TASK)).finished()
        assert (finished.outcome, finished.reason) == ("failed", running.info.detail)
        assert "sk-" not in finished.reason


async def test_a_server_that_dies_in_mid_stream_and_comes_back(chat_model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remote, "AGAIN_S", 0.05)
    server = LlamaServer(chat_model)
    try:
        async with engine(server, max_tokens=7000) as running:
            listener = Listener()
            running.start("run", TASK, listener)
            await listener.until(lambda: len(listener.text) > 20)
            await asyncio.to_thread(server.stop)
            finished = await listener.finished()
            assert finished.outcome == "failed" and "was lost" in finished.reason
            await becomes(running, lambda: running.info.state == "failed")
            assert "cannot be reached" in running.info.detail
            await asyncio.to_thread(server.start)
            await becomes(running, lambda: running.info.state == "ready")
            again = Listener()
            running.start("again", TASK, again)
            await again.until(lambda: len(again.text) > 20)
    finally:
        server.stop()
