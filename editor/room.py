"""A session that is live in memory, and the only thing that changes its document.

What members send is decoded, checked and applied; what they receive is encoded anew from the document's
own observer, all of one tick in one frame. Everything here runs on the event loop.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Callable
from typing import Any

from editor import outgoing, protocol, updates, wire
from editor.answers import Answers
from editor.authors import Authors, Entry
from editor.context import Context
from editor.document import BadUpdate, Broken, Document, merged
from editor.index import Index, Missing
from editor.members import Limits, Member, Person
from editor.models import Session
from editor.peers import Peers
from editor.permissions import may
from editor.protocol import ProtocolError
from editor.saved import Saved

log = logging.getLogger(__name__)

# The first change of a quiet room goes out at once; after it, what a tick brings goes out together. A tick is as long
# as sending to everybody took, within these bounds: no room takes more than half of the loop.
TICK_S = (0.0005, 0.003)
# A run's tokens come a few at a time, every 2 ms or so: each such batch is with everybody within 3 ms.
RUN_TICK_S = 0.001
# Who is here is told once for all who come and go in this time.
PEOPLE_S = 0.1
FEW = 8
# With more authors than this in one tick, each gets their own changes back too: cheaper than a merge for each.
OWN_FRAMES = 8
HELLO_S = 1.0


class Room:
    """Owner of the document, its members and their awareness."""

    def __init__(self, row: Session, document: bytes, index: Index, authors: dict[int, list[Entry]], limits: Limits) -> None:
        self.session: str = row.pk
        self.title: str = row.title
        self.lineage: str = row.lineage
        self.viewers_may_stop: bool = row.viewers_may_stop
        self.drafts: bool | None = row.drafts
        self.expires_at = row.expires_at.isoformat()
        self.limits = limits
        self.document = Document((document,), self._changed, index)
        self.authors = Authors(row.pk, authors)
        self.members: set[Member] = set()
        self.on_broken: Callable[[], None] = lambda: None
        self.failing = ""
        self._loop = asyncio.get_running_loop()
        self.changed_at = 0.0  # by the loop's time
        self.peers = Peers(self._flush_soon)
        self._answers = Answers(self.document, self.send)
        self.context = Context(self.document, self.peers.states, self._loop.time)
        # Bytes, at most: the document's, when it was last looked at, and of all that has come since.
        self._size = len(document)
        self._changes: list[tuple[Any, bytes]] = []
        self._flushing = False
        self._flushed = 0.0
        self._tick = 0.0
        self._people_timer: asyncio.TimerHandle | None = None
        # The clocks of what has been sent to everybody.
        self._sent = dict(index.clocks)
        self.saved = Saved(row.pk, index.clocks, limits.log_updates, lambda: bool(self._changes), self._send_text, self._deleted)

    # Members.

    def join(self, member: Member) -> None:
        """Raises nothing: a room that is full closes the member with the documented code."""
        if len({m.person.id for m in self.members} | {member.person.id}) > self.limits.participants:
            return member.close(protocol.ROOM_FULL)
        if sum(m.person.id == member.person.id for m in self.members) >= self.limits.connections:
            return member.close(protocol.TOO_MANY_TABS)
        self.members.add(member)
        self.send(member, wire.sync_step1(self.document.state_vector()))
        if self.peers:
            self.send(member, self.peers.frame(member))
        # One who will say hello is announced then, with the right name.
        self._loop.call_later(HELLO_S, self._announce_quiet, member)

    def _announce_quiet(self, member: Member) -> None:
        if member in self.members and not member.hello:
            self.announce_participants()

    def leave(self, member: Member) -> None:
        """The member's carets go at once."""
        if member not in self.members:
            return
        self.members.discard(member)
        self.saved.leave(member)
        self.peers.left(member)
        self.announce_participants()

    def hello(self, member: Member, welcome: dict[str, Any]) -> None:
        member.hello = True
        self._send_text(member, _text("welcome", welcome), counted=False)
        if self.failing:
            self.tell(member, "storage", state="failing", message=self.failing)
        self.announce_participants()
        self.saved.tell(member)

    def send(self, member: Member, frame: bytes) -> None:
        """A frame of the document or of awareness: one who is behind gets what it amounts to when they have caught up."""
        if member.closing or member not in self.members:
            return
        if member.behind is None:
            member.transport.send(frame)
        else:
            member.missed = True

    def _send_text(self, member: Member, text: str, counted: bool = True) -> None:
        """``counted``: towards what may wait for somebody who reads slowly. What they get at their coming does not depend on them."""
        if member.closing or member not in self.members:
            return
        if member.behind is None:
            return member.transport.send(text)
        member.waiting.append(text)
        member.waiting_bytes += len(text) if counted else 0
        if member.waiting_bytes > self.limits.outbox_bytes:
            member.close(protocol.BEHIND)

    def fall_behind(self, member: Member) -> None:
        """More is on its way to the member than they read."""
        if member.behind is None:
            member.behind = wire.state_vector(self._sent)

    def catch_up(self, member: Member) -> None:
        """All that was sent is through: one update brings the member from there to now."""
        if member.behind is None or member not in self.members:
            return
        self.flush()
        known, asked, missed, texts = member.behind, member.asked, member.missed, member.waiting
        member.behind, member.asked, member.missed, member.waiting, member.waiting_bytes = None, False, False, [], 0
        if asked:
            self.send(member, wire.sync_step2(self.document.diff(known)))
        elif missed:
            self.send(member, wire.update(self.document.diff(known)))
        if missed and self.peers:
            self.send(member, self.peers.frame(member))
        for text in texts:
            self._send_text(member, text)

    def tell(self, member: Member, kind: str, **fields: Any) -> None:
        if member.hello or (kind == "error" and member.spoke):
            self._send_text(member, _text(kind, fields))

    def announce(self, kind: str, but: Member | None = None, passing: bool = False, **fields: Any) -> None:
        """To everybody who has said hello. ``passing``: not worth waiting for one who reads too slowly."""
        text = _text(kind, fields)
        for member in self.members:
            if member.hello and member is not but and not (passing and member.behind is not None):
                self._send_text(member, text)

    def participants(self) -> list[dict[str, Any]]:
        people: dict[str, dict[str, Any]] = {}
        for member in sorted(self.members, key=lambda m: m.person.id):
            person = member.person
            entry = people.setdefault(person.id, {**person.public(), "role": person.role, "clients": []})
            if member.client is not None:
                entry["clients"].append(member.client)
        return list(people.values())

    def announce_participants(self) -> None:
        """Soon: a class of forty that comes in at once is told of itself a few times, not forty times forty."""
        if self._people_timer is None:
            self._people_timer = self._loop.call_later(PEOPLE_S, self._announce_participants)

    def _announce_participants(self) -> None:
        self._people_timer = None
        self.announce("participants", participants=self.participants())

    def rename(self, person: Person, name: str) -> None:
        person.name = name
        self.peers.renamed(person)

    def set_role(self, participant: str, role: str) -> None:
        """All connections of a participant share one Person: the next frame of each is judged by the new role."""
        for member in self.members:
            if member.person.id == participant:
                member.person.role = role
                self.tell(member, "role", role=role)
                if may(role, "write"):
                    # What they wrote while they might not was refused, and what they write next builds on it.
                    self.send(member, wire.sync_step1(self.document.state_vector()))
        self.announce_participants()

    def public_session(self) -> dict[str, Any]:
        return {
            "id": self.session,
            "title": self.title,
            "expires_at": self.expires_at,
            "lineage": self.lineage,
            "viewers_may_stop": self.viewers_may_stop,
            "drafts": self.drafts,
        }

    # Binary frames.

    def receive(self, member: Member, data: bytes) -> None:
        """A binary frame. Raises ProtocolError; the document is then as it was."""
        try:
            frame = wire.decode(data)
        except wire.WireError as fault:
            raise ProtocolError("bad_frame", f"This is not a y-protocols frame: {fault}.") from None
        if isinstance(frame, wire.Update):
            self._update(member, frame)
        elif isinstance(frame, wire.SyncStep1):
            self._answers.ask(member, frame.state_vector)
        elif isinstance(frame, wire.Awareness):
            self._awareness(member, frame)
        elif isinstance(frame, wire.QueryAwareness):
            self.send(member, self.peers.frame(member))

    def _update(self, member: Member, frame: wire.Update) -> None:
        try:
            structs = updates.structs(frame.data)
            self._decide(member, frame, structs)
        except updates.Malformed as fault:
            raise ProtocolError("bad_frame", f"The update was not taken: {fault}.") from None

    def _decide(self, member: Member, frame: wire.Update, structs: updates.Structs) -> None:
        """Raises ProtocolError, or updates.Malformed."""
        data = frame.data
        if not may(member.person.role, "write"):
            # Every client answers step 1, whoever has nothing of their own with the deletions that all know.
            if frame.step2 and not structs.end and not updates.deletes_more(data, structs.rest, self.document.deletions()):
                return self._taken(member)
            member.held += 1
            raise ProtocolError("forbidden", "Viewers cannot change the text. Ask for the edit link.")
        if self._size + len(data) > self.limits.document_bytes:
            self._size = len(self.document.diff())
            if self._size + len(data) > self.limits.document_bytes:
                raise ProtocolError(
                    "too_large",
                    f"The session's text and history would exceed {self.limits.document_bytes} bytes "
                    "(ENSEMBLE_MAX_DOCUMENT_BYTES). Start another session for more.",
                )
        known = self.document.index.clocks
        try:
            self.document.index.check(data, structs)
        except Missing:
            return self._ask_for_what_is_missing(member, frame)
        if len(structs.end) == 1 and not frame.step2:
            # The newest counts: somebody who comes back sends what an earlier client id of theirs wrote first.
            (member.author,) = structs.end
        new = {client: known.get(client, 0) for client in structs.end if not self.authors.knows(client)}
        files = self.document.keys() if structs.more else set()
        try:
            self.document.apply(data, member)
        except BadUpdate as fault:
            raise ProtocolError("bad_frame", f"The update cannot be read: {fault}.") from None
        except Broken:
            log.exception("The document's library failed; the session is loaded again from the database")
            return self.on_broken()
        if structs.more:
            self._limit_files(member, files)
        for client, clock in new.items():
            if known.get(client, 0) > clock:
                self.authors.wrote(client, member.person)
        if frame.step2:
            # It holds all that the member has: what came before it and could not be taken in as well.
            member.updates += member.held
            member.held = 0
        self._taken(member)

    def _taken(self, member: Member) -> None:
        member.updates += 1
        if member.hello:
            self.saved.wait(member)
        if len(self.members) <= FEW and self._loop.time() >= self._flushed + self._tick:
            # Not by way of the loop: another turn of it costs a tenth of what a keystroke does. In a large room others'
            # keystrokes may have come in the same turn, and going out with them saves more.
            self.flush()
        else:
            self._flush_soon()

    def _ask_for_what_is_missing(self, member: Member, frame: wire.Update) -> None:
        """An update that builds on others that never came, as after a refused one of its client. The answer brings both."""
        if frame.step2:
            raise ProtocolError("bad_frame", "The update builds on others that are not in it.")
        member.held += 1
        # Again where that was lost, but not for each of a thousand frames.
        if member.held & (member.held - 1) == 0:
            self.send(member, wire.sync_step1(self.document.state_vector()))

    def _limit_files(self, member: Member, before: set[str]) -> None:
        """An update that adds files beyond the limit loses them again."""
        after = self.document.keys()
        extra = list(after - before)[: max(0, len(after) - self.limits.files)]
        if not extra:
            return
        paths = self.document.files()
        named = ", ".join(paths.get(file, file) for file in extra[:3]) + (" …" if len(extra) > 3 else "")
        self.document.remove_files(extra)
        self.tell(
            member,
            "error",
            code="too_large",
            message=f"A session may have {self.limits.files} files (ENSEMBLE_MAX_FILES), so {named} was taken out again. Its text is in the history.",
        )

    def _awareness(self, member: Member, frame: wire.Awareness) -> None:
        if member.client is None and any(self.peers.bind(member, entry.client, self.members) for entry in frame.entries):
            if tabs := self.peers.other_tabs(member):
                self.send(member, tabs)
            if member.hello:
                self.saved.tell(member)
                self.announce_participants()
        limit = self.limits.awareness_bytes
        if not self.peers.take(member, frame.entries, limit):
            # Not a fault to be closed for, as an update that is left out would be.
            message = f"An awareness state may have {limit} bytes (ENSEMBLE_MAX_AWARENESS_BYTES)."
            self.tell(member, "error", code="too_large", message=message)

    # Changes out, and into the log.

    def _changed(self, update: bytes, origin: Any) -> None:
        self.changed_at = self._loop.time()
        self._size += len(update)
        self._changes.append((origin, update))
        if not isinstance(origin, Member):
            self._flush_soon(RUN_TICK_S)

    def _flush_soon(self, tick: float = 0) -> None:
        if self._flushing:
            return
        self._flushing = True
        wait = self._flushed + max(tick, self._tick) - self._loop.time()
        if wait > 0:
            self._loop.call_later(wait, self.flush)
        else:
            self._loop.call_soon(self.flush)

    def flush(self) -> None:
        """Sends what the tick brought, and hands it to the log."""
        self._flushing = False
        begun = self._loop.time()
        changes, self._changes = self._changes, []
        if changes:
            everything = merged([update for _, update in changes])
            clocks = updates.structs(everything).end
            # Before sending: a member that this tick's frame fills up has been sent all up to here.
            self._sent |= clocks
            self._fan_out(changes, everything)
            self.saved.write(everything, clocks)
        else:
            self.saved.tell_waiting()
        if moved := self.peers.take_moved():
            for member in self.members:
                if frame := moved(member):
                    self.send(member, frame)
        self._flushed = self._loop.time()
        self._tick = min(max(TICK_S[0], self._flushed - begun), TICK_S[1])

    def _fan_out(self, changes: list[tuple[Any, bytes]], everything: bytes) -> None:
        frame = wire.update(everything)
        authors = {origin for origin, _ in changes}
        for member in self.members:
            if member not in authors or len(authors) > OWN_FRAMES:
                self.send(member, frame)
            elif len(authors) > 1:
                self.send(member, wire.update(merged([update for origin, update in changes if origin is not member])))

    def _deleted(self) -> None:
        for member in list(self.members):
            member.close(protocol.NOT_FOUND)

    def set_failing(self, message: str) -> None:
        self.failing = message
        self.announce("storage", state="failing" if message else "ok", message=message)

    def later(self, seconds: float, function: Callable[[], None]) -> asyncio.TimerHandle:
        return self._loop.call_later(seconds, function)


def _text(kind: str, fields: dict[str, Any]) -> str:
    assert kind in outgoing.TO_CLIENT, kind
    return json.dumps({"type": kind, **fields})
