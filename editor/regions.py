"""Which lines a run may rewrite: the selection, else what the instruction names, else the block at the caret. Pure.

A region is whole lines without the last one's newline; offsets are characters of the text.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from dataclasses import dataclass

# A file this short is one region: the model then finds the place itself.
SMALL_FILE_LINES = 12

CLOSER = re.compile(r"[)\]}]|</|end\b|else\b|elif\b|except\b|finally\b|catch\b")
DEFINITION = r"(?:def|class|function|fn|func|interface|type|struct|enum|const|let|var)\s+{0}\b|^\s*{0}\s*[:=({{]|^#+\s.*\b{0}\b|[.#]{0}\b"
# Words of instructions that are also identifiers everywhere; they name nothing.
COMMON = frozenset(
    re.findall(
        r"\w+",
        """
    a add all an and any are as async at be by call called change class code comment const create default def
    delete do else export false file fix for from function get give have if import in instead into is it its let
    line list log make method name new none not null number of on one or out please print put remove rename
    replace return self set should string sure that the then this to true try turn type up use value var variable
    when while with without write you
    """,
    )
)


class RegionError(Exception):
    """No region can be chosen; the text says why and what helps."""


@dataclass(frozen=True)
class Region:
    """``first`` and ``last`` are line numbers from 1; ``last`` is included."""

    start: int
    end: int
    first: int
    last: int


def choose(text: str, instruction: str, selection: tuple[int, int] | None, most_lines: int) -> Region:
    """``selection`` is (anchor, head) in characters; equal ends are a caret. Raises RegionError."""
    lines = text.split("\n")
    if selection and selection[0] != selection[1]:
        first, last = selected_lines(lines, min(selection), max(selection))
        if last - first + 1 > most_lines:
            raise RegionError(f"{last - first + 1} lines are selected and this model rewrites at most {most_lines} at once: select fewer lines.")
        return region_of(lines, first, last)
    caret = _line_at(text, selection[1]) if selection else None
    if not text.strip():
        return region_of(lines, 0, min(len(lines), most_lines) - 1)
    blocks = split_blocks(lines)
    at_caret = next((block for block in blocks if caret is not None and block[0] <= caret <= block[1]), None)
    named, named_blocks = _named_line(lines, blocks, instruction, at_caret)
    small = len(lines) <= min(SMALL_FILE_LINES, most_lines) and (caret is None or at_caret is not None)
    if small and named_blocks != 1:
        return region_of(lines, blocks[0][0], blocks[-1][1])
    if named is not None:
        block = next(block for block in blocks if block[0] <= named <= block[1])
        if block != at_caret:
            caret = named
    elif at_caret:
        block = at_caret
    elif caret is not None:
        return region_of(lines, caret, caret)
    elif blocks[-1][1] - blocks[0][0] < most_lines:
        block = (blocks[0][0], blocks[-1][1])
    else:
        block = blocks[0]
    if block[1] - block[0] + 1 > most_lines:
        block = _narrow(lines, block, block[0] if caret is None else caret, most_lines)
    return region_of(lines, *block)


def split_blocks(lines: list[str]) -> list[tuple[int, int]]:
    """Top-level blocks as (first, last) line indexes, without blank lines at their ends.

    A block begins behind a blank line, or where the one before has come back from its indentation; what
    begins indented or with a closing word goes on with the block before.
    """
    blocks: list[tuple[int, int]] = []
    before = ""
    for number, line in enumerate(lines):
        if line.strip():
            top = line[0] not in " \t" and not CLOSER.match(line)
            ended = not before.strip() or before[0] in " \t" or bool(CLOSER.match(before))
            if blocks and not (top and ended):
                blocks[-1] = (blocks[-1][0], number)
            else:
                blocks.append((number, number))
        before = line
    return blocks


def _named_line(lines: list[str], blocks: list[tuple[int, int]], instruction: str, at_caret: tuple[int, int] | None) -> tuple[int | None, int]:
    """The line that the instruction's names point at, and how many blocks have any of them. The caret's own block wins."""
    words = {word for word in re.findall(r"[A-Za-z_]\w+", instruction) if word.lower() not in COMMON}
    firsts = [first for first, _ in blocks]
    scores: dict[tuple[int, int], int] = {}
    best_line: dict[tuple[int, int], tuple[int, int]] = {}
    for word in words:
        exact = re.compile(rf"\b{re.escape(word)}\b")
        definition = re.compile(DEFINITION.format(re.escape(word)))
        defined: set[tuple[int, int]] = set()
        # `in` first: this runs at every keystroke, over every line of the file.
        for number in (n for n, line in enumerate(lines) if word in line and exact.search(line)):
            block = blocks[bisect_right(firsts, number) - 1]
            is_definition = bool(definition.search(lines[number]))
            scores[block] = scores.get(block, 0) + 1 + 5 * (is_definition and block not in defined)
            if is_definition:
                defined.add(block)
            candidate = (5 if is_definition else 1, -number)
            best_line[block] = max(best_line.get(block, candidate), candidate)
    if not scores:
        return None, 0
    block = at_caret if at_caret in scores else max(scores, key=lambda block: (scores[block], -block[0]))
    return -best_line[block][1], len(scores)


def _narrow(lines: list[str], block: tuple[int, int], caret: int, most: int) -> tuple[int, int]:
    """The largest indented block around the caret that fits, else as many lines around it."""
    best = None
    for depth in sorted({_indent(lines[n]) for n in range(block[0], block[1] + 1) if lines[n].strip()}):
        first = last = caret
        while first > block[0] and not (lines[first].strip() and _indent(lines[first]) <= depth and first <= caret):
            first -= 1
        while last < block[1] and not (lines[last + 1].strip() and _indent(lines[last + 1]) <= depth and not CLOSER.match(lines[last + 1].strip())):
            last += 1
        while last > first and not lines[last].strip():
            last -= 1
        if last - first < most:
            best = (first, last)
            break
    if best and best[1] > best[0]:
        return best
    first = max(block[0], min(caret, block[1] - most + 1))
    return first, min(block[1], first + most - 1)


def _indent(line: str) -> int:
    return len(line) - len(line.lstrip())


def _line_at(text: str, offset: int) -> int:
    return text.count("\n", 0, max(0, min(offset, len(text))))


def selected_lines(lines: list[str], start: int, end: int) -> tuple[int, int]:
    text = "\n".join(lines)
    first, last = _line_at(text, start), _line_at(text, end)
    # A selection that ends at the beginning of a line does not mean that line.
    if last > first and end > 0 and text[end - 1 : end] == "\n":
        last -= 1
    return first, last


def region_of(lines: list[str], first: int, last: int) -> Region:
    start = sum(len(line) + 1 for line in lines[:first])
    end = start + sum(len(line) + 1 for line in lines[first : last + 1]) - 1
    return Region(start, end, first + 1, last + 1)
