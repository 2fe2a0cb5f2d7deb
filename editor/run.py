"""One run: what was asked, its parts, and their way into the document. Writes only through its room, on the event loop.

A run has one part for each region that it rewrites (``editor/part.py``): each with its own request to the engine, its own
diff and its own live region. Invariant: after ``settle`` nothing of the run lands in the document.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from functools import partial
from typing import Any, Literal, Protocol

from editor.document import Delta
from editor.edits import Insert, Operation, size
from editor.held import Held
from editor.live import LiveRegion
from editor.members import Member, Person
from editor.modelpresence import ModelPresence
from editor.part import Part
from editor.places import place, where
from editor.regions import Region
from editor.room import Room
from editor.undo import Edit, merged
from inference.api import Engine, Event, Seen, Started, Task

Mode = Literal["edit", "ask"]


@dataclass(frozen=True)
class Request:
    """What a participant asks for. ``selection`` is ``{anchor, head}`` in UTF-16 units; ``engine``: "fast" or "deep"."""

    by: Person
    instruction: str
    file: str
    selection: dict[str, int] | None = None
    mode: Mode = "edit"
    engine: str = "fast"


# An earlier instruction of a chain: `{by, instruction}`, as the protocol has it.
Link = dict[str, Any]


# The number of a first line, and the text of some lines that began there once.
Lines = tuple[int, str]


@dataclass(frozen=True)
class Replay:
    """Replies that are complete already. ``places``: regions of the file as it is now, in ascending order, and what an engine
    said of each, with its Finished. ``wrote``: when the first and the last token came, by the monotonic clock.
    ``note``: what its card says of it."""

    places: Sequence[tuple[Region, Sequence[Event]]]
    wrote: tuple[float, float] = (0.0, 0.0)
    note: str = ""

    @property
    def regions(self) -> list[Region]:
        return [region for region, _ in self.places]


class Owner(Protocol):
    """Who is told of a run's way. Called on the event loop."""

    def noted(self, run: Run) -> None:
        """Its notes have changed."""

    def progressed(self, run: Run) -> None:
        """Its figures have changed."""

    def concluded(self, run: Run) -> None:
        """All parts have finished."""

    def broke(self, run: Run, reason: str) -> None:
        """It cannot go on."""


class Run:
    """Queued, then streaming, then finished. Owner of its parts and its caret."""

    def __init__(
        self,
        room: Room,
        engine: Engine,
        request: Request,
        owner: Owner,
        *,
        continues: str | None = None,
        chain: tuple[Link, ...] = (),
        retries: str | None = None,
        inherited: list[LiveRegion] | None = None,
        lines: Sequence[Lines] = (),
        replay: Replay | None = None,
    ) -> None:
        """Raises KeyError where the file is gone. ``chain``: the instructions that led to it, oldest first; ``retries``: the run
        that this one does again; ``inherited``: the regions of the streaming run whose place it takes; ``lines``: those of an
        ended one."""
        self.id = secrets.token_hex(6)
        self.request = request
        self.path = room.document.path(request.file)
        self.engine = engine
        self.continues = continues
        self.chain = chain
        self.retries = retries
        self.inherited = inherited
        self.lines = lines
        self.replay = replay
        self.started_at = datetime.now(UTC).isoformat()
        self.state: Literal["queued", "streaming", "finished"] = "queued"
        self.outcome = ""
        self.place = (0, "")
        self.behind: str | None = None
        self.model = ""
        self.parts: list[Part] = []
        # When the first and the newest token came, by the monotonic clock.
        self._wrote_at = (0.0, 0.0)
        self.answer = ""  # to a question
        self.card: dict[str, Any] = {}
        self._room = room
        self._owner = owner
        self._presence: ModelPresence | None = None
        self._held: Held | None = None
        self._unwatch: Callable[[], None] | None = None
        # Names of the people who typed inside the regions since the run began.
        self.typed: list[str] = []

    @property
    def origin(self) -> str:
        return f"run:{self.id}"

    @property
    def figures(self) -> dict[str, Any]:
        """``{tokens, ttft_ms, tokens_per_s}`` of all parts: tokens add up, the first is the first of any, the rate is that of the whole."""
        first = [part.ttft_ms for part in self.parts if part.ttft_ms is not None]
        tokens = sum(part.tokens for part in self.parts)
        rate = self.parts[0].tokens_per_s if self.parts else None
        if len(self.parts) > 1:
            took = self._wrote_at[1] - self._wrote_at[0]
            rate = tokens / took if took > 0 else None
        return {"tokens": tokens, "ttft_ms": min(first) if first else None, "tokens_per_s": rate}

    @property
    def progress(self) -> dict[str, int]:
        """How many of the run's places are done."""
        return {"done": sum(part.finished is not None for part in self.parts), "of": len(self.parts)}

    @property
    def unsure(self) -> bool:
        """Whether it changed nothing because the model was not sure of what it would have written."""
        ended = [part.finished for part in self.parts if part.finished]
        return any(each.unsure for each in ended) and all(each.outcome == "declined" for each in ended)

    @property
    def notes(self) -> list[str]:
        """For people: what of the file the model did not see, what of its answer was left out."""
        return list(dict.fromkeys(note for part in self.parts for note in part.notes))

    @property
    def saw(self) -> list[dict[str, Any]]:
        """The files in the prompt, in the protocol's terms: of several parts, what the one that saw most of each did."""
        most: dict[str, Seen] = {}
        for seen in (seen for part in self.parts for seen in part.saw):
            if seen.path not in most or seen.tokens > most[seen.path].tokens:
                most[seen.path] = seen
        return [asdict(seen) for seen in most.values()]

    @property
    def edit(self) -> Edit:
        """What it has done."""
        return merged(self.request.file, [part.edit for part in self.parts])

    def public(self) -> dict[str, Any]:
        """What all messages about a run say of it."""
        request = self.request
        return {
            "run": self.id,
            "by": request.by.public(),
            "file": request.file,
            "instruction": request.instruction,
            "mode": request.mode,
            "engine": request.engine,
            "continues": self.continues,
            "chain": list(self.chain),
            "retries": self.retries,
        }

    @property
    def link(self) -> Link:
        """This run in the chain of those that go on from it."""
        return {"by": self.request.by.public(), "instruction": self.request.instruction}

    def overlaps(self, file: str, text: str, region: Region) -> bool:
        """Whether the run rewrites lines of a region of the file's text, which is as it is now."""
        start, end = size(text[: region.start]), size(text[: region.end])
        return file == self.request.file and any(start <= part.live.end and part.live.start <= end for part in self.parts)

    def places(self) -> list[dict[str, int]]:
        """The regions as they are now, in the protocol's terms. Raises KeyError where the file is gone."""
        text = self._room.document.text(self.request.file)
        return [place(text, where(text, part.live)) for part in self.parts]

    def wait(self) -> None:
        """What it is for is chosen when its turn comes: until then, what was marked stays with its text. Raises KeyError where the file is gone."""
        self._held = Held(self._room.document, self.request)
        self._unwatch = self._held.drop

    def catch_up(self) -> None:
        """Its request is of the text as it is now. Raises KeyError where the file is gone."""
        if self._held:
            self.request = self._held.now()

    def stop_watching(self) -> None:
        if self._unwatch:
            self._unwatch()
            self._unwatch = None

    # The stream.

    def take(self, regions: Sequence[Region]) -> None:
        """The lines are chosen, and the run has its caret in the file. Raises KeyError where the file is gone."""
        document, file = self._room.document, self.request.file
        text = document.text(file)
        self.stop_watching()
        self._unwatch = document.watch(file, self._watched)
        self.parts = [Part(self.id if len(regions) == 1 else f"{self.id}.{number}", file, region, text) for number, region in enumerate(regions, 1)]
        if self.replay:
            self._wrote_at = self.replay.wrote
            for part, (_, events) in zip(self.parts, self.replay.places, strict=True):
                part.asked = True
                # What the model saw is known before anybody is told of the run.
                part.hear([event for event in events if isinstance(event, Started)])
        self.model = self.engine.info.name
        self.state = "streaming"
        self._presence = ModelPresence(self._room, self.model, file)
        self._presence.appear()

    def begin(self) -> None:
        """Asks the engine, or applies the reply that is there already."""
        if self.replay is None:
            return self._ask_more()
        for part, (_, events) in zip(self.parts, self.replay.places, strict=True):
            self._listen(part, [event for event in events if not isinstance(event, Started)])

    def _ask_more(self) -> None:
        """As many parts are written at the same time as the limit allows. Raises KeyError where the file is gone."""
        free = self._room.limits.parallel_windows - sum(part.asked and part.finished is None for part in self.parts)
        text = self._room.document.text(self.request.file)
        earlier = tuple(link["instruction"] for link in self.chain)
        for part in [part for part in self.parts if not part.asked][: max(free, 0)]:
            task = make_task(self._room, self.engine, self.request, text, part.ask(text), earlier)
            self.engine.start(part.key, task, partial(self._listen, part))

    def _watched(self, changes: list[Delta], origin: Any) -> None:
        if origin == self.origin:
            return
        typed = self._typed()
        for change in changes:
            for part in self.parts:
                part.live.people_changed(change.position, change.deleted, size(change.inserted))
        if self._typed() > typed and isinstance(origin, Member) and origin.person.name not in self.typed:
            self.typed.append(origin.person.name)

    def _typed(self) -> int:
        return sum(part.live.typed for part in self.parts if part.asked and part.finished is None)

    def _listen(self, part: Part, events: Sequence[Event]) -> None:
        """What one tick brought of a part: it reaches everybody at once."""
        if self.state != "streaming" or part.finished:
            return
        notes, tokens = (self.notes, part.saw), part.tokens
        operations = part.read(events)
        if part.tokens != tokens and not self.replay:
            now = time.monotonic()
            self._wrote_at = (self._wrote_at[0] or now, now)
        try:
            if (self.notes, part.saw) != notes:
                self._owner.noted(self)
            self._apply(part, operations)
            if part.finished and part.finished.outcome != "done":
                self._apply(part, part.diff.settle())
            if all(part.finished for part in self.parts):
                return self._owner.concluded(self)
            if part.finished:
                self._ask_more()
        except KeyError:
            return self._owner.broke(self, "The file was deleted while the model wrote.")
        if part.finished or part.tokens != tokens:
            self._owner.progressed(self)

    def _apply(self, part: Part, operations: list[Operation]) -> None:
        if not operations:
            return
        document, file = self._room.document, self.request.file
        self._room.authors.room_writes(document, self.request.by, self.id)
        for operation in operations:
            for splice in part.live.carry(operation):
                # Each a transaction of its own, so that it is known which characters went with it; they go out together.
                part.edit.note(document.splice(file, splice.position, splice.deleted, splice.text, self.origin), splice.old)
                for other in self.parts:
                    if other is not part:
                        other.live.people_changed(splice.position, splice.deleted, size(splice.text))
        if self._presence and any(isinstance(operation, Insert) for operation in operations):
            self._presence.wrote()

    def settle(self) -> list[str]:
        """Ends it now, whatever the model still computes: later events find it closed.

        Every line is then old or new, and whole. Returns the new text of each part, the old one where the file is gone.
        """
        new = [part.old for part in self.parts]
        if self.state == "streaming":
            try:
                for part in self.parts:
                    if part.asked and part.finished is None:
                        self.engine.stop(part.key)
                        self._apply(part, part.diff.settle())
                data = self._room.document.text(self.request.file).encode()
                # Of one that was not asked about yet, what people have changed is not the run's.
                new = [data[part.live.start : part.live.end].decode() if part.asked else part.old for part in self.parts]
            except KeyError:
                pass
        self.state = "finished"
        self.stop_watching()
        if self._presence:
            self._presence.leave()
        return new


def make_task(room: Room, engine: Engine, request: Request, text: str, region: Region, earlier: tuple[str, ...] = ()) -> Task:
    """What the engine is asked for a region of the file's text. Raises KeyError where the file is gone."""
    return Task(
        cache=room.session,
        who=request.by.id,
        path=room.document.path(request.file),
        before=text[: region.start],
        region=text[region.start : region.end],
        after=text[region.end :],
        instruction=request.instruction,
        earlier=earlier,
        mode=request.mode,
        # The built-in model was trained to see one file.
        others=() if engine.info.format == "patch" else room.context.others(request.file, text, request.instruction, room.limits.other_files),
    )
