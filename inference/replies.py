"""Readers of replies: model output in, Hunk and Text events out, as it streams. Pure.

Two forms. The embedded model answers with hunks marked by tokens of its own; chat models answer with
the region's whole new text, often wrapped in a fence or chatter that must not reach the file.
"""

from __future__ import annotations

import re
from typing import Protocol

from inference.api import Event, Hunk, Text

LINE = re.compile(r"<\|L(\d+)\|>\Z")
INSERT = "<|ins|>"
DECLINE = "<|decline|>"


class Malformed(Exception):
    """The reply breaks its form. Nothing of it may stay in the file."""


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


FENCE = re.compile(r"^\s*(```|~~~)[\w+#.-]*\s*$")
TAG = re.compile(r"^\s*</?(region|code)>\s*$")
CHATTER_START = r"(sure|here|certainly|of course|okay|ok|below|this is|the (new|updated|rewritten|revised))\b"
CHATTER = re.compile(CHATTER_START + r".*[:!.]\s*$", re.IGNORECASE)
# With so much of the first line it is known whether it begins like chatter.
TELLING = 16


class RewriteReader:
    """The region's whole new text, cleaned line by line: fences, region tags and chatter before a fence go.

    A line is let through token by token once it cannot be one of those any more. Blank lines wait for
    text to follow them, so that a reply's trailing newlines add nothing.
    """

    def __init__(self, lines: int, region: str = "") -> None:
        self.complete = False
        self._lines = lines
        self._fences_in_region = bool(re.search(r"^\s*(```|~~~)", region, re.MULTILINE))
        self._line = ""
        self._sent = 0  # how much of the unfinished line has been let through
        self._begun = False  # text of the region has been seen; before it, chatter and fences may stand
        self._opened = False
        self._chatter = ""
        self._blank = 0

    def feed(self, piece: str, control: bool) -> list[Event]:
        out: list[Event] = []
        if control:
            return out
        *ended, rest = (self._line + piece).split("\n")
        for line in ended:
            if not self.complete:
                self._end_line(line.removesuffix("\r"), out)
        if self.complete:
            return out
        self._line = rest
        shown = rest.removesuffix("\r")
        if len(shown) > self._sent and self._is_text(shown):
            self._begun = True
            self._emit(shown[self._sent :], out)
            self._sent = len(shown)
        return out

    def finish(self) -> list[Event]:
        out: list[Event] = []
        if self._line and not self.complete:
            self._end_line(self._line, out)
        if self._chatter and not self._opened:
            # No fence came after what looked like chatter: it was the answer.
            self._emit(self._chatter, out)
        self.complete = True
        return out

    def _is_text(self, partial: str) -> bool:
        """Whether an unfinished line is surely text of the region, and no fence, tag or chatter."""
        stripped = partial.lstrip()
        if not stripped or stripped[0] in "`~<" or self._chatter:
            return False
        return self._begun or (len(stripped) >= TELLING and not re.match(CHATTER_START, stripped, re.IGNORECASE))

    def _end_line(self, line: str, out: list[Event]) -> None:
        self._line = ""
        sent, self._sent = self._sent, 0
        if sent:
            self._emit(line[sent:] + "\n", out)
        elif TAG.match(line):
            self.complete = self._opened and "/" in line
        elif FENCE.match(line) and not self._opened:
            self._begun, self._chatter, self._blank = True, "", 0
        elif FENCE.match(line) and not self._fences_in_region:
            self.complete = True
        elif not self._opened and not self._begun and CHATTER.match(line):
            self._chatter += line + "\n"
        elif not line.strip():
            self._blank += 1
        else:
            self._begun = True
            self._emit(self._chatter + line + "\n", out)
            self._chatter = ""

    def _emit(self, text: str, out: list[Event]) -> None:
        if not self._opened:
            self._opened, self._blank = True, 0
            out.append(Hunk(1, self._lines))
        out.append(Text("\n" * self._blank + text))
        self._blank = 0


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
