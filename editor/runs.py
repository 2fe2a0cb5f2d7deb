"""The runs of a room: what participants ask for, the way through the queue, and what everybody is told. On the event loop.

A run goes queued -> streaming -> done, stopped, steered, declined or failed. Invariant: after ``run.finished``
nothing of the run lands in the document.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import Any

from editor import regions, told
from editor.again import Again
from editor.cards import Cards
from editor.drafts import Drafts
from editor.engines import DEEP, FAST, Engines
from editor.finding import find_changed
from editor.lines import Lines as TypedLines
from editor.members import Member
from editor.ongoing import Ongoing
from editor.outcomes import outcome_of
from editor.pace import Pace
from editor.places import marked, place, where
from editor.protocol import ProtocolError
from editor.question import NO_ANSWERS, Question, asked_about, conversation
from editor.queue import Queue, Turn
from editor.room import Room
from editor.run import Lines, Link, Mode, Replay, Request, Run, make_task
from editor.undos import Undos
from editor.variants import OFFERED, Variants
from editor.windows import choose_all

# Ended runs that a steer, on its way when they ended, still finds.
RECENT = 30
MOVED_ON = "The lines of that run are others by now and could not be found again: select those that you mean, and give the instruction anew."


class Runs:
    """The runs of one room. Owner of all of them."""

    def __init__(self, room: Room, engines: Engines, cards: list[dict[str, Any]], pace: Pace, queue: Queue) -> None:
        self._room = room
        self._engines = engines
        self._engine = engines.fast
        self._queue = queue
        self.drafts = Drafts(room, engines.fast, pace)
        self.variants = Variants(room, engines, queue, self)
        self.ongoing = Ongoing(room.limits)
        self._turns: dict[str, Turn] = {}
        self._done: OrderedDict[str, Run] = OrderedDict()
        self.cards = Cards(room, cards)
        self._undos = Undos(room, self.cards)
        self.lines = TypedLines(room)
        self.again = Again(self, engines, self._undos)

    # What participants ask for. Each raises ProtocolError and then has changed nothing.

    def typed(self, member: Member, text: str, file: str, selection: dict[str, int] | None, mode: Mode = "edit") -> None:
        """An instruction as it stands after a keystroke: the others see it, the one who types sees which lines it concerns,
        and the model evaluates it."""
        self.lines.typed(member, text, file)
        request = Request(member.person, text.strip(), file, selection, mode)
        if request.instruction:
            self.variants.move_on(member.person.id)
        if mode == "ask":
            return self._typed_question(member, request)
        content = ""
        chosen: tuple[regions.Region, ...] = ()
        if request.instruction:
            try:
                content = self._text(file)
                chosen = self._choose(content, request)
            except ProtocolError:
                pass  # it is said when the run is asked for
        # Positions are those of the text as everybody has it.
        self._room.flush()
        self._room.tell(member, "instruction.region", file=file, regions=[place(content, region) for region in chosen])
        busy = bool(self.ongoing.writing) or self.variants.chosen_by(member.person)
        if not self.drafts.typed(request, content, chosen, busy) and chosen and self._engine.info.state == "ready":
            self._engine.warm(make_task(self._room, self._engine, request, content, chosen[0]))

    def _typed_question(self, member: Member, request: Request) -> None:
        self.drafts.drop(member.person.id)
        self._room.tell(member, "instruction.region", file=request.file, regions=[])
        info = self._engine.info
        if request.instruction and info.state == "ready" and info.format != "patch" and request.file in self._room.document.files():
            text = self._text(request.file)
            self._engine.warm(make_task(self._room, self._engine, request, text, asked_about(text, request.selection)))

    def start(self, member: Member, instruction: str, file: str, selection: dict[str, int] | None, variants: int, engine: str = FAST) -> Run | None:
        """``variants`` above 1: so many replies are made for people to choose from, and there is no run until one is taken."""
        request = Request(member.person, instruction.strip(), file, selection, engine=engine)
        self.lines.given(member.person.id)
        if variants > 1:
            self.drafts.drop(member.person.id)
            self.variants.start(request, variants)
            return None
        drafted = self._drafted(request) if engine == FAST else None
        if drafted is None:
            self.drafts.drop(member.person.id)
            return self.begin(request)
        try:
            run = self.begin(request, replay=drafted)
            self.variants.move_on(member.person.id)
            return run
        finally:
            # After the text that takes its place, so that nothing flickers.
            self.drafts.drop(member.person.id)

    def _drafted(self, request: Request) -> Replay | None:
        """The reply that a run of this request would get, if a draft has brought it already."""
        try:
            content = self._text(request.file)
            return self.drafts.reply(request, content, self._choose(content, request))
        except ProtocolError:
            return None  # said when the run begins

    def ask(self, member: Member, question: str, file: str, selection: dict[str, int] | None, engine: str = FAST) -> Run:
        """A question is answered in the timeline; nothing is edited. Where the usual model cannot answer, the second one does."""
        self.drafts.drop(member.person.id)
        self.lines.given(member.person.id)
        if self._engine.info.format == "patch" and engine == FAST:
            if self._engines.deep is None:
                raise ProtocolError("unsupported", NO_ANSWERS)
            engine = DEEP
        return self.begin(Request(member.person, question.strip(), file, selection, "ask", engine))

    def steer(self, member: Member, run_id: str, instruction: str) -> Run | None:
        """What the old run wrote stands, and a new one goes on in its region."""
        self.drafts.drop(member.person.id)
        self.lines.given(member.person.id)
        if run_id in self.variants:
            self.variants.steer(member, run_id, instruction)
            return None
        old = self.ongoing.get(run_id) or self._done.get(run_id)
        card = self.cards.get(run_id)
        if old is None and card and card["mode"] == "ask":
            # All that asking on takes is on the card.
            link = {"by": card["by"], "instruction": card["instruction"]}
            request = Request(member.person, instruction.strip(), card["file"], None, "ask", card.get("engine") or FAST)
            return self.begin(request, continues=run_id, chain=(*card.get("chain", ()), link))
        if old is None:
            raise ProtocolError("not_found", "There is no such run in this session any more. Give the instruction as a new one.")
        if run_id in self.ongoing.waiting:
            self._text(old.request.file)
            old.catch_up()
        request = replace(old.request, by=member.person, instruction=instruction.strip())
        chain = (*old.chain, old.link)
        if old.outcome:
            return self.begin(request, continues=old.id, chain=chain, lines=[(first, new) for first, _, new in self.cards.regions(old.id)])
        self.check(request, instead_of=old)
        self.variants.move_on(member.person.id)
        new = self._make(
            request,
            continues=old.id,
            chain=chain,
            inherited=[part.live for part in old.parts] or None,
        )
        self._finish(old, "steered", leave=False)
        # Its place goes to the run that carries on: it is not counted beside the one that it replaces.
        self._enter(new, lambda turn: self._queue.take_over(self._turns.pop(old.id), turn))
        return new

    def begin(
        self,
        request: Request,
        *,
        continues: str | None = None,
        chain: tuple[Link, ...] = (),
        retries: str | None = None,
        lines: Sequence[Lines] = (),
        replay: Replay | None = None,
    ) -> Run:
        """A run for a request, in these ``lines`` where they still stand: it starts at once or waits for its turn.

        With a ``replay`` it is over when this returns, unless it must wait."""
        self.check(request)
        if replay is None:
            self.variants.move_on(request.by.id)
        run = self._make(request, continues=continues, chain=chain, retries=retries, lines=lines, replay=replay)
        if replay and self._overlapping(request, replay.regions) is None:
            self._stream(run, replay.regions)
            return run
        run.replay = None  # in a while the text will be another
        if run.engine.info.state == "ready":
            self._regions(run)  # what cannot be is said now
        self._enter(run, self._queue.enter)
        return run

    def _make(self, request: Request, **more: Any) -> Run:
        engine = self._engines.of(request.engine)
        if request.mode == "edit":
            return Run(self._room, engine, request, self, **more)
        question = Question(self._room, engine, request, self, **more)
        question.said = lambda text: self._room.announce("run.text", run=question.id, text=text)
        question.conversation = partial(conversation, self._card, question.continues)
        return question

    def _card(self, run: str) -> dict[str, Any] | None:
        """Of an ended run, also where it is not published yet."""
        return self.cards.get(run) or (self._done[run].card if run in self._done else None)

    def stop(self, run_id: str | None, member: Member | None = None) -> None:
        """Stops one run, or all; drops variants. A run that has ended already is no error: somebody was quicker."""
        if run_id and member and run_id in self.variants:
            return self.variants.drop(run_id, member)
        if run_id is None:
            self.variants.stop()
        for run in self.ongoing.all():
            if run_id in (None, run.id):
                self._finish(run, "stopped")
        if run_id and run_id not in self.cards and run_id not in self._done:
            raise ProtocolError("not_found", "There is no such run in this session.")

    def keep(self, member: Member, run_id: str, variant: int | None) -> None:
        """Settles a finished run's card; of variants, takes one."""
        if run_id not in self.variants:
            return self.again.keep(member, run_id)
        self.variants.keep(member, run_id, variant or 0)

    def close(self) -> None:
        """The room goes: runs end, nothing is announced to nobody."""
        self.drafts.close()
        self.variants.close()
        self.stop(None)
        self._engines.forget(self._room.session)

    @property
    def idle(self) -> bool:
        return not self.ongoing and not self.cards.busy and not self._undos.busy

    # For the variants and for what is done again: see variants.Host and again.Host.

    def check(self, request: Request, instead_of: Run | None = None) -> None:
        """``instead_of``: the run whose place this one would take."""
        info = self._engines.wanted(request.engine).info
        if not request.instruction:
            raise ProtocolError("bad_message", "The instruction is empty: type what should be changed.")
        if info.state == "failed":
            raise ProtocolError("model_unavailable", f"The model cannot be used. {info.detail}")
        self.ongoing.admit(request, instead_of)
        self._text(request.file)

    def is_live(self, run: str) -> bool:
        return run in self.ongoing

    def plan(self, request: Request) -> tuple[str, Sequence[regions.Region]]:
        content = self._text(request.file)
        return content, self._choose(content, request)

    def blocked(self, request: Request) -> str:
        return "Waits for the model to be loaded." if self._engines.of(request.engine).info.state == "loading" else ""

    def apply(self, request: Request, replay: Replay, chain: tuple[Link, ...]) -> str:
        if other := self._overlapping(request, replay.regions):
            raise ProtocolError("busy", f"The model is rewriting these lines for {other.request.by.name} just now: wait until it ends, or stop it.")
        return self.begin(request, chain=chain, replay=replay).id

    # From the request to the stream.

    def _text(self, file: str) -> str:
        try:
            return self._room.document.text(file)
        except KeyError:
            raise ProtocolError("not_found", "There is no such file in this session any more.") from None

    def _choose(self, text: str, request: Request) -> tuple[regions.Region, ...]:
        """The same for all who ask: while an instruction is typed, and when its run begins. Raises ProtocolError."""
        most = self._engines.of(request.engine).info.region_lines or 47
        try:
            return choose_all(text, request.instruction, marked(text, request.selection), most, self._room.limits.windows)
        except regions.RegionError as fault:
            raise ProtocolError("too_large", str(fault)) from None

    def _regions(self, run: Run) -> list[regions.Region]:
        """What a run would rewrite now. Raises ProtocolError."""
        text = self._text(run.request.file)
        run.catch_up()
        if run.request.mode == "ask":
            return [asked_about(text, run.request.selection)]
        if run.inherited:
            return [where(text, live) for live in run.inherited]
        found = find_changed(text, run.lines) if run.lines else None
        if not found and (run.request.selection is None or not any(lines.strip() for _, lines in run.lines)):
            return list(self._choose(text, run.request))
        if not found:
            # What was selected then is not where it was: without its lines the run would rewrite others.
            raise ProtocolError("changed", MOVED_ON)
        return found

    def _overlapping(self, request: Request, chosen: Sequence[regions.Region]) -> Run | None:
        return self.ongoing.overlapping(request, self._text(request.file), chosen)

    # The queue: see queue.Turn.

    def _enter(self, run: Run, enter: Callable[[Turn], None]) -> None:
        self.ongoing.waiting[run.id] = run
        turn = Turn(self._room.session, run.request.by.id, partial(self._blocked, run), partial(self._start, run), partial(self._tell_place, run))
        self._turns[run.id] = turn
        enter(turn)
        if run.state == "queued":
            run.wait()

    def _blocked(self, run: Run) -> str:
        if reason := self.blocked(run.request) or self.ongoing.crowded(run.request):
            return reason
        try:
            other = self._overlapping(run.request, self._regions(run))
        except ProtocolError:
            return ""  # it is said when the run begins
        run.behind = other.id if other else None
        return f"Waits for {other.request.by.name}\u2019s run on these lines." if other else ""

    def _start(self, run: Run) -> None:
        """Its turn has come."""
        del self.ongoing.waiting[run.id]
        if run.request.mode == "ask" and run.engine.info.format == "patch":
            run.model = run.engine.info.name
            return self._finish(run, "declined", NO_ANSWERS)
        try:
            self._stream(run, self._regions(run))
        except ProtocolError as fault:
            self._finish(run, "failed", fault.message)

    def _tell_place(self, run: Run, position: int, reason: str) -> None:
        run.place = (position, reason)
        self._room.announce("run.queued", **told.queued(run))

    def _stream(self, run: Run, chosen: Sequence[regions.Region]) -> None:
        """Tells everybody, and asks the model."""
        run.take(chosen)
        self.ongoing.writing[run.id] = run
        self.noted(run)
        run.begin()

    def _finish(self, run: Run, outcome: str, reason: str = "", leave: bool = True) -> None:
        """Ends the run now, whatever the model still computes."""
        self.ongoing.drop(run)
        new = run.settle()
        run.outcome = outcome
        if run.typed and outcome != "failed":
            reason = f"{reason} {told.listed(run.typed)} typed in these lines meanwhile: that was kept.".strip()
        # What it wrote reaches everybody before they hear that it has ended.
        self._room.flush()
        self._room.announce("run.finished", run=run.id, outcome=outcome, **run.figures, reason=reason)
        run.card = self.cards.make(run, new, reason)
        self._done[run.id] = run
        while len(self._done) > RECENT:
            self._done.popitem(last=False)
        if leave and (turn := self._turns.pop(run.id, None)):
            self._queue.leave(turn)
        elif leave:
            # It has begun beside the queue, and may have been in somebody's way.
            self._queue.advance()

    # What a run tells of its way: see run.Owner.

    def noted(self, run: Run) -> None:
        self._room.flush()
        self._room.announce("run.started", **told.started(run))

    def progressed(self, run: Run) -> None:
        self._room.announce("run.progress", run=run.id, **run.figures, places=run.progress)

    def broke(self, run: Run, reason: str) -> None:
        self._finish(run, "failed", reason)

    def concluded(self, run: Run) -> None:
        if run.request.mode == "ask" and run.parts[0].finished:
            return self._finish(run, run.parts[0].finished.outcome, run.parts[0].finished.reason)
        for part in run.parts:
            if part.finished and part.finished.revert:
                self._undos.revert(run, part)
        tries = self._tries(run)
        outcome, reason = outcome_of(run, self._engines.deep is not None, tries > 0)
        self._finish(run, outcome, f"{run.replay.note} {reason}".strip() if run.replay else reason)
        if tries:
            with suppress(ProtocolError):  # what cannot be offered now can be asked for later
                self.variants.offer(run, tries)

    def _tries(self, run: Run) -> int:
        """How many variants are offered of a run that was not sure enough to write: none to somebody who has gone, or is about something else."""
        person = run.request.by
        here = any(member.hello and member.person.id == person.id for member in self._room.members)
        others = any(other.request.by.id == person.id for other in self.ongoing.all() if other is not run)
        free = here and not others and not self.variants.chosen_by(person)
        return min(OFFERED, self._room.limits.variants) if run.unsure and free else 0

    def tell_live(self, member: Member) -> None:
        """What goes on just now, to somebody who has just come."""
        self._room.flush()
        self.lines.tell(member)
        for kind, fields in told.live(self.ongoing):
            self._room.tell(member, kind, **fields)
