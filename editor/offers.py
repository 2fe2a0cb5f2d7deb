"""What is offered to choose from: several replies to one instruction, and the lines that they were made for.

Pure but for the engine's events: what a reply would do to the lines, drawn, as a diff, or carried over to what people have made of them.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal

from editor.edits import RegionDiff, size
from editor.held import Held
from editor.languages import MOST_LINES, highlighted_diff
from editor.live import LiveRegion
from editor.places import where
from editor.regions import Region
from editor.replacements import Replacement, apply, condense, operations, tidy
from editor.replies import Replies, span
from editor.run import Lines, Link, Replay, Request
from inference.api import Engine, Finished, Hunk, Note, Started, Task, Text

if TYPE_CHECKING:
    import asyncio

    from editor.queue import Turn

State = Literal["streaming", "done", "same", "declined", "failed"]
# A line of a diff, as `run.card` has it.
DiffLine = dict[str, Any]


@dataclass(eq=False)
class Window:
    """One of the places. ``old``: the text that the replies were made for; ``live``: where it is now; ``inside``: where it was in all of them."""

    old: str
    live: LiveRegion
    inside: Region
    first_line: int


@dataclass(eq=False)
class Variant:
    """``number`` counts from 0; ``sample`` is the number that the engine knows it by. ``text``: what the places, from the first to the
    last, would hold, once it is done."""

    number: int
    sample: int
    replies: Replies | None = None
    state: State = "streaming"
    same_as: int | None = None
    text: str = ""
    reason: str = ""
    version: int = 0
    timer: asyncio.TimerHandle | None = None
    shown: dict[str, Any] | None = None
    # Of places whose reply is whole.
    diffs: dict[int, list[DiffLine]] = field(default_factory=dict)

    @property
    def figures(self) -> dict[str, Any]:
        return self.replies.figures if self.replies else {"tokens": 0, "ttft_ms": None, "tokens_per_s": None}


@dataclass(eq=False)
class Offer:
    """The variants of one request. ``old``: the text from the first place to the last, ``live``: where that is now. ``lines``: where what
    it goes on from had its places. ``unsure``: nobody asked for them, a run was not sure enough to write."""

    id: str
    request: Request
    engine: Engine
    chain: tuple[Link, ...]
    variants: list[Variant]
    lines: Sequence[Lines] = ()
    unsure: bool = False
    place: tuple[int, str] = (0, "")
    path: str = ""
    old: str = ""
    live: LiveRegion | None = None
    windows: list[Window] = field(default_factory=list)
    tasks: list[Task] = field(default_factory=list)
    changed: Literal["", "typed", "rewritten"] = ""
    turn: Turn | None = None
    held: Held | None = None
    unwatch: Callable[[], None] = lambda: None

    def begin(self, text: str, chosen: Sequence[Region]) -> None:
        """The lines are chosen in the file's text."""
        start, self.old, inside = span(text, chosen)
        self.live = LiveRegion(start, size(self.old))
        self.windows = [
            Window(
                text[region.start : region.end], LiveRegion(size(text[: region.start]), size(text[region.start : region.end])), within, region.first
            )
            for region, within in zip(chosen, inside, strict=True)
        ]

    def people_changed(self, position: int, deleted: int, inserted: int, by_run: bool) -> None:
        """The file has changed: bytes deleted at a position, then bytes inserted there."""
        assert self.live
        if _touched(self.live, position, deleted):
            # A run's own edits are many and mean to be all of its lines: what is made of both would be neither.
            rewritten = by_run and any(_touched(window.live, position, deleted) for window in self.windows)
            self.changed = "rewritten" if rewritten else self.changed or "typed"
        for live in (self.live, *(window.live for window in self.windows)):
            live.people_changed(position, deleted, inserted)

    def edits(self, variant: Variant) -> list[list[Replacement]]:
        """What it does to each place, in that one's old text; of what is still being written, as far as it is."""
        return [self._edits(variant, number) for number in range(len(self.windows))]

    def _edits(self, variant: Variant, number: int) -> list[Replacement]:
        assert variant.replies
        old, ended = self.windows[number].old, variant.replies.ended(number)
        if ended and not _usable(ended):
            return []
        return tidy(old, condense(old, operations(RegionDiff(old), variant.replies.events[number], ended is not None)))

    def together(self, edits: list[list[Replacement]]) -> list[Replacement]:
        """The edits of all places, in the text from the first to the last."""
        pairs = zip(self.windows, edits, strict=True)
        return [replace(each, start=each.start + at.inside.start, end=each.end + at.inside.start) for at, found in pairs for each in found]

    def diff(self, variant: Variant, edits: list[list[Replacement]]) -> list[DiffLine]:
        """Of one that is done with all lines of its places: the page shows the result of it too. Slow beside everything else."""
        whole = variant.state != "streaming"
        out: list[DiffLine] = []
        for number, (window, found) in enumerate(zip(self.windows, edits, strict=True)):
            new = apply(window.old, found)
            lines = variant.diffs.get(number, [])
            if not lines and new != window.old:
                lines = highlighted_diff(self.path, window.old, new, window.first_line, **({"context": MOST_LINES} if whole else {}))
                if whole:
                    variant.diffs[number] = lines
            if lines:
                out += [{"op": "@", "old": None, "new": None, "tokens": []}, *lines] if out else lines
        return out

    def outcome(self, variant: Variant) -> tuple[State, str]:
        """Of one whose replies are all whole: what it is worth, and why not more, for people. Sets its text."""
        assert variant.replies
        ended = [each for number in range(len(self.windows)) if (each := variant.replies.ended(number))]
        failed = [(window, each) for window, each in zip(self.windows, ended, strict=True) if each.outcome not in ("done", "declined")]
        reason = ended[0].reason
        if len(ended) > 1:
            reason = " ".join(f"Line {window.first_line}: {each.reason}" for window, each in failed)
        if len(failed) == len(ended):
            return "failed", reason
        variant.text = apply(self.old, self.together(self.edits(variant)))
        if variant.text == self.old:
            return "declined", reason or "The model found nothing to change."
        return "done", reason

    def replay(self, variant: Variant, text: str, note: str) -> Replay:
        """The replies for the places as they are now in the file's text."""
        assert variant.replies
        places = []
        kept = False
        for number, window in enumerate(self.windows):
            region = where(text, window.live)
            *events, last = variant.replies.events[number]
            assert isinstance(last, Finished)
            if not _usable(last):
                events, last = [], replace(last, revert=False)  # nothing of it was shown
            elif text[region.start : region.end] != window.old:
                kept = True
                new = merged(text, window.live, operations(RegionDiff(window.old), events, True))
                told = [event for event in events if isinstance(event, Started | Note)]
                events = [*told, Hunk(1, region.last - region.first + 1), Text(new + "\n")]
            places.append((region, [*events, last]))
        return Replay(places, variant.replies.wrote, f"{note} What people had changed in these lines meanwhile was kept." if kept else note)

    def now(self, text: str) -> list[Lines]:
        """The places as they are in the file's text, to find them again."""
        regions = [where(text, window.live) for window in self.windows]
        return [(region.first, text[region.start : region.end]) for region in regions]


def _usable(finished: Finished) -> bool:
    return finished.outcome in ("done", "declined") and not finished.revert


def _touched(live: LiveRegion, position: int, deleted: int) -> bool:
    return position <= live.end and position + deleted >= live.start


def merged(text: str, live: LiveRegion, steps: Sequence[Any]) -> str:
    """What the region would hold if the steps, made for its old text, were carried over to it as it is now in the file's text."""
    live = copy.deepcopy(live)
    data = text.encode()
    for step in steps:
        for splice in live.carry(step):
            data = data[: splice.position] + splice.text.encode() + data[splice.position + splice.deleted :]
    return data[live.start : live.end].decode()
