"""How people put a request into words: a grammar, then the noise of real typing.

The grammar lies beside this file, in ``*.txt``. A rule is a name and a colon, then one alternative a line;
``!`` marks an alternative that is held out: no training example uses it, and every held-out wording uses one.
The commonest stand first, and are drawn the most: most people say it in one of a few ways.

    (a|b)  one of them      [a|b]  one of them or nothing      <rule>  a rule      {slot}  what the edit is about

What touches in the grammar touches in the sentence; ``\\(`` is a bracket to be typed. An alternative whose slots an edit does not have
is not taken.
"""

from __future__ import annotations

import random
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TypeVar

from inference.training.scene import Said, Slots

TRIES = 60
OPTION_TAKEN = 0.4


@dataclass(frozen=True)
class Word:
    text: str


@dataclass(frozen=True)
class Slot:
    name: str


@dataclass(frozen=True)
class Rule:
    name: str


@dataclass(frozen=True)
class Choice:
    options: tuple[tuple[Node, ...], ...]
    optional: bool


Node = Word | Slot | Rule | Choice
Way = TypeVar("Way")


@dataclass(frozen=True)
class Alternative:
    nodes: tuple[Node, ...]
    held_out: bool


@dataclass(frozen=True)
class Piece:
    """Words of the grammar, which may be mistyped, or a slot's text, which may not."""

    text: str
    slot: str = ""
    quoting: str = "never"


TOKEN = re.compile(r"(?P<blank>\s*)(?P<token>\\.|[()\[\]|]|<\w+>|\{\w+\}|[^\s()\[\]|<{\\]+|<|\{)")
GLUE = "~"


def parse(line: str) -> tuple[Node, ...]:
    matches = list(TOKEN.finditer(line.strip()))
    tokens = [match["token"] for match in matches]
    position = 0

    def touches() -> bool:
        """Whether the token that comes next stands right behind a word, a slot, a rule or a closed bracket."""
        return position > 0 and not matches[position]["blank"] and tokens[position - 1] not in ("(", "[", "|")

    def sequence() -> tuple[Node, ...]:
        nonlocal position
        nodes: list[Node] = []
        while position < len(tokens) and tokens[position] not in ("|", ")", "]"):
            token = tokens[position]
            if touches():
                nodes.append(Word(GLUE))
            position += 1
            if token in ("(", "["):
                options = [sequence()]
                while tokens[position] == "|":
                    position += 1
                    options.append(sequence())
                position += 1
                nodes.append(Choice(tuple(options), token == "["))
            elif re.fullmatch(r"<\w+>", token):
                nodes.append(Rule(token[1:-1]))
            elif re.fullmatch(r"\{\w+\}", token):
                nodes.append(Slot(token[1:-1]))
            else:
                nodes.append(Word(token.removeprefix("\\")))
        return tuple(nodes)

    nodes = sequence()
    if position != len(tokens):
        raise ValueError(f"a bracket too many: {line}")
    return nodes


@cache
def grammar() -> dict[str, tuple[Alternative, ...]]:
    rules: dict[str, list[Alternative]] = {}
    for file in sorted(Path(__file__).parent.glob("*.txt")):
        rule: list[Alternative] = []
        for line in file.read_text(encoding="utf-8").splitlines():
            if not line.strip() or line.startswith("#"):
                continue
            if not line.startswith(" "):
                rule = rules.setdefault(line.rstrip(": "), [])
                continue
            line = line.strip()
            rule.append(Alternative(parse(line.removeprefix("!")), line.startswith("!")))
    return {name: tuple(rule) for name, rule in rules.items()}


def in_turn(ways: Sequence[Way], dice: random.Random) -> list[Way]:
    """An order to try them in. The n-th is drawn 1/n times as often as the first (Zipf): of forty, the first ten for two thirds of all requests."""
    # Numbers to the power of one over their weights, the largest first, are in an order drawn by these weights (Efraimidis and Spirakis, 2006).
    drawn = [(dice.random() ** place, place) for place in range(1, len(ways) + 1)]
    return [ways[place - 1] for _, place in sorted(drawn, reverse=True)]


class Speaker:
    """One person's words for one request. ``held_out``: at least one held-out alternative is used."""

    def __init__(self, dice: random.Random, slots: Slots, held_out: bool) -> None:
        self._dice = dice
        self._slots = {key: value if isinstance(value, Said) else Said(str(value)) for key, value in slots.items()}
        self._held_out = held_out
        self.used_held_out = False

    def rule(self, name: str, top: bool = False) -> list[Piece] | None:
        alternatives = grammar()[name]
        if not self._held_out:
            alternatives = tuple(a for a in alternatives if not a.held_out)
        elif top or self._dice.random() < 0.5:
            alternatives = tuple(a for a in alternatives if a.held_out) or alternatives
        for alternative in in_turn(alternatives, self._dice):
            pieces = self._sequence(alternative.nodes)
            if pieces is not None:
                self.used_held_out = self.used_held_out or alternative.held_out
                return pieces
        return None

    def _sequence(self, nodes: Sequence[Node]) -> list[Piece] | None:
        out: list[Piece] = []
        glue = False
        for node in nodes:
            if node == Word(GLUE):
                glue = True
                continue
            pieces = self._node(node)
            if pieces is None:
                return None
            out += [Piece(GLUE), *pieces] if glue and pieces else pieces
            glue = False
        return out

    def _node(self, node: Node) -> list[Piece] | None:
        if isinstance(node, Word):
            return [Piece(node.text)]
        if isinstance(node, Rule):
            return self.rule(node.name)
        if isinstance(node, Slot):
            said = self._slots.get(node.name)
            return None if said is None else [Piece(said.text, node.name, said.quoting)]
        if node.optional and self._dice.random() > OPTION_TAKEN:
            return []
        for option in in_turn(node.options, self._dice):
            pieces = self._sequence(option)
            if pieces is not None:
                return pieces
        return [] if node.optional else None


def say(intent: str, slots: Slots, must: Sequence[str], dice: random.Random, held_out: bool = False) -> str | None:
    """The request in words, or None where the grammar cannot say it with all of ``must``."""
    for _ in range(TRIES):
        speaker = Speaker(dice, slots, held_out)
        pieces = speaker.rule(intent, top=True)
        if pieces is None or not set(must) <= {piece.slot for piece in pieces}:
            continue
        if held_out and not speaker.used_held_out:
            continue
        return typed(quoted(pieces, dice), dice, held_out)
    return None


def quoted(pieces: list[Piece], dice: random.Random) -> list[Piece]:
    """One habit of quoting for each request; a text in the middle of a sentence is rarely left bare."""
    for_names = dice.choices(["", "`", "'", '"'], [68, 12, 9, 11])[0]
    for_texts = dice.choices(["", '"', "'", "`"], [35, 42, 20, 3])[0]
    out = []
    for index, piece in enumerate(pieces):
        mark = for_names if piece.quoting == "name" else for_texts if piece.quoting == "text" else ""
        if piece.quoting == "text" and not mark and index < len(pieces) - 1 and " " in piece.text and dice.random() < 0.7:
            mark = '"'
        # Two texts side by side in one sentence are told apart by their marks.
        if mark and mark not in piece.text and "\n" not in piece.text:
            piece = Piece(f"{mark}{piece.text}{mark}", piece.slot, "marked")
        out.append(piece)
    return out


def typed(pieces: list[Piece], dice: random.Random, held_out: bool = False) -> str:
    """Politeness, capitals, punctuation and typing errors; slots stay exactly as they are."""
    pieces = list(pieces)
    # What follows a bare text would be taken for a part of it.
    open_end = pieces[-1].quoting == "text"
    speaker = Speaker(dice, {}, held_out)
    if dice.random() < 0.2:
        pieces = (speaker.rule("before_all") or []) + pieces
    if dice.random() < 0.2 and not open_end:
        pieces += speaker.rule("after_all") or []
    mistakes = dice.choices([0, 1, 2], [86, 11, 3])[0]
    words = [i for i, piece in enumerate(pieces) if not piece.slot and re.fullmatch(r"[a-z]{4,}", piece.text)]
    for index in dice.sample(words, min(mistakes, len(words))):
        pieces[index] = Piece(mistyped(pieces[index].text, dice))
    if dice.random() < 0.3:
        pieces = [p if p.slot else Piece(p.text.replace("'", "")) if re.search(r"\w'\w", p.text) else p for p in pieces]
    if dice.random() < 0.45 and not pieces[0].slot:
        pieces[0] = Piece(pieces[0].text[:1].upper() + pieces[0].text[1:])
    line = joined(pieces)
    if not open_end and dice.random() < 0.12 and line[-1:].isalnum():
        line += "."
    return line


def joined(pieces: Sequence[Piece]) -> str:
    line = ""
    glue = True
    for piece in pieces:
        if piece.text == GLUE and not piece.slot:
            glue = True
            continue
        close = not piece.slot and re.match(r"[,:;.?!](?!\w)", piece.text) is not None
        line += ("" if glue or close else " ") + piece.text
        glue = False
    return line


NEIGHBOURS = {a: b for row in ("qwertyuiop", "asdfghjkl", "zxcvbnm") for a, b in zip(row, row[1:] + row[-2], strict=True)}


def mistyped(word: str, dice: random.Random) -> str:
    at = dice.randrange(1, len(word) - 1)
    kind = dice.random()
    if kind < 0.35:
        return word[:at] + word[at + 1] + word[at] + word[at + 2 :]
    if kind < 0.65:
        return word[:at] + word[at + 1 :]
    if kind < 0.85:
        return word[:at] + word[at] + word[at:]
    return word[:at] + NEIGHBOURS[word[at]] + word[at + 1 :]
