"""What tests share: a real server in a process of its own, a chat model of random weights, and a client."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import httpx
import hypothesis
import pytest
from pycrdt import Doc, Map, Text
from websockets.asyncio.client import ClientConnection, connect

from tests.hub import Hub

# The tests' own process must not touch the data of whoever runs them.
os.environ["ENSEMBLE_DATA"] = tempfile.mkdtemp(prefix="ensemble-tests-")
os.environ.pop("DATABASE_URL", None)
# Measuring takes seconds at the first start with a model, and every test's data folder is new: tests/model/test_tuning.py does it once.
os.environ["ENSEMBLE_TUNE"] = "off"

# Machines are shared and noisy: no example is too slow, and no deadline is met or missed.
hypothesis.settings.register_profile("ensemble", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow])
hypothesis.settings.load_profile("ensemble")

ROOT = Path(__file__).resolve().parent.parent
START_S = 60


class Server:
    """``manage.py serve`` in a process of its own, on a free port."""

    command: tuple[str, ...] = (sys.executable, "manage.py", "serve")
    opened = "Ensemble is open at "

    def __init__(self, data: Path, **environment: str) -> None:
        self.data = data
        self.environment = {**self.inherited(), "ENSEMBLE_DATA": str(data), **environment}
        self.url = ""
        self.log: list[str] = []
        self.start()

    @staticmethod
    def inherited() -> dict[str, str]:
        return {**os.environ, "HOST": "127.0.0.1", "PORT": "0", "PYTHONUNBUFFERED": "1"}

    def start(self) -> None:
        """On the same port again after a stop, as a browser would find it."""
        self.process = subprocess.Popen(
            self.command,
            cwd=ROOT,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        opened = threading.Event()

        def read() -> None:
            assert self.process.stdout
            for line in self.process.stdout:
                self.log.append(line.rstrip())
                _, found, rest = line.partition(self.opened)
                if found:
                    self.url = rest.split()[0]
                    opened.set()

        threading.Thread(target=read, daemon=True).start()
        assert opened.wait(START_S), "\n".join(self.log)
        self.environment["PORT"] = self.url.rpartition(":")[2]
        wait_until(lambda: httpx.get(self.url + "/readyz").status_code == 200, "the server is ready")

    @property
    def ws(self) -> str:
        return self.url.replace("http", "ws", 1)

    def kill(self) -> None:
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()

    def stop(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout=30)

    def session(self, *files: tuple[str, str], title: str = "") -> dict[str, Any]:
        body = {"title": title, "files": [{"path": path, "content": content} for path, content in files]}
        answer = httpx.post(self.url + "/api/sessions", json=body, verify=False, timeout=60)
        assert answer.status_code == 201, answer.text
        return dict(answer.json())

    def text(self, session: dict[str, Any], path: str) -> str:
        answer = httpx.get(
            f"{self.url}/api/sessions/{session['id']}/files/{path}", headers=bearer(session["tokens"]["view"]), verify=False, timeout=60
        )
        assert answer.status_code == 200, answer.text
        return answer.text


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def wait_until(condition: Callable[[], Any], what: str, timeout: float = 30) -> None:
    end = time.monotonic() + timeout
    while time.monotonic() < end:
        if condition():
            return
        time.sleep(0.02)
    raise AssertionError(f"Not within {timeout} s: {what}")


def state_clocks(doc: Doc[Any]) -> dict[int, int]:
    """A replica's state vector as client id -> clock."""
    from editor import wire

    reader = wire.Reader(bytes(doc.get_state()))
    return {reader.integer(): reader.integer() for _ in range(reader.integer())}


class Client:
    """A small client of the public interface: a pycrdt replica, and the text messages as they come."""

    def __init__(self, socket: ClientConnection) -> None:
        self.socket = socket
        self.doc: Doc[Any] = Doc()
        self.files = self.doc.get("files", type=Map)
        self.messages: list[dict[str, Any]] = []
        self.binary = 0
        self.closed: int | None = None
        self._changed = asyncio.Condition()
        self._applying = False
        self._updates = 0
        self._subscription = self.doc.observe(self._send_update)
        self._outgoing: asyncio.Queue[bytes | str] = asyncio.Queue()

    def _send_update(self, event: Any) -> None:
        from editor import wire

        if not self._applying:
            self._updates += 1
            self._outgoing.put_nowait(wire.update(event.update))

    async def _read(self) -> None:
        try:
            await self._receive()
        finally:
            self.closed = self.socket.close_code
            async with self._changed:
                self._changed.notify_all()

    async def _receive(self) -> None:
        from editor import wire

        async for data in self.socket:
            if isinstance(data, bytes):
                self.binary += 1
                frame = wire.decode(data)
                if isinstance(frame, wire.SyncStep1):
                    self._updates += 1
                    self._outgoing.put_nowait(wire.sync_step2(self.doc.get_update(frame.state_vector)))
                elif isinstance(frame, wire.Update):
                    self._applying = True
                    self.doc.apply_update(frame.data)
                    self._applying = False
            else:
                self.messages.append(json.loads(data))
            async with self._changed:
                self._changed.notify_all()

    async def _write(self) -> None:
        while True:
            await self.socket.send(await self._outgoing.get())

    async def wait(self, condition: Callable[[], Any], timeout: float = 30) -> Any:
        async def met() -> Any:
            async with self._changed:
                while not (value := condition()):
                    await self._changed.wait()
                return value

        return await asyncio.wait_for(met(), timeout)

    def send(self, kind: str, **fields: Any) -> None:
        self._outgoing.put_nowait(json.dumps({"type": kind, **fields}))

    def send_bytes(self, data: bytes, updates: int = 0) -> None:
        """``updates``: how many of those that "saved" counts it is."""
        self._updates += updates
        self._outgoing.put_nowait(data)

    async def message(self, kind: str, after: int = 0, **fields: Any) -> dict[str, Any]:
        """The first message of a kind with these fields, from the ``after``-th message on."""
        return dict(
            await self.wait(
                lambda: next((m for m in self.messages[after:] if m["type"] == kind and all(m.get(k) == v for k, v in fields.items())), None)
            )
        )

    async def all_saved(self) -> None:
        """What this client has written so far is durable, the server says."""
        sent = self._updates

        def saved() -> bool:
            last = next((m for m in reversed(self.messages) if m["type"] == "saved"), None)
            return last is not None and last["updates"] >= sent

        await self.wait(saved)

    def file(self, path: str) -> str | None:
        return next((key for key in self.files if self.files[key]["path"] == path), None)

    def text_of(self, path: str) -> Text:
        return self.files[self.file(path)]["text"]

    async def ready(self, path: str) -> str:
        """Waits for the file and returns its id."""
        return str(await self.wait(lambda: self.file(path)))


@asynccontextmanager
async def join(server: Server, session: dict[str, Any], link: str = "edit", name: str = "Ada", hello: bool = True) -> AsyncIterator[Client]:
    """A client by Bearer token, as a command-line client would come."""
    from editor import wire

    async with connect(f"{server.ws}/ws/{session['id']}", additional_headers=bearer(session["tokens"][link]), max_size=None) as socket:
        client = Client(socket)
        tasks = [asyncio.create_task(client._read()), asyncio.create_task(client._write())]
        if hello:
            client.send("hello", version=1, name=name)
        client.send_bytes(wire.sync_step1(client.doc.get_state()))
        if hello:
            await client.message("welcome")
        try:
            yield client
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)


async def leave(server: Server, session: dict[str, Any], request: str, after_s: float) -> None:
    """Asks as the host, and goes without waiting for the answer. ``request``: its method, and its path behind the session's."""
    host, port = server.url.removeprefix("http://").split(":")
    method, _, path = request.partition(" ")
    body = '{"drafts":true}' if method == "PATCH" else ""
    head = f"{method} /api/sessions/{session['id']}{path} HTTP/1.1\r\nHost: {host}:{port}\r\nContent-Length: {len(body)}\r\n"
    _, writer = await asyncio.open_connection(host, int(port))
    writer.write(f"{head}Authorization: Bearer {session['tokens']['host']}\r\n\r\n{body}".encode())
    await writer.drain()
    await asyncio.sleep(after_s)
    writer.transport.abort()


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """With the embedded model."""
    running = Server(tmp_path_factory.mktemp("data"))
    yield running
    running.kill()


@pytest.fixture(scope="session")
def chat_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A chat model of random weights on Qwen2's vocabulary: everything it has seen decides what it writes."""
    return small_chat_model(tmp_path_factory.mktemp("model") / "random-chat.gguf", short_lines=True)


@pytest.fixture(scope="session")
def endless_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One that writes line after line for as long as it may, on every machine the same: what is watched, stopped and steered."""
    return small_chat_model(tmp_path_factory.mktemp("model") / "endless-chat.gguf", endless=True)


def small_chat_model(path: Path, **character: bool) -> Path:
    from benchmarks.random_gguf import make
    from project.bootstrap import llama

    vocabulary = llama.source() / "models" / "ggml-vocab-qwen2.gguf"
    make(path, vocabulary, layers=4, width=256, inner=512, heads=4, kv_heads=2, context=32768, quantization="Q8_0", **character)
    return path


def writes_on(model: Path) -> dict[str, str]:
    """Enough to write for longer than any test looks on, on a fast machine too."""
    return {
        "ENSEMBLE_MODEL": str(model),
        "ENSEMBLE_THREADS": "1",
        "ENSEMBLE_MAX_CONTEXT_TOKENS": "32768",
        "ENSEMBLE_MAX_RUN_TOKENS": "30000",
    }


@pytest.fixture(scope="session")
def small_model(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """A chat model's file, as small as its vocabulary lets it be."""
    from benchmarks.random_gguf import make
    from project.bootstrap import llama

    path = tmp_path_factory.mktemp("hub") / "small.gguf"
    make(path, llama.source() / "models" / "ggml-vocab-qwen2.gguf", layers=1, width=32, inner=64, heads=2, kv_heads=1, quantization="Q8_0")
    return path.read_bytes()


@pytest.fixture
def hub(small_model: bytes) -> Iterator[Hub]:
    running = Hub(small_model)
    yield running
    running.close()


@pytest.fixture(scope="session")
def chatting_server(tmp_path_factory: pytest.TempPathFactory, endless_model: Path) -> Iterator[Server]:
    """With a model that never ends by itself: something to stop and to steer."""
    running = Server(tmp_path_factory.mktemp("data"), **writes_on(endless_model))
    yield running
    running.kill()


@pytest.fixture
def endless(tmp_path: Path, endless_model: Path) -> Iterator[Server]:
    """With a model that writes until it is stopped, and whose process may crash once."""
    running = Server(tmp_path, **writes_on(endless_model), ENSEMBLE_MAX_RESTARTS="1")
    yield running
    running.kill()


def process_of(server: Server) -> int:
    """The model's, the newest one."""
    return int([line for line in server.log if "is loaded in process" in line][-1].split()[-1])
