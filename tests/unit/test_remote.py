"""The remote engine against an endpoint of the test's own, which fails in every way that endpoints do."""

from __future__ import annotations

import asyncio
import logging
import math
import ssl
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from inference import remote, sse
from inference.api import Finished, Hunk, ModelInfo, Progress, Started, Task
from inference.remote import RemoteEngine
from tests.endpoint import Asked, FakeEndpoint, Handler, event
from tests.engines import Listener, becomes, remote_engine
from tests.engines import answer as answer_to

TASK = Task("room", "ada", "greet.py", "import sys\n", "x = 1\ny = 2", "\nz = 3\n", "make x two")
KEY = "sk-very-secret"


@pytest.fixture
async def server() -> AsyncIterator[FakeEndpoint]:
    running = FakeEndpoint()
    await running.open()
    yield running
    await running.close()


def engine(server: FakeEndpoint, state: str = "ready", **options: Any) -> AbstractAsyncContextManager[RemoteEngine]:
    return remote_engine(server.url, state, **{"key": KEY, **options})


async def answer(running: RemoteEngine, task: Task = TASK, name: str = "run") -> Listener:
    return await answer_to(running, task, name)


async def test_an_answer_streams_into_the_region_with_the_endpoints_figures(server: FakeEndpoint) -> None:
    async with engine(server) as running:
        assert (running.info.name, running.info.context, running.info.parameters) == ("some-coder", 4096, 7)
        listener = await answer(running)
        assert isinstance(listener.events[0], Started)
        assert [e for e in listener.events if isinstance(e, Hunk)] == [Hunk(1, 2)]
        assert listener.text == "x = 2\ny = 2\n"
        assert any(isinstance(e, Progress) for e in listener.events)
        finished = await listener.finished()
        assert (finished.outcome, finished.tokens) == ("done", 9)
        assert finished.ttft_ms and finished.tokens_per_s
        request = server.seen[-1]
        assert request.path == "/v1/chat/completions"
        assert request.headers["authorization"] == f"Bearer {KEY}"
        assert request.body["model"] == "models/some-coder.gguf"
        assert request.body["stream"] is True and request.body["temperature"] == 0
        system, user = request.body["messages"]
        assert (system["role"], user["role"]) == ("system", "user")
        assert "make x two" in user["content"] and "<region>\nx = 1\ny = 2\n</region>" in user["content"]


async def test_a_connection_is_used_again_and_eight_stream_at_once(server: FakeEndpoint) -> None:
    async with engine(server) as running:
        for number in range(3):
            assert (await answer(running, name=str(number))).text == "x = 2\ny = 2\n"
        assert server.connections == 1
        gate = asyncio.Event()
        waiting = 0

        async def together(request: Asked) -> None:
            nonlocal waiting
            waiting += 1
            if waiting == 8:
                gate.set()
            await gate.wait()
            await server.two_lines(request)

        server.complete = together
        found = await asyncio.gather(*(answer(running, name=f"many{n}") for n in range(8)))
        assert [listener.text for listener in found] == ["x = 2\ny = 2\n"] * 8


async def test_other_variants_are_not_the_likeliest_reply(server: FakeEndpoint) -> None:
    async with engine(server) as running:
        await answer(running, replace(TASK, variant=2))
        assert server.seen[-1].body["temperature"] > 0 and server.seen[-1].body["seed"] == 2


async def test_a_question_is_answered_and_edits_nothing(server: FakeEndpoint) -> None:
    async def answering(asked: Asked) -> None:
        await asked.begin()
        await asked.text("It sets ", "`x = 1`", " first.")
        await asked.end()

    server.complete = answering
    async with engine(server) as running:
        listener = await answer(running, replace(TASK, mode="ask", instruction="what does it do?"))
        assert (await listener.finished()).outcome == "done"
        assert listener.text.strip() == "It sets `x = 1` first."
        assert not [e for e in listener.events if isinstance(e, Hunk)]


async def test_without_bounds_it_waits_as_long_as_it_takes(server: FakeEndpoint) -> None:
    async with engine(server, connect=math.inf, first=math.inf, silence=math.inf) as running:
        assert (await answer(running)).text == "x = 2\ny = 2\n"


def self_signed(folder: Path) -> ssl.SSLContext:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    plain = serialization.NoEncryption()
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, plain)
    (folder / "both.pem").write_bytes(pem + certificate.public_bytes(serialization.Encoding.PEM))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "both.pem")
    return context


@pytest.mark.parametrize(
    ("which", "words"), [("self-signed", "its certificate is not trusted"), ("plain", "does not speak TLS"), ("none", "nothing listens")]
)
async def test_what_is_wrong_with_a_connection_is_said(tmp_path: Path, which: str, words: str) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(100)
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        writer.close()

    listening = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=self_signed(tmp_path) if which == "self-signed" else None)
    port = listening.sockets[0].getsockname()[1]
    if which == "none":
        listening.close()
        await listening.wait_closed()
    there = FakeEndpoint()
    there.url = f"https://127.0.0.1:{port}/v1"
    async with engine(there, state="failed") as running:
        assert words in running.info.detail
    listening.close()


async def test_nobody_pays_for_drafts(server: FakeEndpoint) -> None:
    async with engine(server) as running:
        running.warm(TASK)
        finished = await (await answer(running, replace(TASK, draft=True))).finished()
        assert finished.outcome == "declined"
        assert [asked.path for asked in server.seen] == ["/v1/models"]


async def test_thoughts_stay_out_of_the_text(server: FakeEndpoint) -> None:
    async def thinking(request: Asked) -> None:
        await request.begin()
        await request.chunk(event({"role": "assistant", "content": None, "reasoning_content": "They want two."}))
        await server_text(request)

    async def server_text(request: Asked) -> None:
        await request.text("x = 2\ny = 2")
        await request.end()

    server.complete = thinking
    async with engine(server) as running:
        listener = await answer(running)
        assert listener.text == "x = 2\ny = 2\n"
        assert (await listener.finished()).tokens == 2


async def test_letters_that_are_cut_in_two_come_whole(server: FakeEndpoint) -> None:
    async def cutting(request: Asked) -> None:
        await request.begin()
        await request.text("x = '\ud83d", "\ude00'\ny = '\ude00", "'\nz = '", "\ud83d", "'\n", "a = '😀'  # \ud83d")
        await request.end()

    server.complete = cutting
    async with engine(server) as running:
        listener = await answer(running)
        assert listener.text == "x = '😀'\ny = ''\nz = ''\na = '😀'  # \n"
        assert (await listener.finished()).outcome == "done"


@pytest.mark.parametrize("count", [10**400, -1, True, 2.5, "9"])
async def test_a_senseless_count_of_tokens_is_not_believed(server: FakeEndpoint, count: Any) -> None:
    async def counting(request: Asked) -> None:
        await request.begin()
        await request.text("x = ", "2\n", "y = 2")
        await request.end(usage={"completion_tokens": count})

    server.complete = counting
    async with engine(server) as running:
        finished = await (await answer(running)).finished()
        assert (finished.outcome, finished.tokens) == ("done", 3)


async def test_an_endpoint_that_knows_no_limit_is_stopped(server: FakeEndpoint) -> None:
    async def endless(request: Asked) -> None:
        await request.begin()
        with suppress(ConnectionError):
            while True:
                await request.text(*(f"x{n} = {n}\n" for n in range(10)))

    server.complete = endless
    async with engine(server, max_tokens=20) as running:
        listener = await answer(running)
        finished = await listener.finished()
        assert finished.outcome == "failed" and finished.tokens == 41 and "limit of 20 tokens" in finished.reason
        assert listener.text.startswith("x0 = 0\n")


async def test_a_stop_closes_the_connection_and_nothing_comes_afterwards(server: FakeEndpoint) -> None:
    closed = asyncio.Event()

    async def endless(request: Asked) -> None:
        await request.begin()
        await request.text("this line is long enough to be shown\n")
        await request.gone()
        closed.set()

    server.complete = endless
    async with engine(server) as running:
        listener = Listener()
        running.start("run", TASK, listener)
        await listener.until(lambda: "this line" in listener.text)
        running.stop("run")
        assert (await listener.finished()).outcome == "stopped"
        await asyncio.wait_for(closed.wait(), 20)
        assert sum(isinstance(e, Finished) for e in listener.events) == 1
        running.stop("run")
        running.stop("another")


async def test_closing_the_engine_ends_its_runs_with_the_reason(server: FakeEndpoint) -> None:
    async def endless(request: Asked) -> None:
        await request.begin()
        await request.text("this line is long enough to be shown\n")
        await request.gone()

    server.complete = endless
    listener = Listener()
    async with engine(server) as running:
        running.start("run", TASK, listener)
        await listener.until(lambda: "this line" in listener.text)
        await asyncio.to_thread(running.close, "Another model comes.")
        finished = await listener.finished()
        assert (finished.outcome, finished.reason) == ("stopped", "Another model comes.")


async def silent(request: Asked) -> None:
    await request.gone()


async def pings(request: Asked) -> None:
    """Alive, as proxies are, and yet without a token."""
    await request.begin()
    with suppress(ConnectionError):
        while True:
            await request.chunk(b": ping\n\n")
            await asyncio.sleep(0.01)


async def stalls(request: Asked) -> None:
    await request.begin()
    await request.text("x = 2 # and long enough\n")
    await request.gone()


async def breaks_off(request: Asked) -> None:
    await request.begin()
    await request.text("x = 2 # and long enough\n")
    request._writer.transport.abort()


async def ends_early(request: Asked) -> None:
    await request.begin()
    await request.text("x = 2 # and long enough\n")
    await request.send(b"0\r\n\r\n")


async def no_json(request: Asked) -> None:
    await request.begin()
    await request.text("x = 2 # and long enough\n")
    await request.chunk(b"data: {{{\n\n")
    await request.gone()


async def a_page(request: Asked) -> None:
    await request.answer(200, b"<html>welcome to the hotel's network</html>")


async def endless_line(request: Asked) -> None:
    await request.begin()
    with suppress(ConnectionError):
        while True:
            await request.chunk(b"x" * 2**18)


async def error_inside(request: Asked) -> None:
    await request.begin()
    await request.text("x = 2 # and long enough\n")
    await request.chunk(b'data: {"error": {"message": "out of memory,\\n\\nkey %s"}}\n\n' % KEY.encode())


async def held_back(request: Asked) -> None:
    await request.begin()
    await request.text("x = 2 # and long enough\n")
    await request.end("content_filter")


async def cut(request: Asked) -> None:
    await request.begin()
    await request.text("x = 2 # and long enough\n")
    await request.end("length")


def refuses(status: int, body: Any = None, **headers: str) -> Handler:
    async def handler(request: Asked) -> None:
        await request.answer(status, {"error": {"message": f"no: {KEY}"}} if body is None else body, **headers)

    return handler


FAILURES: dict[str, tuple[Handler, list[str]]] = {
    "silent": (silent, ["no first token within 0.1 s", "ENSEMBLE_MAX_REMOTE_FIRST_SECONDS"]),
    "pings": (pings, ["no first token"]),
    "stalls": (stalls, ["nothing for 0.1 s", "ENSEMBLE_MAX_REMOTE_SILENCE_SECONDS"]),
    "breaks off": (breaks_off, ["connection to 127.0.0.1", "was lost", "unchanged"]),
    "ends early": (ends_early, ["was lost", "ended before"]),
    "no json": (no_json, ["no stream of tokens", "JSON"]),
    "a page": (a_page, ["was lost"]),
    "endless line": (endless_line, ["no stream of tokens", str(sse.LONGEST_EVENT)]),
    "error inside": (error_inside, ["out of memory, key …"]),
    "content filter": (held_back, ["content filter"]),
    "cut": (cut, ["2048 tokens", "ENSEMBLE_MAX_RUN_TOKENS"]),
    "400": (refuses(400, {"error": "prompt too long\u2028<b>"}), ["does not take the request", "prompt too long <b>"]),
    "401": (refuses(401), ["refuses the key", "ENSEMBLE_DEEP_KEY"]),
    "403": (refuses(403), ["refuses the key"]),
    "404": (refuses(404), ["no such model", "ENSEMBLE_DEEP_NAME"]),
    "429": (refuses(429, Retry_After="17"), ["takes no more requests", "in 17 s", "says: no: …"]),
    "429 long": (refuses(429, Retry_After="3600"), ["in 60 minutes"]),
    "429 nonsense": (refuses(429, Retry_After="Thu, 01 Jan"), ["in a moment"]),
    "500": (refuses(500, b"<html>" + b"x" * 10000), ["has failed (status 500)"]),
    "502": (refuses(502, {"message": "y" * 5000}), ["yyy …"]),
    "503": (refuses(503), ["is not ready"]),
    "302": (refuses(302, b"", Location="http://elsewhere.example/v1"), ["has moved"]),
}


@pytest.mark.parametrize("name", FAILURES)
async def test_each_failure_ends_the_run_with_a_reason_that_people_understand(
    server: FakeEndpoint, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    server.complete, words = FAILURES[name]
    limits = {"silent": {"first": 0.1}, "pings": {"first": 0.1}, "stalls": {"silence": 0.1}}.get(name, {})
    async with engine(server, **limits) as running:
        infos: list[ModelInfo] = []
        running.watch(infos.append)
        listener = await answer(running)
        finished = await listener.finished()
        assert finished.outcome == "failed"
        for word in words:
            assert word in finished.reason
        assert len(finished.reason) < 500 and "\n" not in finished.reason
        # What had come before stands.
        assert listener.text in ("", "x = 2 # and long enough\n")
        assert KEY not in repr(listener.events) + repr(running.info) + repr(running._endpoint) + caplog.text
        assert any(info.state == "failed" for info in infos) == (name in ("401", "403", "302"))
        # The next one may fare better.
        server.complete = server.two_lines
        running._endpoint = running._client._endpoint = replace(running._endpoint, first=20, silence=20)
        await becomes(running, lambda: running.info.state == "ready")
        assert (await answer(running, name="next")).text == "x = 2\ny = 2\n"


async def test_an_endpoint_that_goes_and_comes_back_needs_nobody(server: FakeEndpoint, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remote, "AGAIN_S", 0.01)
    async with engine(server) as running:
        await server.close()
        finished = await (await answer(running)).finished()
        assert finished.outcome == "failed"
        assert "cannot be reached" in finished.reason
        assert running.info.state == "failed" and running.info.detail == finished.reason
        await server.open()
        await becomes(running, lambda: running.info.state == "ready")
        assert (await answer(running)).text == "x = 2\ny = 2\n"


async def test_a_model_that_its_server_still_loads_is_waited_for(server: FakeEndpoint, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remote, "AGAIN_S", 0.01)
    server.models = refuses(503, {"error": {"message": "Loading model"}})
    async with engine(server, state="loading") as running:
        await becomes(running, lambda: "Loading model" in running.info.detail)
        assert running.info.state == "loading"
        server.models = server.one_model
        await becomes(running, lambda: running.info.state == "ready")


@pytest.mark.parametrize(
    ("models", "name", "words"),
    [
        (["a", "b"], "", ["Say with ENSEMBLE_DEEP_NAME", "it has a, b."]),
        ([f"m{n}" for n in range(20)], "", ["m7 and 12 more"]),
        ([], "", ["it has none"]),
        (["a", "b"], "c", ["no model c", "it has a, b."]),
    ],
)
async def test_a_model_that_is_not_clear_is_asked_for(server: FakeEndpoint, models: list[str], name: str, words: list[str]) -> None:
    server.models = refuses(200, {"data": [{"id": model} for model in models]})
    async with engine(server, state="failed", model=name) as running:
        for word in words:
            assert word in running.info.detail
        finished = await (await answer(running)).finished()
        assert (finished.outcome, finished.reason) == ("failed", running.info.detail)


@pytest.mark.parametrize(
    ("models", "words"),
    [
        (refuses(401), ["refuses the key", "ENSEMBLE_DEEP_KEY"]),
        (refuses(200, b"<html>"), ["no list of models", "/v1"]),
        (refuses(200, {"data": "x"}), ["no list of models"]),
        (refuses(200, []), ["no list of models"]),
        (refuses(200, {}), ["no list of models"]),
        (refuses(200, {"error": "x"}), ["no list of models"]),
        (refuses(200, {"data": [{"name": "x"}]}), ["no list of models"]),
        (refuses(200, b'{"data": ' + b"[" * 100_000), ["no list of models"]),
        (refuses(500, {"error": {"message": "\ud83d"}}), ["has failed"]),
        (refuses(500), ["has failed"]),
        (silent, ["no answer within 0.1 s"]),
    ],
)
async def test_an_endpoint_that_cannot_be_used_says_why(server: FakeEndpoint, models: Handler, words: list[str]) -> None:
    server.models = models
    async with engine(server, state="failed", connect=0.1) as running:
        for word in words:
            assert word in running.info.detail
        assert KEY not in running.info.detail
        assert running.info.detail.encode()


async def test_an_endpoint_that_lists_no_models_is_believed(server: FakeEndpoint) -> None:
    server.models = refuses(404)
    async with engine(server, model="team/coder") as running:
        assert running.info.name == "coder"
        assert (await answer(running)).text == "x = 2\ny = 2\n"
        assert server.seen[-1].body["model"] == "team/coder"


def test_events_may_be_cut_anywhere() -> None:
    stream = 'data: {"a": "ü€😀"}\r\n\r\n: comment\nevent: x\nid: 7\ndata: one\ndata: two\n\ndata:three\n\n\n\ndata: [DONE]\n\n'.encode()
    whole = sse.Events().feed(stream)
    assert whole == ['{"a": "ü€😀"}', "one\ntwo", "three", "[DONE]"]
    for size in range(1, 12):
        events = sse.Events()
        assert [data for at in range(0, len(stream), size) for data in events.feed(stream[at : at + size])] == whole
