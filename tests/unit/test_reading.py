"""Long texts read piece by piece: the same tokens as in one go, on the real vocabularies of llama.cpp's source."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inference import reading
from inference.api import Task
from inference.native import Vocabulary
from inference.reading import AT_ONCE, CUT, PIECE, Tokens, Unread, Waiting, pieces
from project import config
from project.bootstrap import llama
from tests.conftest import ROOT

MODELS = llama.source() / "models"
VOCABULARIES = [*sorted(MODELS.glob("ggml-vocab-*.gguf")), config.EMBEDDED_MODEL]
FILES = [*sorted((ROOT / "inference").glob("*.py"))[:8], ROOT / "README.md", *sorted((ROOT / "static").rglob("*.css"))[:2]]

# What tokenisers treat in ways of their own: words, digits, marks, spaces, line ends, letters of several scripts, apostrophes, combining marks.
ODD = [
    *["a", "Def", "it's", " 'll", "I'M", "_x", "1", "2024", "007", " ", "  ", "\t", "\n", "\n\n", "\r\n", "\r", "\u00a0", "\u3000", "\v"],
    *["(", "):", "//", "/", " =", "==", "#", '"', "...", "<|im_end|>", "<s>", "▁", "Ġ"],
    *["é", "e\u0301", "\u0301", "Ж", " слово", "中文", "。", "हि", "न्", "ª", "Ω", "ß", "İ", "ا", "👋", "👩‍👩‍👧"],
]


@pytest.fixture(scope="module", params=VOCABULARIES, ids=lambda path: path.stem)
def vocabulary(request: pytest.FixtureRequest) -> Iterator[Vocabulary]:
    with closing(Vocabulary(request.param)) as found:
        yield found


def cut_everywhere(text: str) -> list[str]:
    """At every place where a text may be cut, for those that are cut are some of them."""
    cuts = [0, *(found.start() for found in CUT.finditer(text)), len(text)]
    return [text[start:end] for start, end in pairwise(cuts)]


def together(vocabulary: Vocabulary, parts: Sequence[str]) -> tuple[int, ...]:
    return tuple(token for part in parts for token in vocabulary.tokenize(part, False))


@given(st.data())
def test_no_token_crosses_a_cut(vocabulary: Vocabulary, data: st.DataObject) -> None:
    text = "".join(data.draw(st.lists(st.sampled_from(ODD) | st.text(max_size=3), max_size=60)))
    assert together(vocabulary, cut_everywhere(text)) == vocabulary.tokenize(text, False)


def test_no_token_of_code_and_prose_crosses_a_cut(vocabulary: Vocabulary) -> None:
    for file in FILES:
        text = file.read_text()[:20_000]
        parts = cut_everywhere(text)
        assert len(parts) > len(text) / 200, file
        assert together(vocabulary, parts) == vocabulary.tokenize(text, False), file


@given(st.lists(st.sampled_from(["word", " ", "\n", "x = 1\n", "é", "=" * 500, "y" * 3000]), max_size=200))
def test_pieces_are_the_text_and_no_longer_than_they_must_be(parts: list[str]) -> None:
    text = "".join(parts)
    found = list(pieces(text))
    assert "".join(found) == text
    assert all(len(piece) >= PIECE for piece in found[:-1])
    assert all(CUT.search(piece, PIECE) is None for piece in found)


def letters(text: str, control: bool = False) -> list[int]:
    return [ord(letter) + 1_000_000 * control for letter in text]


LONG = "".join(f"some words of code {number}\n" for number in range(1000))


def test_a_long_text_is_read_in_pieces_and_then_known() -> None:
    asked: list[str] = []

    def tokenize(text: str, control: bool) -> list[int]:
        asked.append(text)
        return letters(text, control)

    tokens = Tokens(tokenize)
    with pytest.raises(Unread) as unread:
        tokens.count(LONG)
    assert unread.value.text == LONG and not asked
    assert sum(1 for _ in tokens.read(LONG)) == len(asked) == len(list(pieces(LONG)))
    assert tokens(LONG) == letters(LONG) and tokens.count(LONG) == len(LONG)
    assert tokens("some", True) == letters("some", True)
    assert "".join(asked) == LONG + "some"
    # What is written at its end costs no more than that.
    assert tokens(LONG + "and more") == letters(LONG + "and more")
    assert sum(map(len, asked[len(list(pieces(LONG))) + 1 :])) < 2 * PIECE


def test_one_command_may_have_so_much_read_at_once() -> None:
    tokens = Tokens(letters)
    # Each a little longer than a piece: what is shorter is always read at once.
    first, second, third = (f"{number} {'many words ' * (PIECE // 10)}" for number in range(3))
    assert len(first) < AT_ONCE < 2 * len(first)
    assert tokens.count(first) == len(first)
    with pytest.raises(Unread):
        tokens.count(second)
    assert tokens.count(first) == len(first) and tokens.count("short") == 5
    tokens.renew()
    assert tokens.count(second) == len(second)
    with pytest.raises(Unread):
        tokens.count(third)


def test_what_is_kept_is_bounded_and_the_newest_stays() -> None:
    tokens = Tokens(letters, kept=10 * PIECE)
    for number in range(100):
        tokens(f"{number} " + "x" * 1000)
        assert tokens._characters <= 10 * PIECE
    assert len(tokens._known) > 5
    assert tokens._characters == sum(len(text) + reading.OVERHEAD for text, _ in tokens._known)
    huge = "x" * 20 * PIECE
    assert list(tokens.read(huge)) == [None]
    assert tokens(huge) == letters(huge)


ADA = Task("room", "ada", "a.py", "", "x", "", "do")
BEN, ELSEWHERE, FILE = replace(ADA, who="ben"), replace(ADA, cache="other"), replace(ADA, who="")


def test_what_waits_keeps_its_order_and_the_newest_keystroke_counts() -> None:
    waiting = Waiting()
    assert not waiting.about("room")
    for command in [("warm", ADA), ("warm", BEN), ("warm", FILE), ("warm", replace(FILE, path="b.py")), ("warm", replace(ADA, instruction="don"))]:
        waiting.add(command)
    waiting.add(("warm", replace(FILE, region="y")))
    assert [command[1] for command in waiting.commands] == [
        BEN,
        replace(FILE, path="b.py"),
        replace(ADA, instruction="don"),
        replace(FILE, region="y"),
    ]
    assert waiting.about("room") and not waiting.about("other")
    waiting.add(("start", "run", ADA, 1.0))
    # Her keystrokes are the run's: nothing of theirs is left to do.
    assert [command[0] for command in waiting.commands] == ["warm", "warm", "warm", "start"]
    waiting.add(("start", "there", ELSEWHERE, 2.0))
    waiting.add(("warm", replace(ADA, instruction="next")))
    assert waiting.runs() == ["run", "there"]
    waiting.forget("room")
    assert waiting.commands == [("start", "run", ADA, 1.0), ("start", "there", ELSEWHERE, 2.0)]
    assert waiting.stop("run") and not waiting.stop("run")
    assert waiting.runs() == ["there"]
