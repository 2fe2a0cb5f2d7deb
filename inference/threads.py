"""How many threads a step gets: as many as are fastest just now, found out while the engine works. Pure.

On a quiet machine more threads are faster; beside other work they wait for each other, and one alone may be twice as fast. Which of the two
it is changes while people work, and with how many tokens a step decodes. So now and then another count is tried for a few steps, at once
where steps have become slow, the more rarely the more often it was of no use.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from statistics import median

from inference import costs

# How many steps a count is tried for, and how many of the last ones it is compared with.
TRIED = 3
# Steps between two trials: doubled by each one that changes nothing.
SOONEST, LATEST = 16, 1024
# More threads must be faster by this, for they are cores that people's keystrokes could have.
WORTH = 1.05
# So much slower than just before, and the other counts are tried at once.
SLOWER = 1.3


@dataclass(eq=False)
class Kind:
    """Steps of about the same size. ``recent``: their times with the count in use, by what is expected of their size."""

    count: int
    recent: deque[float] = field(default_factory=lambda: deque(maxlen=TRIED))
    usual: float = 0.0
    tried: int = 0  # the count on trial, 0 outside of one
    trial: list[float] = field(default_factory=list)
    pause: int = SOONEST
    steps: int = 0
    upwards: bool = True


class Threads:
    """``counts``: what may be chosen, in order; one alone is always taken. ``begin``: for decoding and for prompts.

    ``expected`` gives the time of a step by how many tokens it has, in any unit: what steps of unlike sizes are compared by.
    """

    def __init__(self, counts: Sequence[int], begin: tuple[int, int], expected: Callable[[int], float]) -> None:
        self._counts = sorted({*counts, *begin}) if len(counts) > 1 else []
        self._expected = expected
        last = len(costs.KINDS)
        self._kinds = [Kind(begin[number == last]) for number in range(last + 1)]

    def choose(self, size: int) -> int:
        kind = self._kind(size)
        return kind.tried or kind.count

    def took(self, size: int, seconds: float) -> None:
        """How long the step took whose threads were chosen last."""
        if not self._counts:
            return
        kind = self._kind(size)
        time = seconds / self._expected(size)
        if kind.tried:
            kind.trial.append(time)
            if len(kind.trial) == TRIED:
                self._decide(kind)
            return
        kind.recent.append(time)
        kind.steps += 1
        if len(kind.recent) < TRIED:
            return
        now = median(kind.recent)
        slow = kind.usual > 0 and now > SLOWER * kind.usual
        kind.usual = now if slow or not kind.usual else kind.usual + 0.1 * (now - kind.usual)
        if slow or kind.steps >= kind.pause:
            self._try(kind)

    def _kind(self, size: int) -> Kind:
        return self._kinds[costs.kind(size)]

    def _try(self, kind: Kind) -> None:
        """The next count up, or the next one down, in turns where there are both."""
        place = self._counts.index(kind.count)
        around = [place + step for step in ((1, -1) if kind.upwards else (-1, 1)) if 0 <= place + step < len(self._counts)]
        kind.upwards = not kind.upwards
        kind.tried = self._counts[around[0]]
        kind.trial.clear()

    def _decide(self, kind: Kind) -> None:
        tried, now = median(kind.trial), median(kind.recent)
        better = tried * WORTH < now if kind.tried > kind.count else tried <= now * WORTH
        if better:
            kind.count = kind.tried
            kind.usual = tried
            kind.recent.clear()
        kind.pause = SOONEST if better else min(2 * kind.pause, LATEST)
        kind.steps = kind.tried = 0
