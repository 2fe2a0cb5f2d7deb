"""The y-protocols binary frames, as the stock npm ``y-websocket`` client speaks them (lib0 encoding).

Decisions are made on decoded values, never on raw bytes: lib0 accepts overlong integers (``80 00`` is 0).
Everything here is linear in the frame's length and bounded.
"""

from __future__ import annotations

from dataclasses import dataclass

from editor.messages import SAFE_INTEGER

SYNC, AWARENESS, AUTH, QUERY_AWARENESS = range(4)
STEP1, STEP2, UPDATE = range(3)
# Of SAFE_INTEGER. A larger one would have every client that reads it give up the frame it stands in.
MAX_INTEGER_BYTES = 8
# Of an awareness state; it goes on when its author is renamed, goes and comes.
MAX_CLOCK = 2**52
# Stock clients pass on what they know of others; more than any session has are a load on everybody's event loop.
MAX_AWARENESS_ENTRIES = 4096


class WireError(Exception):
    """The frame is not a y-protocols message."""


class Reader:
    def __init__(self, data: bytes) -> None:
        self.data = data
        self.position = 0

    def integer(self) -> int:
        data, at = self.data, self.position
        try:
            byte = data[at]
            if byte < 0x80:
                self.position = at + 1
                return byte
            value = byte & 0x7F
            for shift in range(7, 7 * MAX_INTEGER_BYTES, 7):
                at += 1
                byte = data[at]
                value |= (byte & 0x7F) << shift
                if byte < 0x80:
                    if value > SAFE_INTEGER:
                        break
                    self.position = at + 1
                    return value
        except IndexError:
            raise WireError("an integer is cut off") from None
        raise WireError("an integer is too large")

    def chunk(self) -> bytes:
        """A length and that many bytes."""
        length = self.integer()
        end = self.position + length
        if end > len(self.data):
            raise WireError("a part is cut off")
        part = self.data[self.position : end]
        self.position = end
        return part

    def done(self) -> bool:
        return self.position >= len(self.data)


def integer(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def chunk(data: bytes) -> bytes:
    return integer(len(data)) + data


@dataclass(slots=True)
class SyncStep1:
    state_vector: bytes


@dataclass(slots=True)
class Update:
    """An update, or a SyncStep2, which carries one as well; ``step2`` says which."""

    data: bytes
    step2: bool


@dataclass(slots=True)
class AwarenessEntry:
    client: int
    clock: int
    state: str


@dataclass(slots=True)
class Awareness:
    entries: tuple[AwarenessEntry, ...]


@dataclass(slots=True)
class QueryAwareness:
    pass


Frame = SyncStep1 | Update | Awareness | QueryAwareness


def decode(data: bytes) -> Frame | None:
    """One frame. None for kinds that a server may ignore. Raises WireError."""
    reader = Reader(data)
    kind = reader.integer()
    if kind == SYNC:
        step = reader.integer()
        body = reader.chunk()
        if step == STEP1:
            # Each entry has two bytes at least. What claims more would have memory set aside for it.
            if Reader(body).integer() > len(body) // 2:
                raise WireError("the state vector is cut off")
            return SyncStep1(body)
        if step in (STEP2, UPDATE):
            return Update(body, step == STEP2)
        raise WireError(f"unknown sync step {step}")
    if kind == AWARENESS:
        return Awareness(_awareness_entries(reader.chunk()))
    if kind == QUERY_AWARENESS:
        return QueryAwareness()
    if kind == AUTH:
        return None
    raise WireError(f"unknown message kind {kind}")


def _awareness_entries(data: bytes) -> tuple[AwarenessEntry, ...]:
    reader = Reader(data)
    count = reader.integer()
    if count > MAX_AWARENESS_ENTRIES:
        raise WireError(f"more than {MAX_AWARENESS_ENTRIES} awareness states")
    entries = []
    for _ in range(count):
        client, clock = reader.integer(), reader.integer()
        if clock > MAX_CLOCK:
            raise WireError("a clock can go on no further")
        try:
            entries.append(AwarenessEntry(client, clock, reader.chunk().decode()))
        except UnicodeDecodeError:
            raise WireError("an awareness state is not UTF-8") from None
    return tuple(entries)


def check_state_vector(body: bytes) -> None:
    """Raises WireError where it is none. Takes as long as it is."""
    reader = Reader(body)
    for _ in range(2 * reader.integer()):
        reader.integer()


def sync_step1(state_vector: bytes) -> bytes:
    return bytes((SYNC, STEP1)) + chunk(state_vector)


def sync_step2(update: bytes) -> bytes:
    return bytes((SYNC, STEP2)) + chunk(update)


def update(data: bytes) -> bytes:
    return bytes((SYNC, UPDATE)) + chunk(data)


def awareness(entries: list[AwarenessEntry]) -> bytes:
    body = bytearray(integer(len(entries)))
    for entry in entries:
        body += integer(entry.client) + integer(entry.clock) + chunk(entry.state.encode())
    return bytes((AWARENESS,)) + chunk(bytes(body))


def state_vector(clocks: dict[int, int]) -> bytes:
    return integer(len(clocks)) + b"".join(integer(client) + integer(clock) for client, clock in clocks.items())
