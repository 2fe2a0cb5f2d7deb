"""Undo, retry and continue of a room's finished runs: what needs their past. On the event loop, but for the computing."""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import Awaitable, Callable
from typing import Any

from django.db import DatabaseError

from editor.cards import Cards, Past
from editor.members import Member, Person
from editor.part import Part
from editor.protocol import ProtocolError
from editor.room import Room
from editor.run import Run
from editor.undo import Undo, undo

log = logging.getLogger(__name__)


class Undos:
    """Owner of what is under way of one room. The same a second time for the same run, while the first is, does nothing; something else waits for it."""

    def __init__(self, room: Room, cards: Cards) -> None:
        self._room = room
        self._cards = cards
        self._tasks: dict[tuple[str, str], asyncio.Task[None]] = {}

    @property
    def busy(self) -> bool:
        return bool(self._tasks)

    def begin(self, member: Member, run: str, kind: str, action: Callable[[dict[str, Any], Past | None], Awaitable[None]]) -> None:
        """Calls back with the run's card and past. Raises ProtocolError where there is no such run; what fails later is told to the member."""
        if not self._cards.known(run):
            raise ProtocolError("not_found", "There is no such finished run in this session.")
        if (run, kind) not in self._tasks:
            before = [task for (other, _), task in self._tasks.items() if other == run]
            task = self._tasks[run, kind] = asyncio.get_running_loop().create_task(self._guarded(member, run, action, before))
            task.add_done_callback(lambda _: self._tasks.pop((run, kind), None))

    async def _guarded(
        self, member: Member, run: str, action: Callable[[dict[str, Any], Past | None], Awaitable[None]], before: list[asyncio.Task[None]]
    ) -> None:
        try:
            if before:
                await asyncio.wait(before)
            await action(await self._cards.made(run), (await self._cards.pasts()).get(run))
        except ProtocolError as fault:
            self._room.tell(member, "error", code=fault.code, message=fault.message, run=run)
        except DatabaseError:
            message = "The database cannot be read just now, and the run\u2019s past is there: try again."
            self._room.tell(member, "error", code="unavailable", message=message, run=run)
        except Exception:
            log.exception("A finished run could not be changed")
            self._room.tell(member, "error", code="internal", message="The server failed at this; its log says more.", run=run)

    async def undo(self, person: Person, card: dict[str, Any], past: Past | None) -> None:
        """Takes back what the run wrote and still stands. Raises ProtocolError."""
        if card["undone"]:
            return self._room.announce("run.card", **card)
        if past is None:
            raise ProtocolError("unsupported", "This run is from before the server kept what undoing it takes: edit the text instead.")
        others = [other.edit for run, other in (await self._cards.pasts()).items() if run != card["run"]]
        try:
            text = self._room.document.text(past.edit.file)
            # Characters keep their names: what happens to the text meanwhile does not matter.
            found = await asyncio.to_thread(undo, self._room.document.diff(), text, past.edit, others, secrets.randbits(31))
        except KeyError:
            raise ProtocolError("not_found", "The file that the run changed is not in this session any more.") from None
        self._apply(found, person, card["run"])
        past.edit.moved += found.moved
        # The text goes to the log before the card that says so.
        self._room.flush()
        card["undone"] = True
        self._cards.publish(card)

    def keep(self, card: dict[str, Any]) -> None:
        if card["undone"]:
            raise ProtocolError("unsupported", "The run was undone: there is nothing to keep.")
        card["kept"] = True
        self._cards.publish(card)

    def revert(self, run: Run, part: Part) -> None:
        """At once, for a part of which nothing may stay."""
        document = self._room.document
        try:
            found = undo(document.diff(), document.text(run.request.file), part.edit, (), secrets.randbits(31))
        except KeyError:
            return  # it went with its file
        self._apply(found, run.request.by, run.id)
        part.edit.moved += found.moved

    def _apply(self, found: Undo, person: Person, run: str) -> None:
        if found.client is not None:
            self._room.authors.brought_back(found.client, person, found.moved)
        self._room.document.apply(found.update, f"undo:{run}")
