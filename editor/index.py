"""Whether an update may be applied to a document, by what is known of that.

pycrdt is quick and takes nearly everything: a change that cuts a character in two loses the text behind it, and what
builds on something that never came waits inside, unseen, and is not looked at again when that comes. What passes here
is what a client that works could have sent.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections.abc import Iterator
from typing import TypeAlias

import numpy as np

from editor.holders import Holders
from editor.updates import MAX_NAME, Malformed, Numbers, Place, Structs, deleted_clients, deletions, places

# Whom nobody here knows may have written what an update deletes: a few, which come with the answer to our question.
UNKNOWN_CLIENTS = 1000


class Missing(Exception):
    """The update builds on what is neither here nor in it."""


# Client -> the clocks of its surrogate pairs' second halves, in order.
Pairs: TypeAlias = "dict[int, array[int]]"


def _collect(pairs: Pairs, more: list[Place] | None) -> Pairs:
    for client, clock in more or ():
        known = pairs.setdefault(client, array("q"))
        if not known or clock > known[-1]:
            known.append(clock)
    return pairs


def _is_inside(pairs: Pairs, place: Place) -> bool:
    known = pairs.get(place[0], ())
    at = bisect_left(known, place[1])
    return at < len(known) and known[at] == place[1]


def _any_inside(pairs: Pairs, client: int, clocks: Numbers) -> bool:
    if client not in pairs:
        return False
    known = np.frombuffer(pairs[client], np.int64)
    at = np.searchsorted(known, clocks)
    return bool((known[np.minimum(at, len(known) - 1)] == clocks).any())


# Client -> first and last unit of each of its ranges, in turn.
Ranges: TypeAlias = "dict[int, array[int]]"


def _ranges(ranges: Ranges, more: list[tuple[int, int, int]] | None) -> Ranges:
    for client, first, last in more or ():
        known = ranges.setdefault(client, array("q"))
        if not known or first > known[-1]:
            known.extend((first, last))
    return ranges


def _is_within(ranges: Ranges, place: Place) -> bool:
    known = ranges.get(place[0], ())
    at = bisect_left(known, place[1])
    # At a last unit, or between a first one and its last.
    return at < len(known) and (known[at] == place[1] or at % 2 == 1)


class Index:
    """Of a document: client -> clock, its shared types, and where its surrogate pairs are. What updates are checked against."""

    def __init__(self, whole: Structs) -> None:
        self.clocks: dict[int, int] = {}
        self._types: set[Place] = set()
        self._holders = Holders()
        self._pairs: Pairs = {}
        # What was deleted: something may have been a shared type once.
        self._gone: Ranges = {}
        self.add(whole)

    def add(self, taken: Structs) -> None:
        """What the document has taken in, each client's structs in order."""
        if taken.put:
            self._holders.add(taken.put, taken.end, self.clocks)
        self.clocks |= taken.end
        if taken.types:
            self._types.update(taken.types)
        _collect(self._pairs, taken.pairs)
        _ranges(self._gone, taken.gone)

    def check(self, update: bytes, new: Structs) -> None:
        """Raises Malformed where the update does what no text can stand, Missing where the library would keep it until more comes."""
        if new.foreign:
            raise Malformed(f"shared types of XML, documents inside of the document, and names of more than {MAX_NAME} bytes have no use here")
        clients = deleted_clients(update, new.rest)
        # Each of them takes its time.
        if clients > len(self.clocks) + len(new.end) + UNKNOWN_CLIENTS:
            raise Malformed("it deletes what others wrote who are not known")
        # Read to its end also where it deletes nothing: what is refused is refused before it is applied.
        gone = list(deletions(update, new.rest)) if clients or len(update) > new.rest + 1 else []
        if new.holes or self._is_missing(new, gone):
            raise Missing
        self._check_holders(new)
        if self._pairs or new.pairs:
            both = (self._pairs, _collect({}, new.pairs))
            if any(_is_inside(pairs, place) for place in self._cuts(new) for pairs in both) or any(
                _any_inside(pairs, client, np.concatenate(ends)) for client, *ends in gone for pairs in both
            ):
                raise Malformed("it cuts a character in two")

    def _is_missing(self, new: Structs, gone: list[tuple[int, Numbers, Numbers]]) -> bool:
        if any(clock > self.clocks.get(client, 0) for client, clock in new.first.items()):
            return True
        for client, _, end in gone:
            if end.max() > self._end(client, new):
                return True
        return any(clock >= self._end(client, new) for put in new.put or () for client, clock in places(put))

    def _end(self, client: int, new: Structs) -> int:
        """Behind all that it has written, when the update is in."""
        known = self.clocks.get(client, 0)
        return max(known, new.end[client]) if client in new.end else known

    def _check_holders(self, new: Structs) -> None:
        if not new.put:
            return
        into = [holder[0] for *_, holder in new.put if holder and isinstance(holder[0], tuple)]
        made, gone = (set(new.types or ()), _ranges({}, new.gone)) if into else (set(), {})
        for place in into:
            # Of what is here already an update tells nothing new.
            types, deleted = (made, gone) if place[1] >= self.clocks.get(place[0], 0) else (self._types, self._gone)
            if place not in types and not _is_within(deleted, place):
                raise Malformed("something is put into what cannot hold it")
        self._holders.check(new.put, new.end, self.clocks)

    def _cuts(self, new: Structs) -> Iterator[Place]:
        """The units that something is put before."""
        for _, _, left, right, _ in new.put or ():
            if left:
                yield left[0], left[1] + 1
            if right:
                yield right
        # Where something that is known already goes on with what is new.
        yield from ((client, self.clocks[client]) for client in new.first if client in self.clocks)
