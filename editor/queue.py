"""The server's one queue of runs: who is next, across all sessions. Knows neither rooms nor engines.

Sessions take turns, and within a session its people do: whoever has begun nothing for the longest time is next, and
each one's own runs go in the order in which they came. A run that cannot begin yet holds up nobody else.
"""

from __future__ import annotations

import itertools
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field


@dataclass(eq=False)
class Turn:
    """A run as the queue sees it. ``blocked`` says why it cannot begin yet, for people, or nothing; ``start`` begins it;
    ``tell`` is told its place (1 is next) and that reason, whenever they change."""

    session: str
    person: str
    blocked: Callable[[], str]
    start: Callable[[], None]
    tell: Callable[[int, str], None]
    number: int = 0
    came: float = field(default_factory=time.monotonic)
    told: tuple[int, str] = field(default=(0, ""))


class Queue:
    """Owner of who waits and who streams. ``most``: runs that stream at the same time. ``waited`` hears how many seconds each waited for its turn."""

    def __init__(self, most: int, waited: Callable[[float], None] = lambda seconds: None) -> None:
        self.most = most
        self._waited = waited
        self._waiting: list[Turn] = []
        self._streaming: set[Turn] = set()
        self._numbers = itertools.count(1)
        # When a session, and a person in it, last began a run; forgotten when all have ended.
        self._began: dict[tuple[str, ...], int] = {}
        self._advancing = False

    @property
    def waiting(self) -> int:
        return len(self._waiting)

    def enter(self, turn: Turn) -> None:
        """It begins at once where it can; else it is told its place."""
        turn.number = next(self._numbers)
        self._waiting.append(turn)
        self.advance()

    def take_over(self, old: Turn, new: Turn) -> None:
        """The new one goes on in the old one's place, in the queue or in the stream, whatever the limits: one leaves, one comes."""
        new.number = old.number
        if old in self._streaming:
            self._streaming.discard(old)
            self._streaming.add(new)
            new.start()
        else:
            self._waiting[self._waiting.index(old)] = new
            self.advance()

    def leave(self, turn: Turn) -> None:
        """It has ended, or nobody wants it any more."""
        if turn in self._waiting:
            self._waiting.remove(turn)
        self._streaming.discard(turn)
        self.advance()

    def advance(self) -> None:
        """Begins what can begin, and tells those who wait where they are. Called whenever something may have become possible."""
        if self._advancing:
            return  # it goes on below
        self._advancing = True
        try:
            while (turn := self._next()) is not None:
                self._waiting.remove(turn)
                self._streaming.add(turn)
                self._waited(time.monotonic() - turn.came)
                now = next(self._numbers)
                self._began[(turn.session,)] = self._began[(turn.session, turn.person)] = now
                turn.start()
        finally:
            self._advancing = False
        if not self._waiting and not self._streaming:
            self._began.clear()
        for place, turn in enumerate(self.order(), 1):
            told = (place, turn.blocked())
            if turn.told != told:
                turn.told = told
                turn.tell(*told)

    def order(self) -> list[Turn]:
        """Those who wait, the next one first."""
        people: Counter[tuple[str, str]] = Counter()
        rounds: dict[str, list[tuple[int, int, Turn]]] = {}
        for turn in sorted(self._waiting, key=lambda turn: turn.number):
            who = (turn.session, turn.person)
            rounds.setdefault(turn.session, []).append((people[who], self._began.get(who, 0), turn))
            people[who] += 1
        ranked = []
        for session, turns in rounds.items():
            turns.sort(key=lambda entry: (entry[0], entry[1], entry[2].number))
            ranked += [(place, self._began.get((session,), 0), turn.number, turn) for place, (_, _, turn) in enumerate(turns)]
        return [turn for *_, turn in sorted(ranked, key=lambda entry: entry[:3])]

    def _next(self) -> Turn | None:
        if not self._waiting or len(self._streaming) >= self.most:
            return None
        return next((turn for turn in self.order() if not turn.blocked()), None)
