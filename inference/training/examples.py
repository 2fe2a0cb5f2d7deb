"""Endless fresh examples: a place, a transform that suits it, the person's words, and a check that the answer is right."""

from __future__ import annotations

import ast
import json
import random
import re
import textwrap
import tomllib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from inference.training import edits, encoding, everyday, synthetic, wordings
from inference.training.corpus import Source
from inference.training.edits.code import block_end, closing
from inference.training.scene import TRANSFORMS, Edit, Example, Place, Registered
from inference.training.words import Lexicon, Words

assert edits  # importing it registers the transforms
# How often each language is drawn, and how much of it is made up rather than taken from the corpus.
SHARES = {"python": 34, "javascript": 14, "typescript": 7, "html": 14, "css": 10, "json": 5, "yaml": 5, "toml": 4, "markdown": 4, "shell": 3}
MADE_UP = {
    "python": 0.45,
    "javascript": 0.6,
    "typescript": 0.6,
    "html": 0.9,
    "css": 0.85,
    "json": 0.8,
    "yaml": 0.95,
    "toml": 0.95,
    "markdown": 0.8,
    "shell": 0.95,
}
SEVERAL = 0.07
# Of the places, the scenes that are written one by one.
SCENES = 0.6
DECLINED = 0.1
PLACES_TRIED = 25
# Requests for one place, and how many throws of the dice each may take.
GROUP, FURTHER_TRIED = 6, 6
LONGEST_REGION, LONGEST_CHARS = 30, 1200


@dataclass
class Supply:
    """What one side, training or held-out, draws from. ``wordings_held_out`` asks for held-out wordings."""

    sources: dict[str, list[Source]]
    lexicon: Lexicon
    wordings_held_out: bool = False

    @classmethod
    def of(cls, sources: Sequence[Source], *, held_out: bool, wordings_held_out: bool = False) -> Supply:
        mine = [source for source in sources if source.held_out == held_out]
        by_language: dict[str, list[Source]] = {}
        for source in mine:
            by_language.setdefault(source.language, []).append(source)
        words = [source.text for source in sources[::3] if source.language in ("python", "javascript", "typescript")]
        return cls(by_language, Lexicon.of(words, held_out=held_out), wordings_held_out)


def cut(lines: Sequence[str], language: str, dice: random.Random) -> tuple[int, int] | None:
    """A region as a person or the editor would choose it: a definition, a block, or a few lines."""
    most = dice.choice([4, 8, 12, 16, 24, LONGEST_REGION])
    heads: list[int] = []
    if language == "python" and dice.random() < 0.65:
        heads = [n for n, line in enumerate(lines) if re.match(r"\s*(async )?def |class ", line)]
    elif language in ("javascript", "typescript") and dice.random() < 0.7:
        heads = [n for n, line in enumerate(lines) if re.match(r"\s*(export )?(async )?(function|interface|type|class) ?\w+", line)]
    if heads:
        start = dice.choice(heads)
        end = block_end(list(lines), start) if language == "python" else (closing(list(lines), start) or start) + 1
        while start and lines[start - 1].strip().startswith("@"):
            start -= 1
        if end - start > LONGEST_REGION and lines[start].startswith("class "):
            end = start + dice.randint(6, 24)
    else:
        start = 0 if dice.random() < 0.15 else dice.randrange(len(lines))
        end = start + dice.randint(1, most)
    end = min(end, len(lines))
    while start < end and not lines[start].strip():
        start += 1
    while end > start and not lines[end - 1].strip():
        end -= 1
    return (start, end) if 0 < end - start <= LONGEST_REGION else None


def place(supply: Supply, language: str, dice: random.Random, empty: bool) -> Place | None:
    words = Words(supply.lexicon, dice)
    path = synthetic.path_for(language, dice, words)
    gap = "\n\n\n" if language == "python" else "\n\n"
    makers = synthetic.MAKERS[language]
    if empty:
        before = dice.choice(makers)(dice, words) + gap if dice.random() < 0.4 else ""
        return Place(path, language, before, "", "", dice, words)
    if dice.random() < MADE_UP[language] or not supply.sources.get(language):
        region = dice.choice(makers)(dice, words)
        around = dice.random()
        before = dice.choice(makers)(dice, words) + gap if around < 0.3 else ""
        after = gap[1:] + dice.choice(makers)(dice, words) if around < 0.15 else ""
        if language in ("json", "html") and ("html>" in region or language == "json"):
            before = after = ""
    else:
        source = dice.choice(supply.sources[language])
        lines = source.text.split("\n")
        span = cut(lines, language, dice)
        if not span:
            return None
        path, region = source.path, "\n".join(lines[span[0] : span[1]])
        before, after = "".join(line + "\n" for line in lines[: span[0]][-8:]), "\n".join(lines[span[1] : span[1] + 5])
        if dice.random() < 0.25:
            before = after = ""
    if region.count("\n") >= LONGEST_REGION or len(region) > LONGEST_CHARS or region.count('"""') % 2:
        return None
    return Place(path, language, before, region, after, dice, words)


def valid(language: str, region: str) -> bool | None:
    """Whether a region of the language parses; None where it says nothing about a region."""
    try:
        if language == "python":
            ast.parse(textwrap.dedent(region))
        elif language == "json":
            json.loads(region)
        elif language == "toml":
            tomllib.loads(region)
        elif language in ("javascript", "typescript", "css"):
            bare = re.sub(r"\"[^\"\n]*\"|'[^'\n]*'|`[^`]*`|//[^\n]*|/\*.*?\*/", "", region, flags=re.DOTALL)
            return all(bare.count(a) == bare.count(b) for a, b in ("()", "[]", "{}"))
        else:
            return None
    except (SyntaxError, ValueError, RecursionError):
        return False
    return True


def sound(where: Place, edit: Edit) -> bool:
    """The new region is new, fits the form, and parses if the old one did."""
    old = where.region if edit.region is None else edit.region
    if old.count("\n") >= encoding.MOST_LINES:
        return False
    if edit.result is None:
        return True
    if edit.result == old or edit.result.count("\n") >= encoding.MOST_LINES:
        return False
    before = valid(where.language, old)
    return not before or valid(where.language, edit.result) is not False


def worded(supply: Supply, where: Place, transform: str, edit: Edit) -> Example | None:
    instruction = wordings.say(edit.intent, edit.slots, edit.must, where.random, supply.wordings_held_out)
    if not instruction or "\n" in instruction:
        return None
    region = where.region if edit.region is None else edit.region
    return Example(transform, where.language, where.path, where.before, region, where.after, instruction, edit.result)


def suitable(language: str, declined: bool) -> list[Registered]:
    return [t for t in TRANSFORMS.values() if language in t.languages and t.name.startswith("decline") == declined]


def by_weight(fit: Sequence[Registered], dice: random.Random, count: int = 1) -> list[Registered]:
    """As often as their weights say."""
    return dice.choices(fit, [t.weight for t in fit], k=count)


def draw(supply: Supply, dice: random.Random, transform: str = "") -> Example | None:
    """One example, or None where the dice fell badly. ``transform``: of this kind only."""
    found = drawn(supply, dice, transform)
    return found[0] if found else None


def drawn(supply: Supply, dice: random.Random, transform: str = "") -> tuple[Example, Place] | None:
    """An example with the place it was made for, the region as the example has it.

    The transform is drawn first, then places until one suits it: rare ones are as frequent as their weight says.
    """
    known = TRANSFORMS[transform].languages if transform else tuple(SHARES)
    language = dice.choices(known, [SHARES[language] for language in known])[0]
    if not transform and dice.random() < SEVERAL:
        where = place(supply, language, dice, empty=False)
        both = several(supply, where) if where else None
        return (both, where) if both and where else None
    if transform:
        chosen = TRANSFORMS[transform]
    else:
        (chosen,) = by_weight(suitable(language, dice.random() < DECLINED), dice)
    from_nothing = chosen.name.startswith("write")
    for _ in range(PLACES_TRIED):
        where = place(supply, language, dice, empty=from_nothing)
        edit = chosen.make(where) if where else None
        if where and edit and sound(where, edit):
            example = worded(supply, where, chosen.name, edit)
            return (example, replace(where, region=example.region)) if example else None
    return None


def further(supply: Supply, where: Place, count: int) -> list[Example]:
    """Other requests for the same place, as many as a few throws of the dice give."""
    found: list[Example] = []
    for _ in range(count):
        both = where.maybe(SEVERAL)
        fit = suitable(where.language, where.maybe(DECLINED))
        for _ in range(FURTHER_TRIED):
            example = several(supply, where) if both else other(supply, where, by_weight(fit, where.random)[0])
            if example and all(example.instruction != each.instruction for each in found):
                found.append(example)
                break
    return found


def other(supply: Supply, where: Place, chosen: Registered) -> Example | None:
    edit = None if chosen.name.startswith("write") else chosen.make(where)
    if not edit or edit.region not in (None, where.region) or not sound(where, edit):
        return None
    return worded(supply, where, chosen.name, edit)


def groups(supply: Supply, seed: int) -> Iterator[list[Example]]:
    """Several requests for each place, without end; the same for the same seed. Scenes come again, generated ones do not.

    A place costs most of what a training computes, and one place with several answers teaches to read the request.
    """
    dice = random.Random(seed)
    while True:
        if dice.random() < SCENES:
            yield everyday.group(dice, GROUP)
        elif found := drawn(supply, dice):
            example, where = found
            others = further(supply, where, GROUP - 1) if where.region else []
            yield [example, *(each for each in others if each.instruction != example.instruction)]


def several(supply: Supply, where: Place) -> Example | None:
    """Two edits in one request, the second on what the first left."""
    fit = [t for t in suitable(where.language, declined=False) if not t.name.startswith("write")]
    now, parts = where, []
    for _ in range(2):
        for candidate in by_weight(fit, where.random, 6):
            edit = candidate.make(now)
            # An edit that prepares its region would prepare the first one's result.
            if edit and edit.result is not None and edit.region is None and sound(now, edit):
                parts.append(wordings.say(edit.intent, edit.slots, edit.must, where.random, supply.wordings_held_out))
                now = replace(now, region=edit.result)
                break
    if len(parts) != 2 or None in parts or now.region == where.region or now.region.count("\n") >= encoding.MOST_LINES:
        return None
    first, second = (str(part).rstrip(".! ") for part in parts)
    joint = wordings.joined(wordings.Speaker(where.random, {}, supply.wordings_held_out).rule("and") or [])
    instruction = f"{first}{'' if joint[0] in ',;.' else ' '}{joint} {second[0].lower() + second[1:]}"
    if "\n" in instruction:
        return None
    return Example("several", where.language, where.path, where.before, where.region, where.after, instruction, now.region)


def stream(supply: Supply, seed: int) -> Iterator[Example]:
    """Without end and without repeats; the same for the same seed."""
    dice = random.Random(seed)
    while True:
        example = draw(supply, dice)
        if example:
            yield example
