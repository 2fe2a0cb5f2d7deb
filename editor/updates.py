"""What a Yjs update (encoding v1) holds, and whether it may be applied.

pycrdt is quick and takes nearly everything: a value nested deeply enough overflows its stack and ends the process, a
change that cuts a character in two loses the text behind it, an update with a hole before it leaves its copy and
everybody else's different. What passes here is what a client that works could have sent.
Format: https://github.com/yjs/yjs/blob/main/INTERNALS.md, and ``src/structs`` there. Linear in the update's length.
"""

from __future__ import annotations

import re
from array import array
from bisect import bisect_left
from collections.abc import Iterator
from functools import lru_cache
from typing import TypeAlias, TypeVar

import numpy as np
import numpy.typing as npt

from editor.holders import Holder, Holders, Place, Put
from editor.messages import SAFE_INTEGER
from editor.wire import MAX_INTEGER_BYTES, Reader, WireError

# Of values inside of values, where a file has one.
MAX_DEPTH = 32
# Clients that nobody here knows may have written what an update deletes: a few, which come with the next one.
UNKNOWN_CLIENTS = 1000

GC, DELETED, JSON, BINARY, STRING, EMBED, FORMAT, TYPE, ANY, DOC, SKIP = range(11)
ARRAY_TYPE, MAP_TYPE, TEXT_TYPE, XML_ELEMENT, XML_FRAGMENT, XML_HOOK, XML_TEXT = range(7)
UINT8_ARRAY, ARRAY, OBJECT, ANY_STRING, TRUE, FALSE, BIGINT, FLOAT64, FLOAT32, INTEGER, NULL, UNDEFINED = range(116, 128)
FIXED = {TRUE: 0, FALSE: 0, NULL: 0, UNDEFINED: 0, BIGINT: 8, FLOAT64: 8, FLOAT32: 4}
ASTRAL = re.compile("[\U00010000-\U0010ffff]")

T = TypeVar("T")
Numbers: TypeAlias = npt.NDArray[np.int64]


CUT_OFF = "the update is cut off"


class Malformed(Exception):
    """No client that works would have sent this; the text says why."""


class Structs:
    """Client -> the clock of its first struct here, and the one behind its last.

    ``more``: not text alone. ``foreign``: shared types or documents inside of this one that no session has a use for.
    ``holes``: structs are left out between others. ``types``: the shared types made here. ``put``: where each struct
    stands that does not simply go on behind its client's last. ``pairs``: the second halves of surrogate pairs.
    ``gone``: first and last unit of what was deleted. ``rest``: where the deletions begin.
    """

    __slots__ = ("end", "first", "foreign", "gone", "holes", "more", "pairs", "put", "rest", "types")

    def __init__(self) -> None:
        self.first: dict[int, int] = {}
        self.end: dict[int, int] = {}
        self.more = self.holes = self.foreign = False
        self.rest = 0
        # Usually none: a list for each would have the garbage collector at work a dozen times a second.
        self.types: list[Place] | None = None
        self.put: list[Put] | None = None
        self.pairs: list[Place] | None = None
        self.gone: list[tuple[int, int, int]] | None = None


# What comes in is what the document says it has taken in, and what goes out where nobody else wrote in that tick.
@lru_cache(maxsize=4)
def structs(update: bytes) -> Structs:
    """Not to be changed. Raises Malformed."""
    reader = UpdateReader(update)
    try:
        reader.structs()
    except WireError as fault:
        raise Malformed(str(fault)) from None
    except IndexError:
        raise Malformed(CUT_OFF) from None
    return reader.out


def deletions(update: bytes, begin: int) -> Iterator[tuple[int, Numbers, Numbers]]:
    """For each client where its deletions begin, and where they end. They can be very many. Raises Malformed."""
    data = np.frombuffer(update, np.uint8, offset=begin)
    ends = np.flatnonzero(data < 0x80)
    starts = np.concatenate(([0], ends[:-1] + 1))
    lengths = ends - starts + 1
    if not len(ends) or lengths.max() > MAX_INTEGER_BYTES:
        raise Malformed("an integer is too large")
    data = data[: ends[-1] + 1]
    shifts = 7 * (np.arange(len(data)) - np.repeat(starts, lengths))
    numbers = np.add.reduceat((data & 0x7F).astype(np.int64) << shifts, starts)
    if (numbers > SAFE_INTEGER).any():
        raise Malformed("an integer is too large")
    at, seen = 1, set[int]()
    for _ in range(numbers[0]):
        if at + 2 > len(numbers):
            raise Malformed(CUT_OFF)
        client, count = int(numbers[at]), int(numbers[at + 1])
        if at + 2 + 2 * count > len(numbers):
            raise Malformed(CUT_OFF)
        if client in seen or not count:
            raise Malformed("a client comes twice, or with nothing")
        seen.add(client)
        first = numbers[at + 2 : at + 2 + 2 * count : 2]
        yield client, first, first + numbers[at + 3 : at + 3 + 2 * count : 2]
        at += 2 + 2 * count
    if at < len(numbers) or ends[-1] + 1 < len(update) - begin:
        raise Malformed("something follows its end")


def _clients(update: bytes, begin: int) -> int:
    """How many clients' text is deleted, as the update says. Raises Malformed."""
    reader = Reader(update)
    reader.position = begin
    try:
        return reader.integer()
    except WireError as fault:
        raise Malformed(str(fault)) from None


def deletes_more(update: bytes, rest: int, known: bytes) -> bool:
    """Whether an update deletes what another, of no structs at all, does not. Raises Malformed."""
    deleted = {client: (first, end) for client, first, end in deletions(known, 1)}
    if _clients(update, rest) > len(deleted):
        return True
    for client, first, end in deletions(update, rest):
        if client not in deleted:
            return True
        order = np.argsort(deleted[client][0])
        begins, ends = deleted[client][0][order], deleted[client][1][order]
        at = np.searchsorted(begins, first, "right") - 1
        if (at < 0).any() or (ends[at] < end).any():
            return True
    return False


def waiting(update: bytes, rest: int, clocks: dict[int, int]) -> int:
    """Bytes, at most, of deletions of what is not written yet: they wait for it. Raises Malformed."""
    return sum(2 * MAX_INTEGER_BYTES * int((end > clocks.get(client, 0)).sum()) for client, _, end in deletions(update, rest))


# Client -> the clocks of its surrogate pairs' second halves, in order.
Pairs: TypeAlias = "dict[int, array[int]]"


def _collect(pairs: Pairs, places: list[Place] | None) -> Pairs:
    for client, clock in places or ():
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


class Index:
    """Of a document: client -> clock, its shared types, and where its surrogate pairs are. What updates are checked against."""

    def __init__(self, whole: Structs) -> None:
        self.clocks: dict[int, int] = {}
        self._types: set[Place] = set()
        self._holders = Holders()
        self._pairs: Pairs = {}
        # Client -> first and last unit of each deletion, in turn: something may have been a shared type once.
        self._gone: dict[int, array[int]] = {}
        self.add(whole)

    def add(self, taken: Structs) -> None:
        """What the document has taken in, each client's structs in order."""
        if taken.put:
            self._holders.add(taken.put, taken.end, self.clocks)
        self.clocks |= taken.end
        if taken.types:
            self._types.update(taken.types)
        _collect(self._pairs, taken.pairs)
        for client, first, last in taken.gone or ():
            gone = self._gone.setdefault(client, array("q"))
            if not gone or first > gone[-1]:
                gone.extend((first, last))

    def has_hole_before(self, new: Structs) -> bool:
        for client, clock in new.first.items():
            if clock > self.clocks.get(client, 0):
                return True
        return new.holes

    def check(self, update: bytes, new: Structs) -> None:
        """Raises Malformed where the update does what no text can stand."""
        if new.foreign:
            raise Malformed("shared types of XML, and documents inside of the document, have no use here")
        # Each of them takes its time.
        if (clients := _clients(update, new.rest)) > len(self.clocks) + len(new.end) + UNKNOWN_CLIENTS:
            raise Malformed("it deletes what others wrote who are not known")
        # Read to its end also where it deletes nothing: what is refused is refused before it is applied.
        gone = list(deletions(update, new.rest)) if clients or len(update) > new.rest + 1 else []
        made = set(new.types or ())
        for *_, holder in new.put or ():
            if holder and isinstance(place := holder[0], tuple):
                known = place in self._types or place in made or place[1] >= self.clocks.get(place[0], 0)
                if not known and not self._was_deleted(place):
                    raise Malformed("something is put into what cannot hold it")
        if new.put and not self._holders.takes(new.put, new.end, self.clocks):
            raise Malformed("something is put between two that do not stand in the same text")
        if self._pairs or new.pairs:
            both = (self._pairs, _collect({}, new.pairs))
            if any(_is_inside(pairs, place) for place in self._cuts(new) for pairs in both) or any(
                _any_inside(pairs, client, np.concatenate(ends)) for client, *ends in gone for pairs in both
            ):
                raise Malformed("it cuts a character in two")

    def _cuts(self, new: Structs) -> Iterator[Place]:
        """The units that something is put before."""
        for _, _, left, right, _ in new.put or ():
            if left:
                yield left[0], left[1] + 1
            if right:
                yield right
        # Where something that is known already goes on with what is new.
        yield from ((client, self.clocks[client]) for client in new.first if client in self.clocks)

    def _was_deleted(self, place: Place) -> bool:
        gone = self._gone.get(place[0])
        if gone is None:
            return False
        at = bisect_left(gone, place[1])
        # At a last unit, or between a first one and its last.
        return at < len(gone) and (gone[at] == place[1] or at % 2 == 1)


def _more(known: list[T] | None, new: list[T]) -> list[T]:
    if known is None:
        return new
    known += new
    return known


class UpdateReader(Reader):
    def __init__(self, data: bytes) -> None:
        super().__init__(data)
        self.out = Structs()

    def count(self) -> int:
        """Of things that follow, each of a byte at least."""
        count = self.integer()
        if count > len(self.data) - self.position:
            raise IndexError
        return count

    def skip(self, length: int) -> None:
        self.position += length
        if self.position > len(self.data):
            raise IndexError

    def string(self) -> None:
        self.skip(self.integer())

    def name(self) -> bytes:
        begin = self.position
        self.string()
        return self.data[begin : self.position]

    def text(self, client: int, clock: int) -> int:
        """Returns its length in UTF-16 units, which clocks count."""
        length = self.integer()
        begin = self.position
        self.skip(length)
        part = self.data[begin : self.position]
        if part.isascii():
            return length
        try:
            text = part.decode()
        except UnicodeDecodeError:
            raise Malformed("a text is not UTF-8") from None
        pairs = [(client, clock + found.start() + number + 1) for number, found in enumerate(ASTRAL.finditer(text))]
        if pairs:
            self.out.pairs = _more(self.out.pairs, pairs)
        return len(text) + len(pairs)

    def place(self) -> Place:
        return self.integer(), self.integer()

    def structs(self) -> None:
        out = self.out
        for _ in range(self.count()):
            count, client, clock = self.count(), self.integer(), self.integer()
            if client in out.first or not count:
                raise Malformed("a client comes twice, or with nothing")
            out.first[client] = clock
            for _ in range(count):
                length = self.struct(client, clock)
                if not length:
                    raise Malformed("a struct has no length")
                clock += length
            if clock > SAFE_INTEGER:
                raise Malformed("a clock is too large")
            out.end[client] = clock
        out.rest = self.position

    def struct(self, client: int, clock: int) -> int:
        """Returns its length, by which the client's clock goes on."""
        info = self.data[self.position]
        self.position += 1
        kind = info & 0x1F
        if kind in (GC, SKIP) and info != kind:
            raise Malformed("what is gone stands beside nothing")
        if kind == GC:
            self.out.put = _more(self.out.put, [(client, clock, None, None, None)])
            return self.deleted(client, clock)
        if kind == SKIP:
            self.out.holes = True
            return self.integer()
        left = self.place() if info & 0x80 else None
        right = self.place() if info & 0x40 else None
        holder: Holder | None = None
        if not info & 0xC0:
            into = self.name() if self.integer() == 1 else self.place()
            holder = into, self.name() if info & 0x20 else None
        if right or left != (client, clock - 1):
            self.out.put = _more(self.out.put, [(client, clock, left, right, holder)])
        if kind == STRING:
            return self.text(client, clock)
        if kind == DELETED:
            return self.deleted(client, clock)
        if kind == FORMAT:
            self.string()
            self.string()
            return 1
        self.out.more = True
        return self.content(kind, client, clock)

    def deleted(self, client: int, clock: int) -> int:
        length = self.integer()
        self.out.gone = _more(self.out.gone, [(client, clock, clock + length - 1)])
        return length

    def content(self, kind: int, client: int, clock: int) -> int:
        if kind == ANY:
            count = self.count()
            for _ in range(count):
                self.any(0)
            return count
        if kind == TYPE:
            self.out.types = _more(self.out.types, [(client, clock)])
            shape = self.integer()
            if shape > XML_TEXT:
                raise Malformed(f"a shared type of kind {shape} is not known to Yjs")
            self.out.foreign |= shape > TEXT_TYPE
            # Of a hook the library reads no name, where Yjs does: what one of them takes for a name is structs to the other.
            if shape == XML_ELEMENT:
                self.string()
        elif kind in (BINARY, EMBED):
            self.string()
        elif kind == DOC:
            self.out.foreign = True
            self.string()
            self.any(0)
        else:
            # JSON among them, of which the library reads one text more than there are; Yjs has not sent it for years.
            raise Malformed(f"content of kind {kind} is not known here")
        return 1

    def any(self, depth: int) -> None:
        if depth > MAX_DEPTH:
            raise Malformed(f"values are nested more than {MAX_DEPTH} deep")
        tag = self.data[self.position]
        self.position += 1
        if tag in FIXED:
            self.skip(FIXED[tag])
        elif tag == INTEGER:
            self.integer()
        elif tag in (ANY_STRING, UINT8_ARRAY):
            self.string()
        elif tag == ARRAY:
            for _ in range(self.count()):
                self.any(depth + 1)
        elif tag == OBJECT:
            for _ in range(self.count()):
                self.string()
                self.any(depth + 1)
        else:
            raise Malformed(f"a value of kind {tag} is not known to Yjs")
