"""Everyday files and requests about them, written by hand: each is sound, however its words are varied, and none is what models are judged by."""

from __future__ import annotations

import os
import random
import subprocess
import sys

from inference.training import encoding, everyday, examples, requests
from inference.training.scene import Example


def check(example: Example) -> None:
    assert example.instruction.strip() and "\n" not in example.instruction
    reply = encoding.reply(example.region, example.result, example.instruction, example.path)
    assert encoding.applied(example.region, reply, example.path) == example.result
    if example.result is not None:
        assert example.result != example.region and example.result.count("\n") < encoding.MOST_LINES, (example.path, example.instruction)
        if examples.valid(example.language, example.region):
            assert examples.valid(example.language, example.result) is not False, (example.region, example.result)


def test_every_edit_can_be_said_in_a_reply() -> None:
    scenes = everyday.scenes()
    assert len(scenes) > 100
    for scene in scenes:
        assert scene.asked, scene.path
        for asks, result in scene.asked:
            for ask in asks:
                check(Example("everyday", scene.language, scene.path, scene.before, scene.region, scene.after, ask, result))


def test_other_words_make_other_examples_that_are_as_sound() -> None:
    dice = random.Random(5)
    seen = set()
    for _ in range(300):
        group = everyday.group(dice, 6)
        assert group and len({(each.path, each.before, each.region, each.after) for each in group}) == 1
        for example in group:
            check(example)
            seen.add((example.region, example.instruction))
    assert len(seen) > 1000


def test_the_same_dice_make_the_same_examples() -> None:
    """Also where sets have another order."""
    said = "import random; from inference.training import everyday; dice = random.Random(8); print([everyday.group(dice, 6) for _ in range(20)])"
    first, second = (
        subprocess.run([sys.executable, "-c", said], env={**os.environ, "PYTHONHASHSEED": seed}, capture_output=True, text=True, check=True).stdout
        for seed in "12"
    )
    assert first == second and "Example(" in first


def test_a_word_is_varied_in_all_its_forms_at_once() -> None:
    others = {"cart": "price", "ab": "cd", "12": "34"}
    assert everyday.varied("cart.addCart(CART_SIZE, carts, 12, 123)", others) == "price.addPrice(PRICE_SIZE, carts, 34, 123)"


def test_the_words_of_requests_and_of_languages_stay() -> None:
    words = set().union(*(scene.words for scene in everyday.scenes()))
    assert words and not words & {"rename", "should", "instead", "return", "none", "function", "blue"}


def test_models_are_judged_by_other_files() -> None:
    judged = {request.example.region for file in (requests.FILE, requests.SECOND_FILE) for request in requests.read(file)}
    assert not judged & {scene.region for scene in everyday.scenes() if scene.region}
