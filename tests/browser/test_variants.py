"""Several replies to choose from, in real browsers with the embedded model."""

from __future__ import annotations

import json
from collections.abc import Callable

from playwright.sync_api import Page, expect

from tests.browser.conftest import enter, open_session, text_of, wait_for_text
from tests.browser.test_drafts import DOCSTRING, GREET, GREETED, wait_for_ghost
from tests.conftest import Server, wait_until
from tests.socket.test_variants import UNSURE

People = Callable[..., Page]


def ask(page: Page, instruction: str) -> None:
    page.get_by_test_id("instruction-input").click()
    page.keyboard.type(instruction)
    page.keyboard.press("Control+Enter")


def test_three_are_shown_in_both_and_the_other_takes_one(server: Server, people: People) -> None:
    ada, grace = people("Ada"), people("Grace", color_scheme="dark")
    enter(grace, open_session(ada, server, GREET))
    ask(ada, DOCSTRING)
    for page in (ada, grace):
        expect(page.get_by_test_id("variants")).to_contain_text("Three variants")
        first = page.locator("[data-testid=variant][data-variant='0']")
        expect(first).to_have_attribute("data-state", "done")
        expect(first).to_contain_text('"""Say hello."""')
        # The chosen one stands in the text, and nothing of it is in the document.
        wait_for_ghost(page, '    """Say hello."""')
        assert text_of(page) == GREET
    grace.get_by_test_id("variant-take").first.click()
    for page in (ada, grace):
        wait_for_text(page, f"text === {json.dumps(GREETED)}")
        expect(page.get_by_test_id("variants")).to_be_hidden()
        expect(page.get_by_test_id("ghost")).to_have_count(0)
        card = page.locator("[data-testid=run-card][data-outcome=done]")
        expect(card).to_contain_text("taken by Grace")
    expect(ada.get_by_test_id("instruction-input")).to_be_focused()
    ada.get_by_test_id("undo-run").click()
    wait_for_text(grace, f"text === {json.dumps(GREET)}")


def test_by_keyboard_and_from_the_menu_and_dropped(server: Server, people: People) -> None:
    ada, grace = people("Ada"), people("Grace", viewport={"width": 390, "height": 844}, has_touch=True)
    enter(grace, open_session(ada, server, GREET))
    ada.get_by_test_id("instruction-input").fill(DOCSTRING)
    ada.get_by_test_id("run-more").click()
    ada.get_by_test_id("run-variants").click()
    expect(ada.locator("[data-testid=variant][data-variant='0']")).to_have_attribute("data-state", "done")
    expect(ada.get_by_test_id("variants")).to_be_focused()
    expect(grace.get_by_test_id("variants")).to_be_visible()
    assert grace.evaluate("document.documentElement.scrollWidth <= innerWidth")
    ada.keyboard.press("Escape")
    for page in (ada, grace):
        expect(page.get_by_test_id("variants")).to_be_hidden()
        assert text_of(page) == GREET
    ask(ada, DOCSTRING)
    expect(ada.locator("[data-testid=variant][data-variant='0']")).to_have_attribute("data-state", "done")
    ada.keyboard.press("1")
    for page in (ada, grace):
        wait_for_text(page, f"text === {json.dumps(GREETED)}")


def test_a_steer_makes_three_others(server: Server, people: People) -> None:
    ada, grace = people("Ada"), people("Grace")
    enter(grace, open_session(ada, server, GREET))
    ask(ada, DOCSTRING)
    expect(grace.locator("[data-testid=variant][data-variant='0']")).to_have_attribute("data-state", "done")
    expect(ada.get_by_test_id("run-button")).to_contain_text("Steer")
    # Words typed into the panel are for the bar.
    ada.keyboard.type("add a docstring: Greet.")
    ada.keyboard.press("Enter")
    expect(grace.locator("[data-testid=variant][data-variant='0']")).to_contain_text('"""Greet')
    grace.get_by_test_id("variants-again").click()
    expect(ada.get_by_test_id("variants")).to_contain_text("Greet.")
    assert text_of(grace) == GREET


def test_what_the_model_is_not_sure_of_waits_beside_what_people_do(server: Server, people: People) -> None:
    """The one who asked sees what it would try, keeps the focus, takes it with Tab or types on; nobody else is shown it."""
    ada, grace = people("Ada"), people("Grace")
    enter(grace, open_session(ada, server, GREET))
    bar = ada.get_by_test_id("instruction-input")

    def run() -> None:
        bar.click()
        ada.keyboard.type(UNSURE)
        ada.keyboard.press("Enter")
        expect(ada.get_by_test_id("variants")).to_contain_text("Not sure. It would try this:")
        expect(ada.locator("[data-testid=variant][data-variant='0']")).to_have_attribute("data-state", "done")
        expect(bar).to_be_focused()
        expect(ada.get_by_test_id("run-button")).to_contain_text("Run")

    run()
    expect(grace.locator("[data-testid=run-card][data-outcome=declined]")).to_contain_text("not sure enough")
    expect(grace.get_by_test_id("variants")).to_be_hidden()
    assert text_of(ada) == GREET
    ada.keyboard.type("a")
    expect(ada.get_by_test_id("variants")).to_be_hidden()
    expect(bar).to_have_value("a")
    ada.keyboard.press("Backspace")
    run()
    ada.keyboard.press("Escape")
    expect(ada.get_by_test_id("variants")).to_be_hidden()
    run()
    # What stands in the text as it would be is what Tab takes.
    expect(ada.get_by_test_id("ghost").first).to_be_visible()
    ada.keyboard.press("Tab")
    wait_for_text(grace, f"text !== {json.dumps(GREET)}")
    expect(ada.get_by_test_id("variants")).to_be_hidden()
    expect(bar).to_be_focused()


def test_the_panel_stands_still_under_the_hand_while_variants_grow(chatting_server: Server, people: People) -> None:
    ada = people("Ada", viewport={"width": 1280, "height": 800})
    open_session(ada, chatting_server, "x = 1\n")
    ask(ada, "write a poem")
    columns = ada.get_by_test_id("variant")
    diffs = ada.locator(".variant-diff")
    wait_until(lambda: diffs.first.evaluate("diff => diff.scrollHeight > diff.clientHeight + 60"), "there is something to scroll")
    columns.first.hover()
    ada.keyboard.press("ArrowRight")
    expect(columns.nth(1)).to_have_attribute("data-selected", "")
    diffs.first.evaluate("diff => { diff.scrollTop = 40 }")
    ada.evaluate("window.nodes = [...document.querySelectorAll('[data-testid=variant], [data-testid=variants-drop]')]")
    before = diffs.first.inner_text()
    wait_until(lambda: len(diffs.first.inner_text()) > len(before) + 40, "it grows")
    assert diffs.first.evaluate("diff => diff.scrollTop") == 40
    expect(columns.nth(1)).to_have_attribute("data-selected", "")
    expect(ada.get_by_test_id("variants")).to_be_focused()
    assert ada.evaluate("window.nodes.length === 4 && window.nodes.every(node => node.isConnected)")
    # Down and up with an update between.
    ada.get_by_test_id("variants-drop").hover()
    ada.mouse.down()
    before = diffs.first.inner_text()
    wait_until(lambda: diffs.first.inner_text() != before, "it grows")
    ada.mouse.up()
    expect(ada.get_by_test_id("variants")).to_be_hidden()
