"""Lines that a chat model means as the region's, made into the region's. Pure.

Such models write the whole file, repeat the lines around the region, lose its indentation, or write "... rest unchanged"
for what they do not want to write out.
"""

from __future__ import annotations

import re
from difflib import SequenceMatcher

from inference import signs
from inference.api import Event, Hunk, Note, Task, Text
from inference.replies import Unusable

# A file that is longer is not read as a whole to find the region in it.
WHOLE_FILE_LINES = 600
# Beyond so many pairs of lines the search would take longer than people should wait for each other.
COMPARED = 250_000
ALIKE, CLEARLY = 0.6, 0.1
# A line of the reply is looked for so far on among the old ones.
NEAR_LINES = 30
# Asked about these, the model may change them at the region's ends too.
BLANKS = re.compile(r"\b(blank|empty) (lines?|rows?)\b|\bwhite ?space|\bnewlines?\b", re.IGNORECASE)
# So many lines below the region are not repeated by chance.
SURE_LINES = 6


class Body:
    """Lines that are meant as the region's: mended where they are not quite, as Text.

    ``blank``: lines without text that wait; those at the region's two ends stay as they are. ``over``: what follows is no more of the region.
    """

    def __init__(self, task: Task) -> None:
        self.opened = self.over = False
        self.blank: list[str] = []
        self._task = task
        self._old = task.region.split("\n")
        self.hunk = Hunk(1, len(self._old))
        self._known = set(self._old)
        filled = [number for number, line in enumerate(self._old) if line.strip()]
        kept = filled and not BLANKS.search(task.instruction)
        self._lead = self._old[: filled[0]] if kept else []
        self._trail = self._old[filled[-1] + 1 :] if kept else []
        self._code = signs.is_code(task.path)
        self._indent = _common_indent(self._old) if self._code else ""
        self._above = [line for line in task.before.split("\n") if line.strip()]
        self._first_above, self._last_above = (self._above[0], self._above[-1]) if self._above else ("", "")
        self._below = _few(task.after)
        self._region_first = next((line for line in self._old if line.strip()), "")
        self._mode = "opening"  # opening, plain, indenting, whole
        self._opening: list[str] = []
        self._whole: list[str] = []
        self._at = 0  # old lines before this one have been written, or given up
        self._last_clear = True  # the last line written has its place among the old ones
        self._unplaced: list[str] = []  # lines written since that was looked at
        self._gap: list[str] = []  # a placeholder, and blank lines behind it, that wait for the line that follows
        self._repeated: list[str] = []  # lines that may be those below the region
        self._noted: set[str] = set()

    def holds(self, partial: str) -> bool:
        """Whether more of the line must be seen before any of it is let through."""
        if signs.may_be_placeholder(partial):
            return True
        if self._mode == "opening":
            first = bool(self._indent) and partial[0] not in " \t"
            return bool(self._opening) or first or any(line.startswith(partial) for line in (self._first_above, self._last_above) if line)
        below = bool(self._below) and self._below[0].startswith(partial)
        return below or self._mode in ("whole", "indenting") or bool(self._gap or self._repeated)

    def part(self, text: str, out: list[Event]) -> None:
        """More of an unfinished line that need not be held."""
        self._mode = "plain" if self._mode == "opening" else self._mode
        self._write(text, out)

    def line(self, line: str, sent: int, out: list[Event]) -> None:
        """A line has ended, of which ``sent`` letters have gone through as parts."""
        if sent:
            self._write(line[sent:] + "\n", out)
            self._unplaced.append(line)
        elif self._mode == "opening":
            self._opening.append(line)
            if line.strip():
                self._decide(out, False)
        elif self._mode == "whole":
            self._whole.append(line)
            if len(self._whole) > WHOLE_FILE_LINES:
                raise Unusable("The model wrote the whole file instead of the region and was stopped; nothing was changed.")
        else:
            self._plain(line, out)

    def end(self, out: list[Event]) -> None:
        if self._mode == "opening":
            self._decide(out, True)
        if self._mode == "whole":
            self._from_whole(out)
        if self._gap:
            self._fill(len(self._old), out)
        if self._repeated and not self._unrepeat():
            self._release(out)
        elif self._repeated:
            self.note("The model repeated lines from below the region; they were left out.", out)
        if self.opened and self._trail:
            out.append(Text("\n".join([*self._trail, ""])))

    # How the reply begins.

    def _decide(self, out: list[Event], ended: bool) -> None:
        """One line may be enough to tell what the reply is; a second always is."""
        lines = [line for line in self._opening if line.strip()]
        if not lines:
            return
        first, second = lines[0], lines[1] if len(lines) > 1 else ""
        whole = first == self._first_above and first != self._region_first
        echo = first == self._last_above and first != self._region_first
        lost = bool(self._indent) and first[0] not in " \t"
        if (whole or echo or lost) and not second and not ended:
            return
        opening, self._opening = self._opening, []
        self._mode = "plain"
        if echo and _alike(second, self._region_first):
            self.note("The model repeated lines from above the region; they were left out.", out)
            opening = opening[opening.index(first) + 1 :]
        elif whole and (len(self._above) < 2 or _alike(second, self._above[1])):
            self._mode = "whole"
        elif lost and not _deeper(first, second, self._indent):
            self._mode = "indenting"
            self.note("The region's indentation, which the model had left out, was put back.", out)
        elif lost:
            self.note("The region's indentation, which the model had left out, was put back.", out)
            opening[opening.index(first)] = self._indent + first
        for line in opening:
            self.line(line, 0, out)

    # Lines that follow.

    def _plain(self, line: str, out: list[Event]) -> None:
        if self._mode == "indenting" and line.strip():
            line = self._indent + line
        if not line.strip() and not (self._repeated or self._gap):
            return self._skip(line)
        if self._gap:
            if not line.strip() or signs.is_placeholder(line, self._task.path):
                return self._gap.append(line)
            self._fill(self._found(line), out)
        below = self._below[sum(bool(one.strip()) for one in self._repeated) :]
        if (self._repeated and not line.strip()) or (below and line == below[0] and (self._repeated or (line not in self._known and self.opened))):
            self._repeated.append(line)
            self.over = sum(bool(one.strip()) for one in self._repeated) >= SURE_LINES
        else:
            self._release(out)
            self._accept(line, out)

    def _accept(self, line: str, out: list[Event]) -> None:
        if not line.strip():
            self._skip(line)
        elif line not in self._known and any(old.strip() for old in self._old) and signs.is_placeholder(line, self._task.path):
            self._follow()
            self._gap = [line]
        else:
            self._write(line + "\n", out)
            self._unplaced.append(line)

    def _skip(self, blank: str) -> None:
        self.blank.append(blank if blank in self._known else "")

    def _release(self, out: list[Event]) -> None:
        repeated, self._repeated = self._repeated, []
        for line in repeated:
            self._accept(line, out)

    def _unrepeat(self) -> bool:
        """Whether the held lines are surely those below the region: one line that says something, or several."""
        lines = [line for line in self._repeated if line.strip()]
        return len(lines) > 1 or len(re.findall(r"\w", lines[0])) > 2

    # Placeholders.

    def _follow(self) -> None:
        """Where the reply is among the old lines: a placeholder has its place there."""
        for line in self._unplaced:
            ahead = self._old[self._at : self._at + NEAR_LINES]
            if not line.strip():
                continue
            if line in ahead:
                self._at += ahead.index(line) + 1
                self._last_clear = True
                continue
            near = next((n for n, old in enumerate(ahead[:8]) if old.strip() and _alike(old, line)), None)
            self._last_clear = near is not None
            if near is not None:
                self._at += near + 1
        self._unplaced.clear()

    def _found(self, line: str) -> int:
        ahead = self._old[self._at :]
        if self._only_sounds() and not any(old.strip() for old in ahead):
            return self._at
        exact = [n for n, old in enumerate(ahead) if old == line]
        if exact and (len(exact) == 1 or re.search(r"\w{3}", line)):
            return self._at + exact[0]
        best = sorted((_likeness(old, line), -n) for n, old in enumerate(ahead[:NEAR_LINES]) if old.strip())[-2:]
        if exact or not best or best[-1][0] < ALIKE or (len(best) > 1 and best[-1][0] - best[0][0] < CLEARLY):
            raise Unusable("The model left code out with a placeholder, and it is not clear which; nothing was changed.")
        return self._at - best[-1][1]

    def _only_sounds(self) -> bool:
        """Whether what waits may be comments of the file's own: "# existing code", without dots."""
        return not any(signs.DOTS.search(line) for line in self._gap)

    def _fill(self, end: int, out: list[Event]) -> None:
        """The old lines from where the reply was up to line ``end`` stand for the placeholder; where there are none, it may be a comment."""
        lines, own = self._old[self._at : end], self._only_sounds()
        gap, self._gap, self._at = self._gap, [], end
        if own and not any(line.strip() for line in lines):
            lines = gap
        elif not self._last_clear:
            raise Unusable(f"The model wrote “{gap[0].strip()[:80]}” for code that it left out, and it is not clear which; nothing was changed.")
        else:
            self.note("Where the model wrote that the rest is unchanged, the old lines were kept.", out)
            # The old lines bring their own blank ones.
            self.blank = [] if lines else self.blank
        for line in lines:
            if line.strip():
                self._write(line + "\n", out)
            else:
                self._skip(line)

    # The whole file.

    def _from_whole(self, out: list[Event]) -> None:
        """The region's part of a reply that begins as the file does."""
        before = self._task.before.split("\n")[:-1]
        after = self._task.after.split("\n", WHOLE_FILE_LINES)[1:WHOLE_FILE_LINES]
        new = self._whole
        while new and not new[-1].strip():
            new.pop()
        # Most of the file is as it was: what begins and, if it is long enough to be sure, ends alike need not be compared.
        above = next((number for number, (a, b) in enumerate(zip(before, new, strict=False)) if a != b), min(len(before), len(new)))
        before, new = before[above:], new[above:]
        if len(after) > SURE_LINES and new[-len(after) :] == after:
            after, new = [], new[: -len(after)]
        # Of what is below the region, the reply holds no more.
        old = [*before, *self._old, *after[: max(0, len(new) - len(before)) + NEAR_LINES]]
        start, end = len(before), len(before) + len(self._old)
        first: int | None = None
        last: int | None = None
        compared = SequenceMatcher(None, old, new, autojunk=False).get_opcodes() if len(old) * len(new) <= COMPARED else []
        for tag, i1, i2, j1, j2 in compared:
            if tag == "equal":
                first = j1 + start - i1 if i1 <= start <= i2 and first is None else first
                last = j1 + end - i1 if i1 <= end <= i2 else last
            elif tag == "insert":
                first = j1 if i1 == start else first
                last = j2 if i1 == end else last
            elif i1 == start:
                first = j1
            if tag != "equal" and i2 == end:
                last = j2
        if first is None or last is None or last < first:
            raise Unusable("The model wrote the whole file instead of the region, and where the region is in it is not clear; nothing was changed.")
        self.note("The model wrote the whole file; only its change to the region was taken.", out)
        self._mode = "plain"
        for line in new[first:last]:
            self._plain(line, out)

    def _write(self, text: str, out: list[Event]) -> None:
        if not self.opened:
            self.opened, self.blank = True, self._lead
            out.append(self.hunk)
        out.append(Text("\n".join([*self.blank, text])))
        self.blank = []

    def note(self, text: str, out: list[Event]) -> None:
        if text not in self._noted:
            self._noted.add(text)
            out.append(Note(text))


def _few(after: str, most: int = 12) -> list[str]:
    """The first lines below the region that are not blank."""
    lines = after[:4000].split("\n")[1:]
    return [line for line in lines if line.strip()][:most]


def _common_indent(lines: list[str]) -> str:
    """What every line of the region begins with, where its first line has no more."""
    indents = [line[: len(line) - len(line.lstrip())] for line in lines if line.strip()]
    return indents[0] if indents and all(indent.startswith(indents[0]) for indent in indents) else ""


def _deeper(first: str, second: str, indent: str) -> bool:
    """Whether only the first line has lost its indentation: the second is as deep as in the file."""
    found = len(second) - len(second.lstrip())
    return found >= len(indent) + bool(re.search(r"[:{(\[]\s*$", first))


def _alike(a: str, b: str) -> bool:
    return _likeness(a, b) >= ALIKE


def _likeness(a: str, b: str) -> float:
    """How alike two lines are beside their indentation, from 0 to 1."""
    a, b = a.strip(), b.strip()
    if a == b:
        return 1.0
    matcher = SequenceMatcher(None, a, b, autojunk=False)
    if len(a) + len(b) > 800 or matcher.real_quick_ratio() < ALIKE or matcher.quick_ratio() < ALIKE:
        return 0.0
    return matcher.ratio()
