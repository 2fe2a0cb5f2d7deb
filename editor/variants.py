"""Variants: several replies to one instruction, made at once from one warm cache, for people to choose from.

Nothing of them is in the document until one is taken; that one is then a run like any other. Meanwhile a live region
follows what people do to the lines, so that it still fits. Everything here runs on the event loop.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import Any, Protocol

from editor.document import Delta
from editor.drafts import drawn
from editor.edits import size
from editor.engines import Engines
from editor.finding import find_all
from editor.held import Held
from editor.members import Member, Person
from editor.offers import Offer, Variant
from editor.places import place, where
from editor.protocol import ProtocolError
from editor.queue import Queue, Turn
from editor.regions import Region
from editor.replies import Replies
from editor.room import Room
from editor.run import Lines, Link, Replay, Request, Run, make_task

# Between two messages of one variant while it streams.
SHOW_S = 0.1
# Of what nobody asked for: so many, where the model was not sure.
OFFERED = 3
NOTHING = "The model has nothing to offer after all. Say it in other words, or select the lines that are meant."


class Host(Protocol):
    """What the room's runs do for variants. Each raises ProtocolError."""

    def check(self, request: Request) -> None:
        """Whether it could be asked for at all."""

    def plan(self, request: Request) -> tuple[str, Sequence[Region]]:
        """The file's text, and the regions that a run of this request would rewrite now."""

    def blocked(self, request: Request) -> str:
        """Why it cannot begin yet, for people; or nothing."""

    def apply(self, request: Request, replay: Replay, chain: tuple[Link, ...]) -> str:
        """A run of a reply that is there already; returns its id."""


class Variants:
    """The offers of one room, one for each person at a time. Owner of all of them."""

    def __init__(self, room: Room, engines: Engines, queue: Queue, host: Host) -> None:
        self._room = room
        self._engines = engines
        self._queue = queue
        self._host = host
        self._offers: dict[str, Offer] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    def __contains__(self, offer: str) -> bool:
        return offer in self._offers

    def chosen_by(self, person: Person) -> bool:
        """Whether somebody has variants to choose from that they asked for: what they type then is for those."""
        return any(offer.request.by.id == person.id and not offer.unsure for offer in self._offers.values())

    # What participants ask for. Each raises ProtocolError and then has changed nothing.

    def start(
        self,
        request: Request,
        count: int,
        chain: tuple[Link, ...] = (),
        first: int = 0,
        instead: Offer | None = None,
        lines: Sequence[Lines] = (),
        unsure: bool = False,
    ) -> None:
        """``first``: the first sample; others than an earlier offer's make other replies. ``instead``: the offer that was steered.
        ``lines``: of that, or of the run that was ``unsure``."""
        limit = self._room.limits.variants
        if count > limit:
            raise ProtocolError("bad_message", f"{count} variants are more than the limit of {limit} at once (ENSEMBLE_MAX_VARIANTS).")
        self._host.check(request)
        engine = self._engines.wanted(request.engine)
        if engine.info.state == "ready" and not lines:
            self._host.plan(request)  # what cannot be is said now
        for known in [offer for offer in self._offers.values() if offer is instead or offer.request.by.id == request.by.id]:
            self._close(known, "steered" if known is instead else "dropped")
        key = secrets.token_hex(6)
        offer = Offer(key, request, engine, chain, [Variant(number, first + number) for number in range(count)], lines, unsure)
        self._offers[key] = offer

        def tell(position: int, reason: str) -> None:
            offer.place = (position, reason)
            self._announce(offer)

        offer.turn = Turn(self._room.session, request.by.id, lambda: self._host.blocked(request), lambda: self._begin(offer), tell)
        self._queue.enter(offer.turn)
        if key in self._offers and offer.live is None:  # it waits
            offer.held = Held(self._room.document, request)
            offer.unwatch = offer.held.drop

    def steer(self, member: Member, offer_id: str, instruction: str) -> None:
        """As many new ones, in the lines of the old ones. The same instruction again makes other replies."""
        old = self._offers[offer_id]
        again = instruction.strip() == old.request.instruction
        request = replace(old.request, by=member.person, instruction=instruction.strip())
        link = {"by": old.request.by.public(), "instruction": old.request.instruction}
        first = old.variants[-1].sample + 1 if again else 0
        lines = old.now(self._text(old)) if old.live else ()
        self.start(request, len(old.variants), old.chain if again else (*old.chain, link), first, old, lines)

    def offer(self, run: Run, count: int) -> None:
        """What a run would have tried, had it been sure enough."""
        self.start(run.request, count, run.chain, lines=[(part.first, part.old) for part in run.parts], unsure=True)

    def move_on(self, participant: str) -> None:
        """Somebody types or asks for something else, or may not take anything any more: what they did not ask for makes room."""
        for offer in [offer for offer in self._offers.values() if offer.unsure and offer.request.by.id == participant]:
            self._close(offer, "dropped")

    def dismiss(self, gone: Callable[[Person], bool]) -> None:
        """Those of people who may take none any more."""
        for offer in [offer for offer in self._offers.values() if gone(offer.request.by)]:
            self._close(offer, "dropped")

    def left(self, participant: str) -> None:
        """One of a participant's connections has ended: with the last one goes what nobody else is shown."""
        if all(member.person.id != participant for member in self._room.members):
            self.move_on(participant)

    def keep(self, member: Member, offer_id: str, number: int) -> None:
        """Takes one: it is applied as a run, around what people have changed meanwhile."""
        offer = self._offers[offer_id]
        if number >= len(offer.variants):
            raise ProtocolError("not_found", f"There are {len(offer.variants)} variants.")
        variant = offer.variants[number]
        if variant.state == "streaming":
            raise ProtocolError("busy", "This variant is still being written: wait until it is whole.")
        if variant.state not in ("done", "same"):
            raise ProtocolError("unsupported", f"This variant cannot be taken. {variant.reason}".strip())
        if offer.changed == "rewritten":
            raise ProtocolError("changed", "Another run has rewritten these lines since the variants were made: make new ones.")
        replay = offer.replay(variant, self._text(offer), f"Variant {number + 1} of {len(offer.variants)}, taken by {member.person.name}.")
        run = self._host.apply(offer.request, replay, offer.chain)
        self._close(offer, "taken", by=member, variant=number, run=run)

    def drop(self, offer_id: str, member: Member) -> None:
        self._close(self._offers[offer_id], "dropped", by=member)

    def stop(self) -> None:
        """Drops those that are still being made."""
        for offer in list(self._offers.values()):
            if offer.turn:
                self._close(offer, "dropped")

    def tell(self, member: Member) -> None:
        """To somebody who has just come."""
        for offer in self._offers.values():
            self._room.tell(member, "variants.started", **self._public(offer))
            for variant in offer.variants:
                if variant.shown:
                    self._room.tell(member, "variants.shown", **variant.shown)

    def close(self) -> None:
        for offer in list(self._offers.values()):
            self._close(offer, "dropped")

    # One offer.

    def _text(self, offer: Offer) -> str:
        """Raises ProtocolError."""
        try:
            return self._room.document.text(offer.request.file)
        except KeyError:
            raise ProtocolError("not_found", "The file is no longer there.") from None

    def _begin(self, offer: Offer) -> None:
        """Its turn has come."""
        try:
            text = self._text(offer)
            request = offer.request = offer.held.now() if offer.held else offer.request
            chosen: Sequence[Region] | None = find_all(text, offer.lines)
            if not chosen:
                text, chosen = self._host.plan(request)
        except ProtocolError as fault:
            return self._close(offer, "failed", reason=fault.message)
        offer.path = self._room.document.path(request.file)
        offer.begin(text, chosen)
        offer.place = (0, "")
        offer.unwatch()
        offer.unwatch = self._room.document.watch(request.file, lambda changes, origin: self._watched(offer, changes, origin))
        earlier = tuple(str(link["instruction"]) for link in offer.chain)
        self._announce(offer)
        tasks = [replace(make_task(self._room, offer.engine, request, text, region, earlier), tentative=True) for region in chosen]
        most = self._room.limits.parallel_windows
        for variant in offer.variants:
            sampled = [replace(task, variant=variant.sample) for task in tasks]
            variant.replies = Replies(offer.engine, f"{offer.id}.{variant.number}", sampled, most, partial(self._heard, offer, variant))
            variant.replies.ask()

    def _watched(self, offer: Offer, changes: list[Delta], origin: Any) -> None:
        before = offer.changed
        for change in changes:
            offer.people_changed(change.position, change.deleted, size(change.inserted), isinstance(origin, str))
        if offer.changed != before:
            self._room.later(0, lambda: self._announce(offer) if offer.id in self._offers else None)

    def _heard(self, offer: Offer, variant: Variant, number: int) -> None:
        assert variant.replies
        if offer.id not in self._offers or variant.state != "streaming":
            return
        if variant.replies.complete:
            self._ended(offer, variant)
        elif variant.timer is None:
            variant.timer = self._room.later(SHOW_S, lambda: self._show(offer, variant))

    def _ended(self, offer: Offer, variant: Variant) -> None:
        variant.state, variant.reason = offer.outcome(variant)
        if variant.state == "done":
            equal = [each for each in offer.variants if each.state in ("done", "same") and each.text == variant.text]
            # The first of those that came out equal is the one that is shown, whichever came first.
            for each in equal[1:]:
                if (each.state, each.same_as) != ("same", equal[0].number):
                    each.state, each.same_as = "same", equal[0].number
                    if each is not variant:
                        self._show(offer, each)
            if equal and equal[0].state == "same":
                equal[0].state, equal[0].same_as = "done", None
        self._show(offer, variant)
        if any(each.state == "streaming" for each in offer.variants):
            return
        if offer.unsure and not any(each.state == "done" for each in offer.variants):
            faults = [each.reason for each in offer.variants if each.state == "failed"]
            return self._close(offer, "failed", reason=faults[0] if len(faults) == len(offer.variants) else NOTHING)
        if offer.turn:
            turn, offer.turn = offer.turn, None
            self._queue.leave(turn)

    def _show(self, offer: Offer, variant: Variant) -> None:
        if variant.timer:
            variant.timer.cancel()
            variant.timer = None
        variant.version += 1
        task = asyncio.get_running_loop().create_task(self._draw(offer, variant, variant.version))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _draw(self, offer: Offer, variant: Variant, version: int) -> None:
        edits = offer.edits(variant)
        ended = variant.state != "streaming"
        diff = await asyncio.to_thread(offer.diff, variant, edits)
        if variant.version != version or offer.id not in self._offers or offer.live is None:
            return  # there is more by now
        variant.shown = {
            "run": offer.id,
            "variant": variant.number,
            "state": variant.state,
            "same_as": variant.same_as,
            "reason": variant.reason,
            **variant.figures,
            "diff": diff,
            **drawn(offer.old, offer.together(edits), 0),
        }
        self._room.announce("variants.shown", passing=not ended, **variant.shown)

    def _announce(self, offer: Offer) -> None:
        self._room.flush()
        self._room.announce("variants.started", **self._public(offer))

    def _public(self, offer: Offer) -> dict[str, Any]:
        request, region, places = offer.request, None, []
        if offer.live:
            with suppress(KeyError):  # it went with its file
                text = self._room.document.text(request.file)
                region = place(text, where(text, offer.live))
                places = [place(text, where(text, window.live)) for window in offer.windows]
        return {
            "run": offer.id,
            "by": request.by.public(),
            "file": request.file,
            "instruction": request.instruction,
            "chain": list(offer.chain),
            "count": len(offer.variants),
            "model": offer.engine.info.name,
            "region": region,
            "regions": places,
            "position": offer.place[0],
            "reason": offer.place[1],
            "changed": offer.changed,
            "unsure": offer.unsure,
        }

    def _close(
        self, offer: Offer, outcome: str, *, by: Member | None = None, variant: int | None = None, run: str | None = None, reason: str = ""
    ) -> None:
        if self._offers.pop(offer.id, None) is None:
            return
        offer.unwatch()
        for each in offer.variants:
            if each.timer:
                each.timer.cancel()
            if each.state == "streaming" and each.replies:
                each.replies.stop()
        if offer.turn:
            turn, offer.turn = offer.turn, None
            self._queue.leave(turn)
        who = (by.person if by else offer.request.by).public()
        self._room.announce("variants.gone", run=offer.id, outcome=outcome, by=who, variant=variant, taken=run, reason=reason)
