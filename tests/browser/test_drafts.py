"""What the model would do, in the text before Enter: in real browsers, with the embedded model."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import enter, open_session, text_of, wait_for_text
from tests.conftest import Server, wait_until

GREET = 'def greet(name):\n    print("Hello " + name)\n'
DOCSTRING = "add a docstring: Say hello."
GREETED = 'def greet(name):\n    """Say hello."""\n    print("Hello " + name)\n'
People = Callable[..., Page]


def drawn(page: Page) -> str:
    """The ghost text, its lines joined."""
    return str(
        page.evaluate(
            """[...document.querySelectorAll('[data-testid=ghost]')].map(ghost => {
                const copy = ghost.cloneNode(true)
                for (const tag of copy.querySelectorAll('[data-testid=ghost-tag]')) tag.remove()
                const lines = [...copy.querySelectorAll('.ghost-line')]
                return lines.length ? lines.map(line => line.textContent).join('\\n') : copy.textContent
            }).join('\\n')"""
        )
    )


def wait_for_ghost(page: Page, text: str) -> None:
    wait_until(lambda: drawn(page) == text, f"the ghost {text!r}, instead of: {drawn(page)!r}", 20)


def type_in_bar(page: Page, text: str) -> None:
    page.get_by_test_id("instruction-input").click()
    page.keyboard.type(text, delay=10)


@pytest.mark.parametrize("key", ["Enter", "Tab"])
def test_a_draft_appears_in_both_changes_with_the_keys_and_is_taken(server: Server, people: People, key: str) -> None:
    ada, grace = people("Ada"), people("Grace", color_scheme="dark")
    enter(grace, open_session(ada, server, GREET))
    type_in_bar(ada, DOCSTRING[:-1])
    for page in (ada, grace):
        wait_for_ghost(page, '    """Say hello"""')
        assert text_of(page) == GREET
    expect(grace.get_by_test_id("ghost-tag")).to_have_text("Ada")
    expect(ada.get_by_test_id("draft-hint")).to_contain_text("Draft: 1 line")
    ada.keyboard.type(".")
    for page in (ada, grace):
        wait_for_ghost(page, '    """Say hello."""')
    expect(ada.get_by_test_id("draft-status")).to_have_text("Draft ready: 1 line changed")
    assert server_text(ada) == GREET
    ada.keyboard.press(key)
    for page in (ada, grace):
        wait_for_text(page, f"text === {json.dumps(GREETED)}")
        expect(page.get_by_test_id("ghost")).to_have_count(0)
        expect(page.locator("[data-testid=run-card][data-outcome=done]")).to_contain_text(DOCSTRING)
    expect(ada.get_by_test_id("instruction-input")).to_have_value("")
    grace.get_by_test_id("undo-run").click()
    for page in (ada, grace):
        wait_for_text(page, f"text === {json.dumps(GREET)}")


def server_text(page: Page) -> str:
    session = page.evaluate("document.body.dataset.session")
    return str(page.evaluate(f"fetch('/api/sessions/{session}/files/main.py').then(answer => answer.text())"))


def test_escape_leaves_nothing_and_going_on_makes_another(server: Server, people: People) -> None:
    ada, grace = people("Ada"), people("Grace")
    enter(grace, open_session(ada, server, GREET))
    type_in_bar(ada, DOCSTRING)
    wait_for_ghost(grace, '    """Say hello."""')
    ada.keyboard.press("Escape")
    for page in (ada, grace):
        expect(page.get_by_test_id("ghost")).to_have_count(0)
        assert text_of(page) == GREET
    expect(ada.get_by_test_id("instruction-input")).to_have_value(DOCSTRING)
    ada.keyboard.press("Backspace")
    wait_for_ghost(grace, '    """Say hello"""')
    for _ in DOCSTRING:
        ada.keyboard.press("Backspace")
    for page in (ada, grace):
        expect(page.get_by_test_id("ghost")).to_have_count(0)
    assert server_text(ada) == GREET
    assert grace.get_by_test_id("run-card").count() == 0


def test_somebody_who_writes_in_the_lines_gets_another_draft_of_them(server: Server, people: People) -> None:
    ada, grace = people("Ada"), people("Grace")
    enter(grace, open_session(ada, server, GREET))
    type_in_bar(ada, DOCSTRING)
    wait_for_ghost(grace, '    """Say hello."""')
    grace.locator(".cm-line").nth(1).click()
    grace.keyboard.press("End")
    grace.keyboard.type("  # loud")
    wait_for_text(ada, "text.includes('# loud')")
    wait_for_ghost(ada, '    """Say hello."""')
    ada.keyboard.press("Enter")
    for page in (ada, grace):
        wait_for_text(page, f"text === {json.dumps(GREETED.replace(chr(10), chr(10), 2)[:-1] + '  # loud' + chr(10))}")


def test_a_viewer_sees_drafts_and_the_host_turns_them_off(server: Server, people: People) -> None:
    session = server.session(("main.py", GREET))
    host, ada, vera = people("Host"), people("Ada"), people("Vera", viewport={"width": 390, "height": 844}, has_touch=True)
    enter(host, f"{server.url}/s/{session['id']}#{session['tokens']['host']}")
    enter(ada, session["links"]["edit"])
    enter(vera, session["links"]["view"])
    type_in_bar(ada, DOCSTRING)
    wait_for_ghost(vera, '    """Say hello."""')
    host.get_by_test_id("share-button").click()
    switch = host.get_by_test_id("session-drafts")
    expect(switch).to_be_checked()
    switch.click()
    for page in (ada, vera):
        expect(page.get_by_test_id("ghost")).to_have_count(0)
    ada.keyboard.type(" Loudly.")
    expect(vera.get_by_test_id("typing-line")).to_contain_text("Loudly.")
    expect(vera.get_by_test_id("ghost")).to_have_count(0)
    switch.click()
    expect(ada.get_by_test_id("ghost").first).to_be_visible()


def test_who_comes_later_sees_the_draft(server: Server, people: People, record_property: Callable[[str, object], None]) -> None:
    ada = people("Ada")
    link = open_session(ada, server, "# one\n\n" + GREET * 8)
    # From each key to its ghost, as the page draws it.
    ada.evaluate(
        """() => {
            window.times = []; let pressed = null
            addEventListener('input', () => { pressed = performance.now() }, { capture: true })
            window.ensemble.connection.on('draft.shown', message => requestAnimationFrame(() => {
                if (pressed !== null && message.instruction === document.querySelector('#instruction-input').value.trim())
                    window.times.push(performance.now() - pressed)
                pressed = null
            }))
        }"""
    )
    ada.get_by_test_id("instruction-input").click()
    ada.keyboard.type("add a docstring to greet: Say hello.", delay=90)
    wait_for_ghost(ada, '    """Say hello."""')
    times = sorted(ada.evaluate("window.times"))
    middle = round(times[len(times) // 2], 1)
    record_property("draft_ms", middle)
    print(json.dumps({"drafts": len(times), "key_to_ghost_ms": middle, "slowest_ms": round(times[-1], 1)}))
    grace = people("Grace")
    enter(grace, link)
    wait_for_ghost(grace, '    """Say hello."""')


def test_the_bar_at_the_caret_gives_way_to_the_draft(server: Server, people: People) -> None:
    ada = people("Ada")
    open_session(ada, server, GREET)
    ada.locator(".cm-line").first.click()
    ada.keyboard.press("Control+k")
    ada.keyboard.type(DOCSTRING, delay=10)
    wait_for_ghost(ada, '    """Say hello."""')

    def apart() -> bool:
        bar, ghost = ada.locator("#instruction").bounding_box(), ada.get_by_test_id("ghost").bounding_box()
        return bool(bar and ghost and (bar["y"] >= ghost["y"] + ghost["height"] or bar["y"] + bar["height"] <= ghost["y"]))

    wait_until(apart, "the bar is beside the draft")
    ada.keyboard.press("Tab")
    wait_for_text(ada, f"text === {json.dumps(GREETED)}")
    expect(ada.locator(".cm-content")).to_be_focused()


def test_a_machine_that_is_too_slow_is_said_so(tmp_path: Path, people: People) -> None:
    server = Server(tmp_path / "data", ENSEMBLE_MAX_DRAFT_MS="1")
    try:
        ada = people("Ada")
        open_session(ada, server, GREET)
        type_in_bar(ada, DOCSTRING)
        expect(ada.get_by_test_id("drafts-paused")).to_contain_text("Drafts are paused: the model takes")
        ada.keyboard.press("Enter")
        wait_for_text(ada, f"text === {json.dumps(GREETED)}")
    finally:
        server.kill()
