"""Readers of replies: model output in, Hunk and Text events out, as it streams. Pure.

The embedded model answers with hunks marked by tokens of its own; chat models answer with the region's
whole new text (``rewrites.py``, ``mending.py``). What may go wrong with any of them: ``guards.py``.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Literal, Protocol

from inference.api import Event, Hunk, Text

LINE = re.compile(r"<\|L(\d+)\|>\Z")
INSERT, ABOVE = "<|ins|>", "<|above|>"
REPLACE, WITH = "<|sub|>", "<|to|>"
DECLINE = "<|decline|>"
# Files in which a hyphen between names is a minus.
MINUS = frozenset(
    ["py", "js", "jsx", "mjs", "ts", "tsx", "c", "h", "cc", "cpp", "cs", "go", "java", "kt", "lua", "php", "rb", "rs", "scala", "swift"]
)
QUOTED = re.compile(r"\"[^\"]*\"|'[^']*'|`[^`]*`")


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
    """Hunks of the embedded model, each begun by tokens of its own; see the model card.

    ``<|Ls|><|Le|>lines`` replaces lines s to e, ``<|Lk|><|ins|>lines`` inserts after line k, ``<|Lk|><|above|>lines`` before it.
    ``<|Lk|><|sub|>old<|to|>new`` replaces what stands once in line k; ``<|sub|>old<|to|>new`` alone renames a word in the whole region.
    ``<|decline|>`` as the whole reply: the model says that the request is beyond it.
    """

    def __init__(self, lines: Sequence[str], path: str = "") -> None:
        """``lines`` of the region, without their ends; ``path`` of its file."""
        self.complete = False
        self._lines, self._path = lines, path
        self._line: int | None = None  # a hunk's first line, until its second token
        self._begun = False
        self._part: Literal["", "lines", "old", "new"] = ""
        self._old = self._new = ""
        self._within: int | None = None  # the line that ``old`` stands in; None: anywhere
        self._position = 0  # lines up to here are behind the last hunk
        self._ends_in_newline = True

    def feed(self, piece: str, control: bool) -> list[Event]:
        if not control:
            return self._text(piece)
        if not self._ends_in_newline:
            raise Malformed("a hunk's last line has no end")
        if piece == WITH:
            if self._part != "old" or not self._old:
                raise Malformed(f"{piece} where none was expected")
            self._part = "new"
            return []
        out = self._replaced()
        if piece == DECLINE and not self._begun:
            self._begun = self.complete = True
            return out
        match = LINE.match(piece)
        if self._line is None and match:
            self._line, self._part, self._begun = int(match[1]), "", True
        elif piece == REPLACE and (self._line is not None or not self._begun):
            self._within, self._line = self._line, None
            self._part, self._begun, self._old, self._new = "old", True, "", ""
            if self._within is not None:
                self._advance(Hunk(self._within, self._within))
        elif self._line is None:
            raise Malformed(f"{piece} where a line was expected")
        else:
            out.append(self._opened(self._line, piece))
        return out

    def _text(self, piece: str) -> list[Event]:
        if self._part == "lines":
            self._ends_in_newline = piece.endswith("\n")
            return [Text(piece)]
        if not self._part or "\n" in piece:
            raise Malformed("text outside of a hunk")
        if self._part == "old":
            self._old += piece
        else:
            self._new += piece
        return []

    def _opened(self, first: int, piece: str) -> Hunk:
        """The hunk that a second token begins behind the line's."""
        match = LINE.match(piece)
        if piece == INSERT:
            hunk = Hunk(first + 1, first)
        elif piece == ABOVE:
            hunk = Hunk(first, first - 1)
        elif match:
            hunk = Hunk(first, int(match[1]))
            if hunk.last < hunk.first:
                raise Malformed("a hunk that ends before it begins")
        else:
            raise Malformed(f"{piece} where a line was expected")
        self._advance(hunk)
        self._line, self._part = None, "lines"
        return hunk

    def _advance(self, hunk: Hunk) -> None:
        if hunk.first <= self._position or hunk.last > len(self._lines) or hunk.first > len(self._lines) + 1:
            raise Malformed("a hunk outside of the region or out of order")
        self._position = max(hunk.last, hunk.first - 1)

    def _replaced(self) -> list[Event]:
        """What a replacement that has just ended makes of its lines."""
        if self._part not in ("old", "new"):
            return []
        if self._part == "old":
            raise Malformed("a replacement without its new text")
        self._part = ""
        if self._old == self._new:
            return []
        # "its petra not peter", where Peter stands: people type without capitals.
        changed = self._changed(self._old, self._new) or self._changed(capitalized(self._old), capitalized(self._new))
        if not changed:
            raise Malformed("a replacement of what is not there")
        if self._within is None:
            self._position = len(self._lines)
        return [event for number, line in changed.items() for event in (Hunk(number, number), Text(line + "\n"))]

    def _changed(self, old: str, new: str) -> dict[int, str]:
        """The lines that a replacement changes, by their numbers from 1."""
        if self._within is None:
            return renamed(self._lines, old, new, self._path)
        line = self._lines[self._within - 1]
        return {self._within: line.replace(old, new)} if once(old, line) else {}

    def finish(self) -> list[Event]:
        if self._line is not None or not self._ends_in_newline:
            raise Malformed("the reply ends in the middle of a hunk")
        out = self._replaced()
        self.complete = True
        return out


def capitalized(text: str) -> str:
    """Its first letter as a capital, the others as they are."""
    return text[:1].upper() + text[1:]


def once(part: str, text: str) -> bool:
    """Whether it stands there in one place; "a, a" stands twice in "a, a, a"."""
    return text.find(part) == text.rfind(part) >= 0


def renamed(lines: Sequence[str], old: str, new: str, path: str = "") -> dict[int, str]:
    """The lines, by their numbers from 1, in which ``old`` stands as a whole word, with ``new`` in its place.

    ``path`` tells whether a hyphen belongs to a name, as it does in a style sheet, or is a minus. Between quotes it always belongs to one.
    """
    minus = path.rsplit(".", 1)[-1] in MINUS
    word = re.compile(rf"(?<![\w$]){re.escape(old)}(?![\w$])")

    def other(match: re.Match[str]) -> str:
        line, (start, end) = match.string, match.span()
        hyphened = re.search(r"\w-\Z", line[:start]) or re.match(r"-\w", line[end:])
        return old if hyphened and not (minus and not quoted(line[:start])) else new

    changed = {number: word.sub(other, line) for number, line in enumerate(lines, 1)}
    return {number: line for number, line in changed.items() if line != lines[number - 1]}


def quoted(before: str) -> bool:
    """Whether a text opens a quotation that it does not close."""
    left = QUOTED.sub("", before)
    return any(mark in left for mark in "\"'`")


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
