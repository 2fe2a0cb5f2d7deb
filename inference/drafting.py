"""What a reply's next tokens may be: the old region's, for most of an edit is what was there. Pure.

Prompt-lookup that knows where it is: it follows the old tokens, loses its place where the model writes something else,
and finds it again where what was written ends as a later place of the old text does. The model decides; a guess costs
only the time to check it, and how long guesses are follows from what that costs here and how often they are right.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Mapping, Sequence

from inference.costs import Costs

# How many tokens must agree for the place to be found again.
AGREE = 2
# How many more, before what lies behind it counts as passed.
SURE = 4
# The first estimate of how often a guessed token is right, and how much each one that was checked counts.
HOPEFUL, WEIGHT = 0.8, 0.1
LONGEST = 32
# The longest guess after the place was found again, until one was right to its end.
CAREFUL = 6


class Drafter:
    """Follows one reply. ``old``: tokens of the old region as a reply would repeat them.

    ``anchors``: for formats that name lines, a line's token -> where its text begins in ``old``: two of them in a row
    say that the lines from the first on are written anew.
    """

    def __init__(self, old: Sequence[int], costs: Costs, anchors: Mapping[int, int] | None = None) -> None:
        self._old = list(old)
        self._costs = costs
        self._anchors = anchors or {}
        self._place: int | None = None if self._anchors else 0
        self._reached = 0  # no place before this is looked for
        self._agreed = 0  # tokens in a row
        self._written: list[int] = []
        self._places: dict[tuple[int, ...], list[int]] = {}
        for end in range(AGREE, len(self._old) + 1):
            self._places.setdefault(tuple(self._old[end - AGREE : end]), []).append(end)
        self._right = HOPEFUL
        self._most = LONGEST
        self.guessed = self.accepted = 0

    def guess(self, beside: int = 0, most: int = LONGEST) -> list[int]:
        """Tokens that may come next; empty where nothing is known, or where guessing would lose."""
        if self._place is None or self._place >= len(self._old):
            return []
        length = self._costs.best(self._right, beside, min(most, self._most, len(self._old) - self._place))
        return self._old[self._place : self._place + length]

    def took(self, tokens: Sequence[int], guess: Sequence[int]) -> None:
        """The model's tokens, the first of which were ``guess`` as far as they agree."""
        accepted = min(len(tokens) - 1, len(guess))
        if guess:
            self.guessed += len(guess)
            self.accepted += accepted
            for number in range(min(accepted + 1, len(guess))):
                self._right += WEIGHT * ((number < accepted) - self._right)
            self._right = min(max(self._right, 0.05), 0.98)
            self._most = min(LONGEST, 2 * len(guess)) if accepted == len(guess) else CAREFUL
        for token in tokens:
            self._follow(token)

    def _follow(self, token: int) -> None:
        last = self._written[-1] if self._written else -1
        self._written = [*self._written[-AGREE + 1 :], token]
        if token in self._anchors:
            self._place = self._anchors.get(last)
            return
        if self._place is not None and self._place < len(self._old) and self._old[self._place] == token:
            self._place += 1
            self._agreed += 1
            if self._agreed >= SURE:
                self._reached = max(self._reached, self._place)
            return
        self._place, self._agreed = None, 0
        if len(self._written) == AGREE:
            places = self._places.get(tuple(self._written), ())
            ahead = bisect_left(places, self._reached) if places else 0
            if ahead < len(places):
                self._place = places[ahead]
                self._most = min(self._most, CAREFUL)


def drafter(form: str, region: str, tokenize: Callable[[str, bool], Sequence[int]], costs: Costs) -> Drafter:
    """``form``: the format's name. ``tokenize(text, control)`` as the prompt uses it, so that the tokens are those of a reply."""
    if form != "patch":
        return Drafter(tokenize(region + "\n", False), costs)
    old: list[int] = []
    anchors: dict[int, int] = {}
    for number, line in enumerate(region.split("\n"), 1):
        anchors[tokenize(f"<|L{number}|>", True)[0]] = len(old)
        old += tokenize(line + "\n", False)
    return Drafter(old, costs, anchors)
