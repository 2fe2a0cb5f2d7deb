"""How a connection's frames travel: what the room's members need of a socket, over any ASGI server.

A server that offers ``ensemble.socket`` in the scope's extensions (``project/server.py``: Daphne) hands over
frames and their back-pressure directly; for others, ``AsgiTransport`` does the same with ``receive`` and ``send``.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Any, Protocol

EXTENSION = "ensemble.socket"
# More unsent than this, beyond what the system's own buffers take, and the receiver is told to pause.
UNSENT_BYTES = 64 * 1024

Send = Callable[[dict[str, Any]], Awaitable[None]]
Receive = Callable[[], Awaitable[dict[str, Any]]]


class Receiver(Protocol):
    """What a transport calls, on the event loop."""

    def received(self, frame: bytes | str) -> None: ...

    def paused(self) -> None:
        """The other side reads too slowly: send nothing more that can wait."""

    def resumed(self) -> None:
        """All that was sent is on its way."""


class Transport(Protocol):
    """One accepted WebSocket. ``send`` and ``close`` never wait; what follows ``close`` is not sent."""

    def attach(self, receiver: Receiver) -> None: ...

    def send(self, frame: bytes | str) -> None: ...

    def close(self, code: int, reason: str) -> None: ...

    def pause_reading(self) -> None:
        """No frame is received until ``resume_reading``; the network's own buffers hold the sender back."""

    def resume_reading(self) -> None: ...

    async def closed(self) -> None:
        """Returns when the socket has closed."""


class DirectTransport:
    """A server's own socket; the ASGI queue tells only when it has closed."""

    def __init__(self, socket: Any, receive: Receive) -> None:
        self._receive = receive
        self.attach = socket.attach
        self.send = socket.send
        self.close = socket.close
        self.pause_reading = socket.pause_reading
        self.resume_reading = socket.resume_reading

    async def closed(self) -> None:
        while (await self._receive())["type"] != "websocket.disconnect":
            pass


class AsgiTransport:
    """Any ASGI server: one task reads, one writes, so that a slow reader never holds up what it sends (a Stop)."""

    def __init__(self, receive: Receive, send: Send) -> None:
        self._receive, self._send = receive, send
        self._receiver: Receiver | None = None
        self._outgoing: deque[dict[str, Any]] = deque()
        self._unsent = 0
        self._paused = False
        self._ready = asyncio.Event()
        self._reading = asyncio.Event()
        self._reading.set()

    def attach(self, receiver: Receiver) -> None:
        self._receiver = receiver

    def send(self, frame: bytes | str) -> None:
        self._outgoing.append({"type": "websocket.send", "bytes" if isinstance(frame, bytes) else "text": frame})
        self._unsent += len(frame)
        self._ready.set()
        if self._unsent > UNSENT_BYTES and not self._paused and self._receiver:
            self._paused = True
            self._receiver.paused()

    def close(self, code: int, reason: str) -> None:
        self._outgoing.append({"type": "websocket.close", "code": code, "reason": reason})
        self._ready.set()

    def pause_reading(self) -> None:
        self._reading.clear()

    def resume_reading(self) -> None:
        self._reading.set()

    async def closed(self) -> None:
        writer = asyncio.get_running_loop().create_task(self._write())
        try:
            while True:
                await self._reading.wait()
                message = await self._receive()
                if message["type"] != "websocket.receive":
                    return
                if self._receiver:
                    data = message.get("bytes")
                    self._receiver.received(message.get("text") or "" if data is None else data)
        finally:
            writer.cancel()

    async def _write(self) -> None:
        while True:
            await self._ready.wait()
            self._ready.clear()
            while self._outgoing:
                message = self._outgoing.popleft()
                await self._send(message)
                if message["type"] == "websocket.close":
                    return
            self._unsent = 0
            if self._paused and self._receiver:
                self._paused = False
                self._receiver.resumed()
