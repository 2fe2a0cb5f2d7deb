"""The cards of a room's finished runs: made, shown to everybody, and saved with what it takes to undo the run or do it again."""

from __future__ import annotations

import asyncio
import logging
from collections import OrderedDict
from dataclasses import dataclass
from typing import Any

from editor import storage
from editor.languages import highlighted_diff
from editor.models import RunRecord
from editor.room import Room
from editor.run import Run
from editor.undo import Edit

log = logging.getLogger(__name__)

CARDS = 200


@dataclass
class Past:
    """What is kept of a finished run beside its card. ``regions``: the first line, and the text before and after it."""

    edit: Edit
    regions: list[tuple[int, str, str]]
    selection: dict[str, int] | None
    engine: str

    def public(self) -> dict[str, Any]:
        return {"edit": self.edit.public(), "regions": self.regions, "selection": self.selection, "engine": self.engine}

    @classmethod
    def read(cls, saved: dict[str, Any]) -> Past:
        regions = [(first, old, new) for first, old, new in saved["regions"]]
        return cls(Edit.read(saved["edit"]), regions, saved["selection"], saved["engine"])


class Cards:
    """Owner of the timeline: run id -> card, oldest first; and of the runs' pasts."""

    def __init__(self, room: Room, cards: list[dict[str, Any]]) -> None:
        self._room = room
        self._cards: OrderedDict[str, dict[str, Any]] = OrderedDict((card["run"], card) for card in cards)
        self._pasts: dict[str, Past] = {}
        self._loaded = False
        self._making: dict[str, asyncio.Task[None]] = {}

    def __contains__(self, run: str) -> bool:
        return run in self._cards

    def get(self, run: str) -> dict[str, Any] | None:
        return self._cards.get(run)

    def all(self) -> list[dict[str, Any]]:
        return list(self._cards.values())

    @property
    def busy(self) -> bool:
        """Whether a card is being made."""
        return bool(self._making)

    async def settled(self) -> None:
        """All cards are made, and on their way into the database."""
        await asyncio.gather(*self._making.values(), return_exceptions=True)

    def known(self, run: str) -> bool:
        """Whether the run has a card, or will have in a moment."""
        return run in self._cards or run in self._making

    async def made(self, run: str) -> dict[str, Any]:
        """The card of a run that is ``known``: people are quick to ask for something of a run that has just ended. Raises KeyError."""
        if task := self._making.get(run):
            await asyncio.shield(task)
        return self._cards[run]

    def make(self, run: Run, new: list[str], reason: str) -> dict[str, Any]:
        """The card of a run that has just ended. It is published when its diff, from each part's old text to ``new``, is made."""
        card = {
            **run.public(),
            "path": run.path,
            "model": run.model,
            "outcome": run.outcome,
            **run.figures,
            "reason": reason,
            "notes": run.notes,
            "saw": run.saw,
            "text": run.answer,
            "started_at": run.started_at,
            "undone": False,
            "kept": False,
            "diff": [],
        }
        regions = [(part.first, part.old, text) for part, text in zip(run.parts, new, strict=True)]
        self._pasts[run.id] = Past(run.edit, regions, run.request.selection, run.request.engine)
        changes = [(part.old, text, part.first) for part, text in zip(run.parts, new, strict=True) if text != part.old]
        task = self._making[run.id] = asyncio.get_running_loop().create_task(self._finish(card, changes))
        task.add_done_callback(lambda _: self._making.pop(run.id))
        return card

    async def _finish(self, card: dict[str, Any], changes: list[tuple[str, str, int]]) -> None:
        for old, new, first in changes:
            # Highlighting is slow beside everything else here, and nobody's keystroke should wait for it.
            card["diff"] += await asyncio.to_thread(highlighted_diff, card["path"], old, new, first)
        self.publish(card)

    def publish(self, card: dict[str, Any]) -> None:
        """To everybody, and into the database."""
        self._cards[card["run"]] = card
        while len(self._cards) > CARDS:
            gone, _ = self._cards.popitem(last=False)
            self._pasts.pop(gone, None)
        self._room.announce("run.card", **card)
        saved = {"session_id": self._room.session, "started_at": card["started_at"], "card": dict(card)}
        if past := self._pasts.get(card["run"]):
            saved["past"] = past.public()

        def save() -> None:
            RunRecord.objects.update_or_create(id=card["run"], defaults=storable(saved))

        storage.writer.call(save, kept=True).add_done_callback(_log_fault)

    def regions(self, run: str) -> list[tuple[int, str, str]]:
        """Of a run that has ended since the room was loaded."""
        past = self._pasts.get(run)
        return past.regions if past else []

    async def pasts(self) -> dict[str, Past]:
        """Of all runs that have one. Raises DatabaseError."""
        if not self._loaded:
            session = self._room.session
            rows = await storage.read(lambda: list(RunRecord.objects.filter(session=session, past__isnull=False).values_list("id", "past")))
            self._pasts = {run: Past.read(past) for run, past in rows if run in self._cards} | self._pasts
            self._loaded = True
        return self._pasts


def storable(value: Any) -> Any:
    """A copy that any database takes: the JSON of PostgreSQL has no NUL. Texts keep their lengths."""
    if isinstance(value, str):
        return value.replace("\0", "\ufffd")
    if isinstance(value, dict):
        return {key: storable(each) for key, each in value.items()}
    return [storable(each) for each in value] if isinstance(value, list | tuple) else value


def _log_fault(future: Any) -> None:
    if future.exception():
        log.error("A run's card could not be saved: %s", future.exception())
