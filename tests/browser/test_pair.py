"""The main job, in real browsers with real models."""

from __future__ import annotations

import json
import os
import re
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import enter, instruct, open_session, text_of, wait_for_text
from tests.conftest import Server

GREET = 'def greet(name):\n    print("Hello " + name)\n'
People = Callable[..., Page]


def test_two_people_and_the_model_write_together(chatting_server: Server, people: People) -> None:
    """Join, type in both, instruct, watch the stream in both, stop from the other, reload, still there."""
    ada, grace = people("Ada"), people("Grace")
    ada.goto(chatting_server.url)
    ada.get_by_test_id("new-session").click()
    ada.wait_for_selector("[data-testid=save-state][data-state=saved]")
    ada.get_by_test_id("share-button").click()
    expect(ada.get_by_test_id("qr").first).to_be_visible()
    link = ada.get_by_test_id("edit-link").input_value()
    ada.keyboard.press("Escape")
    assert "#" not in ada.url, "the token does not stay in the address bar"
    enter(grace, link)
    expect(ada.get_by_test_id("participants")).to_have_attribute("data-count", "2")
    expect(grace.get_by_test_id("participants")).to_have_attribute("data-count", "2")

    for page, word in ((ada, "alpha"), (grace, "gamma")):
        page.locator(".cm-content").click()
        page.keyboard.press("Control+Home")
        page.keyboard.type(f"# {word}\n")
    for page in (ada, grace):
        wait_for_text(page, "text.includes('# alpha') && text.includes('# gamma')")
    expect(grace.locator(".cm-editor")).to_contain_text("Ada")

    before = len(text_of(ada))
    ada.get_by_test_id("instruction-input").click()
    ada.keyboard.type("write a story")
    expect(grace.get_by_test_id("typing-line")).to_contain_text("write a story")
    ada.keyboard.press("Enter")
    # The page goes along with the model for who asked; the others know where it is, and their page stays.
    expect(ada.get_by_test_id("model-caret").first).to_be_attached()
    expect(grace.get_by_test_id("file-tab")).to_have_accessible_name(re.compile("endless-chat"))
    for page in (ada, grace):
        wait_for_text(page, f"text.length > {before + 40}")
        expect(page.get_by_test_id("stop-button")).to_be_visible()
        expect(page.locator("[data-testid=run-card][data-outcome=streaming]")).to_be_visible()

    grace.get_by_test_id("stop-button").click()
    for page in (ada, grace):
        expect(page.locator("[data-testid=run-card][data-outcome=stopped]")).to_be_visible()
        expect(page.get_by_test_id("stop-button")).to_be_hidden()
        expect(page.get_by_test_id("model-caret")).to_have_count(0)
    stopped = text_of(grace)
    assert "# alpha" in stopped
    assert "# gamma" in stopped
    ada.wait_for_selector("[data-testid=save-state][data-state=saved]")

    for page in (ada, grace):
        page.reload()
        page.wait_for_selector("[data-testid=save-state][data-state=saved]")
        assert text_of(page) == stopped, "nothing landed after the stop, and all of it is still there"
        expect(page.locator("[data-testid=run-card][data-outcome=stopped]")).to_contain_text("write a story")


def test_the_embedded_model_edits_and_the_card_tells(server: Server, people: People, record_property: Callable[[str, object], None]) -> None:
    ada, grace = people("Ada"), people("Grace", color_scheme="dark")
    link = open_session(ada, server, GREET)
    enter(grace, link)
    ada.get_by_test_id("instruction-input").click()
    ada.keyboard.type("add a docstring: Say hello.", delay=15)
    # From Enter to the first changed character, as the page sees it.
    ada.evaluate(
        """() => {
            const text = window.ensemble.view.state.doc.toString(); let first, last
            addEventListener('keydown', event => { if (event.key === 'Enter') window.entered = performance.now() }, { capture: true, once: true })
            window.ensemble.doc.on('update', () => { last = performance.now(); first ??= last; window.figures = [first, last] })
        }"""
    )
    ada.keyboard.press("Enter")
    done = ada.locator("[data-testid=run-card][data-outcome=done]")
    expect(done).to_contain_text('"""Say hello."""')
    expect(done).to_contain_text(re.compile(r"\d+ tokens"))
    for page in (ada, grace):
        wait_for_text(page, 'text === \'def greet(name):\\n    """Say hello."""\\n    print("Hello " + name)\\n\'')
    first, last = ada.evaluate("window.figures.map(time => time - window.entered)")
    record_property("first_change_ms", round(first, 1))
    print(json.dumps({"first_change_ms": round(first, 1), "last_change_ms": round(last, 1), "card": done.inner_text()}))

    # Grace types; the undo of Ada's run leaves her text alone.
    grace.locator(".cm-content").click()
    grace.keyboard.press("Control+Home")
    grace.keyboard.type("# mine\n")
    wait_for_text(ada, "text.startsWith('# mine')")
    ada.get_by_test_id("undo-run").click()
    for page in (ada, grace):
        wait_for_text(page, f"text === {json.dumps('# mine' + chr(10) + GREET)}")


def test_a_steer_in_the_same_bar_changes_course(chatting_server: Server, people: People) -> None:
    ada, grace = people("Ada"), people("Grace")
    enter(grace, open_session(ada, chatting_server, "x = 1\n"))
    instruct(ada, "write a poem")
    expect(grace.get_by_test_id("stop-button")).to_be_visible()
    expect(grace.get_by_test_id("run-button")).to_contain_text("Steer")
    instruct(grace, "about the sea")
    expect(ada.get_by_test_id("timeline")).to_contain_text("about the sea")
    expect(ada.get_by_test_id("chain")).to_contain_text("Ada write a poem")
    expect(ada.locator("[data-testid=run-card][data-outcome=streaming]")).to_be_visible()
    ada.keyboard.press("Control+.")
    expect(ada.get_by_test_id("stop-button")).to_be_hidden()
    expect(grace.get_by_test_id("stop-button")).to_be_hidden()


def test_a_run_on_the_same_lines_waits_and_can_become_a_steer(chatting_server: Server, people: People) -> None:
    ada, grace = people("Ada"), people("Grace", color_scheme="dark")
    enter(grace, open_session(ada, chatting_server, "x = 1\n"))
    instruct(ada, "write a poem")
    expect(grace.get_by_test_id("stop-button")).to_be_visible()
    grace.get_by_test_id("instruction-input").click()
    grace.keyboard.type("about the sea")
    grace.keyboard.press("Alt+Enter")
    for page in (ada, grace):
        waiting = page.locator("[data-testid=run-card][data-outcome=queued]")
        expect(waiting).to_contain_text("Waits for Ada\u2019s run on these lines.")
    grace.get_by_test_id("steer-instead").click()
    streaming = ada.locator("[data-testid=run-card][data-outcome=streaming]")
    expect(streaming).to_contain_text("about the sea")
    expect(streaming.get_by_test_id("chain")).to_contain_text("write a poem")
    expect(ada.locator("[data-testid=run-card][data-outcome=queued]")).to_have_count(0)
    grace.get_by_test_id("stop-button").click()
    expect(ada.get_by_test_id("stop-button")).to_be_hidden()


def test_a_run_that_waited_begins_beside_whoever_writes_elsewhere_by_now(chatting_server: Server, people: People) -> None:
    ada, grace = people("Ada"), people("Grace")
    link = str(chatting_server.session(("a.py", "x = 1\n"), ("b.py", "y = 2\n"))["links"]["edit"])
    for page in (ada, grace):
        enter(page, link)
    instruct(grace, "write a poem")
    expect(ada.get_by_test_id("stop-button")).to_be_visible()
    ada.get_by_test_id("instruction-input").fill("about the sea")
    ada.get_by_test_id("instruction-input").press("Alt+Enter")
    expect(ada.locator("[data-testid=run-card][data-outcome=queued]")).to_be_visible()
    # What somebody types next stays before the others' eyes while their run goes on.
    grace.get_by_test_id("instruction-input").click()
    grace.keyboard.type("in rhymes")
    line = ada.get_by_test_id("typing-line")
    expect(line).to_contain_text("in rhymes")
    wait_for_text(ada, f"text.length > {len(text_of(ada)) + 100}")
    expect(line).to_contain_text("in rhymes")
    ada.get_by_test_id("file-tab").filter(has_text="b.py").click()
    ada.locator(".cm-content").click()
    ada.keyboard.type("mine ")
    grace.locator("[data-testid=run-card][data-outcome=streaming]").get_by_role("button", name=re.compile("^Stop")).click()
    expect(ada.locator(".toast")).to_contain_text("Your run begins in a.py.")
    ada.keyboard.type("still ")
    assert "mine still" in text_of(ada)
    ada.keyboard.press("Control+.")
    expect(ada.get_by_test_id("stop-button")).to_be_hidden()


def test_who_writes_in_a_file_that_is_deleted_writes_in_no_other(server: Server, people: People) -> None:
    ada, grace = people("Ada"), people("Grace")
    session = server.session(("a.py", "x = 1\n"), ("b.py", "y = 2\n"))
    for page in (ada, grace):
        enter(page, str(session["links"]["edit"]))
    ada.locator(".cm-content").click()
    ada.keyboard.type("# ")
    grace.get_by_test_id("file-tab").first.hover()
    grace.get_by_role("button", name="Delete a.py").click()
    grace.get_by_role("button", name="Delete", exact=True).click()
    wait_for_text(ada, "text.startsWith('y')")
    ada.keyboard.type("lost")
    assert text_of(ada) == "y = 2\n" == server.text(session, "b.py")


def test_who_follows_somebody_can_go_their_own_way(server: Server, people: People) -> None:
    ada, grace, mary = people("Ada"), people("Grace"), people("Mary")
    link = str(server.session(("a.py", "x = 1\n"), ("b.py", "y = 2\n"))["links"]["edit"])
    for page in (ada, grace, mary):
        enter(page, link)
    grace.locator(".cm-content").click()
    ada.get_by_test_id("participants").click()
    ada.get_by_role("button", name="Follow Grace").click()
    expect(ada.locator("#following")).to_have_text("Following Grace")
    grace.get_by_test_id("file-tab").filter(has_text="b.py").click()
    grace.locator(".cm-content").click()
    wait_for_text(ada, "text.startsWith('y')")
    ada.get_by_test_id("file-tab").filter(has_text="a.py").click()
    expect(ada.locator("#following")).to_be_hidden()
    wait_for_text(ada, "text.startsWith('x')")
    # The others are told where she is.
    expect(mary.locator("[data-file]").filter(has_text="a.py").locator(".dot[title=Ada]")).to_have_count(1)
    grace.keyboard.type("# ")
    wait_for_text(mary, "text.startsWith('x')")
    assert text_of(ada).startswith("x")


def test_the_lines_that_enter_would_give_to_the_model_are_shown_while_typing(chatting_server: Server, people: People) -> None:
    ada, grace = people("Ada"), people("Grace", color_scheme="dark")
    functions = "\n\n".join(f"def f{number}(x):\n    return x + {number}" for number in range(9))
    enter(grace, open_session(ada, chatting_server, f"LIMIT = 5\n\n{functions}\n"))
    for page in (ada, grace):
        page.locator(".cm-line").nth(3).click()
        page.get_by_test_id("instruction-input").click()
        page.keyboard.type("make f3 faster")
        expect(page.get_by_test_id("aim-hint")).to_have_text("2 lines")
        expect(page.locator(".aim-line")).to_have_text(["def f3(x):", "    return x + 3"])
    # Somebody types above: the mark stays on its lines.
    grace.locator(".cm-content").click()
    grace.keyboard.press("Control+Home")
    grace.keyboard.type("# mine\n")
    wait_for_text(ada, "text.startsWith('# mine')")
    expect(ada.locator(".aim-line")).to_have_text(["def f3(x):", "    return x + 3"])
    ada.get_by_test_id("instruction-input").fill("add a docstring to every function")
    expect(ada.get_by_test_id("aim-hint")).to_have_text("9 places")
    expect(ada.locator(".aim-line")).to_have_count(18)
    if folder := os.environ.get("ENSEMBLE_SCREENSHOTS"):
        ada.screenshot(path=Path(folder) / "aim-places.png")
        grace.screenshot(path=Path(folder) / "aim-dark.png")
    ada.keyboard.press("Enter")
    expect(ada.locator(".aim-line")).to_have_count(0)
    expect(ada.locator(".run-line").first).to_be_visible()
    expect(grace.get_by_test_id("timeline")).to_contain_text("of 9 places")
    expect(grace.locator(".aim-line")).to_have_count(0), "Enter would steer"
    if folder:
        ada.screenshot(path=Path(folder) / "windows.png")
    # Each of four windows may have a line that is not finished, and a stop takes it back.
    wait_for_text(ada, "text.split('\\n').length > 36")
    ada.keyboard.press("Control+.")
    expect(grace.locator("[data-testid=run-card][data-outcome=stopped]")).to_be_visible()
    ada.get_by_test_id("undo-run").click()
    wait_for_text(ada, f"text === {json.dumps('# mine' + chr(10) + 'LIMIT = 5' + chr(10) * 2 + functions + chr(10))}")


def test_after_a_stop_continue_goes_on_and_retry_begins_again(chatting_server: Server, people: People) -> None:
    ada, grace = people("Ada"), people("Grace", color_scheme="dark", viewport={"width": 390, "height": 844})
    enter(grace, open_session(ada, chatting_server, "x = 1\n"))
    instruct(ada, "write a poem")
    wait_for_text(ada, "text.split('\\n').length > 4")
    ada.get_by_test_id("stop-button").click()
    ada.get_by_test_id("continue-run").click()
    streaming = ada.locator("[data-testid=run-card][data-outcome=streaming]")
    expect(streaming).to_contain_text("Go on where you stopped")
    expect(streaming.get_by_test_id("chain")).to_contain_text("Ada write a poem")
    ada.get_by_test_id("stop-button").click()
    # A run that stands is undone first; the one that went on from it is another.
    first = ada.get_by_test_id("run-card").first
    first.get_by_test_id("retry-run").click()
    expect(first).to_contain_text("Undone")
    expect(streaming).to_contain_text("Again, after the first try was undone.")
    ada.get_by_test_id("stop-button").click()
    expect(ada.get_by_test_id("stop-button")).to_be_hidden()


def test_the_bar_opens_at_the_caret(server: Server, people: People) -> None:
    ada = people("Ada")
    open_session(ada, server, GREET)
    ada.locator(".cm-content").click()
    ada.keyboard.press("Control+Home")
    ada.keyboard.press("Control+k")
    expect(ada.get_by_test_id("instruction-input")).to_be_focused()
    box, line = ada.get_by_test_id("instruction-input").bounding_box(), ada.locator(".cm-line").first.bounding_box()
    assert box
    assert line
    assert abs(box["y"] - line["y"]) < 120, "near the first line, not at the bottom"
    ada.keyboard.type("add a docstring: Say hello.")
    ada.keyboard.press("Enter")
    wait_for_text(ada, "text.includes('Say hello.')")


def test_a_viewer_watches(server: Server, people: People) -> None:
    session = server.session(("main.py", GREET))
    viewer = people("Vera")
    enter(viewer, session["links"]["view"])
    viewer.locator(".cm-content").click()
    viewer.keyboard.type("vandal")
    assert text_of(viewer) == GREET
    expect(viewer.get_by_test_id("run-button")).to_be_hidden()
    expect(viewer.get_by_test_id("stop-button")).to_be_hidden()


@pytest.mark.complaints("Failed to load resource")
@pytest.mark.complaints("WebSocket connection")
def test_typing_goes_on_while_the_server_is_away(tmp_path: Path, people: People) -> None:
    server = Server(tmp_path / "data")
    try:
        ada = people("Ada")
        open_session(ada, server, "base\n", "notes.txt")
        server.kill()
        ada.wait_for_selector("[data-testid=save-state][data-state=offline]")
        ada.locator(".cm-content").click()
        ada.keyboard.press("Control+Home")
        ada.keyboard.type("offline ")
        server.start()
        ada.wait_for_selector("[data-testid=save-state][data-state=saved]", timeout=40_000)
        assert text_of(ada) == "offline base\n"
        grace = people("Grace")
        ada.get_by_test_id("share-button").click()
        enter(grace, ada.get_by_test_id("edit-link").input_value())
        assert text_of(grace) == "offline base\n"
    finally:
        server.kill()


@pytest.mark.complaints("Failed to load resource")
@pytest.mark.complaints("404")
@pytest.mark.complaints("401")
def test_a_dead_link_says_so(server: Server, people: People) -> None:
    ada = people("Ada")
    ada.goto(server.url + "/s/nosuchsession#token")
    expect(ada.locator("body")).to_contain_text("does not exist")
    session = server.session()
    ada.goto(f"{server.url}/s/{session['id']}#wrong")
    expect(ada.locator("main")).to_contain_text("not valid any more")


def test_files_dropped_on_the_landing_page_begin_a_session(server: Server, people: People) -> None:
    ada = people("Ada")
    ada.goto(server.url)
    transfer = ada.evaluate_handle(
        """() => { const data = new DataTransfer(); data.items.add(new File(['body {\\n  color: red;\\n}\\n'], 'style.css')); return data }"""
    )
    ada.dispatch_event("body", "drop", {"dataTransfer": transfer})
    ada.wait_for_selector("[data-testid=save-state][data-state=saved]")
    assert text_of(ada) == "body {\n  color: red;\n}\n"
    expect(ada.get_by_test_id("file-tab")).to_contain_text("style.css")


@pytest.mark.parametrize("size", [(390, 844), (1280, 720), (1920, 1080)])
def test_nothing_sticks_out_of_the_window(server: Server, people: People, size: tuple[int, int]) -> None:
    ada = people("Ada", viewport={"width": size[0], "height": size[1]}, has_touch=size[0] < 500)
    ada.goto(server.url)
    assert ada.evaluate("document.documentElement.scrollWidth <= innerWidth")
    open_session(ada, server, GREET)
    assert ada.evaluate("document.documentElement.scrollWidth <= innerWidth")
    expect(ada.get_by_test_id("instruction-input")).to_be_in_viewport()
    before = ada.evaluate("document.documentElement.dataset.theme")
    ada.get_by_test_id("theme-toggle").click()
    end = time.monotonic() + 5
    while ada.evaluate("document.documentElement.dataset.theme") == before and time.monotonic() < end:
        ada.get_by_test_id("theme-toggle").click()
    assert ada.evaluate("document.documentElement.dataset.theme") != before
