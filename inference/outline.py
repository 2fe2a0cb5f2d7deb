"""What a long file defines, by the first lines of its definitions: shown in place of lines that do not fit. Pure.

Found by what lines look like, not by parsing: a line too many costs some tokens, and files are half-written while people work in them.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

# Characters of a line, and definitions of a file that are looked at.
LONGEST_LINE, MOST = 100, 5000
# A longer file, or one whose lines are longer than this in the middle, is data and not written by people.
LONGEST_FILE, WRITTEN = 200_000, 400

CODE = re.compile(
    r"""^(?:
        [ \t]*+(?:(?:export|default|async|pub(?:\([a-z]+\))?|public|private|protected|internal|static|abstract|final|override|open|unsafe|sealed|data)[ ]+)*+
            (?:def|class|function\*?|fn|func|fun|interface|struct|enum|trait|impl|module|namespace|type|sub|proc|macro_rules!|record|object)\b(?=[ \t(*<])
            [^\n=]*\w.*
      | (?:export[ ]+(?:default[ ]+)?)?(?:const|let|var|static|val)[ ]+\w.*
      | [ \t]*+(?:(?:public|private|protected|internal|static|final|abstract|async|override|virtual|inline|readonly|get|set)[ ]+)++[\w<>\[\],.? ]*\w[ ]*\([^;\n]*
      | [ \t]++(?!(?:if|for|while|switch|catch|return|else|elif|with|await|do|when|match|super|new|throw|function)\b)[\w$\#]+\([^;\n]*\)[^;=\n()]*\{[ \t]*
      | [A-Za-z_][\w \t*&:<>,]*[ \t*&]\w[\w:~]*\([^;\n]*(?:\{|,|\))[ \t]*
    )$""",
    re.MULTILINE | re.VERBOSE,
)
HEADINGS = re.compile(r"^#{1,4}[ \t]+\S.*$", re.MULTILINE)
RULES = re.compile(r"^[^\s{}/@*][^{}\n;]*\{[ \t]*$|^@(?:media|supports|layer|keyframes|font-face|container)[^;\n]*\{[ \t]*$", re.MULTILINE)
FORMS = {"md": HEADINGS, "markdown": HEADINGS, "css": RULES, "scss": RULES, "less": RULES}


@dataclass(frozen=True)
class Definition:
    """``line`` from 0. ``text``: the line as it is, cut where it is long."""

    line: int
    text: str

    @property
    def depth(self) -> int:
        return len(self.text) - len(self.text.lstrip())


@dataclass(frozen=True)
class Outline:
    """``lines``: "number: text" of definitions that are not shown otherwise, in order; ``more``: how many others there are."""

    lines: tuple[str, ...] = ()
    more: int = 0
    tokens: int = 0

    @property
    def text(self) -> str:
        return "".join(f"{line}\n" for line in self.lines) + (f"... and {self.more} more\n" if self.more else "")

    @property
    def names(self) -> tuple[str, ...]:
        """The lines without their numbers, which change with every line above."""
        return tuple(line.partition(": ")[2] for line in self.lines)


@lru_cache(maxsize=32)
def definitions(path: str, text: str) -> tuple[Definition, ...]:
    """At most MOST, in order."""
    if len(text) > min(LONGEST_FILE, WRITTEN * (text.count("\n") + 1)):
        return ()
    found: list[Definition] = []
    line = at = 0
    for match in FORMS.get(path.rpartition(".")[2].lower(), CODE).finditer(text):
        line += text.count("\n", at, match.start())
        at = match.start()
        found.append(Definition(line, match[0].rstrip()[:LONGEST_LINE]))
        if len(found) == MOST:
            break
    return tuple(found)


def outline(path: str, text: str, shown: tuple[int, int], room: int, count: Callable[[str], int]) -> Outline:
    """Of the lines outside of ``shown`` (from 0, the second not included), within ``room`` tokens: the outermost definitions first, then those nearest to what is shown."""
    unseen = [found for found in definitions(path, text) if not shown[0] <= found.line < shown[1]]
    if not unseen or room <= 0:
        return Outline()
    order = sorted(unseen, key=lambda found: (found.depth, max(shown[0] - found.line, found.line - shown[1])))
    taken = len(order)
    while taken:
        kept = sorted(order[:taken], key=lambda found: found.line)
        made = Outline(tuple(f"{found.line + 1}: {found.text}" for found in kept), len(order) - taken)
        tokens = count(made.text)
        if tokens <= room:
            return Outline(made.lines, made.more, tokens)
        taken = min(taken - 1, int(taken * room / tokens))
    return Outline()
