"""What a generated request is made of: a place in a file, an edit of it, and what a person says. A leaf.

A transform is a function from a Place to an Edit, or to None where the place does not suit it. It speaks
of *what* is asked (an intent and its slots); ``wordings`` knows how people put that into words.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal

from inference.training.words import Words

Quoting = Literal["never", "name", "text"]


@dataclass(frozen=True)
class Said:
    """A slot's text as a person writes it. ``name``: now and then in quotes or backticks; ``text``: often."""

    text: str
    quoting: Quoting = "never"


def name(text: str) -> Said:
    return Said(text, "name")


def text(text: str) -> Said:
    return Said(text, "text")


Slots = Mapping[str, object]  # Said, or plain text


@dataclass(frozen=True)
class Place:
    """A region of a file, with the lines around it, and the dice and words of one example."""

    path: str
    language: str
    before: str
    region: str
    after: str
    random: random.Random
    words: Words

    @property
    def lines(self) -> list[str]:
        return self.region.split("\n")

    def maybe(self, probability: float) -> bool:
        return self.random.random() < probability


@dataclass(frozen=True)
class Edit:
    """``result`` is the new region, or None for a request that must be declined.

    ``must``: slots without which the request would be ambiguous. ``region``: the old region, where the
    transform had to prepare it (a print to remove must be there first).
    """

    result: str | None
    intent: str
    slots: Slots = field(default_factory=dict)
    must: tuple[str, ...] = ()
    region: str | None = None


@dataclass(frozen=True)
class Example:
    """A finished request. ``result`` None: the right answer is to decline."""

    transform: str
    language: str
    path: str
    before: str
    region: str
    after: str
    instruction: str
    result: str | None


Transform = Callable[[Place], "Edit | None"]


@dataclass(frozen=True)
class Registered:
    name: str
    languages: tuple[str, ...]
    make: Transform
    weight: float


TRANSFORMS: dict[str, Registered] = {}


def transform(*languages: str, weight: float = 1.0) -> Callable[[Transform], Transform]:
    """Registers a function under its own name. ``weight``: how often it is drawn, against the others of the language."""

    def register(make: Transform) -> Transform:
        label = make.__name__
        if label in TRANSFORMS:
            raise ValueError(f"two transforms are called {label}")
        TRANSFORMS[label] = Registered(label, languages, make, weight)
        return make

    return register


def indent_of(line: str) -> str:
    return line[: len(line) - len(line.lstrip(" "))]


def only(pattern: str | re.Pattern[str], where: str) -> re.Match[str] | None:
    """The pattern's match, where there is exactly one."""
    found = list(re.finditer(pattern, where))
    return found[0] if len(found) == 1 else None


def spliced(old: str, match: re.Match[str], new: str, group: int | str = 0) -> str:
    return old[: match.start(group)] + new + old[match.end(group) :]


def whole_word(word: str) -> str:
    return rf"(?<![\w$]){re.escape(word)}(?![\w$])"


def count_word(word: str, where: str) -> int:
    return len(re.findall(whole_word(word), where))
