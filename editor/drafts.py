"""Drafts: what the model would do with an instruction that is still being typed. Nothing of a draft is in the document.

Each keystroke stops the draft before it and begins another; the finished one is shown to everybody in the room as
replacements of the text, and is taken by the run that asks for the same. Everything here runs on the event loop.
"""

from __future__ import annotations

import secrets
import time
import zlib
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any

from editor.document import Delta
from editor.edits import size
from editor.members import Member, Person
from editor.pace import PATIENCE, Pace
from editor.places import place, where
from editor.protocol import utf16_length
from editor.regions import Region
from editor.replacements import Replacement, of_reply
from editor.replies import Replies, outside, span
from editor.room import Room
from editor.run import Replay, Request, make_task
from inference.api import Engine, Event, Finished, Task

# A first letter or two say nothing of what is wanted, and a draft of them would only flicker.
SHORTEST = 4


@dataclass(eq=False)
class Draft:
    """Of one region, or of several as one: ``old`` is the text from the first one's beginning to the last one's end, which has
    not changed unless it is ``touched``, and ``start`` its first byte in the file as it stands. ``inside``: the regions within it."""

    id: str
    by: Person
    file: str
    instruction: str
    tasks: tuple[Task, ...]
    start: int
    old: str
    inside: tuple[Region, ...]
    asked: float
    replies: Replies
    unwatch: Callable[[], None] = lambda: None
    edits: list[Replacement] = field(default_factory=list)
    done: bool = False
    touched: bool = False

    @property
    def end(self) -> int:
        return self.start + size(self.old)


class Drafts:
    """The drafts of one room, one for each person who types. Owner of all of them."""

    def __init__(self, room: Room, engine: Engine, pace: Pace) -> None:
        self._room = room
        self._engine = engine
        self._pace = pace
        self._drafts: dict[str, Draft] = {}
        self._told = self.state
        self._unwatch = pace.watch(self.settle)

    @property
    def state(self) -> str:
        """``on``; ``off``, as the host has chosen or because the model is none that is fast; or ``paused``: too slow just now."""
        info = self._engine.info
        chosen = info.format == "patch" if self._room.drafts is None else self._room.drafts
        if not chosen or info.state != "ready":
            return "off"
        return "paused" if self._pace.paused else "on"

    def typed(self, request: Request, text: str, chosen: Sequence[Region], busy: bool) -> bool:
        """An instruction as it stands after a keystroke. Whether a draft is made of it: then nothing need be warmed.

        ``chosen``: the regions of the file's text that a run of it would rewrite; empty where there is nothing to draft.
        ``busy``: the model is writing in this room. Drafts give way to runs."""
        person = request.by
        known = self._drafts.get(person.id)
        most = self._pace.places or self._room.limits.parallel_windows
        if not 0 < len(chosen) <= most or busy or self.state == "off" or len(request.instruction) < SHORTEST:
            self.drop(person.id)
            return False
        start, old, inside = span(text, chosen)
        tasks = tuple(replace(make_task(self._room, self._engine, request, text, region), draft=True) for region in chosen)
        if known and known.tasks == tasks and (known.file, known.start) == (request.file, start):
            return True
        if (known is None and len(self._drafts) >= self._room.limits.drafts) or not self._pace.may():
            self.drop(person.id)
            return False
        key = secrets.token_hex(6)
        replies = Replies(self._engine, key, tasks, self._room.limits.parallel_windows, lambda number: self._heard(draft, number))
        draft = Draft(key, person, request.file, request.instruction, tasks, start, old, inside, time.monotonic(), replies)
        self._begin(draft)
        return True

    def reply(self, request: Request, text: str, chosen: Sequence[Region]) -> Replay | None:
        """The whole reply to a request, if there is a draft of it: the same instruction, and the same regions of the same text."""
        draft = self._drafts.get(request.by.id)
        if draft is None or draft.touched or not draft.edits:
            return None
        if (draft.file, draft.instruction, draft.start, draft.old, draft.inside) != (request.file, request.instruction, *span(text, chosen)):
            return None
        return Replay(list(zip(chosen, draft.replies.events, strict=True)), draft.replies.wrote)

    def drop(self, participant: str, why: str = "") -> None:
        """Ends a person's draft and takes it off everybody's screen. ``why``: ``changed`` where it is worth another try."""
        draft = self._drafts.get(participant)
        if draft:
            self._close(draft)
            self.tell_gone(participant, why)

    def left(self, person: Person) -> None:
        """One of the person's connections is gone."""
        if all(member.person is not person for member in self._room.members):
            self.drop(person.id)

    def drop_all(self) -> None:
        for participant in list(self._drafts):
            self.drop(participant)

    def tell_gone(self, participant: str, why: str = "") -> None:
        self._room.announce("draft.gone", participant=participant, why=why)

    def settle(self) -> None:
        """The model, the host's choice or the pace has changed: what does not fit it any more goes, and people are told."""
        if self.state != "on":
            self.drop_all()
        if self.state != self._told:
            self._told = self.state
            self._room.announce("drafts", **self._public_state())

    def tell(self, member: Member) -> None:
        """To somebody who has just come."""
        self._room.tell(member, "drafts", **self._public_state())
        for draft in self._drafts.values():
            if draft.edits:
                with suppress(KeyError):  # it went with its file
                    self._room.tell(member, "draft.shown", **self._shown(draft))

    def close(self) -> None:
        self._unwatch()
        for draft in list(self._drafts.values()):
            self._close(draft)

    def _public_state(self) -> dict[str, Any]:
        ms = self._pace.middle_ms
        return {"state": self.state, "ms": None if ms is None else round(ms), "bound_ms": self._pace.bound_ms}

    # One draft.

    def _begin(self, draft: Draft) -> None:
        known = self._drafts.get(draft.by.id)
        if known:
            # It stays on the screen until there is another, or none: text that comes and goes at each key is hard to read.
            self._close(known)
        self._drafts[draft.by.id] = draft
        unwatch = self._room.document.watch(draft.file, lambda changes, origin: self._changed(draft, changes))
        timer = self._room.later(PATIENCE * self._pace.bound_ms / 1000, lambda: self._too_slow(draft))

        def end() -> None:
            timer.cancel()
            unwatch()

        draft.unwatch = end
        draft.replies.ask()

    def _close(self, draft: Draft) -> None:
        # First of all: a draft that was given up late can make the pace pause, and that drops all that there are.
        if self._drafts.get(draft.by.id) is draft:
            del self._drafts[draft.by.id]
        draft.unwatch()
        if not draft.done:
            draft.done = True
            draft.replies.stop()
            self._pace.given_up((time.monotonic() - draft.asked) * 1000, len(draft.tasks))

    def _too_slow(self, draft: Draft) -> None:
        if not draft.done:
            self.drop(draft.by.id)

    def _changed(self, draft: Draft, changes: list[Delta]) -> None:
        """Somebody changed the file. What was drafted over text that has changed is worth nothing."""
        for change in () if draft.touched else changes:
            start = moved(draft.start, draft.end, change)
            if start is None:
                draft.touched = True
                # Not within the document's own observer: what it is about to tell goes out first.
                self._room.later(0, lambda: self._drop_changed(draft))
                return
            draft.start = start

    def _drop_changed(self, draft: Draft) -> None:
        if self._drafts.get(draft.by.id) is draft:
            self.drop(draft.by.id, "changed")

    def _heard(self, draft: Draft, number: int) -> None:
        finished = draft.replies.ended(number)
        if draft.done or draft.touched or finished is None:
            return
        if finished.outcome not in ("done", "declined") or finished.revert:
            # A quick failure is no quick draft; and what a run would make of one place's is not worth drawing.
            return self.drop(draft.by.id)
        if not draft.replies.complete:
            return
        draft.done = True
        self._pace.took((time.monotonic() - draft.asked) * 1000 / len(draft.tasks))
        if self._drafts.get(draft.by.id) is not draft:
            return  # that was one too slow, and all are gone
        draft.edits = [edit for region, events in zip(draft.inside, draft.replies.events, strict=True) for edit in _within(draft.old, region, events)]
        if not draft.edits:
            return self.drop(draft.by.id)
        # Positions are those of the text as everybody has it.
        self._room.flush()
        try:
            self._room.announce("draft.shown", passing=True, **self._shown(draft))
        except KeyError:
            self.drop(draft.by.id)  # it went with its file

    def _shown(self, draft: Draft) -> dict[str, Any]:
        text = self._room.document.text(draft.file)
        whole = where(text, draft)
        region = place(text, whole)
        return {
            "id": draft.id,
            "by": draft.by.public(),
            "file": draft.file,
            "instruction": draft.instruction,
            "region": region,
            "regions": [place(text, outside(whole, inside)) for inside in draft.inside],
            **drawn(draft.old, draft.edits, region["from"]),
        }


def drawn(old: str, edits: list[Replacement], begin: int) -> dict[str, Any]:
    """The edits in UTF-16 units of a file in which the region begins at ``begin``, and what the region must hold for them."""
    placed = []
    at, units = 0, begin
    for edit in edits:
        start = units + utf16_length(old[at : edit.start])
        at, units = edit.end, start + utf16_length(old[edit.start : edit.end])
        placed.append({"from": start, "to": units, "text": edit.text})
    return {
        "check": zlib.crc32(old.encode()),
        "edits": placed,
    }


def _within(old: str, region: Region, events: Sequence[Event]) -> list[Replacement]:
    """What a reply to one region does to the text that it is in."""
    if not isinstance(events[-1], Finished) or events[-1].outcome != "done":
        return []
    edits = of_reply(old[region.start : region.end], events)
    return [replace(edit, start=edit.start + region.start, end=edit.end + region.start) for edit in edits]


def moved(start: int, end: int, change: Delta) -> int | None:
    """Where a region of whole lines begins after a change elsewhere; None: the change has touched its text. In bytes."""
    at = change.position
    if change.deleted:
        # Up to the very beginning, or from the very end on: a newline goes with it, so that lines may be joined.
        if at + change.deleted < start:
            return start - change.deleted
        return start if at > end else None
    if at < start or (at == start and change.inserted.endswith("\n")):
        return start + size(change.inserted)
    return start if at > end or (at == end and change.inserted.startswith("\n")) else None
