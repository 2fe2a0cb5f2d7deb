"""Every generated request: its reply, read by the engine's own reader, makes exactly the region that was meant, and that region is sound."""

from __future__ import annotations

import random
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inference.training import encoding, examples
from inference.training.corpus import Source
from inference.training.scene import TRANSFORMS, Example
from inference.training.words import Lexicon

SOURCE = Source(
    "lib/place.py",
    "python",
    "tests",
    "MIT",
    False,
    'import os\nfrom typing import Any\n\n\ndef size(path: str, follow=True) -> int:\n    """How large it is."""\n'
    "    # Links count as what they point to.\n    total = 0\n    for name in os.listdir(path):\n        total += os.stat(name).st_size\n"
    '    print("done", total)\n    return total\n\n\nclass Box(object):\n    limit = 12\n\n    def __init__(self, width, height):\n'
    "        self.width = width\n        self.height = height\n\n    async def area(self):\n        return self.width * self.height\n",
)


def supply(held_out: bool = False) -> examples.Supply:
    text = "# The words of this corpus are few\n# Plain enough for a test of it\n" + SOURCE.text * 3
    return examples.Supply({"python": [SOURCE]}, Lexicon.of([text], held_out=held_out), held_out)


def check(example: Example) -> None:
    reply = encoding.reply(example.region, example.result, example.instruction, example.path)
    assert encoding.applied(example.region, reply, example.path) == example.result
    assert example.instruction and "\n" not in example.instruction
    assert (
        not re.search(r"[<{~][a-z_]+[>}]|~", example.instruction.replace(example.region, "")) or "~" in example.region or "<" in example.instruction
    )
    if example.result is not None:
        assert example.result != example.region
        assert example.result.count("\n") < encoding.MOST_LINES
        if examples.valid(example.language, example.region):
            assert examples.valid(example.language, example.result) is not False


@pytest.mark.parametrize("transform", sorted(TRANSFORMS))
@pytest.mark.parametrize("held_out", [False, True])
def test_each_transform_makes_sound_requests(transform: str, held_out: bool) -> None:
    dice, side, made = random.Random(7), supply(held_out), 0
    for _ in range(400):
        example = examples.draw(side, dice, transform)
        if example:
            check(example)
            made += 1
        if made == 12:
            break
    assert made, "never suits any place"


@settings(max_examples=150)
@given(st.integers(0, 2**32))
def test_whatever_the_dice_say(seed: int) -> None:
    example = examples.draw(supply(), random.Random(seed))
    if example:
        check(example)


def test_the_same_seed_makes_the_same_examples() -> None:
    first, second = examples.stream(supply(), 3), examples.stream(supply(), 3)
    assert [next(first) for _ in range(20)] == [next(second) for _ in range(20)]


def test_requests_to_be_declined_are_some_of_them() -> None:
    stream = examples.stream(supply(), 5)
    declined = sum(next(stream).result is None for _ in range(600))
    assert 30 < declined < 120


def test_a_comment_in_a_script_hides_its_own_line_alone() -> None:
    assert examples.valid("javascript", "if (a) { // not (yet\n  b();\n}")
    assert not examples.valid("javascript", "if (a) { // not yet\n  b(;\n}")
