"""All the regions of an instruction: one as a rule, several windows where it concerns the whole file or a long selection. Pure.

Rewritten in parallel, as parts of one run. A region is never enlarged on a guess: several windows need a selection that
is too long for the model, words that say so ("everywhere", "every function"), or a name of the file's own that is renamed.
"""

from __future__ import annotations

import re
from functools import lru_cache

from editor.regions import COMMON, DEFINITION, Region, RegionError, choose, region_of, selected_lines, split_blocks

# Said of the whole file, whatever else is said.
EVERYWHERE = re.compile(
    r"\b(?:everywhere|throughout|file[- ]wide"
    r"|(?:in|of|over|across|through|for|to)\s+(?:all of\s+)?(?:the|this)\s+(?:whole|entire|complete)\s+(?:file|document|module|script|page)"
    r"|(?:the|this)\s+(?:whole|entire|complete)\s+(?:file|document|module|script|page)"
    r"|(?:across|throughout|all over|all through)\s+(?:the|this)\s+(?:file|document|module|script|page))\b",
    re.I,
)
# Said of all things of a kind that files are made of. "All users" or "each row" are things of the program.
KINDS = {
    "function": r"functions?|methods?|subroutines?|procedures?",
    "class": r"class(?:es)?|interfaces?|structs?",
    "definition": r"definitions?|top[- ]level definitions?",
    "comment": r"comments?|docstrings?",
    "heading": r"headings?|sections?|headlines?|chapters?",
    "test": r"tests?|test cases?",
    "rule": r"(?:css )?rules?|selectors?",
    "name": r"occurrences?|usages?|uses?|references?|mentions?|instances?|calls?",
}
EVERY = {
    kind: re.compile(
        rf"\b(?:every|each|all)(?:\s+(?:of\s+)?(?:the|these|its|our))?(?:\s+(?:single|other|public|private|top[- ]level))?\s+(?:{nouns})\b", re.I
    )
    for kind, nouns in KINDS.items()
}
# What a window must hold to be worth asking for; a kind without an entry may be anywhere.
HOLDS = {
    "function": re.compile(r"\b(?:def|function|fn|func|fun|sub|proc)\b|=>|\)\s*\{"),
    "class": re.compile(r"\b(?:class|interface|struct)\b"),
    "definition": re.compile(r"^(?:async\s+)?(?:def|class|function|fn|func|interface|type|struct|enum|const|let|var|export)\b", re.M),
    "comment": re.compile(r"#|//|/\*|<!--|\"\"\"|'''|--"),
    "heading": re.compile(r"^#+\s|<h[1-6]|^[=-]{3,}$", re.M),
    "test": re.compile(r"test|\bit\(", re.I),
    "rule": re.compile(r"\{"),
}
# Said of less than the file, whatever else is said: "every call in parse", "all comments of this class".
WITHIN = re.compile(
    r"\b(?:in|inside(?:\s+of)?|within|of)\s+(?:(?:this|that|the\s+(?:current|selected))\s+(?:function|method|class|block|loop|section|rule|paragraph|selection|lines?))\b"
    r"|\bhere\b|\b(?:below|above)\s*$",
    re.I,
)
RENAME = re.compile(
    r"\brename\s+(?:the\s+)?(?:function|class|method|constant|variable|type|interface)?\s*[`'\"]?([A-Za-z_$][\w$]*)[`'\"]?\s+(?:to|into|as)\b", re.I
)


@lru_cache(maxsize=64)
def choose_all(text: str, instruction: str, selection: tuple[int, int] | None, most_lines: int, most_windows: int) -> tuple[Region, ...]:
    """As ``regions.choose``; several windows in ascending order where the instruction concerns them. Raises RegionError.

    Windows hold whole blocks (a block longer than ``most_lines`` is cut between its own), do not overlap, and lie within
    the selection where there is one. The newest answers are kept: while somebody types, and for the run that follows,
    the question is often the same.
    """
    lines = text.split("\n")
    if selection and selection[0] != selection[1]:
        first, last = selected_lines(lines, min(selection), max(selection))
        if last - first + 1 <= most_lines:
            return (choose(text, instruction, selection, most_lines),)
        inside = [(max(first, a), min(last, b)) for a, b in split_blocks(lines) if a <= last and b >= first]
        return _windows(lines, inside or [(first, last)], most_lines, most_windows, "are selected")
    wanted = _everything(text, lines, instruction)
    one = choose(text, instruction, selection, most_lines)
    if wanted is None or (one.first <= wanted[0][0] + 1 and wanted[-1][1] + 1 <= one.last):
        return (one,)
    return _windows(lines, wanted, most_lines, most_windows, "are concerned")


def _everything(text: str, lines: list[str], instruction: str) -> list[tuple[int, int]] | None:
    """The blocks that an instruction concerns, if those are more than the one that ``regions.choose`` would find."""
    kinds = [kind for kind, every in EVERY.items() if every.search(instruction)]
    everywhere = "name" in kinds or EVERYWHERE.search(instruction)
    renamed = RENAME.search(instruction)
    if not (kinds or everywhere or renamed) or WITHIN.search(instruction):
        return None
    names = {word for word in re.findall(r"[A-Za-z_$][\w$]*", instruction) if word.lower() not in COMMON}
    blocks = split_blocks(lines)
    if _names_a_block(lines, instruction, names):
        return None
    if everywhere:
        # Where it speaks of names, the blocks that have them.
        words = [renamed.group(1)] if renamed else [name for name in names if _word(name).search(text)]
        found = _holding(lines, blocks, [_word(word) for word in words]) if words else blocks
    elif kinds:
        found = _holding(lines, blocks, [HOLDS[kind] for kind in kinds])
    elif renamed and _is_the_files_own(lines, renamed.group(1)):
        found = _holding(lines, blocks, [_word(renamed.group(1))])
    else:
        return None
    return found if len(found) > 1 else None


def _word(name: str) -> re.Pattern[str]:
    return re.compile(rf"(?<![\w$]){re.escape(name)}(?![\w$])")


def _holding(lines: list[str], blocks: list[tuple[int, int]], patterns: list[re.Pattern[str]]) -> list[tuple[int, int]]:
    texts = ["\n".join(lines[first : last + 1]) for first, last in blocks]
    return [block for block, text in zip(blocks, texts, strict=True) if any(pattern.search(text) for pattern in patterns)]


def _is_the_files_own(lines: list[str], name: str) -> bool:
    """Whether a name is defined at the file's top level: then it means the same in all of it."""
    definition = re.compile(DEFINITION.format(re.escape(name)))
    return any(name in line and line[:1] not in ("", " ", "\t") and definition.search(line) for line in lines)


def _names_a_block(lines: list[str], instruction: str, names: set[str]) -> bool:
    """ "every call in parse": what is said to be inside of something that the file defines."""
    for name in re.findall(
        r"\b(?:in|inside(?:\s+of)?|within)\s+(?:the\s+)?(?:function\s+|class\s+|method\s+)?[`'\"]?([A-Za-z_$][\w$]*)", instruction, re.I
    ):
        if name in names and any(name in line and re.search(DEFINITION.format(re.escape(name)), line) for line in lines):
            return True
    return False


def _windows(lines: list[str], blocks: list[tuple[int, int]], most_lines: int, most_windows: int, what: str) -> tuple[Region, ...]:
    """One window a block; neighbours share one where there would be too many. Raises RegionError."""
    windows = [part for block in blocks for part in _cut(lines, block, most_lines)]
    if len(windows) > most_windows:
        joined = [windows[0]]
        for first, last in windows[1:]:
            if last - joined[-1][0] < most_lines and not any(line.strip() for line in lines[joined[-1][1] + 1 : first]):
                joined[-1] = (joined[-1][0], last)
            else:
                joined.append((first, last))
        windows = joined
    if len(windows) > most_windows:
        raise RegionError(
            f"{sum(last - first + 1 for first, last in windows)} lines in {len(windows)} places {what}, and one run rewrites at most "
            f"{most_windows} places of up to {most_lines} lines (ENSEMBLE_MAX_WINDOWS): select fewer lines, and go on from there."
        )
    return tuple(region_of(lines, first, last) for first, last in windows)


def _cut(lines: list[str], block: tuple[int, int], most: int) -> list[tuple[int, int]]:
    """A long block in pieces of at most so many lines, cut where what it holds begins: before lines of the least indentation."""
    first, last = block
    pieces = []
    while last - first + 1 > most:
        after = range(first + 1, first + most + 1)

        def indent(number: int) -> int:
            line = lines[number]
            return len(line) - len(line.lstrip()) if line.strip() else len(line) + 1000

        behind_blank = [number for number in after if lines[number].strip() and not lines[number - 1].strip()]
        # Not so early that a method's first lines become a window of their own.
        late = [number for number in (behind_blank or after) if number > first + most // 2] or list(after)
        least = min(indent(number) for number in late)
        begin = max(number for number in late if indent(number) == least)
        end = begin - 1
        while end > first and not lines[end].strip():
            end -= 1
        pieces.append((first, end))
        first = begin
    return [*pieces, (first, last)]
