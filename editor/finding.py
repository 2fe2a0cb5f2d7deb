"""Where lines of an earlier text stand now. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import Match, SequenceMatcher
from itertools import pairwise

from editor.regions import Region, region_of

# Lines that have been changed are looked for so far from where they were, a single one not so far: letters are compared for it.
FAR_LINES, NEAR_LINES = 200, 60
# What would take longer than people should wait for each other is not looked for: pairs of lines, and letters of a line.
COMPARED, LONGEST = 150_000, 300
# Of the lines that say something, the share that must stand as it was; and how alike two lines are that may be one.
MOST, ALIKE = 0.5, 0.6
# What people write between the lines of a region is of it, up to so many lines in one place.
BETWEEN_LINES = 30


def find_all(text: str, wanted: Iterable[tuple[int, str]]) -> list[Region] | None:
    """Where all these whole lines stand in the text, one behind the other, each nearest to its line number (from 1); None where one does not."""
    found: list[Region] = []
    for near, lines in wanted:
        region = find(text, lines, near, found[-1].end + 1 if found else 0)
        if region is None:
            return None
        found.append(region)
    return found


def find(text: str, lines: str, near: int, begin: int = 0) -> Region | None:
    """These whole lines where they stand in the text from ``begin`` on, nearest to line ``near`` (from 1); None where they do not."""
    found: list[Region] = []
    at = text.find(lines, begin) if begin <= len(text) else -1
    while at >= 0:
        end = at + len(lines)
        if (at == 0 or text[at - 1] == "\n") and (end == len(text) or text[end] == "\n"):
            first = text.count("\n", 0, at) + 1
            found.append(Region(at, end, first, first + lines.count("\n")))
        at = text.find(lines, at + 1) if at < len(text) else -1
    return min(found, key=lambda region: abs(region.first - near), default=None)


def find_changed(text: str, wanted: Iterable[tuple[int, str]]) -> list[Region] | None:
    """As ``find_all``, but of each the most may be left: people have written in the lines since."""
    found: list[Region] = []
    lines = text.split("\n")
    for near, old in wanted:
        begin = found[-1].last if found else 0
        region = find(text, old, near, found[-1].end + 1 if found else 0) or _most(lines, old.split("\n"), near - 1, begin)
        if region is None:
            return None
        found.append(region)
    return found


def _most(lines: list[str], old: list[str], near: int, begin: int) -> Region | None:
    """``near`` and ``begin`` are indexes of lines."""
    filled = [line for line in old if line.strip()]
    far = NEAR_LINES if len(filled) == 1 else FAR_LINES
    low = max(begin, near - far)
    there = lines[low : max(low, near) + len(old) + far]
    if not filled or len(old) * len(there) > COMPARED:
        return None
    if len(filled) == 1:
        likeness, _, at = max(((_likeness(filled[0], line), -abs(low + at - near), at) for at, line in enumerate(there)), default=(0.0, 0, 0))
        return region_of(lines, low + at, low + at) if likeness >= ALIKE else None
    runs = _together([block for block in SequenceMatcher(None, old, there).get_matching_blocks() if block.size])
    if not runs or sum(bool(old[at].strip()) for block in runs for at in range(block.a, block.a + block.size)) < MOST * len(filled):
        return None
    first, last = runs[0].b, runs[-1].b + runs[-1].size - 1
    above, below = runs[0].a - 1, runs[-1].a + runs[-1].size
    # Its ends may have been changed: what takes the place of a line and is like it.
    while above >= 0 and first > 0 and _likeness(old[above], there[first - 1]) >= ALIKE:
        above, first = above - 1, first - 1
    while below < len(old) and last + 1 < len(there) and _likeness(old[below], there[last + 1]) >= ALIKE:
        below, last = below + 1, last + 1
    return region_of(lines, low + first, low + last)


def _together(blocks: list[Match]) -> list[Match]:
    """Of matching blocks the longest run without a wide gap: a bracket far away is not of these lines."""
    groups = [blocks[:1]]
    for before, block in pairwise(blocks):
        if block.b - (before.b + before.size) > block.a - (before.a + before.size) + BETWEEN_LINES:
            groups.append([])
        groups[-1].append(block)
    return max(groups, key=lambda group: sum(block.size for block in group))


def _likeness(a: str, b: str) -> float:
    """From 0 to 1; 0 for all that is less than ``ALIKE``."""
    a, b = a.strip(), b.strip()
    if a == b or not a or not b or max(len(a), len(b)) > LONGEST:
        return float(a == b != "")
    matcher = SequenceMatcher(None, a, b, autojunk=False)
    return matcher.ratio() if matcher.real_quick_ratio() >= ALIKE and matcher.quick_ratio() >= ALIKE else 0.0
