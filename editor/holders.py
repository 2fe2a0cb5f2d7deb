"""Into what each unit of a document was put: a file's text, or a key of a map.

What stands between two others must have been put where both were. The library takes it from elsewhere too, and then
loses the text between: its own copy is another than that of everybody who loads the document.
"""

from __future__ import annotations

from array import array
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from typing import TypeAlias

# A client's id and a clock: one unit of what that client wrote.
Place = tuple[int, int]
# A root type's name or the place of a shared type, and the key where that is a map.
Holder: TypeAlias = "tuple[bytes | Place, bytes | None]"
# Client and clock; what it stands behind and before; without these what it was put into. Nothing of all: it is gone.
Put: TypeAlias = "tuple[int, int, Place | None, Place | None, Holder | None]"
Clocks: TypeAlias = Mapping[int, int]


class Holders:
    """Of a document: for each client from which clocks on it wrote into what. None: nobody knows any more."""

    def __init__(self) -> None:
        self._starts: dict[int, array[int]] = {}
        self._holders: dict[int, list[Holder | None]] = {}

    def of(self, place: Place) -> Holder | None:
        starts = self._starts.get(place[0])
        at = bisect_right(starts, place[1]) if starts else 0
        return self._holders[place[0]][at - 1] if at else None

    def takes(self, new: Sequence[Put], end: Clocks, known: Clocks) -> bool:
        """Whether all stand between two of the same text, and none before one of a map, where there is no order.

        ``end``: behind the last of what is new, ``known``: of what is here."""
        if len(new) == 1 and (beside := self._typed(new[0], known)):
            return _fits(*beside)
        return Batch(self, new, end, known).is_sound()

    def add(self, taken: Sequence[Put], end: Clocks, known: Clocks) -> None:
        """What the document has taken in; ``known`` is what it held before."""
        alone = self._typed(taken[0], known) if len(taken) == 1 else None
        batch = None if alone else Batch(self, taken, end, known)
        for number, (client, clock, *_) in enumerate(taken):
            holder = batch.holder(number) if batch else alone and alone[1] and alone[0]
            starts = self._starts.setdefault(client, array("q"))
            holders = self._holders.setdefault(client, [])
            if not starts or (clock > starts[-1] and holders[-1] != holder):
                starts.append(clock)
                holders.append(holder)

    def _typed(self, put: Put, known: Clocks) -> tuple[Holder | None, Holder | None] | None:
        """What is behind and before something new, where both are here: a keystroke within a text."""
        client, clock, left, right, _ = put
        if left and right and clock == known.get(client, 0) and left[1] < known.get(left[0], 0) and right[1] < known.get(right[0], 0):
            return self.of(left), self.of(right)
        return None


def _fits(behind: Holder | None, before: Holder | None) -> bool:
    return not before or (before[1] is None and (not behind or behind == before))


class Batch:
    """What came together, and may stand beside each other."""

    def __init__(self, before: Holders, put: Sequence[Put], end: Clocks, known: Clocks) -> None:
        self._before = before
        self._put = put
        self._end = end
        self._known = known
        self._found: dict[int, Holder | None] = {}
        # Client -> the clocks of its own, which are in one row, and the number of the first.
        self._own: dict[int, tuple[array[int], int]] = {}
        for number, (client, clock, *_) in enumerate(put):
            self._own.setdefault(client, (array("q"), number))[0].append(clock)

    def is_sound(self) -> bool:
        for number, (client, clock, left, right, _) in enumerate(self._put):
            if right is None:
                continue
            behind = self._here(number) if clock < self._known.get(client, 0) else self._at(left) if left else None
            if not _fits(behind, self._at(right)):
                return False
        return True

    def holder(self, number: int) -> Holder | None:
        stack, begun = [number], set[int]()
        while stack:
            number = stack[-1]
            needed = [] if number in self._found else [other for other in self._beside(number) if other not in self._found]
            if needed and number not in begun:
                begun.add(number)
                stack += needed
                continue
            stack.pop()
            if number not in self._found:
                # Two that each stand beside the other: of neither anybody knows.
                self._found[number] = None if needed else self._decided(number)
        return self._found[number]

    def _decided(self, number: int) -> Holder | None:
        client, clock, left, right, holder = self._put[number]
        if clock < self._known.get(client, 0):
            return self._here(number)
        if left and right:
            # Beside what is gone it is gone too.
            return self._at(left) if self._at(right) else None
        beside = left or right
        return self._at(beside) if beside else holder

    def _here(self, number: int) -> Holder | None:
        """Of what is here already in part: the rest goes on behind that, whatever it says of its beginning."""
        client = self._put[number][0]
        starts, first = self._own[client]
        following = number - first + 1
        end = starts[following] if following < len(starts) else self._known[client]
        return self._before.of((client, min(end, self._known[client]) - 1))

    def _beside(self, number: int) -> list[int]:
        _, _, left, right, _ = self._put[number]
        return [other for place in (left, right) if place and (other := self._number(place)) is not None]

    def _number(self, place: Place) -> int | None:
        """Which of these a place belongs to; None where it is none of them."""
        client, clock = place
        if client not in self._own or not self._known.get(client, 0) <= clock < self._end.get(client, 0):
            return None
        starts, first = self._own[client]
        at = bisect_right(starts, clock)
        return first + at - 1 if at else None

    def _at(self, place: Place) -> Holder | None:
        number = self._number(place)
        if number is not None:
            return self.holder(number)
        client, clock = place
        # What has not come yet is in nothing that is known.
        return self._before.of(place) if clock < max(self._known.get(client, 0), self._end.get(client, 0)) else None
