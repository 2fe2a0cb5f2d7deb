"""The history overlay and the tint of who wrote what, in real browsers."""

from __future__ import annotations

import io
import re
import sqlite3
import zipfile
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect
from pycrdt import Doc, Map, Text

from tests.browser.conftest import enter, instruct, text_of, wait_for_text
from tests.conftest import Server, wait_until

People = Callable[..., Page]
TEXT = "def greet(name):\n    return name\n"


def write(page: Page, text: str, at: str = "Control+Home") -> None:
    page.locator("#editor .cm-content").click()
    page.keyboard.press(at)
    # A pause, so that several changes come of it.
    for part in (text[: len(text) // 2], text[len(text) // 2 :]):
        page.keyboard.type(part)
        page.wait_for_selector("[data-testid=save-state][data-state=saved]")


def open_history(page: Page) -> None:
    page.get_by_test_id("history-button").click()
    expect(page.get_by_test_id("history-restore")).to_be_enabled()
    expect(page.get_by_test_id("history-slider")).to_be_focused()


def old_text(page: Page) -> str:
    """Without what the shown step has deleted, which stands there struck out."""
    return str(
        page.evaluate(
            """[...document.querySelectorAll('#history-text .cm-line')].map(line => {
                const copy = line.cloneNode(true)
                for (const gone of copy.querySelectorAll('.gone')) gone.remove()
                return copy.textContent
            }).join('\\n')"""
        )
    )


def wait_for_old_text(page: Page, text: str) -> None:
    wait_until(lambda: old_text(page) == text, f"{text!r} is shown, instead of {old_text(page)!r}", 20)


def file_id(page: Page, path: str) -> str:
    return str(page.locator("[data-file]").filter(has_text=path).get_attribute("data-file"))


def test_every_moment_is_shown_with_who_wrote_it(server: Server, people: People) -> None:
    session = server.session(("a.py", TEXT))
    ada, grace = people("Ada"), people("Grace")
    enter(ada, session["links"]["edit"])
    enter(grace, session["links"]["edit"])
    write(ada, "# ada 😀\n")
    wait_for_text(grace, "text.startsWith('# ada 😀\\n')")
    write(grace, "# grace\n")
    wait_for_text(ada, "text.startsWith('# grace')")

    open_history(ada)
    wait_for_old_text(ada, "# grace\n# ada 😀\n" + TEXT)
    legend = ada.locator("#history-legend")
    expect(legend).to_contain_text("Ada")
    expect(legend).to_contain_text("Grace")
    expect(legend).to_contain_text("From the start")
    slider = ada.get_by_test_id("history-slider")
    last = int(str(slider.get_attribute("max")))
    assert last >= 3
    ada.keyboard.press("Home")
    wait_for_old_text(ada, TEXT)
    expect(slider).to_have_attribute("aria-valuetext", re.compile(rf"^Change 1 of {last}, .*\d"))
    # Every step forward is a version that has been; a writer's turn ends at a leap.
    seen = []
    for _ in range(last - 1):
        ada.keyboard.press("ArrowRight")
        seen.append(old_text(ada))
    assert seen[-1] == "# grace\n# ada 😀\n" + TEXT
    assert all(text.endswith(TEXT) for text in seen)
    ada.keyboard.press("Shift+ArrowLeft")
    wait_for_old_text(ada, "# ada 😀\n" + TEXT)
    expect(ada.locator("#history-who")).to_have_text("Ada")
    expect(ada.locator("#history-text .authored").first).to_have_attribute("title", "Ada")

    # Playing from the end begins at the beginning, and ends at the end.
    ada.keyboard.press("End")
    ada.keyboard.press(" ")
    expect(ada.locator("#history-play")).to_have_attribute("aria-label", "Play")
    wait_for_old_text(ada, "# grace\n# ada 😀\n" + TEXT)

    # What others write meanwhile is offered.
    write(grace, "# news\n")
    ada.get_by_role("button", name="Newer changes").click()
    wait_for_old_text(ada, "# news\n# grace\n# ada 😀\n" + TEXT)
    ada.keyboard.press("Escape")
    expect(ada.get_by_test_id("history")).to_be_hidden()
    expect(ada.get_by_test_id("history-button")).to_be_focused()


def test_a_version_of_one_file_comes_back_as_an_edit(server: Server, people: People) -> None:
    """Only what differs is changed: a caret and a text elsewhere stay, and Ctrl+Z takes it back."""
    session = server.session(("a.py", "one\ntwo 😀\nthree\n"), ("b.py", "b\n"))
    ada, grace = people("Ada"), people("Grace")
    enter(ada, session["links"]["edit"])
    enter(grace, session["links"]["edit"])
    ada.locator("#editor .cm-content").click()
    ada.keyboard.press("Control+a")
    ada.keyboard.insert_text("ONE\ntwo 😎\nthree\n")
    wait_for_text(grace, "text.startsWith('ONE')")
    # Grace is at the end of the text, writes on there, and will have her caret there.
    write(grace, "four", "Control+End")
    wait_for_text(ada, "text.endsWith('four')")
    ada.evaluate("() => { window.updates = 0; window.ensemble.doc.on('update', () => window.updates++) }")

    open_history(ada)
    ada.keyboard.press("Home")
    wait_for_old_text(ada, "one\ntwo 😀\nthree\n")
    ada.get_by_test_id("history-restore").click()
    expect(ada.get_by_role("button", name="Cancel")).to_be_focused()
    ada.get_by_test_id("restore-file").click()
    expect(ada.get_by_test_id("history")).to_be_hidden()
    for page in (ada, grace):
        wait_for_text(page, "text === 'one\\ntwo 😀\\nthree\\n'")
    assert ada.evaluate("window.updates") == 1, "one transaction"
    grace.keyboard.insert_text("!")
    for page in (ada, grace):
        wait_for_text(page, "text === 'one\\ntwo 😀\\nthree\\n!'")

    expect(ada.locator("#editor .cm-content")).to_be_focused()
    ada.keyboard.press("Control+z")
    for page in (ada, grace):
        wait_for_text(page, "text.startsWith('ONE\\ntwo 😎\\nthree\\n') && text.includes('!') && text.includes('four')")


def test_all_files_come_back_and_it_can_be_undone(server: Server, people: People) -> None:
    session = server.session(("a.py", "a\n"), ("b.py", "b\n"))
    ada, grace = people("Ada"), people("Grace")
    enter(ada, session["links"]["edit"])
    enter(grace, session["links"]["edit"])
    tabs = ada.get_by_test_id("file-tab")
    write(ada, "# new\n")
    ada.locator("[data-file]").filter(has_text="b.py").hover()
    ada.get_by_role("button", name="Delete b.py").click()
    ada.get_by_role("button", name="Delete", exact=True).click()
    expect(tabs).to_have_count(1)
    ada.get_by_role("button", name="Add a file").first.click()
    ada.keyboard.type("c.py")
    ada.keyboard.press("Enter")
    expect(tabs).to_have_count(2)
    # A comment: of a bare word Enter would take the completion that is offered meanwhile.
    write(ada, "# c\n")

    open_history(ada)
    ada.keyboard.press("Home")
    ada.get_by_test_id("history-file").select_option(label="b.py")
    wait_for_old_text(ada, "b\n")
    ada.get_by_test_id("history-restore").click()
    expect(ada.locator("#history-offers")).to_contain_text("1 file changes, 1 comes back, 1 is removed")
    ada.get_by_test_id("restore-all").click()
    for page in (ada, grace):
        expect(page.get_by_test_id("file-tab")).to_have_text(["a.py", "b.py"])
    ada.wait_for_selector("[data-testid=save-state][data-state=saved]")
    assert (server.text(session, "a.py"), server.text(session, "b.py")) == ("a\n", "b\n")

    ada.get_by_role("button", name="Undo").first.click()
    for page in (ada, grace):
        expect(page.get_by_test_id("file-tab")).to_have_text(["a.py", "c.py"])
    ada.wait_for_selector("[data-testid=save-state][data-state=saved]")
    assert (server.text(session, "a.py"), server.text(session, "c.py")) == ("# new\na\n", "# c\n")


def test_a_version_is_downloaded(server: Server, people: People) -> None:
    session = server.session(("a.py", TEXT))
    ada = people("Ada")
    enter(ada, session["links"]["edit"])
    write(ada, "# later\n")
    open_history(ada)
    ada.keyboard.press("Home")
    wait_for_old_text(ada, TEXT)
    with ada.expect_download() as download:
        ada.get_by_test_id("history-export").click()
    with zipfile.ZipFile(io.BytesIO(Path(download.value.path()).read_bytes())) as archive:
        assert archive.read("a.py").decode() == TEXT


def test_who_wrote_what_in_the_live_text(server: Server, people: People) -> None:
    session = server.session(("main.py", TEXT))
    ada, grace, vic = people("Ada"), people("Grace"), people("Vic")
    enter(ada, session["links"]["edit"])
    enter(grace, session["links"]["edit"])
    ada.get_by_test_id("view-button").click()
    ada.get_by_test_id("show-authors").check()
    ada.keyboard.press("Escape")
    write(grace, "# grace\n")
    expect(ada.locator("#editor .authored[title=Grace]")).to_have_text("# grace")
    instruct(ada, "add a docstring: Say hello.")
    expect(ada.locator("[data-testid=run-card][data-outcome=done]")).to_be_visible()
    expect(ada.locator("#editor .authored.by-model").first).to_have_attribute("title", "The model, for Ada")
    expect(grace.locator("#editor .authored")).to_have_count(0)
    ada.get_by_test_id("view-button").click()
    expect(ada.locator("#authors-legend")).to_contain_text("The model, for Ada")
    # The choice is remembered.
    ada.reload()
    expect(ada.locator("#editor .authored[title=Grace]")).to_have_text("# grace")
    ada.get_by_test_id("view-button").click()
    ada.get_by_test_id("show-authors").uncheck()
    expect(ada.locator("#editor .authored")).to_have_count(0)

    enter(vic, session["links"]["view"])
    expect(vic.get_by_test_id("history-button")).to_be_hidden()
    expect(vic.get_by_test_id("view-button")).to_be_hidden()


@pytest.fixture
def long_history(tmp_path: Path) -> Iterator[tuple[Server, dict[str, Any]]]:
    """50 000 changes in a segment of their own, every fifth a deletion, behind the live part."""
    server = Server(tmp_path / "data", ENSEMBLE_MAX_HISTORY_BYTES="1000000000")
    session = server.session(("a.txt", ""))
    assert server.stop() == 0
    doc: Doc[Any] = Doc()
    with closing(sqlite3.connect(server.data / "ensemble.sqlite3")) as database, database:
        doc.apply_update(database.execute("SELECT data FROM editor_documentupdate WHERE session_id = ?", (session["id"],)).fetchone()[0])
        text: Text = next(iter(doc.get("files", type=Map).values()))["text"]
        updates: list[bytes] = []
        subscription = doc.observe(lambda event: updates.append(bytes(event.update)))
        length = 0
        for number in range(50_000):
            if number % 5 == 4:
                del text[length - 1 : length]
                length -= 1
            else:
                text.insert(length, "\n" if number % 50 == 0 else "0123456789"[number % 10])
                length += 1
        doc.unobserve(subscription)
        rows = [(session["id"], 1_700_000_000_000 + number * 100, update) for number, update in enumerate(updates)]
        database.executemany("INSERT INTO editor_documentupdate (session_id, at, data) VALUES (?, ?, ?)", rows)
    server.start()
    yield server, session
    server.kill()


def test_a_long_history_stays_responsive(long_history: tuple[Server, dict[str, Any]], people: People) -> None:
    _, session = long_history
    ada = people("Ada")
    enter(ada, session["links"]["edit"])
    write(ada, "# now\n")
    now = text_of(ada)
    open_history(ada)
    ada.evaluate(
        """() => { window.longest = 0; let last = performance.now()
            const beat = () => { const now = performance.now(); window.longest = Math.max(window.longest, now - last); last = now; setTimeout(beat) }
            beat() }"""
    )
    slider = ada.get_by_test_id("history-slider")
    last = int(str(slider.get_attribute("max")))
    assert last >= 50_000
    ada.keyboard.press("Home")
    expect(ada.get_by_test_id("history-state")).to_be_hidden()
    wait_for_old_text(ada, "")
    # As a hand drags it.
    for part in range(40):
        slider.evaluate("(slider, value) => { slider.value = value; slider.dispatchEvent(new Event('input')) }", last * part // 40)
    wait_until(lambda: len(old_text(ada)) > 100, "the text is shown")
    ada.keyboard.press("End")
    wait_until(lambda: str(slider.evaluate("s => s.value")) == str(last), "the end")
    wait_until(lambda: old_text(ada).startswith("# now\n"), "the newest text is shown")
    longest = ada.evaluate("window.longest")
    print({"changes": last, "longest_pause_ms": round(longest)})
    assert longest < 1_500, "no pause that a hand on the slider takes for a hang"
    ada.keyboard.press("Escape")
    assert text_of(ada) == now
