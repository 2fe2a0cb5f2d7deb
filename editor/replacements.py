"""A whole reply as the fewest replacements, to be drawn over text that it has not changed. Pure.

The operations of a run are condensed, not the finished texts compared: what is drawn is what the run would do.
Offsets are characters of the region's old text.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from editor.edits import Insert, Operation, RegionDiff
from inference.api import Event, Hunk, Text


@dataclass(frozen=True)
class Replacement:
    """Characters ``start`` to ``end`` give way to ``text``.

    Several lines of text come as lines of their own: before a line (``start == end`` at its beginning, ``text`` ends
    in a newline), or behind what is left of one (``end`` is a line's end)."""

    start: int
    end: int
    text: str


def operations(diff: RegionDiff, events: Iterable[Event], complete: bool = True) -> list[Operation]:
    """What a reply does to the shadow, up to its end if it is ``complete``; figures and the like among the events are passed over."""
    out: list[Operation] = []
    text = ""
    for event in events:
        if isinstance(event, Text):
            text += event.text
        elif isinstance(event, Hunk):
            out += [*(diff.feed(text) if text else ()), *diff.hunk(event.first, event.last)]
            text = ""
    return [*out, *(diff.feed(text) if text else ()), *(diff.finish() if complete else ())]


def of_reply(old: str, events: Iterable[Event]) -> list[Replacement]:
    """In ascending order; they neither overlap nor touch."""
    return tidy(old, condense(old, operations(RegionDiff(old), events)))


def condense(old: str, steps: Iterable[Operation]) -> list[Replacement]:
    """Operations one after the other as replacements of the old text, all at once."""
    data = old.encode()
    # What the text is made of: ranges of the old bytes, and text that was inserted.
    pieces: list[tuple[int, int] | bytes] = [(0, len(data))]
    for step in steps:
        index = _split(pieces, step.at)
        if isinstance(step, Insert):
            pieces.insert(index, step.text.encode())
        else:
            del pieces[index : _split(pieces, step.at + step.length)]
    found: list[tuple[int, int, bytes]] = []
    at, text = 0, b""
    for piece in [*pieces, (len(data), len(data))]:
        if isinstance(piece, bytes):
            text += piece
            continue
        if text or piece[0] > at:
            found.append((at, piece[0], text))
        at, text = piece[1], b""
    return [Replacement(len(data[:start].decode()), len(data[:end].decode()), new.decode()) for start, end, new in found]


def _split(pieces: list[tuple[int, int] | bytes], at: int) -> int:
    """Cuts the piece that byte ``at`` of the text is in; the index of the piece that begins there."""
    for index, piece in enumerate(pieces):
        length = len(piece) if isinstance(piece, bytes) else piece[1] - piece[0]
        if at <= 0:
            return index
        if at < length:
            if isinstance(piece, bytes):
                pieces[index : index + 1] = [piece[:at], piece[at:]]
            else:
                pieces[index : index + 1] = [(piece[0], piece[0] + at), (piece[0] + at, piece[1])]
            return index + 1
        at -= length
    return len(pieces)


def tidy(old: str, replacements: list[Replacement]) -> list[Replacement]:
    """The same edit with added lines as whole lines."""
    out: list[Replacement] = []
    waiting = replacements[::-1]
    while waiting:
        start, end, text = _trimmed(old, waiting.pop())
        if start == end and text.count("\n"):
            start, text = _as_lines(old, start, text, out[-1].end if out else 0)
            end = start
        if text.count("\n") and not (start == end and _begins_line(old, start) and text.endswith("\n")):
            line_end = _line_end(old, end)
            while waiting and waiting[-1].start <= line_end:
                following = _trimmed(old, waiting.pop())
                text += old[end : following[0]] + following[2]
                end = following[1]
                line_end = _line_end(old, end)
            text += old[end:line_end]
            end = line_end
        if start < end and text and "\n" not in old[start:end] + text:
            start, end, text = _whole_words(old, start, end, text, out[-1].end if out else 0, waiting[-1].start if waiting else len(old))
        if out and out[-1].end == start:
            before = out.pop()
            waiting.append(Replacement(before.start, end, before.text + text))
        elif text != old[start:end]:
            out.append(Replacement(start, end, text))
    return out


def _trimmed(old: str, replacement: Replacement) -> tuple[int, int, str]:
    """Without a newline that both sides end or begin with."""
    start, end, text = replacement.start, replacement.end, replacement.text
    if end > start and old[end - 1] == "\n" and text.endswith("\n"):
        end, text = end - 1, text[:-1]
    if end > start and old[start] == "\n" and text.startswith("\n"):
        start, text = start + 1, text[1:]
    return start, end, text


def _as_lines(old: str, at: int, text: str, least: int) -> tuple[int, str]:
    """An insertion that could as well begin at its line's beginning, moved there: ``x|`` + ``y\\nx`` is ``|x`` + ``xy\\n``."""
    moved, rest = at, text
    while moved > least and not _begins_line(old, moved) and rest.endswith(old[moved - 1]):
        moved, rest = moved - 1, old[moved - 1] + rest[:-1]
    return (moved, rest) if _begins_line(old, moved) and rest.endswith("\n") else (at, text)


def _whole_words(old: str, start: int, end: int, text: str, least: int, most: int) -> tuple[int, int, str]:
    """For people: ``load`` that becomes ``read`` is one word for another, not ``lo`` for ``re``."""
    while start > least and _word(old[start - 1]) and (_word(old[start]) or _word(text[0])):
        start, text = start - 1, old[start - 1] + text
    while end < most and _word(old[end]) and (_word(old[end - 1]) or _word(text[-1])):
        end, text = end + 1, text + old[end]
    return start, end, text


def _word(character: str) -> bool:
    return character.isalnum() or character == "_"


def _begins_line(old: str, at: int) -> bool:
    return at == 0 or old[at - 1] == "\n"


def _line_end(old: str, at: int) -> int:
    end = old.find("\n", at)
    return len(old) if end < 0 else end


def apply(old: str, replacements: Iterable[Replacement]) -> str:
    """The text with all of them done."""
    out, at = [], 0
    for each in replacements:
        out += [old[at : each.start], each.text]
        at = each.end
    return "".join(out) + old[at:]
