"""Into what each unit of a document was put: a file's text, or a key of a map.

What stands between two others must have been put where both were. The library takes it from elsewhere too, and then
loses the text between: its own copy is another than that of everybody who loads the document.
"""

from __future__ import annotations

from array import array
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from heapq import heappop, heappush
from typing import TypeAlias

from editor.updates import Holder, Malformed, Place, Put, places

Clocks: TypeAlias = Mapping[int, int]

ELSEWHERE = "something is put between two that do not stand in the same text"


class Holders:
    """Of a document: for each client from which clocks on it wrote into what. None: nobody knows any more."""

    def __init__(self) -> None:
        self._starts: dict[int, array[int]] = {}
        self._holders: dict[int, list[Holder | None]] = {}
        # What was checked is what is added next, as a rule.
        self._checked: Batch | None = None

    def of(self, place: Place) -> Holder | None:
        starts = self._starts.get(place[0])
        at = bisect_right(starts, place[1]) if starts else 0
        return self._holders[place[0]][at - 1] if at else None

    def check(self, new: Sequence[Put], end: Clocks, known: Clocks) -> None:
        """``end``: behind the last of what is new; ``known``: of what is here. All that it names is one or the other. Raises Malformed."""
        self._checked = Batch(self, new, end, known)

    def add(self, taken: Sequence[Put], end: Clocks, known: Clocks) -> None:
        """What the document has taken in; ``known`` is what it held before."""
        batch = self._checked
        if batch is None or batch.put is not taken:
            batch = Batch(self, taken, end, known, strict=False)
        self._checked = None
        for client, starts in batch.starts.items():
            self._starts.setdefault(client, array("q")).extend(starts)
            self._holders.setdefault(client, []).extend(batch.holders[client])


class Batch:
    """What comes together, put in one after the other as soon as all that it stands beside is there.

    Raises Malformed where that never is, or where it stands beside what it cannot; ``strict`` False: of such a one nobody knows.
    """

    def __init__(self, before: Holders, put: Sequence[Put], end: Clocks, known: Clocks, strict: bool = True) -> None:
        self.put = put
        self.starts: dict[int, list[int]] = {}
        self.holders: dict[int, list[Holder | None]] = {}
        self._before, self._end, self._known, self._strict = before, end, known, strict
        # Each client's own, the next one last; up to which clock they are in; and who waits for which clock of theirs.
        self._rows: dict[int, list[Put]] = {}
        self._waiting: dict[int, list[Place]] = {}
        for entry in reversed(put):
            self._rows.setdefault(entry[0], []).append(entry)
        self._in = {client: known.get(client, 0) if client in self._rows else clock for client, clock in end.items()}
        todo = list(self._rows)
        while todo:
            self._advance(client := todo.pop())
            waiting = self._waiting.get(client)
            while waiting and waiting[0][0] < self._in[client]:
                todo.append(heappop(waiting)[1])
        if strict and any(self._rows.values()):
            raise Malformed("something stands beside what comes after it")

    def _advance(self, client: int) -> None:
        row, known = self._rows[client], self._known.get(client, 0)
        while row:
            clock = row[-1][1]
            if (row[-2][1] if len(row) > 1 else self._end[client]) > known:
                self._in[client] = max(known, clock)
                for other, needed in places(row[-1]):
                    if needed >= self._clock(other):
                        return heappush(self._waiting.setdefault(other, []), (needed, client))
                self._put_in(row[-1], known)
            # Else it is here already.
            row.pop()
        self._in[client] = self._end[client]

    def _put_in(self, put: Put, known: int) -> None:
        client, clock, left, right, holder = put
        behind, before = self._at(left) if left else None, self._at(right) if right else None
        if clock < known:
            # The rest goes on behind what is here, and where that is.
            here = self._before.of((client, known - 1))
            if self._strict and here and any(other and other != here for other in (behind, before, holder)):
                raise Malformed(ELSEWHERE)
            return
        # Before one of a map nothing stands: there is no order.
        if before and (before[1] is not None or (behind and behind != before)):
            if self._strict:
                raise Malformed(ELSEWHERE)
            behind = None
        if left and right:
            # Beside what is gone it is gone too.
            behind = behind if before else None
        elif left or right:
            behind = behind or before
        else:
            behind = holder
        starts = self.starts.setdefault(client, [])
        holders = self.holders.setdefault(client, [])
        if behind != (holders[-1] if holders else self._before.of((client, known - 1))):
            starts.append(clock)
            holders.append(behind)

    def _clock(self, client: int) -> int:
        return self._in[client] if client in self._in else self._known.get(client, 0)

    def _at(self, place: Place) -> Holder | None:
        client, clock = place
        starts = self.starts.get(client)
        at = bisect_right(starts, clock) if starts else 0
        return self.holders[client][at - 1] if at else self._before.of(place)
