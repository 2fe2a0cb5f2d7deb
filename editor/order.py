"""Every character that a file's text has ever held, in order, deleted ones too.

In Yjs a character's name (client and clock) and its place among the others never change, and a deleted one leaves its
place behind. The library tells neither, so its own ordering is used: a copy of the document in which nothing is
deleted and each character's content is its number, written in digits that are characters. Pure; slow beside a
keystroke (some 10 ms for a large document), so away from the event loop.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from editor import updates, wire
from editor.document import Document

# Digits are the characters from U+0800 to U+D7FF: one UTF-16 unit each.
FIRST_DIGIT, BASE = 0x800, 0xD000

Numbers: TypeAlias = npt.NDArray[np.int64]
Mask: TypeAlias = npt.NDArray[np.bool_]
Units: TypeAlias = npt.NDArray[np.uint16]
# Client, first clock, and the clock behind the last.
Range = tuple[int, int, int]


class Order:
    """Of one file. Arrays over its UTF-16 units in order: ``clients`` and ``clocks`` name them; ``visible``; ``content``
    (0 where it is not visible)."""

    def __init__(self, state: bytes, file: str, text: str) -> None:
        """``state``: the whole document as an update; ``text``: the file's in it. Raises KeyError where there is no such file."""
        reader = _Structs(state)
        reader.structs()
        starts = np.cumsum([0, *(struct.length for struct in reader.found)])
        digits = []
        value = np.arange(starts[-1])
        while True:
            rewritten = _rewritten(state, reader, starts, value % BASE)
            read = np.frombuffer(Document([rewritten], lambda update, origin: None).text(file).encode("utf-16-le"), "<u2")
            digits.append(read.astype(np.int64) - FIRST_DIGIT)
            value //= BASE
            if not value.any():
                break
        units: Numbers = sum((digit * BASE**place for place, digit in enumerate(digits)), np.zeros(len(digits[0]), np.int64))
        struct = np.searchsorted(starts, units, "right") - 1
        self.clients: Numbers = np.array([found.client for found in reader.found] or [0], np.int64)[struct]
        self.clocks: Numbers = np.array([found.clock for found in reader.found] or [0], np.int64)[struct] + units - starts[struct]
        deleted = [
            (client, int(a), int(b)) for client, first, end in updates.deletions(state, reader.out.rest) for a, b in zip(first, end, strict=True)
        ]
        self.visible: Mask = self.labels([deleted]) < 0
        shown = utf16(text)
        assert len(shown) == np.count_nonzero(self.visible), "what is visible is the text"
        self.content: Units = np.zeros(len(units), np.uint16)
        self.content[self.visible] = shown

    def labels(self, groups: Iterable[Iterable[Range]]) -> Numbers:
        """For each unit which of the groups of ranges it is in, or -1. No unit is in two."""
        by_client: dict[int, list[tuple[int, int, int]]] = {}
        for number, ranges in enumerate(groups):
            for client, first, end in ranges:
                by_client.setdefault(client, []).append((first, end, number))
        out: Numbers = np.full(len(self.clients), -1, np.int64)
        for client, entries in by_client.items():
            table = np.array(sorted(entries), np.int64)
            places: Numbers = np.nonzero(self.clients == client)[0]
            at: Numbers = np.searchsorted(table[:, 0], self.clocks[places], "right") - 1
            inside = (at >= 0) & (self.clocks[places] < table[at, 1])
            out[places[inside]] = table[at[inside], 2]
        return out

    def ranges(self, places: Numbers) -> list[Range]:
        """The names of these units, in as few ranges as their order allows."""
        out: list[Range] = []
        for client, clock in zip(self.clients[places].tolist(), self.clocks[places].tolist(), strict=True):
            if out and out[-1][0] == client and out[-1][2] == clock:
                out[-1] = (client, out[-1][1], clock + 1)
            else:
                out.append((client, clock, clock + 1))
        return out


def utf16(text: str) -> Units:
    return np.frombuffer(text.encode("utf-16-le"), "<u2")


class _Struct:
    """A stretch of text or of deleted things: ``begin`` and ``content`` are where its header and its content begin."""

    __slots__ = ("begin", "client", "clock", "content", "end", "length")

    def __init__(self, client: int, clock: int, begin: int) -> None:
        self.client, self.clock, self.begin = client, clock, begin
        self.content = self.end = self.length = 0


class _Structs(updates.UpdateReader):
    def __init__(self, data: bytes) -> None:
        super().__init__(data)
        self.found: list[_Struct] = []
        self._content = 0

    def struct(self, client: int, clock: int) -> int:
        found = _Struct(client, clock, self.position)
        length = super().struct(client, clock)
        if self.data[found.begin] & 0x1F in (updates.STRING, updates.DELETED):
            found.content, found.end, found.length = self._content, self.position, length
            self.found.append(found)
        return length

    def text(self, client: int, clock: int) -> int:
        self._content = self.position
        return super().text(client, clock)

    def deleted(self, client: int, clock: int) -> int:
        self._content = self.position
        return super().deleted(client, clock)


def _rewritten(state: bytes, reader: _Structs, starts: Numbers, digits: Numbers) -> bytes:
    """The update with these digits as content, and with nothing deleted."""
    characters = (digits + FIRST_DIGIT).astype("<u2").tobytes()
    out = []
    copied = 0
    for number, struct in enumerate(reader.found):
        out.append(state[copied : struct.begin])
        out.append(bytes([state[struct.begin] & 0xE0 | updates.STRING]))
        out.append(state[struct.begin + 1 : struct.content])
        out.append(wire.chunk(characters[2 * starts[number] : 2 * starts[number + 1]].decode("utf-16-le").encode()))
        copied = struct.end
    out += [state[copied : reader.out.rest], b"\0"]
    return b"".join(out)
