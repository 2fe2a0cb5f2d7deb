"""The WebSocket: decode, authorise, call the room. No logic."""

from __future__ import annotations

import asyncio
import json
import logging
from typing import Any

from editor import access, messages, presence, protocol, rooms, storage
from editor.engines import DEEP, FAST
from editor.members import Member, Person
from editor.models import Participant
from editor.permissions import Action, may
from editor.protocol import Close, ProtocolError
from editor.rooms import LiveRoom
from editor.transport import EXTENSION, AsgiTransport, DirectTransport, Receive, Send, Transport

log = logging.getLogger(__name__)

BAD_FRAMES = 20

NEEDS: dict[str, Action] = {
    "instruction.typed": "instruct",
    "run.start": "instruct",
    "run.steer": "instruct",
    "run.stop": "stop",
    "run.undo": "instruct",
    "run.retry": "instruct",
    "run.continue": "instruct",
    "run.keep": "instruct",
}


async def refuse(scope: dict[str, Any], receive: Receive, send: Send) -> None:
    await _close(scope, receive, send, protocol.NOT_FOUND)


async def consumer(scope: dict[str, Any], receive: Receive, send: Send) -> None:
    session = scope["url_route"]["kwargs"]["session"]
    headers = {name.decode("latin1").lower(): value.decode("latin1") for name, value in scope["headers"]}
    # A cookie comes along with whatever page asks: only our own may. A Bearer token is sent on purpose.
    if access.bearer(headers) is None and not access.same_origin(headers.get("origin"), headers.get("host")):
        return await _close(scope, receive, send, protocol.FORBIDDEN if "origin" in headers or "cookie" in headers else protocol.UNAUTHORISED)
    registry = rooms.current()
    epoch = registry.epoch(session)
    try:
        found, participant = await storage.read(lambda: access.identify(session, headers))
    except Exception:
        log.exception("The database did not say who this is")
        return await _close(scope, receive, send, protocol.UNAVAILABLE)
    if found is None:
        return await _close(scope, receive, send, protocol.NOT_FOUND)
    if participant is None:
        return await _close(scope, receive, send, protocol.UNAUTHORISED)
    try:
        live = await registry.get(session)
    except rooms.NoSession:
        return await _close(scope, receive, send, protocol.NOT_FOUND)
    except Exception:
        log.exception("A session could not be loaded")
        return await _close(scope, receive, send, protocol.UNAVAILABLE)
    transport = await _accept(scope, receive, send)
    connection = Connection(live, _person(live, participant), transport)
    if registry.epoch(session) == epoch:
        connection.open()
    else:
        transport.close(protocol.CHANGED.code, protocol.CHANGED.doc)
    try:
        await transport.closed()
    finally:
        connection.lost()


async def _accept(scope: dict[str, Any], receive: Receive, send: Send) -> Transport:
    await receive()  # websocket.connect
    await send({"type": "websocket.accept"})
    direct = scope.get("extensions", {}).get(EXTENSION)
    return DirectTransport(direct, receive) if direct else AsgiTransport(receive, send)


async def _close(scope: dict[str, Any], receive: Receive, send: Send, close: Close) -> None:
    """Accepts first: a refused handshake has no code that a browser could read."""
    transport = await _accept(scope, receive, send)
    transport.close(close.code, close.doc)
    await transport.closed()


def _person(live: LiveRoom, participant: Participant) -> Person:
    """All connections of a participant share one Person."""
    for member in live.room.members:
        if member.person.id == participant.pk:
            return member.person
    return Person(participant.pk, participant.name, participant.color, participant.role, participant.link)


class Connection:
    """One accepted WebSocket, between its transport and the room."""

    def __init__(self, live: LiveRoom, person: Person, transport: Transport) -> None:
        self._live = live
        self._member = Member(person, transport)
        self._transport = transport
        self._bad = 0
        limits = live.room.limits
        self._rate = limits.frames_per_second
        self._credit = float(2 * limits.frames_per_second)
        self._loop = asyncio.get_running_loop()
        self._counted = self._loop.time()
        self._warned = False

    def open(self) -> None:
        self._transport.attach(self)
        self._live.room.join(self._member)

    def lost(self) -> None:
        self._live.room.leave(self._member)
        self._live.runs.drafts.left(self._member.person)
        self._live.runs.variants.left(self._member.person.id)
        self._live.runs.lines.left(self._member)

    def paused(self) -> None:
        self._live.room.fall_behind(self._member)

    def resumed(self) -> None:
        self._live.room.catch_up(self._member)

    def received(self, frame: bytes | str) -> None:
        if self._member.closing:
            return
        now = self._loop.time()
        self._credit = min(2.0 * self._rate, self._credit + (now - self._counted) * self._rate) - 1
        self._counted = now
        if self._credit < 0:
            self._slow_down()
        self._handle(frame)

    def _slow_down(self) -> None:
        """Reads no faster than the limit; nothing is lost."""
        if not self._warned:
            self._warned = True
            message = f"More than {self._rate} frames a second (ENSEMBLE_MAX_FRAMES_PER_SECOND): they are read more slowly."
            self._error(ProtocolError("too_fast", message))
        self._transport.pause_reading()
        self._loop.call_later(-self._credit / self._rate, self._transport.resume_reading)

    def _handle(self, frame: bytes | str) -> None:
        limit = self._live.room.limits.frame_bytes
        try:
            if len(frame) > limit:
                self._error(ProtocolError("too_large", f"A frame may have {limit} bytes (ENSEMBLE_MAX_FRAME_BYTES)."))
                return self._member.close(protocol.TOO_LARGE)
            if isinstance(frame, bytes):
                self._live.room.receive(self._member, frame)
            else:
                self._text(frame)
        except ProtocolError as fault:
            self._error(fault)
            if fault.code == "bad_frame":
                self._bad += 1
                if self._bad >= BAD_FRAMES:
                    self._member.close(protocol.BAD_FRAME)
            elif fault.code == "too_large" and isinstance(frame, bytes):
                # An update that is left out leaves a hole that nothing after it can cross.
                self._member.close(protocol.TOO_LARGE)
        except Exception:
            log.exception("A message could not be handled")
            self._error(ProtocolError("internal", "The server failed at this message; its log says more."))

    def _error(self, fault: ProtocolError) -> None:
        concerned = {"run": fault.run} if fault.run else {}
        self._live.room.tell(self._member, "error", code=fault.code, message=fault.message, **concerned)

    def _text(self, text: str) -> None:
        self._member.spoke = True
        if len(text) > messages.MESSAGE_LIMIT:
            raise ProtocolError("too_large", f"A text frame may have {messages.MESSAGE_LIMIT} characters.")
        try:
            decoded = json.loads(text)
        except (ValueError, RecursionError):
            raise ProtocolError("bad_message", "A text frame must be a JSON object with a string `type`.") from None
        message = protocol.check(decoded)
        kind = message["type"]
        if kind == "hello":
            return self._hello(message)
        if not self._member.hello:
            raise ProtocolError("bad_message", "The first text frame is `hello`.")
        try:
            self._act(kind, message)
        except ProtocolError as fault:
            fault.run = message.get("run")
            raise

    def _act(self, kind: str, message: dict[str, Any]) -> None:
        if not may(self._member.person.role, NEEDS[kind], viewers_may_stop=self._live.room.viewers_may_stop):
            raise ProtocolError("forbidden", "Viewers can watch only. Ask for the edit link.")
        runs, member = self._live.runs, self._member
        if kind == "instruction.typed":
            runs.typed(member, message["text"], message["file"], message.get("selection"), message.get("mode", "edit"))
        elif kind == "run.start" and message.get("mode") == "ask":
            runs.ask(member, message["instruction"], message["file"], message.get("selection"), message.get("engine", FAST))
        elif kind == "run.start":
            runs.start(
                member, message["instruction"], message["file"], message.get("selection"), message.get("variants", 1), message.get("engine", FAST)
            )
        elif kind == "run.steer":
            runs.steer(member, message["run"], message["instruction"])
        elif kind == "run.stop":
            runs.stop(message.get("run"), member)
        elif kind == "run.undo":
            runs.again.undo(member, message["run"])
        elif kind == "run.retry" and message.get("engine") == DEEP:
            runs.again.deeper(member, message["run"])
        elif kind == "run.retry":
            runs.again.retry(member, message["run"])
        elif kind == "run.continue":
            runs.again.go_on(member, message["run"])
        elif kind == "run.keep":
            runs.keep(member, message["run"], message.get("variant"))

    def _hello(self, message: dict[str, Any]) -> None:
        room, member = self._live.room, self._member
        if message["version"] != messages.VERSION:
            raise ProtocolError("unsupported_version", f"This server speaks version {messages.VERSION} of the protocol.")
        if message.get("name"):
            self._rename(message["name"])
        person = member.person
        room.hello(
            member,
            {
                "version": messages.VERSION,
                "role": person.role,
                **person.public(),
                "session": room.public_session(),
                "model": rooms.current().engines.public()[FAST],
                "engines": rooms.current().engines.public(),
                "limits": public_limits(room.limits),
                "participants": room.participants(),
                "runs": self._live.runs.cards.all(),
            },
        )
        if message.get("lineage") not in (None, room.lineage):
            # What it goes on to send is not read any more: nothing of the other lineage gets in.
            return member.close(protocol.OTHER_LINEAGE)
        self._live.runs.tell_live(member)
        self._live.runs.drafts.tell(member)
        self._live.runs.variants.tell(member)

    def _rename(self, name: str) -> None:
        room, person = self._live.room, self._member.person
        cleaned = presence.clean_name(name, room.limits.name_length)
        if cleaned == person.name:
            return
        room.rename(person, cleaned)
        room.announce_participants()
        storage.writer.call(lambda: Participant.objects.filter(pk=person.id).update(name=cleaned), kept=True)


def public_limits(limits: Any) -> dict[str, int]:
    """As ``welcome`` tells them: the names of the settings table without their common beginning."""
    return {f"max_{name}": getattr(limits, name) for name in limits.__dataclass_fields__} | {
        "max_instruction_length": messages.INSTRUCTION_LIMIT,
        "max_message_length": messages.MESSAGE_LIMIT,
    }
