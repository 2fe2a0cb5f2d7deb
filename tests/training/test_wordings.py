"""The grammar: nothing dangles, every request can be said in many ways, held-out wordings stay out of training."""

from __future__ import annotations

import random
from collections import Counter

import pytest

from inference.training import wordings
from inference.training.scene import name, text
from inference.training.wordings import Choice, Node, Piece, Rule, Speaker, grammar

SLOTS = {"old": name("row"), "new": name("user"), "kind": "variable"}


def rules_in(nodes: tuple[Node, ...]) -> set[str]:
    found: set[str] = set()
    for node in nodes:
        if isinstance(node, Rule):
            found.add(node.name)
        elif isinstance(node, Choice):
            for option in node.options:
                found |= rules_in(option)
    return found


def test_every_rule_that_is_used_exists() -> None:
    used = {rule for alternatives in grammar().values() for a in alternatives for rule in rules_in(a.nodes)}
    assert used <= set(grammar())


def test_every_intent_has_wordings_that_are_held_out() -> None:
    intents = [rule for rule in grammar() if rule not in {used for a in grammar().values() for x in a for used in rules_in(x.nodes)}]
    assert [intent for intent in intents if not any(a.held_out for a in grammar()[intent])] == []


def test_held_out_wordings_are_never_said_in_training(monkeypatch: pytest.MonkeyPatch) -> None:
    known = {rule: tuple(a for a in alternatives if not a.held_out) for rule, alternatives in grammar().items()}
    dice = random.Random(1)
    with_all = [wordings.say("rename", SLOTS, ("old", "new"), dice) for _ in range(200)]
    dice = random.Random(1)
    monkeypatch.setattr(wordings, "grammar", lambda: known)
    assert [wordings.say("rename", SLOTS, ("old", "new"), dice) for _ in range(200)] == with_all


def test_a_held_out_wording_uses_what_training_does_not(monkeypatch: pytest.MonkeyPatch) -> None:
    assert wordings.say("rename", SLOTS, ("old", "new"), random.Random(1), held_out=True)
    known = {rule: tuple(a for a in alternatives if not a.held_out) for rule, alternatives in grammar().items()}
    monkeypatch.setattr(wordings, "grammar", lambda: known)
    assert wordings.say("rename", SLOTS, ("old", "new"), random.Random(1), held_out=True) is None


def test_one_request_is_said_in_hundreds_of_ways() -> None:
    dice = random.Random(3)
    assert len({wordings.say("rename", SLOTS, ("old", "new"), dice) for _ in range(1000)}) > 500


def test_the_commonest_wordings_are_drawn_the_most() -> None:
    dice = random.Random(4)
    drawn = Counter(tuple(wordings.in_turn("abcd", dice)) for _ in range(4000))
    assert set(map(len, drawn)) == {4}
    first = Counter(order[0] for order in drawn.elements())
    # 1, 1/2, 1/3 and 1/4 of the sum of these.
    assert [round(first[way] / 4000, 1) for way in "abcd"] == [0.5, 0.2, 0.2, 0.1]


def test_slots_stay_as_they_are_and_are_all_there() -> None:
    slots = {"text": text("Don't  TOUCH this, please"), "where": name("loadAll")}
    for seed in range(300):
        said = wordings.say("docstring", slots, ("text",), random.Random(seed))
        assert said and "Don't  TOUCH this, please" in said


def test_a_text_without_quotes_at_the_end_gets_nothing_after_it() -> None:
    assert wordings.typed([Piece("say"), Piece("hello", "text", "text")], random.Random(0)).lower().endswith("hello")


def test_typing_errors_touch_one_word_a_little() -> None:
    for seed in range(200):
        wrong = wordings.mistyped("rename", random.Random(seed))
        assert abs(len(wrong) - 6) <= 1 and wrong[0] == "r"


def said(line: str, **slots: str) -> str:
    pieces = Speaker(random.Random(4), slots, held_out=False)._sequence(wordings.parse(line))
    assert pieces is not None
    return wordings.joined(pieces)


def test_what_touches_in_the_grammar_touches_in_the_sentence() -> None:
    assert said("set self.{name}={value} , (now)", name="a", value="1") == "set self.a=1, now"
    assert said("print\\({name}\\) and @{name}", name="a") == "print(a) and @a"
    assert said("the (one)(s|s) here") == "the ones here"
