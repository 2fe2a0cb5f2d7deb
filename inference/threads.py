"""How many threads a step gets: as many as are fastest just now, found out while the engine works. Pure.

On a quiet machine more threads are faster; beside other work they wait for each other, and one alone may be many times as fast. Which of the
two it is changes while people work, and with how many tokens a step decodes. So now and then another count is tried for a few steps, as long
as trials have lost no more than a hundredth of the time; and where steps have become slow, fewer threads are tried at once, and as many as before soon after.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from statistics import median

from inference import costs

# How many steps a count is tried for, and how many of the last ones it is compared with.
TRIED, COMPARED = 3, 5
# Steps between two trials, at least.
PAUSE = 16
# Of the time, what trials may lose; saved up to so many seconds.
SHARE, SAVED_S = 0.01, 0.2
# More threads must be faster by this, for they are cores that people's keystrokes could have.
WORTH = 1.05
# Steps have become slow where, beyond SLOWER times the usual, LOST usual steps' time was lost lately; no one step says more than MOST times the usual, for a core
# may be taken away for a moment.
SLOWER, LOST, MOST = 1.15, 5.0, 3.0
# So much slower than the others, and a trial is over: of fewer threads, and of more, whose first steps are slow.
HOPELESS_LESS, HOPELESS_MORE = 1.25, 3.0
# What made steps slow has often passed soon: so many trials of more threads need no credit then, the first after PAUSE steps, each other after LONGER times as many.
# More threads that are given up again before LASTS steps count as such a trial, and what they have lost is taken from the credit.
RETRIES, LONGER = 3, 8
LASTS = PAUSE * LONGER**2


@dataclass(eq=False)
class Kind:
    """Steps of about the same size. ``recent``: their times with the count in use, by what is expected of their size. ``credit``: seconds that trials may lose."""

    count: int
    recent: deque[float] = field(default_factory=lambda: deque(maxlen=COMPARED))
    usual: float = 0.0
    lost: float = 0.0
    tried: int = 0  # the count on trial, 0 outside of one
    trial: list[float] = field(default_factory=list)
    left: int = 0  # steps of the trial
    steps: int = 0
    credit: float = 0.0
    upwards: bool = True
    falling: bool = False  # steps have become slow: fewer threads are tried until that is no better
    before: int = 0  # as many as there were when they were given up
    retries: int = 0
    fewer: float = 0.0  # a step's time before more threads were taken lately, 0 where that has lasted...
    raised: int = 0  # ... steps since
    spent: float = 0.0  # ... and seconds lost since
    cold: bool = False  # threads that slept must wake in the next step, which may take as long as twenty others


class Threads:
    """``counts``: what may be chosen, in order; one alone is always taken. ``begin``: for decoding and for prompts.

    ``expected`` gives the time of a step by how many tokens it has, in any unit: what steps of unlike sizes are compared by.
    """

    def __init__(self, counts: Sequence[int], begin: tuple[int, int], expected: Callable[[int], float]) -> None:
        self._counts = sorted({*counts, *begin}) if len(counts) > 1 else []
        self._expected = expected
        last = len(costs.KINDS)
        self._kinds = [Kind(begin[number == last]) for number in range(last + 1)]

    def choose(self, size: int, alike: bool = True) -> int:
        """``alike``: as other steps of its size, so that ``took`` hears of it. Any other is no trial, or that would last until one comes that is."""
        kind = self._kind(size)
        return (alike and kind.tried) or kind.count

    def took(self, size: int, seconds: float) -> bool:
        """How long the step took whose threads were chosen last. Returns whether it was one as usual, and no trial."""
        if not self._counts:
            return True
        kind = self._kind(size)
        expected = self._expected(size)
        time = seconds / expected
        cold, kind.cold = kind.cold, False
        if kind.tried:
            # A moment's noise is no reason: where steps have become slow for good, the usual is what they take now.
            now = min(median(kind.recent), kind.usual)
            kind.credit -= max(0.0, time - now) * expected
            kind.trial += [] if cold else [time]
            kind.left -= 1
            if not kind.left or (not cold and time > (HOPELESS_MORE if kind.tried > kind.count else HOPELESS_LESS) * now):
                self._decide(kind, now)
            return False
        if cold:
            return False
        kind.recent.append(time)
        kind.steps += 1
        kind.credit = min(SAVED_S, kind.credit + SHARE * seconds)
        if len(kind.recent) < COMPARED:
            return True
        now = median(kind.recent)
        kind.usual = kind.usual or now
        kind.lost = max(0.0, kind.lost + min(time / kind.usual, MOST) - SLOWER)
        slow = kind.lost > LOST
        if slow:
            kind.usual, kind.lost = now, 0.0
        elif now < SLOWER * kind.usual:
            kind.usual += 0.1 * (now - kind.usual)
        if kind.fewer:
            kind.raised += 1
            kind.spent += (time - kind.fewer) * expected
            if kind.raised == LASTS:
                kind.fewer = 0.0
        place = self._counts.index(kind.count)
        kind.falling = (kind.falling or slow) and place > 0
        if kind.falling:
            self._try(kind, place - 1)
            return True
        back = kind.count < kind.before and bool(kind.retries or kind.fewer)
        pause = PAUSE * LONGER ** (RETRIES - kind.retries) if back and not kind.fewer else PAUSE
        if kind.steps >= pause and (back or kind.credit >= 0):
            kind.upwards = back or (not kind.upwards if 0 < place < len(self._counts) - 1 else place == 0)
            self._try(kind, place + (1 if kind.upwards else -1))
        return True

    def _kind(self, size: int) -> Kind:
        return self._kinds[costs.kind(size)]

    def _try(self, kind: Kind, place: int) -> None:
        kind.tried = self._counts[place]
        kind.cold = kind.tried > kind.count
        kind.trial.clear()
        kind.left = TRIED

    def _decide(self, kind: Kind, now: float) -> None:
        more = kind.tried > kind.count
        # A step that waits for its core says little of how fast more of them are, and one that is hopeless all of how fast fewer.
        tried = min(kind.trial) if more else max(kind.trial) if kind.left else median(kind.trial)
        if tried * WORTH < now if more else tried <= now * WORTH:
            if more:
                kind.fewer, kind.raised, kind.spent = now, 0, 0.0
            elif kind.falling:
                self._give_up(kind)
            else:
                kind.before, kind.fewer = 0, 0.0
            kind.count = kind.tried
            kind.usual, kind.lost = tried, 0.0
            kind.recent.clear()
        else:
            kind.cold = not more
            kind.falling = False
            if more and kind.count < kind.before:
                kind.retries = max(0, kind.retries - 1)
        kind.steps = kind.tried = 0

    def _give_up(self, kind: Kind) -> None:
        """Fewer threads are taken where steps have become slow."""
        kind.before = max(kind.before, kind.count)
        if kind.fewer:
            kind.credit -= max(0.0, kind.spent)
            kind.fewer = 0.0
            kind.retries = max(0, kind.retries - 1)
        else:
            kind.retries = RETRIES
