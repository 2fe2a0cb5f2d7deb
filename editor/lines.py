"""The instructions that people are typing just now, as the others see them."""

from __future__ import annotations

from typing import Any

from editor.members import Member
from editor.room import Room


class Lines:
    """Owner of the lines that stand, by participant."""

    def __init__(self, room: Room) -> None:
        self._room = room
        self._standing: dict[str, tuple[Member, dict[str, Any]]] = {}

    def typed(self, member: Member, text: str, file: str) -> None:
        line = {**member.person.public(), "text": text, "file": file}
        if text:
            self._standing[member.person.id] = (member, line)
        else:
            self._standing.pop(member.person.id, None)
        self._room.announce("instruction.typed", but=member, **line)

    def given(self, participant: str) -> None:
        """Everybody hears of what came of it."""
        self._standing.pop(participant, None)

    def left(self, member: Member) -> None:
        """A line goes with the connection that it was typed on."""
        standing = self._standing.get(member.person.id)
        if standing and standing[0] is member:
            self.drop(member.person.id)

    def drop(self, participant: str) -> None:
        if standing := self._standing.pop(participant, None):
            self._room.announce("instruction.typed", **{**standing[1], "text": ""})

    def tell(self, member: Member) -> None:
        for other, line in self._standing.values():
            if other is not member:
                self._room.tell(member, "instruction.typed", **line)
