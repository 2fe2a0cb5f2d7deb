"""What a connection asks of the document: "this is what I have, send me the rest"."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress

from editor import wire
from editor.document import BadUpdate, Document
from editor.members import Member
from editor.protocol import ProtocolError

# How many times as long as an answer took nobody gets the next one.
PAUSES = 10


class Answers:
    """An answer takes the longer the more text there is: no one's questions take most of the loop's time. Owner of when each is answered next."""

    def __init__(self, document: Document, send: Callable[[Member, bytes], None]) -> None:
        self._document, self._send = document, send
        self._loop = asyncio.get_running_loop()

    def ask(self, member: Member, state_vector: bytes) -> None:
        """At once, or when the member's turn has come; of several questions that wait, the last. Raises ProtocolError."""
        try:
            if member.behind is not None:
                wire.check_state_vector(state_vector)
                member.behind, member.asked = state_vector, True
            elif self._loop.time() >= member.answer_at:
                self._answer(member, state_vector)
            else:
                if member.question is None:
                    self._loop.call_at(member.answer_at, self._later, member)
                member.question = state_vector
        except (wire.WireError, BadUpdate):
            raise ProtocolError("bad_frame", "The state vector cannot be read.") from None

    def _later(self, member: Member) -> None:
        question, member.question = member.question, None
        if question is not None and not member.closing:
            with suppress(ProtocolError):
                self.ask(member, question)

    def _answer(self, member: Member, state_vector: bytes) -> None:
        begun = self._loop.time()
        self._send(member, wire.sync_step2(self._document.diff(state_vector)))
        now = self._loop.time()
        member.answer_at = now + PAUSES * (now - begun)
