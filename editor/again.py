"""What people do with a finished run: undo it, do it again, ask the larger model, go on with it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Protocol

from editor.cards import Past
from editor.engines import DEEP, FAST, Engines
from editor.members import Member
from editor.protocol import ProtocolError
from editor.run import Lines, Link, Request, Run
from editor.undos import Undos

GO_ON = "Go on where you stopped, and finish it."


class Host(Protocol):
    """The room's runs."""

    def check(self, request: Request) -> None:
        """Raises ProtocolError where a run of it could not begin."""

    def is_live(self, run: str) -> bool: ...

    def begin(
        self, request: Request, *, continues: str | None = None, chain: tuple[Link, ...] = (), retries: str | None = None, lines: Sequence[Lines] = ()
    ) -> Run: ...


class Again:
    """Each raises ProtocolError where there is no such finished run; what fails later is told to the member."""

    def __init__(self, host: Host, engines: Engines, undos: Undos) -> None:
        self._host = host
        self._engines = engines
        self._undos = undos

    def undo(self, member: Member, run_id: str) -> None:
        """Takes back what the run wrote and still stands, whenever it ran. The card says when it has happened."""
        self._refuse_live(run_id)
        self._undos.begin(member, run_id, "undo", lambda card, past: self._undos.undo(member.person, card, past))

    def keep(self, member: Member, run_id: str) -> None:
        """Settles its card."""
        self._refuse_live(run_id)

        async def settle(card: dict[str, Any], past: Past | None) -> None:
            self._undos.keep(card)

        self._undos.begin(member, run_id, "keep", settle)

    def retry(self, member: Member, run_id: str) -> None:
        """The same instruction on the same lines again, after undoing what stands of it."""
        self._refuse_live(run_id)

        async def again(card: dict[str, Any], past: Past | None) -> None:
            self._host.check(self._again(member, card, past))
            if past and card["diff"] and not card["undone"]:
                await self._undos.undo(member.person, card, past)
            lines = [(first, old) for first, old, _ in past.regions] if past else ()
            self._host.begin(self._again(member, card, past), chain=tuple(card.get("chain", ())), retries=run_id, lines=lines)

        self._undos.begin(member, run_id, "retry", again)

    def deeper(self, member: Member, run_id: str) -> None:
        """The same instruction on the same lines by the second model; what stands stays."""
        self._refuse_live(run_id)

        async def more(card: dict[str, Any], past: Past | None) -> None:
            request = replace(self._again(member, card, past), engine=DEEP)
            lines = [(first, new) for first, _, new in past.regions] if past else ()
            self._host.begin(request, chain=tuple(card.get("chain", ())), lines=lines)

        self._undos.begin(member, run_id, "deeper", more)

    def go_on(self, member: Member, run_id: str) -> None:
        """Goes on where a run ended before its time: what it wrote stands, in the same lines."""
        self._refuse_live(run_id)

        async def further(card: dict[str, Any], past: Past | None) -> None:
            if card["undone"]:
                raise ProtocolError("unsupported", "The run was undone: there is nothing to go on from. Retry it instead.")
            request = self._again(member, card, past)
            if self._engines.of(request.engine).info.format != "patch":  # which knows its kinds of instruction and no others
                request = replace(request, instruction=GO_ON)
            link = {"by": card["by"], "instruction": card["instruction"]}
            lines = [(first, new) for first, _, new in past.regions] if past else ()
            self._host.begin(request, continues=run_id, chain=(*card.get("chain", ()), link), lines=lines)

        self._undos.begin(member, run_id, "continue", further)

    def _refuse_live(self, run: str) -> None:
        if self._host.is_live(run):
            raise ProtocolError("busy", "The run is not over: stop it first.")

    def _again(self, member: Member, card: dict[str, Any], past: Past | None) -> Request:
        selection = past.selection if past else None
        engine = (past.engine if past else card.get("engine")) or FAST
        return Request(member.person, card["instruction"], card["file"], selection, card["mode"], engine)
