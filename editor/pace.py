"""Whether this machine keeps up with drafts: measured, not guessed.

A draft is worth having while somebody types if it comes at once. The middle of the last drafts' times decides; when
they are too slow there are none for a while, and then one shows whether that has changed.
"""

from __future__ import annotations

import statistics
import time
from collections import deque
from collections.abc import Callable

# Drafts whose times count, and how many there must be before they say anything.
SAMPLES, FEWEST = 20, 4
# Between two tries while it is too slow: doubled each time, up to the second.
RETRY_S = (10.0, 320.0)
# A draft that takes this many times the bound is stopped, and counts as having taken that long.
PATIENCE = 4


class Pace:
    """Of all rooms, which share one model. Owner of the times and of the pause. ``bound_ms``: the most that the middle draft may take."""

    def __init__(self, bound_ms: float, clock: Callable[[], float] = time.monotonic) -> None:
        self.bound_ms = bound_ms
        self._clock = clock
        self._times: deque[float] = deque(maxlen=SAMPLES)
        self._watchers: list[Callable[[], None]] = []
        self.paused = False
        self._retry_at = 0.0
        self._wait = RETRY_S[0]

    @property
    def middle_ms(self) -> float | None:
        """The median of the last drafts, from the keystroke to the finished draft, for each of its places; None before the first."""
        return statistics.median(self._times) if self._times else None

    @property
    def places(self) -> int:
        """Of how many places at once a draft still comes within the bound, by what was measured; 0 before the first."""
        middle = self.middle_ms
        return 0 if middle is None else max(1, int(self.bound_ms / max(middle, 1)))

    def watch(self, callback: Callable[[], None]) -> Callable[[], None]:
        """Tells when it pauses and when it goes on. Returns what ends it."""
        self._watchers.append(callback)
        return lambda: self._watchers.remove(callback)

    def may(self) -> bool:
        """Whether a draft may be begun. While paused, True now and then: that one is a try."""
        if not self.paused:
            return True
        if self._clock() < self._retry_at:
            return False
        self._retry_at = self._clock() + self._wait
        return True

    def took(self, ms: float) -> None:
        """A draft came after so many milliseconds, for each of its places; or was given up after them, which counts where it was too slow already."""
        if self.paused:
            if ms <= self.bound_ms:
                return self.reset()
            self._times.append(ms)
            self._wait = min(2 * self._wait, RETRY_S[1])
            self._retry_at = self._clock() + self._wait
            return
        self._times.append(ms)
        if len(self._times) >= FEWEST and statistics.median(self._times) > self.bound_ms:
            self.paused = True
            self._retry_at = self._clock() + self._wait
            self._tell()

    def given_up(self, ms: float, places: int = 1) -> None:
        """A draft of so many places was not wanted any more before it came. That says something only of a slow one."""
        if ms > self.bound_ms:
            self.took(ms / places)

    def reset(self) -> None:
        """Another model, or one that keeps up again: what was measured does not count any more."""
        paused, self.paused = self.paused, False
        self._times.clear()
        self._wait = RETRY_S[0]
        if paused:
            self._tell()

    def _tell(self) -> None:
        for watcher in list(self._watchers):
            watcher()
