"""Everyday files and requests about them, written one by one by coding assistants (``*.toml``, in the form of ``requests.toml``), varied by dice.

Generated requests name what they mean; people say "make the bars green" and leave finding it to the reader. These teach that.
``ask`` is a list: several wordings of one edit. No request of ``requests.toml`` was seen by those who wrote them.
"""

from __future__ import annotations

import random
import re
import tomllib
from collections import Counter
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

from inference.marks import PART
from inference.training import wordings
from inference.training.requests import request_of
from inference.training.scene import Example
from inference.training.words import COLOURS, EVERYDAY, RESERVED

LANGUAGES = {
    "py": "python",
    "js": "javascript",
    "jsx": "javascript",
    "ts": "typescript",
    "tsx": "typescript",
    "yml": "yaml",
    "md": "markdown",
    "sh": "shell",
}
# How often a scene's words and numbers are others, and each of them.
VARIED, WORD_VARIED, NUMBER_VARIED = 0.75, 0.3, 0.15
# What stands in so large a share of a language's scenes is of the language, not of the scene.
OF_LANGUAGE, SPOKEN = 0.1, 0.05


@dataclass(frozen=True)
class Scene:
    """``asked``: for each edit its wordings and the new region, None where it is to be declined. ``known``: all its words; ``words``: its own.

    ``counts``: its numbers follow from nothing but each other's being the same; else, "twice as many" would be said of others.
    """

    language: str
    path: str
    before: str
    region: str
    after: str
    asked: tuple[tuple[tuple[str, ...], str | None], ...]
    known: frozenset[str] = frozenset()
    words: frozenset[str] = frozenset()
    counts: bool = True

    def texts(self) -> list[str]:
        return [self.before, self.region, self.after, *(text for asks, result in self.asked for text in (*asks, result or ""))]


def read(path: Path) -> list[Scene]:
    """Raises Unclear where a change names what is not there once."""
    found = []
    for scene in tomllib.loads(path.read_text(encoding="utf-8"))["scene"]:
        scene["region"] = scene["region"].removeprefix("\n")
        ending = scene["path"].rsplit(".", 1)[-1]
        asked, example = [], request_of(scene, {"ask": "", "decline": True}).example
        for entry in scene["requests"]:
            result = request_of(scene, {**entry, "ask": ""}).right[0]
            asked.append((tuple(entry["ask"]), result if result is None else result.strip("\n")))
        found.append(Scene(LANGUAGES.get(ending, ending), example.path, example.before, example.region, example.after, tuple(asked)))
    return found


def parts(text: str) -> set[str]:
    return {part.lower() for part in PART.findall(text)}


@cache
def scenes() -> tuple[Scene, ...]:
    found = [scene for path in sorted(Path(__file__).parent.glob("*.toml")) for scene in read(path)]
    held: dict[str, list[set[str]]] = {}
    for scene in found:
        held.setdefault(scene.language, []).append(parts(scene.region))
    common = {word.lower() for word in RESERVED} | set(COLOURS)
    # Of requests: what many scenes' have are words of people, not of a scene.
    spoken = Counter(word for scene in found for word in set().union(*(parts(ask) for asks, _ in scene.asked for ask in asks)))
    out = []
    for scene in found:
        known = frozenset().union(*(parts(text) for text in scene.texts()))
        place = parts(f"{scene.before} {scene.region} {scene.after}")
        told = [(set.intersection(*map(parts, asks)), parts(result or "")) for asks, result in scene.asked]
        code = place.union(*(result for _, result in told))
        # What a result has from nowhere but common knowledge.
        known_to_all = set().union(*(result - place - asks for asks, result in told))
        others = held[scene.language]
        # "carts" would stay where "cart" becomes another word.
        own = {
            word
            for word in code
            if word.isalpha()
            and spoken[word] <= max(2, SPOKEN * len(found))
            and len(word) > 3
            and word not in common | known_to_all
            and not {word + "s", word.removesuffix("s")} & (known - {word})
            and sum(word in words for words in others) <= max(1, OF_LANGUAGE * len(others))
        }
        counts = not any(map(str.isdigit, known_to_all))
        out.append(replace(scene, known=known, words=frozenset(own), counts=counts))
    return tuple(out)


def variation(scene: Scene, dice: random.Random) -> dict[str, str]:
    """Some of a scene's words and numbers -> others, none of which the scene knows."""
    if dice.random() > VARIED:
        return {}
    known = scene.known
    new = dice.sample([word for word in EVERYDAY if word not in known], min(12, len(scene.words)))
    others = {
        word: other for word, other in zip(dice.sample(sorted(scene.words), len(scene.words)), new, strict=False) if dice.random() < WORD_VARIED
    }
    for number in sorted(part for part in known if scene.counts and part.isdigit() and len(part) > 1 and part[0] != "0"):
        other = str(dice.randint(10 ** (len(number) - 1), 10 ** len(number) - 1))
        if dice.random() < NUMBER_VARIED and other not in known and other not in others.values():
            others[number] = other
    return others


def varied(text: str, others: dict[str, str]) -> str:
    def other(match: re.Match[str]) -> str:
        part = match[0]
        new = others.get(part.lower(), part)
        if new == part:
            return part
        return new.upper() if part.isupper() and len(part) > 1 else new.capitalize() if part[0].isupper() else new

    return PART.sub(other, text) if others else text


def typed(ask: str, known: set[str], dice: random.Random) -> str:
    """As generated requests are: now and then polite, mistyped, with a capital. What the code or the result holds stays as it is."""
    pieces = []
    for word in ask.split(" "):
        plain = re.fullmatch(r"[a-z']+[,?]?", word) and not parts(word) & known
        pieces.append(wordings.Piece(word) if plain else wordings.Piece(word, "said"))
    if pieces[-1].slot or ask[-1] in ".?!":
        pieces[-1] = wordings.Piece(pieces[-1].text, "said", "text")
    return wordings.typed(pieces, dice)


def group(dice: random.Random, count: int) -> list[Example]:
    """Up to ``count`` requests about one scene."""
    scene = dice.choice(scenes())
    others = variation(scene, dice)

    def vary(text: str) -> str:
        return varied(text, others)

    before, region, after = vary(scene.before), vary(scene.region), vary(scene.after)
    made = []
    for asks, result in dice.sample(scene.asked, min(count, len(scene.asked))):
        new = None if result is None else vary(result)
        ask = typed(vary(dice.choice(asks)), parts(f"{region} {new or ''}"), dice)
        made.append(Example("everyday", scene.language, scene.path, before, region, after, ask, new))
    return made
