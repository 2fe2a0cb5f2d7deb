"""Old and new region -> the reply that the model learns, in the form that ``inference.replies`` reads. Pure; no tokenizer here.

The embedded model's prompt comes from ``inference.prompts.PatchFormat`` itself, so training and engine cannot differ.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Collection, Sequence

from inference.api import Event, Hunk, Task, Text
from inference.marks import CLOSES, marked
from inference.prompts import PatchFormat, Segment
from inference.replies import ABOVE, DECLINE, INSERT, REPLACE, WITH, Malformed, PatchReader, once, renamed
from inference.training.scene import Example
from inference.wording import plain

END = "<|end|>"
MARKED = 2  # as ``PatchFormat`` has it
MOST_LINES = PatchFormat.region_lines
SPECIAL = (
    "<|pad|>",
    END,
    "<|file|>",
    "<|region|>",
    "<|after|>",
    "<|task|>",
    "<|patch|>",
    "<|ins|>",
    DECLINE,
    ABOVE,
    REPLACE,
    WITH,
    *(f"<|L{n}|>" for n in range(MOST_LINES + 1)),
)


def task_of(example: Example) -> Task:
    return Task("", "", example.path, example.before, example.region, example.after, example.instruction)


def prompt(example: Example, marks: int = MARKED) -> list[Segment]:
    made = PatchFormat(marks=marks).prompt(task_of(example))
    return [*made.segments, *made.trigger]


def divided(prompt: Sequence[Segment]) -> tuple[Sequence[Segment], Sequence[Segment]]:
    """A prompt as what depends on the place alone, and what is asked there."""
    at = next(number for number, segment in enumerate(prompt) if segment.control and segment.text == "<|task|>")
    return prompt[:at], prompt[at:]


def changes(old: Sequence[str], new: Sequence[str], asked: Collection[int] = ()) -> list[tuple[int, int, int, int]]:
    """Spans (old from, to, new from, to) that differ, in one canonical form: a model cannot learn to guess among equals.

    Of the places where a pure insertion or deletion may stand, it stands at the first one that begins with no closing bracket, a deletion
    rather where it begins with a line of ``asked`` (from 1). Spans with nothing but brackets and blanks between them are one.
    """
    spans: list[tuple[int, int, int, int]] = []
    differ = [code[1:] for code in difflib.SequenceMatcher(None, old, new, autojunk=False).get_opcodes() if code[0] != "equal"]
    for number, (a, b, c, d) in enumerate(differ):
        if a == b or c == d:
            floor = spans[-1][1] if spans else 0
            ceiling = differ[number + 1][0] if number + 1 < len(differ) else len(old)
            a, b, c, d = _placed(old, new, (a, b, c, d), floor, ceiling, asked)
        gap = old[spans[-1][1] : a] if spans else []
        both_replace = bool(spans) and a < b and spans[-1][0] < spans[-1][1]
        if spans and both_replace and not any(character.isalnum() for line in gap for character in line):
            spans[-1] = (spans[-1][0], b, spans[-1][2], d)
        else:
            spans.append((a, b, c, d))
    return spans


def _placed(
    old: Sequence[str], new: Sequence[str], span: tuple[int, int, int, int], floor: int, ceiling: int, asked: Collection[int]
) -> tuple[int, int, int, int]:
    """A pure insertion or deletion, moved among its equals between the old lines ``floor`` and ``ceiling``."""
    a, b, c, d = span
    lines, first, last = (old, a, b) if a < b else (new, c, d)
    up = down = 0
    while a - up > floor and lines[first - up - 1] == lines[last - up - 1]:
        up += 1
    while b + down < ceiling and lines[first + down] == lines[last + down]:
        down += 1

    def worth(by: int) -> tuple[bool, bool, int]:
        opens = next((line.strip() for line in lines[first + by : last + by] if line.strip()), "")
        return a == b or a + by + 1 not in asked, CLOSES.match(opens) is not None, by

    by = min(range(-up, down + 1), key=worth)
    return a + by, b + by, c + by, d + by


# Operators and numbers are changed as a whole.
WORDS = re.compile(r"\d+(?:\.\d+)+|\w+|\s+|[=<>!&|+*/%-]+|[^\w\s]")
NAME = re.compile(r"[A-Za-z_$][\w$-]*")


def narrowed(old: str, new: str) -> tuple[str, str]:
    """What of a line changes, and to what: whole words, and so much before them (behind, at the line's beginning) that it stands there once."""
    a, b = WORDS.findall(old), WORDS.findall(new)
    most = min(len(a), len(b))
    start = next((n for n in range(most) if a[n] != b[n]), most)
    end = next((n for n in range(most - start) if a[-1 - n] != b[-1 - n]), most - start)
    first, last = start, len(a) - end
    while not (part := "".join(a[first:last])).strip() or not once(part, old):
        if "".join(a[:first]).strip():
            first -= 1
        elif last < len(a):
            last += 1
        else:
            break
    return part, "".join([*a[first:start], *b[start : len(b) - end], *a[len(a) - end : last]])


def by_line(old: Sequence[str], new: Sequence[str]) -> list[tuple[int, str, str]]:
    """The number from 1 of each line that changes, and its ``narrowed``; nothing where one of them takes less to be said whole."""
    if len(old) != len(new):
        return []
    out = [(number, *narrowed(a, b)) for number, (a, b) in enumerate(zip(old, new, strict=True), 1) if a != b]
    return out if all(len(part) + len(instead) < len(new[number - 1].strip()) for number, part, instead in out) else []


def renaming(old: Sequence[str], new: Sequence[str], path: str = "") -> tuple[str, str] | None:
    """The word and its new name, where the change is nothing but that, wherever it stands."""
    pair = next(((a, b) for a, b in zip(old, new, strict=False) if a != b), None)
    if len(old) != len(new) or not pair:
        return None
    names, others = NAME.findall(pair[0]), NAME.findall(pair[1])
    name, other = next(((a, b) for a, b in zip(names, others, strict=False) if a != b), ("", ""))
    made = renamed(old, name, other, path) if name else {}
    return (name, other) if [made.get(number, line) for number, line in enumerate(old, 1)] == list(new) else None


def reply(region: str, result: str | None, instruction: str = "", path: str = "") -> list[Segment]:
    """What the model answers, up to and with the end token; None is a refusal.

    What is asked decides between forms of the same change: a word that is named is renamed wherever it stands, and a line that is inserted
    before one that the request is marked with is said so. So names and lines are copied rather than worked out.
    """
    if result is None:
        return [Segment(DECLINE, True), Segment(END, True)]
    old, new = region.split("\n"), result.split("\n")
    pair = renaming(old, new, path)
    if pair and (sum(a != b for a, b in zip(old, new, strict=True)) > 1 or renamed([instruction], pair[0], "")):
        return [Segment(REPLACE, True), Segment(pair[0]), Segment(WITH, True), Segment(pair[1]), Segment(END, True)]
    asked = {number for _, numbers in marked(plain(instruction, region), old, kinds=True) for number in numbers}
    out: list[Segment] = []
    for a, b, c, d in changes(old, new, asked):
        if shorter := by_line(old[a:b], new[c:d]):
            for number, part, instead in shorter:
                out += [Segment(f"<|L{a + number}|>", True), Segment(REPLACE, True), Segment(part), Segment(WITH, True)]
                out += [Segment(instead)] if instead else []
            continue
        if a < b:
            marks = (f"<|L{a + 1}|>", f"<|L{b}|>")
        elif a + 1 in asked and a not in asked:
            marks = (f"<|L{a + 1}|>", ABOVE)
        else:
            marks = (f"<|L{a}|>", INSERT)
        out += [Segment(mark, True) for mark in marks]
        text = "".join(line + "\n" for line in new[c:d])
        if text:
            out.append(Segment(text))
    return [*out, Segment(END, True)]


def applied(region: str, pieces: Sequence[Segment], path: str = "") -> str | None:
    """The region after a reply, read by the engine's own reader. None: it declined. Raises Malformed."""
    lines = region.split("\n")
    reader = PatchReader(lines, path)
    hunks: list[tuple[Hunk, str]] = []

    def take(events: Sequence[Event]) -> None:
        for event in events:
            if isinstance(event, Hunk):
                hunks.append((event, ""))
            elif isinstance(event, Text):
                hunks[-1] = (hunks[-1][0], hunks[-1][1] + event.text)

    for piece in pieces:
        if piece.text == END and piece.control:
            break
        take(reader.feed(piece.text, piece.control))
        if reader.complete:
            return None
    take(reader.finish())
    for hunk, text in reversed(hunks):
        lines[hunk.first - 1 : hunk.last] = text.split("\n")[:-1]
    return "\n".join(lines)


def well_formed(region: str, pieces: Sequence[Segment]) -> bool:
    try:
        applied(region, pieces)
    except Malformed:
        return False
    return True
