"""An OpenAI-compatible endpoint of the tests' own, which does what a test says."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

Handler = Callable[["Asked"], Awaitable[None]]


class Asked:
    def __init__(self, path: str, headers: dict[str, str], body: Any, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.path, self.headers, self.body = path, headers, body
        self._reader, self._writer = reader, writer

    async def send(self, data: bytes) -> None:
        self._writer.write(data)
        await self._writer.drain()

    async def answer(self, status: int, body: Any, **headers: str) -> None:
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        lines = [f"HTTP/1.1 {status} Because", f"Content-Length: {len(content)}", *(f"{k.replace('_', '-')}: {v}" for k, v in headers.items())]
        await self.send("\r\n".join([*lines, "", ""]).encode() + content)

    async def begin(self) -> None:
        await self.send(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n")

    async def chunk(self, data: bytes) -> None:
        await self.send(b"%x\r\n%s\r\n" % (len(data), data))

    async def text(self, *pieces: str) -> None:
        for piece in pieces:
            await self.chunk(event({"content": piece}))

    async def end(self, reason: str = "stop", usage: dict[str, Any] | None = None) -> None:
        await self.chunk(event({}, finish_reason=reason))
        if usage:
            await self.chunk(b"data: " + json.dumps({"choices": [], "usage": usage}).encode() + b"\n\n")
        await self.chunk(b"data: [DONE]\n\n")
        await self.send(b"0\r\n\r\n")

    async def gone(self) -> None:
        """Until the other side has closed the connection."""
        while await self._reader.read(1000):
            pass


def event(delta: dict[str, Any], **more: Any) -> bytes:
    return b"data: " + json.dumps({"choices": [{"index": 0, "delta": delta, **more}]}).encode() + b"\n\n"


class FakeEndpoint:
    """Speaks HTTP as far as the tests need it. ``models`` and ``complete`` say what it does."""

    def __init__(self) -> None:
        self.models: Handler = self.one_model
        self.complete: Handler = self.two_lines
        self.seen: list[Asked] = []
        self.connections = 0
        self.url = ""
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self.port = 0

    @staticmethod
    async def one_model(request: Asked) -> None:
        await request.answer(200, {"data": [{"id": "models/some-coder.gguf", "meta": {"n_ctx": 4096, "n_params": 7}}]})

    @staticmethod
    async def two_lines(request: Asked) -> None:
        await request.begin()
        await request.text("x = ", "2\n", "y = 2")
        await request.end(usage={"prompt_tokens": 50, "completion_tokens": 9})

    async def open(self) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}/v1"

    async def close(self) -> None:
        assert self._server
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        task = asyncio.current_task()
        assert task
        self._tasks.add(task)
        with suppress(ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode()
                first, *lines = head.split("\r\n")
                headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
                length = int(headers.get("content-length", 0))
                body = json.loads(await reader.readexactly(length)) if length else None
                request = Asked(first.split()[1], headers, body, reader, writer)
                self.seen.append(request)
                await (self.complete if body else self.models)(request)
                if writer.is_closing():
                    break
        writer.close()
        self._tasks.discard(task)
