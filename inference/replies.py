"""Readers of replies: model output in, Hunk and Text events out, as it streams. Pure.

The embedded model answers with hunks marked by tokens of its own; chat models answer with the region's
whole new text (``rewrites.py``, ``mending.py``). What may go wrong with any of them: ``guards.py``.
"""

from __future__ import annotations

import re
from typing import Protocol

from inference.api import Event, Hunk, Text

LINE = re.compile(r"<\|L(\d+)\|>\Z")
INSERT = "<|ins|>"
DECLINE = "<|decline|>"


class Malformed(Exception):
    """The reply breaks its form. Nothing of it may stay in the file. ``reason``: a sentence for people."""

    @property
    def reason(self) -> str:
        return f"The model's answer broke its form ({self}); nothing was changed."


class Unusable(Malformed):
    """The reply is none that may be used; the text says why, as a sentence."""

    @property
    def reason(self) -> str:
        return str(self)


class Reader(Protocol):
    """``complete`` is set when the reader has all it wants: the model may stop there."""

    complete: bool

    def feed(self, piece: str, control: bool) -> list[Event]:
        """One token's text. ``control``: it is one of the vocabulary's control tokens. Raises Malformed."""

    def finish(self) -> list[Event]:
        """The model has ended its reply. Raises Malformed."""


class PatchReader:
    """``<|Ls|><|Le|>lines`` replaces lines s to e; ``<|Lk|><|ins|>lines`` inserts after line k; see the model card.

    ``<|decline|>`` as the whole reply: the model says that the request is beyond it.
    """

    def __init__(self, lines: int) -> None:
        self.complete = False
        self._lines = lines
        self._first: int | None = None
        self._in_hunk = False
        self._position = 0  # lines up to here are behind the last hunk
        self._ends_in_newline = True

    def feed(self, piece: str, control: bool) -> list[Event]:
        if not control:
            if self._first is not None or not self._in_hunk:
                raise Malformed("text outside of a hunk")
            self._ends_in_newline = piece.endswith("\n")
            return [Text(piece)]
        if not self._ends_in_newline:
            raise Malformed("a hunk's last line has no end")
        if piece == DECLINE and self._first is None and not self._in_hunk:
            self.complete = True
            return []
        match = LINE.match(piece)
        if self._first is None:
            if not match:
                raise Malformed(f"{piece} where a line was expected")
            self._first = int(match[1])
            self._in_hunk = False
            return []
        if piece == INSERT:
            hunk = Hunk(self._first + 1, self._first)
        elif match:
            hunk = Hunk(self._first, int(match[1]))
            if hunk.last < hunk.first:
                raise Malformed("a hunk that ends before it begins")
        else:
            raise Malformed(f"{piece} where a line was expected")
        if hunk.first <= self._position or hunk.last > self._lines or hunk.first > self._lines + 1:
            raise Malformed("a hunk outside of the region or out of order")
        self._first = None
        self._in_hunk = True
        self._position = max(hunk.last, hunk.first - 1)
        return [hunk]

    def finish(self) -> list[Event]:
        if self._first is not None or not self._ends_in_newline:
            raise Malformed("the reply ends in the middle of a hunk")
        self.complete = True
        return []


class AnswerReader:
    """An answer for people: all of it is Text."""

    def __init__(self) -> None:
        self.complete = False
        self._begun = False

    def feed(self, piece: str, control: bool) -> list[Event]:
        text = piece if self._begun else piece.lstrip()
        if control or not text:
            return []
        self._begun = True
        return [Text(text)]

    def finish(self) -> list[Event]:
        self.complete = True
        if not self._begun:
            raise Unusable("The model gave no answer.")
        return []


class StopAt:
    """Lets text through to another reader up to a marker that the model writes in plain letters."""

    def __init__(self, reader: Reader, marker: str) -> None:
        self.complete = False
        self._reader = reader
        self._marker = marker
        self._held = ""  # may be the marker's beginning

    def feed(self, piece: str, control: bool) -> list[Event]:
        if control or self.complete:
            return []
        text, found, _ = (self._held + piece).partition(self._marker)
        if found:
            self._held = text
            return self.finish()
        held = next((n for n in range(min(len(text), len(self._marker) - 1), 0, -1) if self._marker.startswith(text[-n:])), 0)
        self._held = text[len(text) - held :]
        out = self._reader.feed(text[: len(text) - held], False) if len(text) > held else []
        self.complete = self._reader.complete
        return out

    def finish(self) -> list[Event]:
        out = self._reader.feed(self._held, False) if self._held else []
        self.complete = True
        return out + self._reader.finish()
