"""Which lines of a region a request speaks of: the words of the request that stand there. Pure.

A small model finds a word in the region only after several layers have learnt to look for it together, and takes the line beside it
until then. Looking up is what a program is good at, so the prompt of the embedded model says it: ``rename port<|L3|><|L7|> to gate``.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

# Key in a GGUF: 1 where the model was trained on marked requests, 2 where they also say how far a block goes.
MARKS = "ensemble.marks"
# A word that stands in more lines than this tells little. More marks than that, and longer regions, training has not seen.
MOST_LINES, MOST_MARKS, MOST_CHARS = 5, 30, 8000
WORD = re.compile(r"[A-Za-z_$][\w$]*(?:-[\w$]+)*|\d+(?:\.\d+)*")
# What is quoted is one thing; an apostrophe within a word quotes nothing.
THING = re.compile(rf"`[^`\n]+`|\"[^\"\n]+\"|“[^“”\n]+”|(?<!\w)'[^'\n]+'(?!\w)|{WORD.pattern}")
# What follows is a text to be written, whatever its words: marks between them would only be in the way of copying it.
TEXT = re.compile(
    r"\b(?:docstring|comment|text|message|note|title|heading|headline|label|paragraph|item|bullet|task|todo|log|print|echo|alert)s?\b[^:\n]*:\s"
    r"|\b(?:say|says|saying|reads|reading)\b:?\s",
    re.IGNORECASE,
)
# What people call lines that do not say so themselves.
KINDS = {
    ("loop",): r"\s*(async\s+)?(for|while)\b",
    ("function", "method", "func", "fn", "def", "signature", "parameter", "param", "argument", "arg"): (
        r"\s*(export\s+)?(default\s+)?(async\s+)?(def|function)\b|.*=\s*(async\s*)?(\([^)]*\)|\w+)\s*=>|[\w-]+\(\)\s*\{"
    ),
    ("constructor", "init"): r".*(__init__|constructor)\(",
    ("condition", "check", "guard"): r"\W*(else\s+)?(if|elif)\b",
    ("docstring",): r'\s*(\"""|\'\'\')',
    ("comment",): r"\s*(#(?!!)|//|/\*|<!--)",
    ("decorator",): r"\s*@",
    ("import",): r"\s*(import|from)\b|.*\brequire\(",
    ("heading", "headline", "header"): r"#{1,6}\s|\s*<h[1-6]",
    ("title",): r".*<title|#\s|\s*<h1",
    ("link",): r".*(<a\b|\[[^\]]*\]\()",
    ("image", "picture"): r".*(<img\b|!\[)",
    ("list",): r".*(<[uo]l\b|[=:(]\s*\[)",
    ("item", "bullet", "point", "entry"): r"\s*([-*+]|\d+\.)\s|\s*<li\b",
    ("task", "todo", "checkbox"): r"\s*[-*] \[",
    ("paragraph",): r"\s*<p\b",
    ("field", "textbox"): r"\s*<input\b",
    ("stylesheet",): r"\s*<(link|style)\b",
    ("rule", "selector"): r"\S.*\{\s*$",
    ("shebang",): r"#!",
}
KIND = {word: re.compile(pattern) for words, pattern in KINDS.items() for word in words}
# What ends a block on a line of its own, where its beginning stands.
CLOSES = re.compile(r"[})\]]|</|(?:end|fi|done|esac)(?![\w-]|\s*[=(.:\[])")
PART = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+")
# Words of people's language that say nothing of the code, unless they are quoted.
COMMON = frozenset(
    WORD.findall(
        """a an the and or but not no to of in on at as is it be by do so if for from into with without this that these those there here
        should would could must can may please i we you he she me my our your its their them us they also too just only then than when where
        instead like let lets need needs want wants after before above below over under all every each both any some new old"""
    )
)


def marked(instruction: str, lines: Sequence[str], kinds: bool = False) -> list[tuple[str, list[int]]]:
    """The instruction in pieces, each with the numbers of the lines, from 1, in which its last word stands; together they are the instruction.

    ``kinds``: also of the lines that people call so (``KINDS``), and where the word stands without its plural.
    """
    pieces: list[tuple[str, list[int]]] = []
    start = marks = 0
    index = _Index(lines if sum(map(len, lines)) <= MOST_CHARS else (), kinds)
    text = TEXT.search(instruction)
    for match in THING.finditer(instruction, 0, text.end() if text else len(instruction)):
        found = index.quoted(match[0][1:-1]) if match[0][0] in "`\"'“" else index.word(match[0])
        if 0 < len(found) <= MOST_LINES and marks + len(found) <= MOST_MARKS:
            pieces.append((instruction[start : match.end()], found))
            start = match.end()
            marks += len(found)
    if start < len(instruction):
        pieces.append((instruction[start:], []))
    return pieces


def block_end(lines: Sequence[str], first: int) -> int:
    """The last line of the block that line ``first`` opens, by its indentation; both from 1. ``first`` itself where it opens none."""
    own, end = _indent(lines[first - 1]), first
    for number in range(first + 1, len(lines) + 1):
        line = lines[number - 1].strip()
        if not line:
            continue
        if _indent(lines[number - 1]) > own:
            end = number
            continue
        if end == first or _indent(lines[number - 1]) < own or not CLOSES.match(line):
            break
        end = number
        # "} else {" and the end of a long signature go on.
        if not line.endswith(("{", ":", "(")):
            break
    return end


def _indent(line: str) -> int:
    return len(line) - len(line.lstrip())


def _plain(word: str) -> str:
    """The same for ``maxSize``, ``max_size`` and ``max-size``."""
    return re.sub(r"[-_$]", "", word).lower()


class _Index:
    """``words`` as they stand there, and whole words and ``parts`` of them in plain letters -> the lines."""

    def __init__(self, lines: Sequence[str], kinds: bool) -> None:
        self._lines = lines
        self._kinds = kinds
        self._words: dict[str, list[int]] = {}
        self._parts: dict[str, list[int]] = {}
        for number, line in enumerate(lines, 1):
            for word in set(WORD.findall(line)):
                self._words.setdefault(word, []).append(number)
                for part in {_plain(word), *(part.lower() for part in PART.findall(word))}:
                    known = self._parts.setdefault(part, [])
                    if known[-1:] != [number]:
                        known.append(number)

    def word(self, word: str) -> list[int]:
        if word.lower() in COMMON:
            return []
        found = self._words.get(word) or (self._parts.get(_plain(word), []) if len(word) > 2 else [])
        return found or (self._kind(word.lower()) if self._kinds else [])

    def _kind(self, word: str) -> list[int]:
        one = word.removesuffix("s")
        if one != word and len(one) > 2 and (found := self._parts.get(one)):
            return found
        kind = KIND.get(one)
        return [number for number, line in enumerate(self._lines, 1) if kind.match(line)] if kind else []

    def quoted(self, text: str) -> list[int]:
        if WORD.fullmatch(text):
            return self._words.get(text) or self._parts.get(_plain(text), [])
        return [number for number, line in enumerate(self._lines, 1) if text in line]
