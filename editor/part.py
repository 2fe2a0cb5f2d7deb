"""One region of a run: what the engine is asked about it, and what its reply means for the document. Pure but for the engine's events."""

from __future__ import annotations

from collections.abc import Sequence

from editor.edits import Operation, RegionDiff, size
from editor.live import LiveRegion
from editor.places import where
from editor.regions import Region
from editor.replacements import operations
from editor.undo import Edit
from inference.api import Event, Finished, Note, Progress, Seen, Started


class Part:
    """``key`` names its request to the engine. ``old`` is its text before the run, ``first`` the number of its first line then."""

    def __init__(self, key: str, file: str, region: Region, text: str) -> None:
        self.key = key
        self.asked = False
        self.edit = Edit(file)
        self.tokens = 0
        self.ttft_ms: float | None = None
        self.tokens_per_s: float | None = None
        self.notes: list[str] = []
        self.saw: tuple[Seen, ...] = ()
        self.finished: Finished | None = None
        self._begin(region, text)

    def _begin(self, region: Region, text: str) -> None:
        self.old = text[region.start : region.end]
        self.first = region.first
        self.live = LiveRegion(size(text[: region.start]), size(self.old))
        self.diff = RegionDiff(self.old)

    def ask(self, text: str) -> Region:
        """Its turn has come. What people have made of its lines since they were chosen is the old text now."""
        self.asked = True
        region = where(text, self.live)
        self._begin(region, text)
        return region

    def read(self, events: Sequence[Event]) -> list[Operation]:
        """What the events mean for the region's shadow; the rest of what they tell is kept here."""
        self.hear(events)
        return operations(self.diff, events, self.finished is not None and self.finished.outcome == "done")

    def hear(self, events: Sequence[Event]) -> None:
        """What the events tell beside text."""
        for event in events:
            if isinstance(event, Started):
                self.saw = event.saw
                self.notes += [event.left_out] if event.left_out else []
            elif isinstance(event, Note):
                self.notes.append(event.text)
            elif isinstance(event, Finished):
                self.finished = event
            if isinstance(event, Progress | Finished):
                self.tokens, self.ttft_ms, self.tokens_per_s = event.tokens, event.ttft_ms, event.tokens_per_s
