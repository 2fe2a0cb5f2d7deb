"""The streaming diff: a model's new text in, the fewest inserts and deletes out, as it arrives. Pure.

A region is whole lines without the last line's newline. Operations are on the *shadow*: the region as
the run believes it to be (its old text plus its own edits); ``editor/live.py`` carries them over to the
document, where people type meanwhile. Offsets are UTF-8 bytes from the region's beginning, and each
operation counts from the text that the ones before it have left.

What a stop leaves: while a line is being written, its new text stands beside the old line's remainder and
nothing is deleted; deletions come when a line is complete. ``settle`` takes the unfinished line back, so
that every line is old or new, whole.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from dataclasses import dataclass, field
from difflib import SequenceMatcher

# How far ahead a new line may find the old line that it continues or changes.
HOLD_LINES = 8
CHANGE_LINES = 4
LIKE, LIKE_AHEAD = 0.5, 0.75
LONG_LINE = 400


@dataclass(frozen=True)
class Insert:
    at: int
    text: str


@dataclass(frozen=True)
class Delete:
    """``newline``: the range is a whole line with the newline before (-1) or after it (1); 0: within a line.
    ``old``: the text that goes, unless it is the run's own."""

    at: int
    length: int
    newline: int = 0
    old: str = field(default="", compare=False)


Operation = Insert | Delete


def size(text: str) -> int:
    """Length in UTF-8 bytes."""
    return len(text) if text.isascii() else len(text.encode())


class RegionDiff:
    """One run's way through its region. Invariant: the shadow is the lines written or kept so far, then the
    old lines from ``_next`` on; ``_at`` is where the latter begin (its end, once there are none)."""

    def __init__(self, old: str) -> None:
        self._old = old.split("\n")
        self._sizes = [size(line) for line in self._old]
        self._places: dict[str, list[int]] = {}
        for number, line in enumerate(self._old):
            self._places.setdefault(line, []).append(number)
        self._next = 0
        self._end = 0  # old lines from here on are not the current hunk's
        self._at = 0
        self._lines = 0  # lines of the shadow before _at
        self._line = ""  # the unfinished line of the reply
        self._column: int | None = None  # where its text is shown in the old line; None: not shown
        self._shown = ""
        self._fresh = False  # it is shown as a line of its own
        self.inserted = self.deleted = 0  # bytes, for the figures

    @property
    def caret(self) -> int:
        """Where the model is writing."""
        if self._fresh:
            return self._at + size(self._shown) + self._lead()
        if self._column is not None:
            return self._at + size(self._old[self._next][: self._column]) + size(self._shown)
        return self._at

    @property
    def changed(self) -> bool:
        return bool(self.inserted or self.deleted)

    def hunk(self, first: int, last: int) -> list[Operation]:
        """The text that follows replaces old lines first to last (from 1); last = first - 1 inserts."""
        out = self._close()
        while self._next < first - 1:
            self._keep()
        self._end = last
        return out

    def feed(self, text: str) -> list[Operation]:
        out: list[Operation] = []
        *ended, rest = (self._line + text).split("\n")
        for line in ended:
            self._complete(line, out)
        self._line = rest
        if rest:
            self._show(rest, out)
        return self._count(out)

    def finish(self) -> list[Operation]:
        """The reply is complete: the hunk's old lines that it did not take up go."""
        return self._close()

    def settle(self) -> list[Operation]:
        """The run ends here: the unfinished line is taken back, every other line stays as it is."""
        out: list[Operation] = []
        self._unshow(out)
        self._line = ""
        return self._count(out)

    # Steps over lines.

    def _close(self) -> list[Operation]:
        out: list[Operation] = []
        if self._line:
            line, self._line = self._line, ""
            self._complete(line, out)
        while self._next < self._end:
            self._drop(out)
        return self._count(out)

    def _count(self, out: list[Operation]) -> list[Operation]:
        for operation in out:
            if isinstance(operation, Insert):
                self.inserted += size(operation.text)
            else:
                self.deleted += operation.length
        return out

    def _keep(self) -> None:
        self._at += self._sizes[self._next]
        self._next += 1
        self._lines += 1
        if self._next < len(self._old):
            self._at += 1

    def _drop(self, out: list[Operation]) -> None:
        line, length = self._old[self._next], self._sizes[self._next]
        self._next += 1
        if self._next < len(self._old):
            out.append(Delete(self._at, length + 1, 1, line + "\n"))
        elif self._lines:
            self._at -= 1
            out.append(Delete(self._at, length + 1, -1, "\n" + line))
        elif length:
            out.append(Delete(self._at, length, old=line))

    def _lead(self) -> int:
        """Whether a line added here needs a newline before it, not after it."""
        return int(self._next == len(self._old) and self._lines > 0)

    def _add(self, line: str, out: list[Operation]) -> None:
        if self._next < len(self._old):
            out.append(Insert(self._at, line + "\n"))
            self._at += size(line) + 1
        else:
            text = "\n" * self._lead() + line
            if text:
                out.append(Insert(self._at, text))
            self._at += size(text)
        self._lines += 1

    # The unfinished line.

    def _show(self, line: str, out: list[Operation]) -> None:
        if self._fresh:
            out.append(Insert(self.caret, line[len(self._shown) :]))
            self._shown = line
        elif self._column is not None:
            more = line[self._column + len(self._shown) :]
            out.append(Insert(self.caret, more))
            self._shown += more
        elif self._next >= self._end:
            self._fresh = True
            lead = self._lead()
            out.append(Insert(self._at, "\n" * lead + line + "\n" * (self._next < len(self._old))))
            self._shown = line
        else:
            ahead = self._old[self._next : min(self._end, self._next + HOLD_LINES)]
            if any(old.startswith(line) for old in ahead):
                return  # it may yet turn out to be kept
            column = common_start(line, ahead[0])
            self._column, self._shown = column, line[column:]
            out.append(Insert(self._at + size(ahead[0][:column]), self._shown))

    def _unshow(self, out: list[Operation]) -> None:
        if self._fresh:
            lead = self._lead()
            newlines = lead + (self._next < len(self._old))
            if length := size(self._shown) + newlines:
                out.append(Delete(self._at, length))
        elif self._column is not None:
            out.append(Delete(self._at + size(self._old[self._next][: self._column]), size(self._shown)))
        self._fresh, self._column, self._shown = False, None, ""

    def _complete(self, line: str, out: list[Operation]) -> None:
        if self._fresh:
            if rest := line[len(self._shown) :]:
                out.append(Insert(self.caret, rest))
            self._at += size(line) + self._lead() + (self._next < len(self._old))
            self._lines += 1
            self._fresh, self._shown = False, ""
            return
        if self._next >= self._end:
            return self._add(line, out)
        match = self._match(line)
        if match is None:
            return self._complete_added(line, out)
        if match > self._next:
            self._unshow(out)
            while self._next < match:
                self._drop(out)
        self._change(line, out)

    def _complete_added(self, line: str, out: list[Operation]) -> None:
        """The line is new; the old line whose place it is shown in stays, and gets its beginning back."""
        if self._column is None:
            return self._add(line, out)
        old = self._old[self._next]
        rest = line[self._column + len(self._shown) :] + "\n" + old[: self._column]
        out.append(Insert(self.caret, rest))
        self._at += size(line) + 1
        self._lines += 1
        self._column, self._shown = None, ""

    def _change(self, line: str, out: list[Operation]) -> None:
        """The next old line becomes ``line``, with the smallest change to what is shown of it."""
        old = self._old[self._next]
        column = self._column or 0
        at = self._at + size(old[:column]) + size(self._shown)
        for start, end, text in line_edits(old[column:], line[column + len(self._shown) :]):
            begin = at + size(old[column : column + start])
            if end > start:
                gone = old[column + start : column + end]
                out.append(Delete(begin, size(gone), old=gone))
            if text:
                out.append(Insert(begin, text))
            at += size(text) - size(old[column + start : column + end])
        self._at += size(line) - self._sizes[self._next]
        self._column, self._shown = None, ""
        self._keep()

    def _match(self, line: str) -> int | None:
        """The old line that ``line`` is or changes; None: it is an additional line."""
        old, first, end = self._old, self._next, self._end
        if old[first] == line or (end - first == 1 and not old[first].strip()):
            return first
        places = self._places.get(line, ())
        ahead = bisect_right(places, first) if places else 0
        if ahead < len(places) and places[ahead] < end and len(line.strip()) > 3:
            only = ahead + 1 == len(places) or places[ahead + 1] >= end
            if only and re.search(r"\w", line):
                return places[ahead]
        if likeness(old[first], line) >= LIKE:
            return first
        for number in range(first + 1, min(end, first + CHANGE_LINES)):
            if likeness(old[number], line) >= LIKE_AHEAD:
                return number
        return None


def likeness(a: str, b: str) -> float:
    """How alike two lines are beside their indentation, from 0 to 1 (difflib's ratio; an estimate for long lines)."""
    a, b = a.strip(), b.strip()
    if not a or not b:
        return float(a == b)
    if max(len(a), len(b)) > LONG_LINE:
        start = common_start(a, b)
        return 2 * (start + common_start(a[start:][::-1], b[start:][::-1])) / (len(a) + len(b))
    matcher = SequenceMatcher(None, a, b, autojunk=False)
    if matcher.real_quick_ratio() < LIKE or matcher.quick_ratio() < LIKE:
        return 0.0
    return matcher.ratio()


def common_start(a: str, b: str) -> int:
    length = min(len(a), len(b))
    if a[:length] == b[:length]:
        return length
    return next(i for i in range(length) if a[i] != b[i])


def line_edits(old: str, new: str) -> list[tuple[int, int, str]]:
    """(start, end, text) replacements within one line, left to right, in old's characters, by whole words."""
    start = common_start(old, new)
    tail = common_start(old[start:][::-1], new[start:][::-1])
    a, b = old[start : len(old) - tail], new[start : len(new) - tail]
    if not a or not b:
        return [(start, start + len(a), b)] if a or b else []
    words_a, words_b = re.findall(r"\w+|\s+|.", a), re.findall(r"\w+|\s+|.", b)
    if len(words_a) * len(words_b) > LONG_LINE**2:
        return [(start, start + len(a), b)]
    out = []
    place = [start]
    for word in words_a:
        place.append(place[-1] + len(word))
    for tag, i1, i2, j1, j2 in SequenceMatcher(None, words_a, words_b, autojunk=False).get_opcodes():
        if tag != "equal":
            out.append((place[i1], place[i2], "".join(words_b[j1:j2])))
    return out
