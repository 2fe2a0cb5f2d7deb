"""Where Pygments earns its place: what language a file is in, and highlighted diffs for the run cards."""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from typing import Any

from pygments.lexer import Lexer
from pygments.lexers import get_lexer_by_name, get_lexer_for_filename, guess_lexer
from pygments.token import STANDARD_TYPES, Token
from pygments.util import ClassNotFound

CONTEXT_LINES = 2
# Lines of a diff that a card shows; the rest is counted.
MOST_LINES = 400


@dataclass(frozen=True)
class Language:
    name: str
    extension: str


def _lexer(path: str, content: str) -> Lexer:
    try:
        return get_lexer_for_filename(path, content, stripnl=False, ensurenl=False)
    except ClassNotFound:
        pass
    try:
        return guess_lexer(content[:4096], stripnl=False, ensurenl=False) if content.strip() else get_lexer_by_name("text")
    except ClassNotFound:
        return get_lexer_by_name("text")


def detect(path: str, content: str) -> Language:
    """The language of a file by its name, else by its content; plain text where neither tells."""
    lexer = _lexer(path, content)
    extensions = [name.rpartition(".")[2] for name in lexer.filenames if name.startswith("*.") and "[" not in name]
    return Language(lexer.name, extensions[0] if extensions else "txt")


def highlighted_lines(path: str, text: str) -> list[list[list[str]]]:
    """For each line its [CSS class, text] tokens; classes are Pygments's short names."""
    lines: list[list[list[str]]] = [[]]
    for kind, value in _lexer(path, text).get_tokens(text):
        while kind not in STANDARD_TYPES and kind is not Token:
            kind = kind.parent
        first, *more = value.split("\n")
        for number, part in enumerate((first, *more)):
            if number:
                lines.append([])
            if part:
                lines[-1].append([STANDARD_TYPES.get(kind, ""), part])
    wanted = text.count("\n") + 1
    return (lines + [[] for _ in range(wanted)])[:wanted]


def highlighted_diff(path: str, old: str, new: str, first_line: int, context: int = CONTEXT_LINES) -> list[dict[str, Any]]:
    """A unified diff of a region as ``{op, old, new, tokens}`` lines; ``first_line`` is the region's in the file, ``context``: unchanged lines around a change."""
    a, b = old.split("\n"), new.split("\n")
    tokens_a, tokens_b = highlighted_lines(path, old), highlighted_lines(path, new)
    out: list[dict[str, Any]] = []

    def add(op: str, i: int | None, j: int | None) -> None:
        tokens = tokens_b[j] if j is not None else tokens_a[i] if i is not None else []
        out.append(
            {
                "op": op,
                "old": None if i is None else first_line + i,
                "new": None if j is None else first_line + j,
                "tokens": tokens,
            }
        )

    for number, group in enumerate(difflib.SequenceMatcher(None, a, b, autojunk=False).get_grouped_opcodes(context)):
        if number:
            out.append({"op": "@", "old": None, "new": None, "tokens": []})
        for tag, i1, i2, j1, j2 in group:
            if tag == "equal":
                for i, j in zip(range(i1, i2), range(j1, j2), strict=True):
                    add(" ", i, j)
                continue
            for i in range(i1, i2):
                add("-", i, None)
            for j in range(j1, j2):
                add("+", None, j)
    if len(out) > MOST_LINES:
        left = len(out) - MOST_LINES
        out[MOST_LINES:] = [{"op": "@", "old": None, "new": None, "tokens": [["", f"{left} more lines"]]}]
    return out
