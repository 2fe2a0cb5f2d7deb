"""What of a room's document is in the database, and who waits to hear that theirs is."""

from __future__ import annotations

from collections.abc import Callable

from editor import storage
from editor.members import Member


class Saved:
    """Owner of both. ``clocks``: what is in the database already; ``changing``: whether the room has changes that are not handed
    to the log yet; ``send``: a text frame to a member; ``gone`` is called when the session was deleted under the room."""

    def __init__(
        self,
        session: str,
        clocks: dict[int, int],
        most: int,
        changing: Callable[[], bool],
        send: Callable[[Member, str], None],
        gone: Callable[[], None],
    ) -> None:
        self._session = session
        self._durable = dict(clocks)
        self._most = most  # entries of the log before it is compacted
        self._changing = changing
        self._send = send
        self._gone = gone
        self._logged = 0
        self._writing = 0
        self._waiting: set[Member] = set()

    @property
    def settled(self) -> bool:
        """Whether everything is in the database."""
        return not self._writing and not self._changing()

    def wait(self, member: Member) -> None:
        """They have written, and are told once it is durable."""
        self._waiting.add(member)

    def leave(self, member: Member) -> None:
        self._waiting.discard(member)

    def write(self, update: bytes, clocks: dict[int, int]) -> None:
        """Hands what a tick brought to the log."""
        told = {member: member.updates for member in self._waiting}
        self._waiting = set()
        self._writing += 1
        storage.writer.append(self._session, update, lambda fault: self._written(told, clocks, fault))
        self._logged += 1
        if self._logged >= self._most:
            self._logged = 0
            storage.writer.call(lambda: storage.compact(self._session))

    def _written(self, told: dict[Member, int], clocks: dict[int, int], fault: BaseException | None) -> None:
        self._writing -= 1
        if fault:
            # The session was deleted under us: nothing may look saved any more.
            return self._gone()
        self._durable |= clocks
        for member, count in told.items():
            self._tell(member, count)
        self.tell_waiting()

    def tell_waiting(self) -> None:
        """Where their updates brought nothing new, and everything known is durable."""
        if self._waiting and self.settled:
            waiting, self._waiting = self._waiting, set()
            for member in waiting:
                self._tell(member, member.updates)

    def tell(self, member: Member) -> None:
        """To one who has said who they are, unless there is more to come."""
        if self.settled:
            self._tell(member, member.updates)

    def _tell(self, member: Member, count: int) -> None:
        client = member.client or member.author
        if member.hello:
            # By hand: it answers every keystroke, and JSON's encoder takes longer than all else of it.
            clock = self._durable.get(client or -1, 0)
            self._send(member, f'{{"type":"saved","client":{client or "null"},"clock":{clock},"updates":{count}}}')
