"""Deeper: the same instruction again by the second model, beside the first one's answer."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from project import config
from tests.browser.conftest import enter, instruct, open_session
from tests.conftest import Server

GREET = 'def greet(name):\n    print("Hello " + name)\n'


@pytest.fixture
def two_models(tmp_path: Path) -> Iterator[Server]:
    """The second is the first once more, under another name: what it is loaded from is its own file."""
    shutil.copy(config.EMBEDDED_MODEL, tmp_path / "larger.gguf")
    running = Server(tmp_path, ENSEMBLE_DEEP_MODEL=str(tmp_path / "larger.gguf"))
    yield running
    running.kill()


@pytest.mark.parametrize(("scheme", "width"), [("light", 1440), ("dark", 390)])
def test_the_same_again_by_the_second_model(two_models: Server, people: Callable[..., Page], scheme: str, width: int) -> None:
    ada = people("Ada", color_scheme=scheme, viewport={"width": width, "height": 844})
    link = open_session(ada, two_models, GREET, "greet.py")
    instruct(ada, "add a line return name at the end")
    if width < 600:
        ada.get_by_role("button", name="Timeline").first.click()
    cards = ada.get_by_test_id("run-card")
    expect(cards.first.locator(".badge")).to_have_text("Done")
    deeper = cards.first.get_by_test_id("deeper")
    expect(deeper).to_have_attribute("title", "The same instruction again, by larger. It is loaded first.")
    deeper.click()
    second = cards.nth(1)
    expect(second.locator(".card-model")).to_have_text("by larger")
    expect(second.locator(".badge")).to_have_text("Done")
    expect(second.locator(".card-instruction")).to_have_text("add a line return name at the end")
    # Both answers can be looked at, kept and undone.
    expect(cards).to_have_count(2)
    expect(cards.first.locator(".diff")).to_be_visible()
    expect(cards.first.get_by_test_id("undo-run")).to_be_visible()
    expect(second.get_by_test_id("deeper")).to_have_count(0)
    expect(second.get_by_role("button", name="Retry")).to_be_visible()
    expect(deeper).to_have_attribute("title", "The same instruction again, by larger.")
    if width < 600:
        return
    # Somebody who comes later sees the same.
    grace = people("Grace")
    enter(grace, link)
    expect(grace.get_by_test_id("run-card").nth(1).locator(".card-model")).to_have_text("by larger")
    expect(grace.get_by_test_id("run-card").first.locator(".card-model")).to_have_count(0)


def test_without_a_second_model_there_is_no_button(server: Server, people: Callable[..., Page]) -> None:
    ada = people("Ada")
    open_session(ada, server, GREET, "greet.py")
    instruct(ada, "add a docstring: Say hello.")
    card = ada.get_by_test_id("run-card").first
    expect(card.get_by_role("button", name="Retry")).to_be_visible()
    expect(card.get_by_test_id("deeper")).to_have_count(0)
