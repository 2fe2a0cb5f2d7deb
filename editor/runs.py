"""Runs: one instruction each, from the request to the card. Writes only through its room, on the event loop.

A run goes queued -> streaming -> done, stopped, steered, declined or failed. Invariant: after ``run.finished``
nothing of the run lands in the document.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from editor import regions, storage
from editor.document import Delta, UndoOfOrigin, bytes_to_utf16, utf16_to_bytes
from editor.edits import Insert, Operation, RegionDiff, size
from editor.languages import highlighted_diff
from editor.live import LiveRegion
from editor.members import Member, Person
from editor.modelpresence import ModelPresence
from editor.models import RunRecord
from editor.protocol import ProtocolError
from editor.room import Room
from inference.api import Engine, Event, Finished, Hunk, ModelInfo, Progress, Started, Task, Text

log = logging.getLogger(__name__)

CARDS = 200
UNDOABLE = 30
LARGER_MODEL = "The built-in model does small, plain edits. For more, whoever runs this server installs a larger one: `./manage.py model list`."


@dataclass(eq=False)
class Run:
    id: str
    by: Person
    instruction: str
    file: str
    path: str
    selection: dict[str, int] | None
    continues: str | None
    earlier: tuple[str, ...]
    inherited: LiveRegion | None
    started_at: str
    state: str = "queued"
    old: str = ""
    first_line: int = 1
    model: str = ""
    live: LiveRegion | None = None
    diff: RegionDiff | None = None
    undo: UndoOfOrigin | None = None
    presence: ModelPresence | None = None
    unwatch: Callable[[], None] = lambda: None
    notes: list[str] = field(default_factory=list)
    figures: dict[str, Any] = field(default_factory=lambda: {"tokens": 0, "ttft_ms": None, "tokens_per_s": None})
    card: dict[str, Any] = field(default_factory=dict)

    @property
    def origin(self) -> str:
        return f"run:{self.id}"


class Runs:
    """The runs of one room, its queue, and its timeline of cards. Owner of all of them."""

    def __init__(self, room: Room, engine: Engine, cards: list[dict[str, Any]]) -> None:
        self._room = room
        self._engine = engine
        self._active: dict[str, Run] = {}
        self._waiting: list[Run] = []
        self._done: OrderedDict[str, Run] = OrderedDict()
        self._tasks: set[asyncio.Task[None]] = set()
        self.cards: OrderedDict[str, dict[str, Any]] = OrderedDict((card["run"], card) for card in cards)

    # What participants ask for. Each raises ProtocolError and then has changed nothing.

    def typed(self, member: Member, text: str, file: str, selection: dict[str, int] | None) -> None:
        """An instruction as it stands after a keystroke: the others see it, the model evaluates it."""
        self._room.announce("instruction.typed", but=member, **member.person.public(), text=text, file=file)
        if not text.strip() or self._engine.info.state != "ready":
            return
        try:
            content = self._text(file)
            region = self._choose(content, text, selection)
        except ProtocolError:
            return  # it is said when the run is asked for
        self._engine.warm(self._task(content, region, member.person, self._room.document.path(file), text))

    def start(self, member: Member, instruction: str, file: str, selection: dict[str, int] | None, variants: int) -> Run:
        if variants > 1:
            raise ProtocolError("unsupported", "This server makes one answer to an instruction, not several.")
        return self._begin(member.person, instruction, file, selection)

    def ask(self) -> None:
        raise ProtocolError("unsupported", "This server carries out edits; it does not answer questions yet.")

    def steer(self, member: Member, run_id: str, instruction: str) -> Run:
        """What the old run wrote stands, and a new one goes on in its region."""
        old = self._active.get(run_id) or next((run for run in self._waiting if run.id == run_id), None) or self._done.get(run_id)
        if old is None:
            raise ProtocolError("not_found", "There is no such run in this session any more. Give the instruction as a new one.")
        self._check(instruction, old.file)
        going = run_id in self._active
        if old.card.get("outcome") is None:
            # Its place in the queue goes to the run that carries on, before anybody who waits.
            self._finish(old, "steered", advance=False)
        return self._begin(
            member.person,
            instruction,
            old.file,
            old.selection,
            continues=old.id,
            earlier=(*old.earlier, old.instruction),
            inherited=old.live if going else None,
        )

    def stop(self, run_id: str | None) -> None:
        """Stops one run, or all. A run that has ended already is no error: somebody was quicker."""
        for run in [*self._waiting, *self._active.values()]:
            if run_id in (None, run.id):
                self._finish(run, "stopped")
        if run_id and run_id not in self.cards and run_id not in self._done:
            raise ProtocolError("not_found", "There is no such run in this session.")

    def undo(self, member: Member, run_id: str) -> None:
        run = self._done.get(run_id)
        if run_id in self._active:
            raise ProtocolError("busy", "The run is still writing: stop it first.")
        if run is None or run.undo is None:
            if run_id in self.cards:
                raise ProtocolError(
                    "unsupported", f"Only the session's last {UNDOABLE} runs since the server started can be undone; edit the text instead."
                )
            raise ProtocolError("not_found", "There is no such run in this session.")
        self._room.authors.room_writes(self._room.document, member.person)
        run.undo.undo(f"undo:{run.id}")
        run.card["undone"] = True
        self._publish(run.card)

    def keep(self, run_id: str) -> None:
        card = self.cards.get(run_id)
        if card is None:
            raise ProtocolError("not_found", "There is no such finished run in this session.")
        card["kept"] = True
        self._publish(card)

    def close(self) -> None:
        """The room goes: runs end, nothing is announced to nobody."""
        self.stop(None)
        self._engine.forget(self._room.session)

    @property
    def idle(self) -> bool:
        return not self._active and not self._waiting and not self._tasks

    # From the request to the stream.

    def _text(self, file: str) -> str:
        try:
            return self._room.document.text(file)
        except KeyError:
            raise ProtocolError("not_found", "There is no such file in this session any more.") from None

    def _check(self, instruction: str, file: str) -> None:
        info = self._engine.info
        if not instruction.strip():
            raise ProtocolError("bad_message", "The instruction is empty: type what should be changed.")
        if info.state == "failed":
            raise ProtocolError("model_unavailable", f"The model could not be loaded. {info.detail}")
        if len(self._waiting) + len(self._active) >= self._room.limits.runs:
            raise ProtocolError(
                "busy", f"{self._room.limits.runs} runs are under way or waiting in this session (ENSEMBLE_MAX_RUNS). Wait, or stop one."
            )
        self._text(file)

    def _choose(self, text: str, instruction: str, selection: dict[str, int] | None) -> regions.Region:
        marked = None
        if selection:
            ends = [len(text.encode()[: utf16_to_bytes(text, selection[end])].decode()) for end in ("anchor", "head")]
            marked = (ends[0], ends[1])
        try:
            return regions.choose(text, instruction, marked, self._engine.info.region_lines or 47)
        except regions.RegionError as fault:
            raise ProtocolError("too_large", str(fault)) from None

    def _task(self, text: str, region: regions.Region, who: Person, path: str, instruction: str, earlier: tuple[str, ...] = ()) -> Task:
        return Task(
            cache=self._room.session,
            who=who.id,
            path=path,
            before=text[: region.start],
            region=text[region.start : region.end],
            after=text[region.end :],
            instruction=instruction,
            earlier=earlier,
        )

    def _begin(
        self,
        by: Person,
        instruction: str,
        file: str,
        selection: dict[str, int] | None,
        continues: str | None = None,
        earlier: tuple[str, ...] = (),
        inherited: LiveRegion | None = None,
    ) -> Run:
        self._check(instruction, file)
        run = Run(
            id=secrets.token_hex(6),
            by=by,
            instruction=instruction.strip(),
            file=file,
            path=self._room.document.path(file),
            selection=selection,
            continues=continues,
            earlier=earlier,
            inherited=inherited,
            started_at=datetime.now(UTC).isoformat(),
        )
        if inherited is None and self._engine.info.state == "ready":
            self._refuse_overlap(run)
        self._waiting.insert(0 if inherited else len(self._waiting), run)
        self.advance()
        if run in self._waiting:
            self._announce_queue()
        return run

    def _refuse_overlap(self, run: Run) -> None:
        text = self._text(run.file)
        region = self._choose(text, run.instruction, run.selection)
        start, end = size(text[: region.start]), size(text[: region.end])
        for other in self._active.values():
            if other.live and other.file == run.file and start <= other.live.end and other.live.start <= end:
                raise ProtocolError(
                    "overlap", f"The model is rewriting these lines for {other.by.name} just now: steer that run, stop it, or wait until it ends."
                )

    def advance(self) -> None:
        """Starts what waits, as far as the model and the limit of parallel runs allow."""
        if self._engine.info.state == "loading":
            return
        while self._waiting and len(self._active) < self._room.limits.parallel_runs:
            run = self._waiting.pop(0)
            try:
                self._stream(run)
            except ProtocolError as fault:
                self._finish(run, "failed", fault.message)
            self._announce_queue()

    def _announce_queue(self) -> None:
        for position, run in enumerate(self._waiting, 1):
            self._room.announce("run.queued", **self._queued(run, position))

    def _queued(self, run: Run, position: int) -> dict[str, Any]:
        return {"run": run.id, "position": position, "by": run.by.public(), "instruction": run.instruction, "file": run.file}

    def _stream(self, run: Run) -> None:
        """Chooses the region, tells everybody, and asks the model."""
        document = self._room.document
        text = self._text(run.file)
        if run.inherited:
            data = text.encode()
            start = len(data[: run.inherited.start].decode())
            end = len(data[: run.inherited.end].decode())
            region = regions.Region(start, end, text.count("\n", 0, start) + 1, text.count("\n", 0, end) + 1)
        else:
            region = self._choose(text, run.instruction, run.selection)
        run.old = text[region.start : region.end]
        run.first_line = region.first
        run.live = live = LiveRegion(size(text[: region.start]), size(run.old))
        run.diff = RegionDiff(run.old)
        run.model = self._engine.info.name
        run.state = "streaming"
        self._active[run.id] = run

        def watched(changes: list[Delta], origin: Any) -> None:
            if origin != run.origin:
                for change in changes:
                    live.people_changed(change.position, change.deleted, size(change.inserted))

        run.unwatch = document.watch(run.file, watched)
        run.undo = document.undo_of(run.file, run.origin)
        run.presence = ModelPresence(self._room, run.model, run.file)
        run.presence.appear()
        self._room.announce("run.started", **self._started(run))
        task = self._task(text, region, run.by, run.path, run.instruction, run.earlier)
        self._engine.start(run.id, task, lambda events: self._listen(run, events))

    def _started(self, run: Run) -> dict[str, Any]:
        """``run.started``, with the region as it is now."""
        assert run.live
        text = self._text(run.file)
        data = text.encode()
        first = data.count(b"\n", 0, run.live.start) + 1
        return {
            "run": run.id,
            "by": run.by.public(),
            "file": run.file,
            "region": {
                "from": bytes_to_utf16(text, run.live.start),
                "to": bytes_to_utf16(text, run.live.end),
                "first_line": first,
                "last_line": first + data.count(b"\n", run.live.start, run.live.end),
            },
            "instruction": run.instruction,
            "mode": "edit",
            "model": run.model,
            "continues": run.continues,
            "notes": run.notes,
        }

    def tell_live(self, member: Member) -> None:
        """What goes on just now, to somebody who has just come."""
        for run in self._active.values():
            self._room.tell(member, "run.started", **self._started(run))
            self._room.tell(member, "run.progress", run=run.id, **run.figures)
        for position, run in enumerate(self._waiting, 1):
            self._room.tell(member, "run.queued", **self._queued(run, position))

    # The stream.

    def _listen(self, run: Run, events: Sequence[Event]) -> None:
        """What one tick brought of a run: one transaction."""
        if run.state != "streaming" or run.diff is None:
            return
        operations: list[Operation] = []
        finished: Finished | None = None
        text = ""
        for event in events:
            if isinstance(event, Text):
                text += event.text
                continue
            if text:
                operations += run.diff.feed(text)
                text = ""
            if isinstance(event, Hunk):
                operations += run.diff.hunk(event.first, event.last)
            elif isinstance(event, Progress):
                run.figures = {"tokens": event.tokens, "ttft_ms": event.ttft_ms, "tokens_per_s": event.tokens_per_s}
                self._room.announce("run.progress", run=run.id, **run.figures)
            elif isinstance(event, Started) and event.left_out:
                run.notes.append(event.left_out)
                self._room.announce("run.started", **self._started(run))
            elif isinstance(event, Finished):
                finished = event
        if text:
            operations += run.diff.feed(text)
        if finished and finished.outcome == "done":
            operations += run.diff.finish()
        try:
            self._apply(run, operations)
        except KeyError:
            self._engine.stop(run.id)
            return self._finish(run, "failed", "The file was deleted while the model wrote.")
        if finished:
            run.figures = {"tokens": finished.tokens, "ttft_ms": finished.ttft_ms, "tokens_per_s": finished.tokens_per_s}
            self._conclude(run, finished)

    def _conclude(self, run: Run, finished: Finished) -> None:
        outcome, reason = finished.outcome, finished.reason
        assert run.diff
        if outcome == "done" and not run.diff.changed:
            outcome, reason = "declined", "The model found nothing to change."
        if outcome == "declined" and self._engine.info.format == "patch":
            reason = f"{reason} {LARGER_MODEL}"
        if finished.revert and run.undo:
            run.undo.undo(f"undo:{run.id}")
        self._finish(run, outcome, reason)

    def _apply(self, run: Run, operations: list[Operation]) -> None:
        if not operations or run.live is None:
            return
        document = self._room.document
        self._room.authors.room_writes(document, run.by, run.id)
        with document.transaction(run.origin):
            for operation in operations:
                for splice in run.live.carry(operation):
                    if splice.deleted:
                        document.delete(run.file, splice.position, splice.deleted)
                    if splice.text:
                        document.insert(run.file, splice.position, splice.text)
        if run.presence and any(isinstance(operation, Insert) for operation in operations):
            run.presence.wrote()

    # The end.

    def _finish(self, run: Run, outcome: str, reason: str = "", advance: bool = True) -> None:
        """Ends the run now, whatever the model still computes: later events find it closed."""
        if run in self._waiting:
            self._waiting.remove(run)
        new = run.old
        if run.state == "streaming" and run.diff and run.live:
            self._engine.stop(run.id)
            try:
                if outcome != "done":
                    self._apply(run, run.diff.settle())
                new = self._text(run.file).encode()[run.live.start : run.live.end].decode()
            except (KeyError, ProtocolError):
                new = run.old
            if run.live.typed and outcome != "failed":
                reason = f"{reason} What people typed in these lines meanwhile was kept.".strip()
        run.state = "finished"
        self._active.pop(run.id, None)
        run.unwatch()
        if run.presence:
            run.presence.leave()
        # What it wrote reaches everybody before they hear that it has ended.
        self._room.flush()
        self._room.announce("run.finished", run=run.id, outcome=outcome, **run.figures, reason=reason)
        run.card = {
            "run": run.id,
            "by": run.by.public(),
            "file": run.file,
            "path": run.path,
            "instruction": run.instruction,
            "mode": "edit",
            "model": run.model,
            "continues": run.continues,
            "outcome": outcome,
            **run.figures,
            "reason": reason,
            "started_at": run.started_at,
            "undone": False,
            "kept": False,
            "diff": [],
        }
        self._done[run.id] = run
        while len(self._done) > UNDOABLE:
            self._done.popitem(last=False)[1].undo = None
        task = asyncio.get_running_loop().create_task(self._make_card(run, new))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        if advance:
            self.advance()

    async def _make_card(self, run: Run, new: str) -> None:
        if new != run.old:
            # Highlighting is slow beside everything else here, and nobody's keystroke should wait for it.
            run.card["diff"] = await asyncio.to_thread(highlighted_diff, run.path, run.old, new, run.first_line)
        self._publish(run.card)

    def _publish(self, card: dict[str, Any]) -> None:
        self.cards[card["run"]] = card
        while len(self.cards) > CARDS:
            self.cards.popitem(last=False)
        self._room.announce("run.card", **card)
        session = self._room.session
        saved = dict(card)

        def save() -> None:
            RunRecord.objects.update_or_create(id=saved["run"], defaults={"session_id": session, "started_at": saved["started_at"], "card": saved})

        storage.writer.call(save, kept=True).add_done_callback(_log_fault)


def public_model(info: ModelInfo) -> dict[str, Any]:
    return {"name": info.name, "state": info.state, "detail": info.detail, "progress": info.progress}


def _log_fault(future: Any) -> None:
    if future.exception():
        log.error("A run's card could not be saved: %s", future.exception())
