"""Old and new region -> the reply that the model learns, in the form that ``inference.replies`` reads. Pure; no tokenizer here.

The embedded model's prompt comes from ``inference.prompts.PatchFormat`` itself, so training and engine cannot differ.
"""

from __future__ import annotations

import difflib
from collections.abc import Sequence

from inference.api import Hunk, Task, Text
from inference.prompts import PatchFormat, Segment
from inference.replies import DECLINE, Malformed, PatchReader
from inference.training.scene import Example

END = "<|end|>"
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
    *(f"<|L{n}|>" for n in range(MOST_LINES + 1)),
)


def task_of(example: Example) -> Task:
    return Task("", "", example.path, example.before, example.region, example.after, example.instruction)


def prompt(example: Example, marks: bool = True) -> list[Segment]:
    made = PatchFormat(marks=marks).prompt(task_of(example))
    return [*made.segments, *made.trigger]


def divided(prompt: Sequence[Segment]) -> tuple[Sequence[Segment], Sequence[Segment]]:
    """A prompt as what depends on the place alone, and what is asked there."""
    at = next(number for number, segment in enumerate(prompt) if segment.control and segment.text == "<|task|>")
    return prompt[:at], prompt[at:]


def changes(old: Sequence[str], new: Sequence[str]) -> list[tuple[int, int, int, int]]:
    """Spans (old from, to, new from, to) that differ, in one canonical form: a model cannot learn to guess among equals.

    A pure insertion or deletion slides up as far as it goes; spans with nothing but brackets and blanks between them are one.
    """
    spans: list[tuple[int, int, int, int]] = []
    for kind, a, b, c, d in difflib.SequenceMatcher(None, old, new, autojunk=False).get_opcodes():
        if kind == "equal":
            continue
        floor_old, floor_new = (spans[-1][1], spans[-1][3]) if spans else (0, 0)
        while a == b and a > floor_old and c > floor_new and old[a - 1] == new[d - 1] == new[c - 1 + (d - c)]:
            a, b, c, d = a - 1, b - 1, c - 1, d - 1
        while c == d and c > floor_new and a > floor_old and old[a - 1] == old[b - 1]:
            a, b, c, d = a - 1, b - 1, c - 1, d - 1
        gap = old[spans[-1][1] : a] if spans else []
        both_replace = bool(spans) and a < b and spans[-1][0] < spans[-1][1]
        if spans and both_replace and not any(character.isalnum() for line in gap for character in line):
            spans[-1] = (spans[-1][0], b, spans[-1][2], d)
        else:
            spans.append((a, b, c, d))
    return spans


def reply(region: str, result: str | None) -> list[Segment]:
    """What the model answers, up to and with the end token; None is a refusal."""
    if result is None:
        return [Segment(DECLINE, True), Segment(END, True)]
    old, new = region.split("\n"), result.split("\n")
    out: list[Segment] = []
    for a, b, c, d in changes(old, new):
        marks = (f"<|L{a}|>", "<|ins|>") if a == b else (f"<|L{a + 1}|>", f"<|L{b}|>")
        out += [Segment(mark, True) for mark in marks]
        text = "".join(line + "\n" for line in new[c:d])
        if text:
            out.append(Segment(text))
    return [*out, Segment(END, True)]


def applied(region: str, pieces: Sequence[Segment]) -> str | None:
    """The region after a reply, read by the engine's own reader. None: it declined. Raises Malformed."""
    lines = region.split("\n")
    reader = PatchReader(len(lines))
    hunks: list[tuple[Hunk, str]] = []
    for piece in pieces:
        if piece.text == END and piece.control:
            break
        for event in reader.feed(piece.text, piece.control):
            if isinstance(event, Hunk):
                hunks.append((event, ""))
            elif isinstance(event, Text):
                hunks[-1] = (hunks[-1][0], hunks[-1][1] + event.text)
        if reader.complete:
            return None
    reader.finish()
    for hunk, text in reversed(hunks):
        lines[hunk.first - 1 : hunk.last] = text.split("\n")[:-1]
    return "\n".join(lines)


def well_formed(region: str, pieces: Sequence[Segment]) -> bool:
    try:
        applied(region, pieces)
    except Malformed:
        return False
    return True
