"""Daphne's HTTP requests, with a limit to their bodies: one that is too long is refused while it comes, and kept nowhere."""

from __future__ import annotations

import asyncio
from typing import Any

from daphne.http_protocol import WebRequest

from editor.http import refusal, too_long

# So long may somebody go on sending what nobody reads, so that the answer is not lost with the connection.
DRAINED_S = 5.0


class Request(WebRequest):
    """``limit``: bytes of a body."""

    limit = 2**63
    _refused = False
    _received = 0

    def gotLength(self, length: int | None) -> None:
        if (length or 0) > self.limit:
            self._refuse()
        super().gotLength(0 if self._refused else length)

    def handleContentChunk(self, data: bytes) -> None:
        self._received += len(data)
        if self._received > self.limit and not self._refused:
            self._refuse()
        if not self._refused:
            super().handleContentChunk(data)

    def requestReceived(self, command: bytes, path: bytes, version: bytes) -> None:
        if self._refused:
            self.channel.loseConnection()
        else:
            super().requestReceived(command, path, version)

    def _refuse(self) -> None:
        self._refused = True
        answer = refusal(too_long(self.limit)).content
        head = f"HTTP/1.1 413 Content Too Large\r\nContent-Type: application/json\r\nContent-Length: {len(answer)}\r\nConnection: close\r\n\r\n"
        self.channel.transport.write(head.encode() + answer)
        asyncio.get_event_loop().call_later(DRAINED_S, self.channel.loseConnection)


def limit(factory: Any, most: int) -> None:
    """Daphne's factory makes such requests from now on."""
    build = factory.buildProtocol
    made = type("Request", (Request,), {"limit": most})

    def limited(address: Any) -> Any:
        protocol = build(address)
        if protocol is not None:
            protocol.requestFactory = made
        return protocol

    factory.buildProtocol = limited
