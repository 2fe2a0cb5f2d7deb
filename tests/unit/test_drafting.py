"""Guessing the next tokens from the old region: what follows what, and when it pays."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from inference.costs import Costs
from inference.drafting import LONGEST, Drafter, drafter

FREE = Costs({1: 1.0, 2: 1.0, 64: 1.0})
# Measured on 2 cores: a 0.5B model without flash attention, 2 048 tokens of context.
REAL = Costs({1: 21.0, 4: 38.0, 16: 75.0, 64: 263.0})


def steps(draft: Drafter, reply: list[int]) -> int:
    """How many steps a model takes that says ``reply``, whatever it is asked."""
    said, count = 0, 0
    while said < len(reply):
        guess = draft.guess()
        right = 0
        while right < len(guess) and said + right < len(reply) - 1 and guess[right] == reply[said + right]:
            right += 1
        draft.took(reply[said : said + right + 1], guess)
        said += right + 1
        count += 1
    return count


def test_an_unchanged_region_takes_few_steps() -> None:
    old = list(range(300))
    assert steps(Drafter(old, FREE), old) <= 300 / LONGEST + 6


def test_one_changed_line_in_thirty_costs_little_more() -> None:
    old = list(range(300))
    new = [*old[:140], *range(1000, 1010), *old[150:]]
    draft = Drafter(old, REAL)
    count = steps(draft, new)
    assert count < 60  # 10 new tokens, some to find the place again, and 290 by many at once
    assert draft.accepted > 230


def test_lines_left_out_and_added_do_not_lose_the_place_for_good() -> None:
    old = list(range(400))
    new = [*old[:100], *old[150:250], *range(1000, 1020), *old[250:]]
    assert steps(Drafter(old, FREE), new) < 100


def test_guesses_that_are_never_right_are_given_up() -> None:
    old = [1, 2] * 100
    draft = Drafter(old, REAL)
    steps(draft, [number % 7 for number in range(500)])
    assert draft.guessed < 200


def test_the_length_follows_what_a_step_costs() -> None:
    assert REAL.best(0.95, 0, LONGEST) > REAL.best(0.6, 0, LONGEST) > 0
    steep = Costs({1: 1.0, 2: 2.0, 64: 64.0})
    assert steep.best(0.95, 0, LONGEST) == 0
    # Beside many streams a step is long anyway: what a guess adds to it is what counts.
    assert REAL.best(0.95, 0, 5) == 5


def test_lines_that_are_named_are_where_the_old_text_is() -> None:
    words: dict[str, int] = {}

    def tokenize(text: str, control: bool) -> list[int]:
        parts = [text] if control else text
        return [words.setdefault(part, len(words)) for part in parts]

    draft = drafter("patch", "ab\ncd\nef", tokenize, FREE)
    assert draft.guess() == []
    draft.took([words["<|L2|>"]], [])
    draft.took([words["<|L3|>"]], [])
    assert draft.guess(most=6) == tokenize("cd\nef\n", False)
    draft.took([words["c"], words["d"]], draft.guess(most=1))
    # An insertion: nothing of the old text is expected.
    draft.took([words["<|L1|>"]], [])
    draft.took([tokenize("<|ins|>", True)[0]], [])
    assert draft.guess() == []


@given(st.lists(st.integers(0, 4), max_size=40), st.lists(st.integers(0, 4), min_size=1, max_size=40))
def test_whatever_the_model_says_is_said(old: list[int], reply: list[int]) -> None:
    draft = Drafter(old, FREE)
    assert 0 < steps(draft, reply) <= len(reply)
    assert draft.accepted <= draft.guessed
