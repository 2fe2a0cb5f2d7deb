"""What a step of the model costs by its size, and how long a guess is worth its place in it. Pure."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping

# Steps of up to so many tokens are of one kind, which is slow or fast together; longer ones are of prompts.
KINDS = (1, 3, 8, 32)
# How much one step changes what is known of its kind; a step that waited for its core says little.
WEIGHT, MOST = 0.1, 4.0
# How much one step draws what is known of the other kinds to its own.
DRIFT = 0.005
# A change that guesses are worked out anew for.
NOTABLE = 1.1


def kind(tokens: int) -> int:
    return bisect_left(KINDS, tokens)


def comparable(tokens: int, prefilled: int) -> bool:
    """Whether a step's time tells of its kind's: a few tokens of a prompt are not like as many that are decoded."""
    return not prefilled or kind(tokens) == len(KINDS)


class Costs:
    """Milliseconds of one step by how many tokens it decodes: what was measured once, straight lines between, and what steps take now by that."""

    def __init__(self, measured: Mapping[int, float]) -> None:
        self._sizes = sorted(measured)
        self._times = [measured[size] for size in self._sizes]
        self._now = [1.0] * (len(KINDS) + 1)  # by kind
        self._used = list(self._now)  # the same, when ``_best`` was worked out
        self._best: dict[tuple[int, int, int], int] = {}

    def __call__(self, tokens: int) -> float:
        return self.measured(tokens) * self._now[kind(tokens)]

    def took(self, tokens: int, ms: float) -> None:
        """A step of so many tokens."""
        known = self._now
        number = kind(tokens)
        known[number] += WEIGHT * (min(ms / self.measured(tokens), MOST) - known[number])
        for other in range(len(known)):
            # What is not seen any more is taken to be as it was measured, by what is seen: or what once lost would never be tried again.
            known[other] += DRIFT * (known[number] - known[other])
        if any(not 1 / NOTABLE < now / used < NOTABLE for now, used in zip(known, self._used, strict=True)):
            self._used = list(known)
            self._best.clear()

    def measured(self, tokens: int) -> float:
        """As it was when it was measured once."""
        place = bisect_left(self._sizes, tokens)
        if place < len(self._sizes) and self._sizes[place] == tokens:
            return self._times[place]
        low = min(max(place - 1, 0), len(self._sizes) - 2)
        x0, x1 = self._sizes[low], self._sizes[low + 1]
        y0, y1 = self._times[low], self._times[low + 1]
        return y0 + (y1 - y0) * (tokens - x0) / (x1 - x0)

    def best(self, right: float, beside: int, most: int) -> int:
        """The length of a guess, each token of it ``right`` with this probability, that gives the most tokens in a
        second while ``beside`` other streams decode in the same step. 0: guessing loses."""
        known = (int(right * 50), beside, most)
        if known not in self._best:
            self._best[known] = self._compute(right, beside, most)
        return self._best[known]

    def _compute(self, right: float, beside: int, most: int) -> int:
        cost = self(beside + 1)
        best, rate = 0, (beside + 1) / cost
        for length in range(1, most + 1):
            expected = (1 - right ** (length + 1)) / (1 - right)
            cost = max(cost, self(beside + 1 + length))  # kinds are learnt apart, and a longer step takes no less
            gained = (beside + expected) / cost
            if gained > rate * 1.02:
                best, rate = length, gained
        return best
