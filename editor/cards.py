"""The cards of a room's finished runs: made, shown to everybody, and saved."""

from __future__ import annotations

import asyncio
import logging
from collections import OrderedDict
from typing import Any

from editor import storage
from editor.languages import highlighted_diff
from editor.models import RunRecord
from editor.room import Room
from editor.run import Run

log = logging.getLogger(__name__)

CARDS = 200


class Cards:
    """Owner of the timeline: run id -> card, oldest first."""

    def __init__(self, room: Room, cards: list[dict[str, Any]]) -> None:
        self._room = room
        self._cards: OrderedDict[str, dict[str, Any]] = OrderedDict((card["run"], card) for card in cards)
        self._tasks: set[asyncio.Task[None]] = set()

    def __contains__(self, run: str) -> bool:
        return run in self._cards

    def get(self, run: str) -> dict[str, Any] | None:
        return self._cards.get(run)

    def all(self) -> list[dict[str, Any]]:
        return list(self._cards.values())

    @property
    def busy(self) -> bool:
        """Whether a card is being made."""
        return bool(self._tasks)

    def make(self, run: Run, new: list[str], reason: str) -> dict[str, Any]:
        """The card of a run that has just ended. It is published when its diff, from each part's old text to ``new``, is made."""
        request = run.request
        card = {
            "run": run.id,
            "by": request.by.public(),
            "file": request.file,
            "path": run.path,
            "instruction": request.instruction,
            "mode": request.mode,
            "engine": request.engine,
            "model": run.model,
            "continues": run.continues,
            "chain": list(run.chain),
            "outcome": run.outcome,
            **run.figures,
            "reason": reason,
            "notes": run.notes,
            "started_at": run.started_at,
            "undone": False,
            "kept": False,
            "diff": [],
        }
        changes = [(part.old, text, part.region.first) for part, text in zip(run.parts, new, strict=True) if text != part.old]
        task = asyncio.get_running_loop().create_task(self._finish(card, changes))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
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
            self._cards.popitem(last=False)
        self._room.announce("run.card", **card)
        session = self._room.session
        saved = dict(card)

        def save() -> None:
            RunRecord.objects.update_or_create(id=saved["run"], defaults={"session_id": session, "started_at": saved["started_at"], "card": saved})

        storage.writer.call(save, kept=True).add_done_callback(_log_fault)


def _log_fault(future: Any) -> None:
    if future.exception():
        log.error("A run's card could not be saved: %s", future.exception())
