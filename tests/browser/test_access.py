"""What everybody needs who sees, hears or holds the page differently."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import enter, instruct
from tests.conftest import Server

People = Callable[..., Page]
PATH = "src/deeply/nested/folders/of/a/project/with/some_module.py"


def nameless(page: Page) -> list[str]:
    """What a screen reader could only call "button" or "link"."""
    return re.findall(r"^\s*- (?:button|link|textbox|slider|combobox)(?: \[[^]]*\])*:?$", page.locator("body").aria_snapshot(), re.MULTILINE)


@pytest.mark.parametrize("width", [390, 1440])
def test_every_control_has_a_name(server: Server, people: People, width: int) -> None:
    session = server.session((PATH, "def greet(name):\n    print(name)\n"))
    ada = people("Ada", viewport={"width": width, "height": 844})
    enter(ada, str(session["links"]["edit"]))
    assert not nameless(ada)
    expect(ada.get_by_role("button", name="Share", exact=True)).to_be_visible()
    ada.get_by_test_id("history-button").click()
    expect(ada.get_by_test_id("history-slider")).to_be_focused()
    assert not nameless(ada)
    ada.keyboard.press("Escape")
    ada.get_by_test_id("share-button").click()
    expect(ada.get_by_test_id("share-dialog")).to_be_visible()
    assert not nameless(ada)


def test_a_long_path_shows_the_name_of_its_file(server: Server, people: People) -> None:
    session = server.session((PATH, "a = 1\n"))
    ada = people("Ada", viewport={"width": 390, "height": 844})
    enter(ada, str(session["links"]["edit"]))
    ada.get_by_role("button", name="Files", exact=True).click()
    for selector in ("#current-file", ".file-path"):
        # Where the path's last letter is drawn, against the box that cuts what sticks out.
        left, last, right = ada.evaluate(
            """selector => {
                const box = document.querySelector(selector);
                const walk = document.createTreeWalker(box, NodeFilter.SHOW_TEXT);
                let text = null;
                while (walk.nextNode()) text = walk.currentNode;
                const range = document.createRange();
                range.setStart(text, text.length - 1);
                range.setEnd(text, text.length);
                const { left, right } = box.getBoundingClientRect();
                return [left, range.getBoundingClientRect().right, right];
            }""",
            selector,
        )
        assert left < last <= right + 1, selector
        expect(ada.locator(selector)).to_have_text(PATH)


def test_the_code_can_be_made_larger_and_stays_so(server: Server, people: People) -> None:
    session = server.session(("a.py", "def greet(name):\n    print(name)\n"))
    ada, grace = people("Ada"), people("Grace")
    for page in (ada, grace):
        enter(page, str(session["links"]["edit"]))
    code = ada.locator("#editor .cm-content")
    expect(code).to_have_css("font-size", "14px")
    ada.get_by_test_id("view-button").click()
    for size in ("16", "18", "20"):
        ada.get_by_role("button", name="Larger").click()
        expect(ada.get_by_test_id("text-size")).to_contain_text(f"{size} px")
    expect(code).to_have_css("font-size", "20px")
    expect(grace.locator("#editor .cm-content")).to_have_css("font-size", "14px")
    ada.reload()
    expect(code).to_have_css("font-size", "20px")
    ada.get_by_test_id("view-button").click()
    for _ in range(6):
        ada.get_by_role("button", name="Smaller").click()
    expect(ada.get_by_role("button", name="Smaller")).to_be_disabled()
    expect(code).to_have_css("font-size", "11px")


def test_a_card_that_changes_keeps_the_focus(server: Server, people: People) -> None:
    session = server.session(("a.py", "def greet(name):\n    print(name)\n"))
    ada = people("Ada")
    enter(ada, str(session["links"]["edit"]))
    instruct(ada, "add a docstring: Say hello.")
    keep = ada.get_by_role("button", name="Keep")
    keep.focus()
    ada.keyboard.press("Enter")
    # Its button is gone: the next Tab goes on from the card, not from the page's beginning.
    expect(ada.get_by_test_id("run-card")).to_contain_text("Kept")
    expect(ada.get_by_test_id("run-card")).to_be_focused()
    ada.keyboard.press("Tab")
    assert ada.evaluate("document.activeElement.closest('[data-testid=run-card]') !== null")


def test_a_name_at_a_caret_never_lies_on_the_line_that_one_writes_in(server: Server, people: People) -> None:
    session = server.session(("a.py", "one\ntwo\nthree\nfour\n"))
    ada, grace = people("Ada"), people("Grace")
    for page in (ada, grace):
        enter(page, str(session["links"]["edit"]))
    caret = ada.locator(".caret")
    for own, other, classes in ((2, 4, "caret named"), (2, 3, "caret named below"), (3, 1, "caret named below"), (2, 1, "caret below")):
        ada.locator(".cm-line").nth(own - 1).click()
        grace.locator(".cm-line").nth(other - 1).click()
        grace.keyboard.press("End")
        grace.keyboard.type("!")
        expect(ada.locator(".cm-line").nth(other - 1).locator(".caret")).to_have_class(classes)
    expect(caret).to_have_count(1)


def test_the_way_past_the_bar_leads_into_the_editor(server: Server, people: People) -> None:
    ada = people("Ada")
    link = str(server.session(("a.py", "x = 1\n"))["links"]["edit"])
    enter(ada, link)
    ada.evaluate("window.same = true")
    ada.keyboard.press("Tab")
    expect(ada.get_by_role("link", name="Skip to the editor")).to_be_focused()
    ada.keyboard.press("Enter")
    expect(ada.locator(".cm-content")).to_be_focused()
    assert ada.evaluate("window.same && location.hash") == ""


@pytest.mark.complaints("Failed to load resource")
def test_a_mangled_link_says_so(server: Server, people: People) -> None:
    ada = people("Ada")
    link = str(server.session(("a.py", "x = 1\n"))["links"]["edit"])
    ada.goto(f"{link.partition('#')[0]}#abc%")
    expect(ada.locator("main")).to_contain_text("not valid any more")


def test_a_file_can_be_added_where_none_is_seen(server: Server, people: People) -> None:
    ada = people("Ada", viewport={"width": 390, "height": 844}, has_touch=True)
    enter(ada, str(server.session(("old.py", ""))["links"]["edit"]))
    ada.get_by_role("button", name="Files", exact=True).click()
    ada.get_by_role("button", name="Delete old.py").click()
    ada.get_by_role("button", name="Delete", exact=True).click()
    ada.get_by_role("button", name="Close files").click()
    ada.locator("main [data-add-file]").click()
    name = ada.get_by_label("Name of the new file")
    expect(name).to_be_focused()
    expect(name).to_be_in_viewport()
    ada.keyboard.type("a.py\n")
    expect(ada.locator(".cm-content")).to_be_focused()
    expect(name).not_to_be_in_viewport()


def test_the_enter_that_ends_a_composition_is_no_order(server: Server, people: People) -> None:
    """As Safari sends it: the composition is over, and the key is 229."""
    ada = people("Ada")
    enter(ada, str(server.session(("a.py", "x = 1\n"))["links"]["edit"]))
    enter_229 = "input => input.dispatchEvent(new KeyboardEvent('keydown', { key: 'Enter', keyCode: 229, bubbles: true }))"
    bar = ada.get_by_test_id("instruction-input")
    bar.fill("\u6f22\u5b57")
    bar.evaluate(enter_229)
    expect(bar).to_have_value("\u6f22\u5b57")
    ada.get_by_test_id("file-tab").dblclick()
    name = ada.get_by_label("New name of a.py")
    name.fill("b.py")
    name.evaluate(enter_229)
    expect(name).to_have_value("b.py")
    name.press("Enter")
    expect(ada.get_by_test_id("file-tab")).to_have_text("b.py")
