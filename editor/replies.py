"""The engine's replies to one instruction about several regions of a file, asked for a few at a time. On the event loop."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from editor.edits import size
from editor.regions import Region
from inference.api import Engine, Event, Finished, Progress, Task


class Replies:
    """Owner of the requests. ``key`` names them to the engine, ``most`` are under way at the same time.

    ``events``: of each region, in order. ``heard`` is called with the number of a region that there is more of, counted
    from 0. ``wrote``: when the first and the newest tokens came, by the monotonic clock.
    """

    def __init__(self, engine: Engine, key: str, tasks: Sequence[Task], most: int, heard: Callable[[int], None]) -> None:
        self.events: list[list[Event]] = [[] for _ in tasks]
        self.wrote = (0.0, 0.0)
        self._engine = engine
        self._key = key
        self._tasks = tasks
        self._most = most
        self._heard = heard
        self._asked = 0
        self._stopped = False

    def ask(self) -> None:
        """As many as may be under way."""
        free = self._most - sum(not self.ended(number) for number in range(self._asked))
        for number in range(self._asked, min(self._asked + free, len(self._tasks))):
            self._asked += 1
            self._engine.start(self._name(number), self._tasks[number], partial(self._listen, number))

    def stop(self) -> None:
        """Ends those under way; nothing more is heard."""
        self._stopped = True
        for number in range(self._asked):
            if not self.ended(number):
                self._engine.stop(self._name(number))

    def ended(self, number: int) -> Finished | None:
        """How a region's reply has ended, if it has."""
        last = self.events[number][-1] if self.events[number] else None
        return last if isinstance(last, Finished) else None

    @property
    def complete(self) -> bool:
        return all(self.ended(number) for number in range(len(self._tasks)))

    @property
    def figures(self) -> dict[str, Any]:
        """``{tokens, ttft_ms, tokens_per_s}``, as of a run."""
        newest = [next((each for each in reversed(events) if isinstance(each, Progress | Finished)), None) for events in self.events]
        found = [each for each in newest if each]
        first = [each.ttft_ms for each in found if each.ttft_ms is not None]
        tokens = sum(each.tokens for each in found)
        rate = found[0].tokens_per_s if found else None
        if len(self._tasks) > 1:
            took = self.wrote[1] - self.wrote[0]
            rate = tokens / took if took > 0 else None
        return {"tokens": tokens, "ttft_ms": min(first) if first else None, "tokens_per_s": rate}

    def _name(self, number: int) -> str:
        return f"{self._key}.{number + 1}" if len(self._tasks) > 1 else self._key

    def _listen(self, number: int, events: Sequence[Event]) -> None:
        if self._stopped:
            return
        self.events[number] += events
        if any(isinstance(event, Progress | Finished) for event in events):
            now = time.monotonic()
            self.wrote = (self.wrote[0] or now, now)
        self._heard(number)
        if self.ended(number) and not self._stopped:
            self.ask()


def span(text: str, chosen: Sequence[Region]) -> tuple[int, str, tuple[Region, ...]]:
    """Several regions of a text as one: its first byte, its text, and the regions within that."""
    begin, end, above = chosen[0].start, chosen[-1].end, chosen[0].first - 1
    inside = tuple(Region(each.start - begin, each.end - begin, each.first - above, each.last - above) for each in chosen)
    return size(text[:begin]), text[begin:end], inside


def outside(whole: Region, inside: Region) -> Region:
    """A region within one that is there in the text."""
    above = whole.first - 1
    return Region(whole.start + inside.start, whole.start + inside.end, above + inside.first, above + inside.last)
