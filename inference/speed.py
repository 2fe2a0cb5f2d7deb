"""How fast steps are, as seen while the engine works, and what follows: threads, the length of slices and of reading. Pure."""

from __future__ import annotations

from inference.costs import Costs, comparable
from inference.options import Options
from inference.threads import Threads

# What a slice of prefill may take while other streams decode, and the fewest tokens of one.
SLICE_S, SMALLEST_SLICE = 0.010, 4
# What a step of prompts alone may take: a stop cuts it between two nodes of its graph, and each is the longer the more tokens it has.
STEP_S = 0.25
# What reading a long text may take between two steps while streams decode: so long, or this share of a step where those are slow.
READ_S, READ_SHARE = 0.005, 0.25
# The fewest tokens of a prompt alone that tell how fast prompts are.
LEAST_LEARNT = 16
# How much a new measurement changes what is known of the speed.
WEIGHT = 0.2


class Speed:
    """Owner of what is known of steps' times. ``costs``: of steps by their size, for guesses; None where nothing was measured, or nothing is to be guessed.

    ``prefill_rate``: tokens of prompts a second.
    """

    def __init__(self, options: Options) -> None:
        costs = Costs(dict(options.costs)) if options.costs else None
        self.costs = costs if options.longest_guess else None
        self.prefill_rate = 2000.0
        self._slice_rate = 0.0  # the same of slices beside streams, which are too short to be as fast; 0 before the first
        self._decode_s = 0.0  # of a step that only decodes
        begin = options.threads, options.batch_threads or options.threads
        self._threads = Threads(options.thread_counts if costs else (), begin, costs.measured if costs else float)

    def slice(self, streaming: bool) -> int:
        """Most tokens of prompts in the next step."""
        tokens = (self._slice_rate or self.prefill_rate) * SLICE_S if streaming else self.prefill_rate * STEP_S
        return max(SMALLEST_SLICE, int(tokens))

    def reading_s(self) -> float:
        """How long a text may be read between two steps."""
        return max(READ_S, READ_SHARE * self._decode_s)

    def threads(self, size: int, prefilled: int) -> int:
        """For a step of ``size`` tokens, ``prefilled`` of them of prompts."""
        return self._threads.choose(size, comparable(size, prefilled))

    def took(self, size: int, prefilled: int, seconds: float) -> None:
        """The step whose threads were asked for last."""
        usual = comparable(size, prefilled) and self._threads.took(size, seconds)
        if not prefilled:
            if self.costs and usual:
                self.costs.took(size, seconds * 1000)
            self._decode_s += WEIGHT * (seconds - self._decode_s) if self._decode_s else seconds
        elif prefilled < size:
            # Every slice teaches, for those that did not would stay too long; a keystroke is none.
            if prefilled >= SMALLEST_SLICE:
                known = self._slice_rate or self.prefill_rate
                self._slice_rate = known + WEIGHT * (prefilled / max(seconds - self._decode_s, seconds / 4) - known)
        elif prefilled >= LEAST_LEARNT:
            self.prefill_rate += WEIGHT * (prefilled / seconds - self.prefill_rate)
