"""Daphne, with a shorter way for WebSocket frames and with back-pressure: see ``docs/decisions/009``.

Whole, unfragmented data frames are taken from and put on the wire here; everything else (the handshake, pings,
fragments, closing, malformed frames) stays with Daphne and Autobahn, through the same transport and in order.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from typing import Any

# Importing Daphne's server installs Twisted's reactor on an asyncio loop; it must come before anything else of Twisted.
from daphne.server import Server as DaphneServer  # isort: skip
from daphne.ws_protocol import WebSocketFactory, WebSocketProtocol
from twisted.internet.tcp import Connection as TcpConnection
from twisted.python.failure import Failure

from editor.transport import EXTENSION, Receiver
from project import bodies

log = logging.getLogger(__name__)

FIN_TEXT, FIN_BINARY, MASKED = 0x81, 0x82, 0x80
READ_BYTES = 65536
# Codes 1000 to 4999 may be sent; a reason has at most 123 bytes.
REASON_BYTES = 123
# A reader that takes nothing for this long while something waits for it is gone.
STALLED_S = 60
CLOSING_S = 20


class Socket(WebSocketProtocol):
    """Daphne's WebSocket as ``editor.transport.Transport`` wants it."""

    _receiver: Receiver | None = None
    _frame_limit = 2**63
    _reading = True
    _held = b""
    _stalled: asyncio.TimerHandle | None = None

    # The transport's side.

    def attach(self, receiver: Receiver) -> None:
        """From now on frames go to the receiver; called before the first one can have come."""
        self._receiver = receiver
        self._frame_limit = self.maxMessagePayloadSize
        # Until now the HTTP channel was told of a full buffer.
        self.transport.unregisterProducer()
        self.transport.registerProducer(self, True)
        self._read_directly()

    def send(self, frame: bytes | str) -> None:
        if self.state != self.STATE_OPEN:
            return
        if isinstance(frame, str):
            payload, first = frame.encode(), FIN_TEXT
        else:
            payload, first = frame, FIN_BINARY
        length = len(payload)
        if length < 126:
            self._put(bytes((first, length)) + payload)
        elif length < 65536:
            self._put(bytes((first, 126)) + length.to_bytes(2, "big") + payload)
        else:
            self._put(bytes((first, 127)) + length.to_bytes(8, "big") + payload)

    def _put(self, data: bytes) -> None:
        """At once where nothing waits; the way by the reactor's next turn costs several times as much."""
        transport = self.transport
        if isinstance(transport, TcpConnection) and not transport.dataBuffer and not transport._tempDataBuffer and not transport.disconnecting:
            try:
                sent = transport.socket.send(data)
            except OSError:
                sent = 0  # full, or broken: the transport will find out which
            if sent == len(data):
                return
            data = data[sent:]
        transport.write(data)

    def close(self, code: int, reason: str) -> None:
        self.resume_reading()
        self.sendClose(code, reason.encode()[:REASON_BYTES].decode("utf-8", "ignore"))

    def pause_reading(self) -> None:
        if self._reading:
            self._reading = False
            self.transport.pauseProducing()

    def resume_reading(self) -> None:
        if self._reading:
            return
        self._reading = True
        held, self._held = self._held, b""
        if held:
            self.dataReceived(held)
        if self._reading and not self.transport.disconnecting:
            self.transport.resumeProducing()
            self._read_directly()

    def _read_directly(self) -> None:
        """The loop calls us, without the reactor's four layers in between; they cost as much as reading does.

        The reactor goes on believing that it reads, and takes the descriptor from the loop when that is to end.
        """
        if isinstance(self.transport, TcpConnection) and self.transport in self.transport.reactor._readers:
            asyncio.get_running_loop().add_reader(self.transport.fileno(), self._readable)

    def _readable(self) -> None:
        try:
            data = self.transport.socket.recv(READ_BYTES)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            # The end, or a fault: the reactor finds it too, and knows what is to be done.
            self.transport.reactor._readOrWrite(self.transport, True)
            return
        try:
            self.dataReceived(data)
        except Exception:
            log.exception("What a socket received could not be handled")
            self.transport.abortConnection()

    # Twisted's side.

    def pauseProducing(self) -> None:
        """More waits to be sent than the transport's buffer is meant for."""
        # The transport says so again at every write while it is full.
        if self._stalled is None:
            self._watch_stall()
        if self._receiver:
            self._receiver.paused()

    def resumeProducing(self) -> None:
        self._moving()
        if self._receiver and self.state == self.STATE_OPEN:
            self._receiver.resumed()

    def stopProducing(self) -> None:
        self._moving()

    def _moving(self) -> None:
        if self._stalled:
            self._stalled.cancel()
            self._stalled = None

    def _watch_stall(self) -> None:
        self._stalled = asyncio.get_event_loop().call_later(STALLED_S, self._look_again, self._unsent)

    def _look_again(self, before: int) -> None:
        """Who reads slowly reads; who has read nothing for so long is not there any more."""
        self._stalled = None
        if self._unsent < before:
            self._watch_stall()
        else:
            self.transport.abortConnection()

    @property
    def _unsent(self) -> int:
        """Bytes that wait in the transport, where it tells."""
        transport = self.transport
        return len(transport.dataBuffer) - transport.offset + transport._tempDataLen if isinstance(transport, TcpConnection) else 0

    def connectionLost(self, reason: Failure) -> None:
        self._moving()
        super().connectionLost(reason)

    def dataReceived(self, data: bytes) -> None:
        if self._receiver and self.state == self.STATE_OPEN and self.current_frame is None and not self.inside_message and not self.data:
            taken = self._take_frames(data)
            if not self._reading:
                self._held += data[taken:]
                return
            if taken:
                data = data[taken:]
            if not data:
                return
        elif not self._reading:
            self._held += data
            return
        super().dataReceived(data)

    def _take_frames(self, data: bytes) -> int:
        """Receives the whole data frames at the beginning; returns how many bytes they were."""
        assert self._receiver
        position, end = 0, len(data)
        while end - position >= 6 and self._reading and self.state == self.STATE_OPEN:
            first, second = data[position], data[position + 1]
            if (first != FIN_BINARY and first != FIN_TEXT) or second < MASKED:
                break
            length, start = second & 0x7F, position + 2
            if length == 126:
                length = int.from_bytes(data[start : start + 2], "big")
                start += 2
                if length < 126:
                    break
            elif length == 127:
                length = int.from_bytes(data[start : start + 8], "big")
                start += 8
                if length < 65536:
                    break
            after = start + 4 + length
            if after > end or length > self._frame_limit:
                break
            mask = data[start : start + 4]
            masked = int.from_bytes(data[start + 4 : after], "little")
            payload = (masked ^ int.from_bytes((mask * (length // 4 + 1))[:length], "little")).to_bytes(length, "little")
            if first == FIN_BINARY:
                self._receiver.received(payload)
            else:
                try:
                    text = payload.decode()
                except UnicodeDecodeError:
                    break
                self._receiver.received(text)
            position = after
        if position:
            self.last_ping = time.time()
        return position

    def onMessage(self, payload: bytes, isBinary: bool) -> None:
        """A message that came in pieces, or one that Autobahn had to look at."""
        if self._receiver is None:
            super().onMessage(payload, isBinary)
        else:
            self._receiver.received(payload if isBinary else payload.decode())


class _Factory(WebSocketFactory):
    protocol = Socket


class Server(DaphneServer):
    """``frame_limit``: bytes of a message that are read at all; what lies above our own limit closes with 1009. ``body_limit``: of a request."""

    def __init__(self, *arguments: Any, frame_limit: int, body_limit: int, ready_callable: Callable[[], None], **named: Any) -> None:
        def ready() -> None:
            # Daphne makes its factory in run(), and the HTTP side looks for it at each upgrade.
            self.ws_factory = _Factory(self, server=self.server_name)
            self.ws_factory.setProtocolOptions(
                autoPingTimeout=self.ping_timeout,
                # What is too large is told with a code, not by a connection that breaks.
                failByDrop=False,
                allowNullOrigin=True,  # the consumer decides about origins, with a documented code
                openHandshakeTimeout=self.websocket_handshake_timeout,
                # Who is closed for reading slowly gets to the code slowly as well.
                closeHandshakeTimeout=CLOSING_S,
                maxMessagePayloadSize=frame_limit,
                maxFramePayloadSize=frame_limit,
            )
            bodies.limit(self.http_factory, body_limit)
            ready_callable()

        super().__init__(*arguments, ready_callable=ready, **named)

    def create_application(self, protocol: Any, scope: dict[str, Any]) -> Any:
        if isinstance(protocol, Socket):
            scope["extensions"] = {EXTENSION: protocol}
        return super().create_application(protocol, scope)
