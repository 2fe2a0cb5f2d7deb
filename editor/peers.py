"""Everybody's awareness states in a room, the model's carets among them, and which of them have moved since they were last sent."""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable

from editor import presence, wire
from editor.members import Member, Peer, Person


class Peers:
    """Owner of the states by Yjs client id. ``moved`` is called whenever there is something to send."""

    def __init__(self, moved: Callable[[], None]) -> None:
        self._all: dict[int, Peer] = {}
        self._moved: dict[int, Peer] = {}
        # How far a client's clock is ahead, for others, of what it says itself: by what was said for it.
        self._ahead: dict[int, int] = {}
        self._tell = moved

    def __bool__(self) -> bool:
        return bool(self._all)

    def put(self, client: int, peer: Peer) -> None:
        self._all[client] = self._moved[client] = peer
        self._tell()

    def forget(self, client: int) -> None:
        peer = self._all.pop(client, None)
        if peer:
            # It goes at its clock, and comes back, if it does, at the next one.
            self._moved[client] = Peer(peer.clock, "null", peer.member)
            self._pass(client)
            self._tell()

    def _pass(self, client: int) -> None:
        self._ahead[client] = self._ahead.get(client, 0) + 1

    def bind(self, member: Member, client: int, members: Iterable[Member]) -> bool:
        """One client id a connection. Somebody who came back takes theirs over from the connection they lost;
        another's, and the model's, stay whose they are."""
        peer = self._all.get(client)
        if peer and (peer.member is None or peer.member.person is not member.person):
            return False
        for other in members:
            if other is not member and other.client == client:
                if other.person is not member.person:
                    return False
                other.client = None
        member.client = client
        if peer:
            peer.member = member
        return True

    def take(self, member: Member, entries: Iterable[wire.AwarenessEntry], most: int) -> bool:
        """A member's own state; stock clients repeat what they heard of others, too. False, and nothing after it is taken,
        where it has more than ``most`` bytes."""
        for entry in entries:
            if entry.client != member.client:
                continue
            if len(entry.state) > most:
                return False
            known, ahead = self._all.get(entry.client), self._ahead.get(entry.client, 0)
            clock = entry.clock + ahead
            state = presence.awareness_state(entry.state, member.person.name, member.person.color)
            if known and ahead and entry.clock >= known.clock:
                # It has heard, by way of another tab perhaps, how far others believe it to be.
                clock = entry.clock if state == known.state else max(entry.clock, known.clock + 1)
                self._ahead[entry.client] = clock - entry.clock
                if clock == known.clock:
                    continue
            if known and clock < known.clock:
                continue
            if state:
                self.put(entry.client, Peer(clock, state, member))
            elif known:
                self.forget(entry.client)
        return True

    def left(self, member: Member) -> None:
        for client in [client for client, peer in self._all.items() if peer.member is member]:
            self.forget(client)

    def renamed(self, person: Person) -> None:
        for client, peer in list(self._all.items()):
            if peer.member and peer.member.person is person:
                state = presence.awareness_state(peer.state, person.name, person.color)
                if state:
                    self._pass(client)
                    self.put(client, Peer(peer.clock + 1, state, peer.member))

    def states(self) -> list[str]:
        """The awareness states of people who are there, as JSON."""
        return [peer.state for peer in self._all.values() if peer.member]

    def frame(self, to: Member) -> bytes:
        """All of them but the member's own; before it has said which one is, without those of the same person."""
        return _frame(self._all, self._of(to.person) if to.client is None else [to.client])

    def other_tabs(self, member: Member) -> bytes | None:
        """What ``frame`` left out before it was known which one is the member's own."""
        theirs = self._of(member.person)
        return _frame(theirs, [member.client]) if theirs.keys() - {member.client} else None

    def _of(self, person: Person) -> dict[int, Peer]:
        return {client: peer for client, peer in self._all.items() if peer.member and peer.member.person is person}

    def take_moved(self) -> Callable[[Member], bytes | None] | None:
        """What moved since the last time: a frame for each member, or None for one to whom it is no news. None where nothing did."""
        if not self._moved:
            return None
        moved, self._moved = self._moved, {}
        everything, authors = _frame(moved), {peer.member for peer in moved.values()}

        def frame(member: Member) -> bytes | None:
            # Back from here, a client would take its own state of a while ago for a newer one where its clock is ahead.
            if member.client in moved and member.client in self._ahead:
                everybody_elses = _frame(moved, [member.client])
                return everybody_elses if len(moved) > 1 or not member.hello else None
            # Stock clients that hear nothing for half a minute, not even their own state, take the connection for lost.
            return everything if authors != {member} or not member.hello else None

        return frame


def _frame(peers: dict[int, Peer], but: Container[int | None] = ()) -> bytes:
    return wire.awareness([wire.AwarenessEntry(client, peer.clock, peer.state) for client, peer in peers.items() if client not in but])
