"""Names, phrases and values that requests speak of, drawn from the corpus and from short lists. A leaf.

Held-out examples draw from words of their own: a model that copies is told from one that remembers.
"""

from __future__ import annotations

import hashlib
import keyword
import random
import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

RESERVED = (
    set(keyword.kwlist)
    | set(dir(__builtins__) if not isinstance(__builtins__, dict) else __builtins__)
    | set(
        (
            "self cls var let const function return if else for while do switch case break continue new delete typeof instanceof in "
            "of class extends super this import export default from try catch finally throw async await yield true false null "
            "undefined void static get set require module exports arguments enum interface type match"
        ).split()
    )
)
COLOURS = (
    "red blue green black white orange purple pink gray grey navy teal gold tomato yellow brown cyan coral salmon indigo "
    "crimson lightblue darkgreen silver maroon olive beige lavender khaki turquoise magenta steelblue whitesmoke"
).split()
EVERYDAY = (
    "name user users item items count total price title status email address phone city color size width height speed score "
    "level player game list data result value index key message text label page link image photo file path folder line "
    "number amount date time year month day hour age limit offset start end first last next order cart product customer "
    "account token config option settings theme mode debug verbose timeout retry delay port host url query filter search "
    "sort group team task todo note post comment author book song movie recipe shop store stock weight distance temperature "
    "rate discount tax balance points lives health enemy ball board cell row column grid map node tree queue stack buffer "
    "cache session request response client server message room"
).split()


def held(word: str, share: int) -> bool:
    """Whether a word is among the 1 in ``share`` that training never sees; the same on every machine."""
    return int(hashlib.md5(word.encode()).hexdigest(), 16) % share == 0


@dataclass(frozen=True)
class Lexicon:
    """What a corpus yields. ``words``: most frequent first; ``phrases``: comment lines in plain English."""

    words: tuple[str, ...]
    phrases: tuple[str, ...]

    @classmethod
    def of(cls, texts: Iterable[str], share: int = 12, held_out: bool = False) -> Lexicon:
        counts: Counter[str] = Counter()
        phrases: set[str] = set()
        for text in texts:
            for name in re.findall(r"[A-Za-z]{3,}", text[:8000]):
                counts.update(part.lower() for part in re.findall(r"[A-Z]?[a-z]+", name) if len(part) < 12)
            phrases.update(re.findall(r'(?:#|//|"""|\* ) ?([A-Z][a-z]+(?: [A-Za-z0-9,\']+){1,8}\.?)(?=\n|""")', text))
        common = [word for word, count in counts.most_common(9000) if count >= 3 and len(word) > 2 and word not in RESERVED]
        mine = tuple(dict.fromkeys(word for word in EVERYDAY + common if held(word, share) == held_out))
        return cls(mine, tuple(sorted(p for p in phrases if held(p, share) == held_out)) or ("Nothing to see here",))


class Words:
    """Draws from a lexicon with one example's dice."""

    def __init__(self, lexicon: Lexicon, dice: random.Random) -> None:
        self._lexicon = lexicon
        self._dice = dice

    def word(self) -> str:
        if self._dice.random() < 0.03:
            return "".join(self._dice.choice("abcdefghijklmnopqrstuvwxyz") for _ in range(self._dice.randint(2, 5)))
        # Frequent words more often than rare ones, as in people's code.
        return self._lexicon.words[int(len(self._lexicon.words) * self._dice.random() ** 2.3)]

    def identifier(self, like: str = "", parts: int = 0) -> str:
        """A name in the style of ``like``: snake_case, camelCase, CapWords or CONSTANT."""
        parts = parts or self._dice.choice([1, 1, 2, 2, 2, 3])
        drawn = [self.word() for _ in range(parts)]
        if len(like) > 1 and like.isupper():
            made = "_".join(drawn).upper()
        elif like[:1].isupper():
            made = "".join(word.capitalize() for word in drawn)
        elif re.search(r"[a-z][A-Z]", like):
            drawn = drawn if parts > 1 else [*drawn, self.word()] if self._dice.random() < 0.5 else drawn
            made = drawn[0] + "".join(word.capitalize() for word in drawn[1:])
        elif "-" in like:
            made = "-".join(drawn)
        else:
            made = "_".join(drawn)
        if like.startswith("_") and self._dice.random() < 0.6:
            made = "_" + made
        if self._dice.random() < 0.04:
            made += str(self._dice.randint(1, 9))
        return made + "_x" if made in RESERVED else made

    def phrase(self, most: int = 9) -> str:
        """A few words in plain English, as in a comment; now and then random words."""
        if self._dice.random() < 0.7:
            found = self._dice.choice(self._lexicon.phrases)
            made = " ".join(found.split()[:most])
        else:
            made = " ".join(self.word() for _ in range(self._dice.randint(2, min(5, most)))).capitalize()
        if self._dice.random() < 0.3:
            made = made[:1].lower() + made[1:]
        return made

    def label(self) -> str:
        """What stands on a button or in a heading."""
        made = " ".join(self.word() for _ in range(self._dice.choice([1, 1, 2, 2, 3])))
        return self._dice.choice([made.title(), made.capitalize(), made])

    def message(self) -> str:
        """What a string in code says."""
        made = " ".join(self.word() for _ in range(self._dice.choice([1, 1, 2, 2, 3, 4])))
        return self._dice.choice([made, made, made.capitalize(), made + "!", made.capitalize() + "!", made.capitalize() + "."])

    def number(self, old: str = "") -> str:
        """A number that is not ``old``, of its kind."""
        while True:
            if "." in old:
                made = f"{self._dice.random() * self._dice.choice([1, 10, 100]):.{self._dice.choice([1, 2])}f}"
            else:
                usual = [
                    2,
                    3,
                    5,
                    10,
                    12,
                    16,
                    24,
                    30,
                    32,
                    42,
                    50,
                    60,
                    64,
                    80,
                    100,
                    120,
                    128,
                    200,
                    256,
                    300,
                    404,
                    500,
                    512,
                    1000,
                    1024,
                    3000,
                    3600,
                    5000,
                    8080,
                ]
                dice = self._dice
                made = str(dice.choice([dice.randint(0, 12), dice.randint(0, 100), dice.randint(0, 1000), dice.choice(usual), dice.choice(usual)]))
            if made != old:
                return made

    def literal(self, quote: str = '"') -> str:
        """A value of Python's."""
        dice = self._dice
        return dice.choice([self.number(), self.number(), "None", "True", "False", quote + self.message() + quote, "[]", "{}", quote * 2])

    def colour(self) -> str:
        if self._dice.random() < 0.65:
            return self._dice.choice(COLOURS)
        return "#" + "".join(self._dice.choice("0123456789abcdef") for _ in range(self._dice.choice([3, 6])))

    def url(self) -> str:
        return self._dice.choice(
            ["/" + self.word(), f"https://{self.word()}.com", self.word() + ".html", "#" + self.word(), f"/{self.word()}/{self.word()}"]
        )
