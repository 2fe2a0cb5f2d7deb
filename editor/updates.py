"""What a Yjs update (encoding v1) holds.

Malformed is what the library would read otherwise than Yjs, or what would end the process: a value nested deeply
enough overflows its stack.
Format: https://github.com/yjs/yjs/blob/main/INTERNALS.md, and ``src/structs`` there. Linear in the update's length.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache
from typing import TypeAlias, TypeVar

import numpy as np
import numpy.typing as npt

from editor.messages import SAFE_INTEGER
from editor.wire import MAX_INTEGER_BYTES, Reader, WireError

# Of values inside of values, where a file has one.
MAX_DEPTH = 32
# The library counts an author's clock in 32 bits. Names of files and of their parts, in bytes.
MAX_CLOCK, MAX_NAME = 2**32 - 1, 1000

GC, DELETED, JSON, BINARY, STRING, EMBED, FORMAT, TYPE, ANY, DOC, SKIP = range(11)
ARRAY_TYPE, MAP_TYPE, TEXT_TYPE, XML_ELEMENT, XML_FRAGMENT, XML_HOOK, XML_TEXT = range(7)
UINT8_ARRAY, ARRAY, OBJECT, ANY_STRING, TRUE, FALSE, BIGINT, FLOAT64, FLOAT32, INTEGER, NULL, UNDEFINED = range(116, 128)
FIXED = {TRUE: 0, FALSE: 0, NULL: 0, UNDEFINED: 0, BIGINT: 8, FLOAT64: 8, FLOAT32: 4}
ASTRAL = re.compile("[\U00010000-\U0010ffff]")

GONE = (None, None, None)

T = TypeVar("T")
# A client's id and a clock: one unit of what that client wrote.
Place = tuple[int, int]
# A root type's name or the place of a shared type, and the key where that is a map.
Holder: TypeAlias = "tuple[bytes | Place, bytes | None]"
# Client and clock; what it stands behind and before; without these what it was put into. Nothing of all: it is gone.
Put: TypeAlias = "tuple[int, int, Place | None, Place | None, Holder | None]"
Numbers: TypeAlias = npt.NDArray[np.int64]


CUT_OFF = "the update is cut off"


class Malformed(Exception):
    """No client that works would have sent this; the text says why."""


def places(put: Put) -> Iterator[Place]:
    """What has to be in a document before this can be."""
    _, _, left, right, holder = put
    if left:
        yield left
    if right:
        yield right
    if holder and isinstance(holder[0], tuple):
        yield holder[0]


class Structs:
    """Client -> the clock of its first struct here, and the one behind its last.

    ``more``: not text alone. ``foreign``: shared types, documents inside of this one or names that no session has a use for.
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


def deleted_clients(update: bytes, begin: int) -> int:
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
    if deleted_clients(update, rest) > len(deleted):
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
        length, begin = self.integer(), self.position
        self.skip(length)
        # Each comparison of two takes as long as they are.
        self.out.foreign |= length > MAX_NAME
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
            if clock > MAX_CLOCK:
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
            # One for all of a row: they can be very many.
            goes_on = self.out.gone and self.out.gone[-1][::2] == (client, clock - 1)
            if not (goes_on and self.out.put and self.out.put[-1][2:] == GONE):
                self.out.put = _more(self.out.put, [(client, clock, *GONE)])
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
