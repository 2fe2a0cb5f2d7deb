"""What a host does with people, links and the session, as everybody's pages show it."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from playwright.sync_api import Locator, Page, expect

from tests.browser.conftest import enter, text_of, wait_for_text
from tests.conftest import Server, bearer, wait_until

People = Callable[..., Page]
TEXT = "shared = 1\n"


def host_link(server: Server, session: dict[str, Any]) -> str:
    return f"{server.url}/s/{session['id']}#{session['tokens']['host']}"


def row_of(page: Page, name: str) -> Locator:
    return page.locator("#people").get_by_test_id("person").filter(has_text=name)


def wait_for_role(server: Server, session: dict[str, Any], name: str, role: str) -> None:
    """The menu shows the choice before the server has it."""
    url, headers = f"{server.url}/api/sessions/{session['id']}/participants", bearer(session["tokens"]["host"])

    def has_role() -> bool:
        people = httpx.get(url, headers=headers).json()["participants"]
        return any(person["name"] == name and person["role"] == role for person in people)

    wait_until(has_role, f"{name} has the role {role}")


def type_at_start(page: Page, text: str) -> None:
    page.locator("#editor .cm-content").click()
    page.keyboard.press("Control+Home")
    page.keyboard.type(text)


def test_a_role_changes_under_somebody_who_writes(server: Server, people: People) -> None:
    """No reload: the editor, the bar and the list follow, both ways."""
    session = server.session(("a.py", TEXT))
    hal, ada = people("Hal"), people("Ada")
    enter(hal, host_link(server, session))
    enter(ada, session["links"]["edit"])
    ada.evaluate("window.untouched = true")
    type_at_start(ada, "# ada\n")
    wait_for_text(hal, "text.startsWith('# ada')")

    ada.get_by_test_id("history-button").click()
    expect(ada.get_by_test_id("history-restore")).to_be_enabled()
    hal.get_by_test_id("participants").click()
    row_of(hal, "Ada").get_by_test_id("role-menu").select_option("viewer")
    expect(ada.locator("#role")).to_be_visible()
    expect(ada.get_by_test_id("history")).to_be_hidden()
    expect(ada.get_by_test_id("history-button")).to_be_hidden()
    expect(ada.get_by_test_id("instruction-input")).to_be_hidden()
    expect(ada.locator("#editor .cm-content")).to_have_attribute("contenteditable", "false")
    expect(ada.locator("[data-add-file]").first).to_be_hidden()
    ada.locator("#editor .cm-content").click()
    ada.keyboard.type("vandal")
    ada.keyboard.press("Control+z")
    assert text_of(ada) == "# ada\n" + TEXT

    row_of(hal, "Ada").get_by_test_id("role-menu").select_option("editor")
    expect(ada.get_by_test_id("instruction-input")).to_be_visible()
    expect(ada.locator("#role")).to_be_hidden()
    type_at_start(ada, "# again\n")
    wait_for_text(hal, "text.startsWith('# again')")
    ada.keyboard.press("Control+z")
    wait_for_text(hal, "!text.includes('again')")

    row_of(hal, "Ada").get_by_test_id("role-menu").select_option("host")
    ada.get_by_test_id("participants").click()
    expect(row_of(ada, "Hal").get_by_test_id("role-menu")).to_be_visible()
    assert ada.evaluate("window.untouched") is True


@pytest.mark.complaints("WebSocket connection")
@pytest.mark.complaints("Failed to load resource")
def test_what_was_written_offline_waits_for_the_role(server: Server, people: People) -> None:
    """Demoted while away: the text is refused, said, and kept; with the role it comes through."""
    session = server.session(("a.py", TEXT))
    hal, ada = people("Hal"), people("Ada")
    ada.add_init_script(
        """const Socket = window.WebSocket
        window.sockets = []
        window.WebSocket = class extends Socket {
            constructor(url) { super(window.away ? 'ws://127.0.0.1:9/' : url); window.sockets.push(this) }
        }"""
    )
    enter(hal, host_link(server, session))
    enter(ada, session["links"]["edit"])
    hal.get_by_test_id("participants").click()
    expect(row_of(hal, "Ada")).to_be_visible()
    # Her network goes: the socket, and any new one.
    ada.evaluate("() => { window.away = true; window.sockets.at(-1).close() }")
    ada.wait_for_selector("[data-testid=save-state][data-state=offline]")
    type_at_start(ada, "# offline\n")
    hal.locator("#people-away summary").click()
    hal.locator("#people-away").get_by_test_id("role-menu").select_option("viewer")
    wait_for_role(server, session, "Ada", "viewer")
    ada.evaluate("() => { window.away = false; window.dispatchEvent(new Event('online')) }")
    expect(ada.locator("#banners")).to_contain_text("You can only view now")
    expect(ada.locator("#editor .cm-content")).to_have_attribute("contenteditable", "false")
    assert text_of(ada).startswith("# offline")
    assert text_of(hal) == TEXT
    row_of(hal, "Ada").get_by_test_id("role-menu").select_option("editor")
    wait_for_text(hal, "text.startsWith('# offline')")
    expect(ada.locator("#banners")).not_to_contain_text("You can only view now")
    ada.wait_for_selector("[data-testid=save-state][data-state=saved]")


@pytest.mark.complaints("403")
def test_somebody_is_removed_and_the_links_with_them(server: Server, people: People) -> None:
    session = server.session(("a.py", TEXT))
    hal, ada, vic = people("Hal"), people("Ada"), people("Vic")
    enter(hal, host_link(server, session))
    enter(ada, session["links"]["edit"])
    enter(vic, session["links"]["view"])

    hal.get_by_test_id("participants").click()
    row_of(hal, "Ada").get_by_test_id("remove-person").click()
    question = hal.locator("#people").get_by_test_id("person").filter(has_text="Remove Ada?")
    expect(question.get_by_role("button", name="Cancel")).to_be_focused()
    hal.keyboard.press("Escape")
    expect(row_of(hal, "Ada").get_by_test_id("remove-person")).to_be_focused()
    row_of(hal, "Ada").get_by_test_id("remove-person").click()
    question.get_by_test_id("replace-links").check()
    question.get_by_test_id("confirm-remove").click()

    expect(ada.get_by_test_id("ended")).to_contain_text("You were removed")
    expect(ada.get_by_test_id("ended").get_by_role("button", name="Copy my text")).to_be_visible()
    expect(ada.locator("#editor .cm-content")).to_have_attribute("contenteditable", "false")
    assert text_of(ada) == TEXT, "the text stays to be taken along"
    expect(vic.get_by_test_id("ended")).to_contain_text("Your link was replaced")
    expect(hal.get_by_test_id("participants")).to_have_attribute("data-count", "1")
    ada.reload()
    expect(ada.locator("#refused")).to_contain_text("You were removed")

    hal.keyboard.press("Escape")
    hal.get_by_test_id("share-button").click()
    wait_until(lambda: hal.get_by_test_id("view-link").input_value() != session["links"]["view"], "the new link is shown")
    enter(vic, hal.get_by_test_id("view-link").input_value())
    expect(hal.get_by_test_id("participants")).to_have_attribute("data-count", "2")


def test_people_who_are_away_are_listed_and_managed(server: Server, people: People) -> None:
    session = server.session(("a.py", TEXT))
    hal, ada = people("Hal"), people("Ada")
    enter(hal, host_link(server, session))
    enter(ada, session["links"]["edit"])
    hal.get_by_test_id("participants").click()
    expect(row_of(hal, "Ada")).to_be_visible()
    ada.goto(server.url)
    away = hal.locator("#people-away")
    expect(away).to_contain_text("Not here")
    away.locator("summary").click()
    expect(away.get_by_test_id("person")).to_contain_text("Ada")
    away.get_by_test_id("role-menu").select_option("viewer")
    wait_for_role(server, session, "Ada", "viewer")
    enter(ada, session["links"]["edit"])
    expect(ada.locator("#role")).to_be_visible()
    expect(away).to_be_hidden()


def test_a_link_is_replaced(server: Server, people: People) -> None:
    session = server.session(("a.py", TEXT))
    hal, ada, grace = people("Hal"), people("Ada"), people("Grace")
    enter(hal, host_link(server, session))
    enter(ada, session["links"]["edit"])
    hal.get_by_test_id("share-button").click()
    hal.get_by_test_id("replace-edit").click()
    expect(hal.get_by_role("button", name="Cancel").first).to_be_focused()
    hal.get_by_test_id("confirm-replace").click()
    wait_until(lambda: hal.get_by_test_id("edit-link").input_value() != session["links"]["edit"], "the new link is shown")
    expect(hal.get_by_test_id("replace-edit")).to_be_focused()
    expect(ada.get_by_test_id("ended")).to_contain_text("Ask for the new one")
    enter(grace, hal.get_by_test_id("edit-link").input_value())

    # The host's own link: they stay, and hand on the new one.
    hal.get_by_test_id("replace-host").click()
    hal.get_by_test_id("confirm-replace").click()
    expect(hal.get_by_test_id("host-link")).to_have_value(re.compile("/s/.*#"))
    enter(ada, hal.get_by_test_id("host-link").input_value())
    ada.get_by_test_id("share-button").click()
    expect(ada.get_by_test_id("hosting")).to_be_visible()
    expect(grace.get_by_test_id("save-state")).to_have_attribute("data-state", "saved")


def test_title_and_viewers_who_may_stop(chatting_server: Server, people: People) -> None:
    session = chatting_server.session(("a.py", TEXT))
    hal, vic = people("Hal"), people("Vic")
    enter(hal, host_link(chatting_server, session))
    enter(vic, session["links"]["view"])
    vic.get_by_test_id("share-button").click()
    expect(vic.get_by_test_id("view-link")).to_be_visible()
    expect(vic.get_by_test_id("edit-link")).to_have_count(0)
    expect(vic.get_by_test_id("hosting")).to_be_hidden()
    vic.keyboard.press("Escape")

    hal.get_by_test_id("share-button").click()
    hal.get_by_test_id("session-title").fill("Demo day")
    hal.keyboard.press("Enter")
    expect(vic.locator("#title")).to_have_text("Demo day")
    expect(vic).to_have_title("Demo day – Ensemble")
    hal.get_by_test_id("viewers-may-stop").click()
    expect(hal.get_by_test_id("viewers-may-stop")).to_be_checked()
    hal.keyboard.press("Escape")

    hal.get_by_test_id("instruction-input").click()
    hal.keyboard.type("write a story")
    hal.keyboard.press("Enter")
    expect(vic.get_by_test_id("stop-button")).to_be_visible()
    expect(vic.get_by_test_id("run-button")).to_be_hidden()
    vic.get_by_test_id("stop-button").click()
    expect(hal.locator("[data-testid=run-card][data-outcome=stopped]")).to_be_visible()


@pytest.mark.complaints("404")
def test_the_end_of_a_session(server: Server, people: People) -> None:
    session = server.session(("a.py", TEXT), ("b.py", "b = 2\n"))
    hal, ada = people("Hal"), people("Ada")
    enter(hal, host_link(server, session))
    enter(ada, session["links"]["edit"])
    hal.get_by_test_id("share-button").click()
    hal.get_by_test_id("end-session").click()
    expect(hal.locator("#end-what")).to_contain_text("2 files")
    expect(hal.get_by_role("button", name="Cancel")).to_be_focused()
    hal.get_by_test_id("confirm-end").click()
    for page in (hal, ada):
        expect(page.get_by_test_id("ended")).to_contain_text("This session has ended")
        expect(page.get_by_role("button", name="Start a new session")).to_be_visible()
        expect(page.locator("#share-dialog")).to_be_hidden()
    assert httpx.get(f"{server.url}/s/{session['id']}").status_code == 404
    assert text_of(ada) == TEXT
    ada.get_by_role("button", name="Start a new session").click()
    expect(ada.get_by_test_id("new-session")).to_be_visible()


def test_forty_people_in_the_list(server: Server, people: People) -> None:
    """The list scrolls inside the window, and a host's menu in it stays open while others move."""
    session = server.session(("a.py", TEXT))
    path = f"{server.url}/api/sessions/{session['id']}/join"
    for number in range(40):
        link = "view" if number % 3 else "edit"
        answer = httpx.post(path, json={"token": session["tokens"][link], "name": f"Somebody with quite a long name, number {number}"})
        assert answer.status_code == 200
    hal = people("Hal", viewport={"width": 390, "height": 844}, has_touch=True)
    enter(hal, host_link(server, session))
    hal.get_by_test_id("participants").click()
    hal.locator("#people-away summary").click()
    expect(hal.locator("#people-away").get_by_test_id("person")).to_have_count(40)
    box = hal.locator("#people").bounding_box()
    assert box
    assert box["x"] >= 0 and box["y"] >= 0 and box["x"] + box["width"] <= 390 and box["y"] + box["height"] <= 844
    assert hal.evaluate("(p => p.scrollWidth <= p.clientWidth)(document.querySelector('#people'))")
    last = hal.locator("#people-away").get_by_test_id("remove-person").last
    last.scroll_into_view_if_needed()
    last.click()
    expect(hal.get_by_test_id("confirm-remove")).to_be_in_viewport()


def test_a_file_too_many_is_refused_with_the_limit(tmp_path: Path, people: People) -> None:
    server = Server(tmp_path / "data", ENSEMBLE_MAX_FILES="2")
    try:
        session = server.session(("one.txt", "1"), ("two.txt", "2"))
        ada = people("Ada")
        ada.goto(session["links"]["edit"])
        ada.locator("[data-add-file]:visible").first.click()
        ada.locator("#file-add input").fill("three.txt")
        ada.locator("#file-add input").press("Enter")
        expect(ada.get_by_text("2 files (ENSEMBLE_MAX_FILES)")).to_be_visible()
        expect(ada.get_by_test_id("file-tab")).to_have_count(2)
    finally:
        server.kill()
