"""Text that is written while the server is away, or that the server has lost: in real browsers."""

from __future__ import annotations

import re
import shutil
import signal
import sqlite3
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx
import pytest
from playwright.sync_api import Browser, BrowserContext, Error, Page, Route, WebSocketRoute, expect

from tests.browser.conftest import FLAGS, enter, executable, instruct, open_session, text_of, wait_for_text
from tests.conftest import ROOT, Server, bearer, wait_until

People = Callable[..., Page]

# A server that is away is an error in the browser's console.
pytestmark = [pytest.mark.complaints(text) for text in ("Failed to load resource", "WebSocket connection", "Access is denied for this document")]

SAVED = "[data-testid=save-state][data-state=saved]"
OFFLINE = "[data-testid=save-state][data-state=offline]"


@pytest.fixture
def own_server(tmp_path: Path) -> Iterator[Server]:
    """One that a test may kill."""
    server = Server(tmp_path / "data")
    yield server
    server.kill()


def write(page: Page, text: str, at: str = "Control+Home") -> None:
    page.locator(".cm-content").click()
    page.keyboard.press(at)
    page.keyboard.type(text)


def paste(page: Page, text: str) -> None:
    page.locator(".cm-content").click()
    page.evaluate(
        """text => {
            const clipboardData = new DataTransfer();
            clipboardData.setData('text/plain', text);
            const event = new ClipboardEvent('paste', {clipboardData, bubbles: true, cancelable: true});
            document.querySelector('.cm-content').dispatchEvent(event);
        }""",
        text,
    )


def second_tab(page: Page) -> Page:
    tab = page.context.new_page()
    tab.set_default_timeout(20_000)
    return tab


STORED = """() => new Promise((resolve, reject) => {
    const opening = indexedDB.open('ensemble');
    opening.onerror = () => reject(opening.error);
    opening.onsuccess = () => {
        const db = opening.result;
        const found = {};
        const transaction = db.transaction([...db.objectStoreNames]);
        for (const name of db.objectStoreNames) {
            const request = transaction.objectStore(name).getAll();
            request.onsuccess = () => { found[name] = request.result.length };
        }
        transaction.oncomplete = () => { db.close(); resolve(found) };
    };
})"""


def stored(page: Page) -> dict[str, int]:
    """How many records each store of the browser's database holds."""
    return dict(page.evaluate(STORED))


def wait_until_kept(page: Page) -> None:
    """What this page has written is in the browser's database: IndexedDB has no event that a test could wait for."""
    size = "() => new Promise(done => setTimeout(done, 50))"
    before: dict[str, int] = {}
    while (now := stored(page)) != before:
        before = now
        page.evaluate(size)


def back_up(server: Server, to: Path) -> None:
    # A connection left open would write its log into what is restored under it.
    with closing(sqlite3.connect(server.data / "ensemble.sqlite3")) as source, closing(sqlite3.connect(to)) as copy:
        source.backup(copy)


def restore(server: Server, copy: Path, *, new_lineage: bool) -> None:
    """The server is dead; it comes back with the backup."""
    for name in ("ensemble.sqlite3", "ensemble.sqlite3-wal", "ensemble.sqlite3-shm"):
        (server.data / name).unlink(missing_ok=True)
    shutil.copy(copy, server.data / "ensemble.sqlite3")
    if new_lineage:
        command = [sys.executable, "manage.py", "sessions", "new-lineage", "--all"]
        subprocess.run(command, cwd=ROOT, env=server.environment, check=True, capture_output=True)
    server.start()


def test_text_written_offline_survives_a_reload(own_server: Server, people: People) -> None:
    ada, grace = people("Ada"), people("Grace")
    link = open_session(ada, own_server, "base\n", "notes.txt")
    enter(grace, link)
    own_server.kill()
    for page in (ada, grace):
        page.wait_for_selector(OFFLINE)
    expect(ada.locator("body")).to_contain_text("your changes are kept in this browser")
    write(ada, "from ada ")
    write(grace, "from grace\n", "Control+End")
    wait_until_kept(ada)
    with pytest.raises(Error):
        ada.reload()
    # Chromium's error page loads itself again as soon as the server is back, and leaving what it has loaded would ask.
    ada.wait_for_url("chrome-error:**")
    ada.goto("about:blank")
    own_server.start()
    ada.goto(link.partition("#")[0])
    for page in (ada, grace):
        page.wait_for_selector(SAVED, timeout=40_000)
        wait_for_text(page, "text.includes('from ada') && text.includes('from grace')")
        assert text_of(page) == "from ada base\nfrom grace\n"
    # Others see a text before it is stored, and a page asks whoever leaves it meanwhile.
    ada.wait_for_selector(SAVED)
    ada.reload()
    ada.wait_for_selector(SAVED)
    assert text_of(ada) == "from ada base\nfrom grace\n"


def test_text_written_offline_survives_a_crash_of_the_browser(own_server: Server, chromium: Browser, tmp_path: Path) -> None:
    def browser() -> BrowserContext:
        return chromium.browser_type.launch_persistent_context(tmp_path / "profile", executable_path=executable(), args=FLAGS)

    link = str(own_server.session(("notes.txt", "base\n"))["links"]["edit"])
    context = browser()
    page = context.new_page()
    enter(page, link)
    own_server.kill()
    page.wait_for_selector(OFFLINE)
    write(page, "offline ")
    wait_until_kept(page)
    with pytest.raises(Error):
        context.new_cdp_session(page).send("Browser.crash")
    own_server.start()
    context = browser()
    try:
        page = context.new_page()
        enter(page, link)
        assert text_of(page) == "offline base\n"
    finally:
        context.close()


def test_the_page_opens_from_the_copy_while_the_server_cannot_be_reached(own_server: Server, people: People) -> None:
    ada = people("Ada")
    link = open_session(ada, own_server, "base\n", "notes.txt")
    write(ada, "mine ")
    ada.wait_for_selector(SAVED)
    wait_until_kept(ada)
    # The page itself comes, from a proxy's cache say; nothing behind it answers.
    ada.route("**/join", lambda route: route.fulfill(status=502, body="Bad gateway"))
    ada.reload()
    ada.wait_for_selector("body[data-phase=ready]")
    ada.wait_for_selector(OFFLINE)
    assert text_of(ada) == "mine base\n"
    write(ada, "still ")
    assert text_of(ada) == "still mine base\n"
    ada.unroute("**/join")
    ada.wait_for_selector(SAVED, timeout=40_000)
    grace = people("Grace")
    enter(grace, link)
    assert text_of(grace) == "still mine base\n"
    expect(ada.get_by_test_id("share-button")).to_be_visible()


def test_a_connection_that_is_slow_to_open_opens(own_server: Server, people: People) -> None:
    ada = people("Ada")
    ada.clock.install()
    link = str(own_server.session(("notes.txt", "base\n"))["links"]["edit"])

    def hold(route: Route) -> None:
        response = route.fetch()
        # What is asked from now on waits, the socket's handshake as well.
        own_server.process.send_signal(signal.SIGSTOP)
        route.fulfill(response=response)

    ada.route("**/join", hold)
    try:
        with ada.expect_websocket():
            ada.goto(link)
        ada.clock.fast_forward(7_000)
    finally:
        own_server.process.send_signal(signal.SIGCONT)
    ada.wait_for_selector(SAVED)
    assert text_of(ada) == "base\n"


def test_a_long_first_download_is_waited_for(server: Server, people: People) -> None:
    ada = people("Ada")
    ada.clock.install()
    sockets: list[WebSocketRoute] = []
    held: list[bytes] = []

    def hold(socket: WebSocketRoute) -> None:
        sockets.append(socket)

        def pass_on(frame: str | bytes) -> None:
            # All but the text: sync step 2.
            if isinstance(frame, bytes) and frame[:2] == b"\x00\x01":
                held.append(frame)
            elif isinstance(frame, str) and not held:
                socket.send(frame)

        socket.connect_to_server().on_message(pass_on)

    ada.route_web_socket(re.compile("/ws/"), hold)
    ada.goto(str(server.session(("notes.txt", "base\n"))["links"]["edit"]))
    wait_until(lambda: ada.evaluate("1") and held, "the text is on its way")
    # It is asked for a sign of life, and there is none.
    for seconds in (6, 20, 20):
        ada.clock.fast_forward(seconds * 1_000)
    assert ada.evaluate("document.body.dataset.phase") == "joining"
    assert len(sockets) == 1
    sockets[0].send(held[0])
    wait_for_text(ada, "text === 'base\\n'")
    assert len(sockets) == 1


def test_an_instruction_that_was_lost_with_the_connection_comes_back(own_server: Server, people: People) -> None:
    ada = people("Ada")
    open_session(ada, own_server, "base\n", "notes.txt")
    own_server.process.send_signal(signal.SIGSTOP)
    instruct(ada, "add a line")
    bar = ada.get_by_test_id("instruction-input")
    expect(bar).to_have_value("")
    own_server.kill()
    own_server.start()
    expect(bar).to_have_value("add a line", timeout=40_000)
    expect(ada.locator(".toast")).to_contain_text("it is back in the line")
    expect(ada.get_by_test_id("run-card")).to_have_count(0)
    ada.keyboard.press("Enter")
    expect(ada.get_by_test_id("run-card").first).to_contain_text("add a line")
    expect(bar).to_have_value("")


def test_two_tabs_of_one_browser_write_offline(own_server: Server, people: People) -> None:
    one = people("Ada")
    link = open_session(one, own_server, "base\n", "notes.txt")
    two = second_tab(one)
    enter(two, link)
    own_server.kill()
    for tab in (one, two):
        tab.wait_for_selector(OFFLINE)
    write(one, "one ")
    write(two, "two\n", "Control+End")
    wait_until_kept(one)
    # One of them goes; its text is in the copy of both.
    one.close()
    own_server.start()
    two.wait_for_selector(SAVED, timeout=40_000)
    three = second_tab(two)
    enter(three, link)
    for tab in (two, three):
        wait_for_text(tab, "text.includes('one') && text.includes('two')")
        assert text_of(tab) == "one base\ntwo\n"
    assert stored(three)["copies"] == 1


def test_a_restored_backup_leaves_the_copy_a_branch(own_server: Server, people: People, tmp_path: Path) -> None:
    ada = people("Ada")
    link = open_session(ada, own_server, "one\ntwo\nthree\n", "notes.txt")
    back_up(own_server, tmp_path / "backup")
    write(ada, "newer ")
    ada.wait_for_selector(SAVED)
    own_server.kill()
    ada.wait_for_selector(OFFLINE)
    write(ada, "offline\n", "Control+End")
    restore(own_server, tmp_path / "backup", new_lineage=True)
    grace = people("Grace")
    enter(grace, link)
    write(grace, "after\n", "Control+End")

    dialog = ada.get_by_test_id("branch-dialog")
    expect(dialog).to_be_visible(timeout=40_000)
    expect(dialog).to_contain_text("restored backup")
    expect(dialog.locator(".diff-line.added")).to_contain_text(["newer one", "offline"])
    assert text_of(grace) == "one\ntwo\nthree\nafter\n", "nothing is merged by itself"
    wait_for_text(ada, r"text === 'one\ntwo\nthree\nafter\n'")

    with ada.expect_download() as download:
        ada.get_by_test_id("branch-download").click()
    assert Path(download.value.path()).read_text() == "newer one\ntwo\nthree\noffline\n"

    # Later is a choice too; a reload asks again.
    ada.keyboard.press("Escape")
    expect(dialog).to_have_count(0)
    expect(ada.locator(".banner")).to_contain_text("apart from the shared text")
    ada.reload()
    expect(dialog).to_be_visible()
    ada.get_by_test_id("branch-put").click()
    expect(dialog).to_have_count(0)
    for page in (ada, grace):
        wait_for_text(page, r"text === 'newer one\ntwo\nthree\noffline\n'")
    ada.wait_for_selector(SAVED)
    wait_until(lambda: stored(ada)["branches"] == 0, "the branch is settled")
    ada.reload()
    ada.wait_for_selector(SAVED)
    expect(dialog).to_have_count(0)
    assert text_of(ada) == "newer one\ntwo\nthree\noffline\n"


def test_a_rollback_of_the_server_is_noticed(own_server: Server, people: People, tmp_path: Path) -> None:
    """The same lineage, an older state: the server lacks what it had called saved."""
    ada = people("Ada")
    link = open_session(ada, own_server, "one\n", "notes.txt")
    back_up(own_server, tmp_path / "backup")
    write(ada, "lost ")
    ada.wait_for_selector(SAVED)
    two = second_tab(ada)
    enter(two, link)
    wait_until_kept(ada)
    own_server.kill()
    restore(own_server, tmp_path / "backup", new_lineage=False)
    for tab in (ada, two):
        dialog = tab.get_by_test_id("branch-dialog")
        expect(dialog).to_be_visible(timeout=40_000)
        expect(dialog.locator(".diff-line.added")).to_have_text(re.compile("lost one"))
        assert text_of(tab) == "one\n"
    assert stored(ada)["branches"] == 1
    ada.get_by_test_id("branch-discard").click()
    ada.get_by_role("button", name="Discard", exact=True).click()
    wait_until(lambda: stored(ada)["branches"] == 0, "the branch is gone")
    grace = people("Grace")
    enter(grace, link)
    assert text_of(grace) == "one\n"


def test_a_tab_that_writes_on_after_another_set_the_copy_aside(own_server: Server, people: People, tmp_path: Path) -> None:
    one = people("Ada")
    session = own_server.session(("notes.txt", "base\n"))
    link = session["links"]["edit"]
    enter(one, link)
    back_up(own_server, tmp_path / "backup")
    two = second_tab(one)
    # This tab's way to the server can be cut by itself.
    blocked: list[bool] = []
    two.route_web_socket(re.compile("/ws/"), lambda ws: ws.close() if blocked else ws.connect_to_server())
    enter(two, link)
    write(one, "one ")
    wait_for_text(two, "text === 'one base\\n'")
    blocked.append(True)
    own_server.kill()
    two.wait_for_selector(OFFLINE)
    restore(own_server, tmp_path / "backup", new_lineage=True)
    expect(one.get_by_test_id("branch-dialog")).to_be_visible(timeout=40_000)
    write(two, "two\n", "Control+End")
    kept = """() => new Promise(resolve => { indexedDB.open('ensemble').onsuccess = ({target}) => {
        const all = target.result.transaction('branches').objectStore('branches').getAll();
        all.onsuccess = () => { target.result.close(); resolve(all.result.map(each => each.files[0].content)) } } })"""
    wait_until(lambda: two.evaluate(kept) == ["one base\n", "one base\ntwo\n"], "what this tab writes is on the disk as well")
    blocked.clear()
    dialog = two.get_by_test_id("branch-dialog")
    expect(dialog).to_be_visible(timeout=40_000)
    assert text_of(two) == "base\n" == own_server.text(session, "notes.txt")
    assert two.evaluate(kept) == ["one base\n", "one base\ntwo\n"]


def test_a_rollback_is_noticed_by_who_only_looked_on(own_server: Server, people: People, tmp_path: Path) -> None:
    """Their page holds what others wrote; without a word it would bring it back."""
    ada, grace = people("Ada"), people("Grace")
    grace.clock.install()
    link = open_session(ada, own_server, "one\n", "notes.txt")
    enter(grace, link)
    back_up(own_server, tmp_path / "backup")
    write(ada, "lost ")
    ada.wait_for_selector(SAVED)
    wait_for_text(grace, "text.startsWith('lost')")
    ada.close()
    for _ in range(2):
        grace.clock.fast_forward(11_000)
        grace.wait_for_selector(SAVED)
    own_server.kill()
    restore(own_server, tmp_path / "backup", new_lineage=False)
    expect(grace.get_by_test_id("branch-dialog")).to_contain_text("lost one", timeout=40_000)
    assert text_of(grace) == "one\n"


def test_several_files_of_a_branch_come_as_a_zip_and_back_one_by_one(own_server: Server, people: People, tmp_path: Path) -> None:
    ada = people("Ada")
    session = own_server.session(("a.txt", "a\n"), ("b.txt", "b\n"), ("c.txt", "c\n"))
    # Before she joined: the server will not know her.
    back_up(own_server, tmp_path / "backup")
    enter(ada, session["links"]["edit"])
    for name in ("a.txt", "b.txt"):
        ada.get_by_test_id("file-tab").filter(has_text=name).click()
        write(ada, "new ")
    ada.locator("#files-panel [data-add-file]").click()
    ada.keyboard.type("d.txt\n")
    write(ada, "fresh\n")
    ada.wait_for_selector(SAVED)
    own_server.kill()
    restore(own_server, tmp_path / "backup", new_lineage=True)
    dialog = ada.get_by_test_id("branch-dialog")
    expect(dialog).to_contain_text("3 files differ", timeout=40_000)
    expect(dialog).to_contain_text("not shared")
    with ada.expect_download() as download:
        ada.get_by_test_id("branch-download").click()
    with zipfile.ZipFile(download.value.path()) as files:
        assert {name: files.read(name) for name in files.namelist()} == {
            "a.txt": b"new a\n",
            "b.txt": b"new b\n",
            "c.txt": b"c\n",
            "d.txt": b"fresh\n",
        }
    ada.get_by_role("checkbox", name="Put back b.txt").uncheck()
    expect(ada.get_by_test_id("branch-put")).to_have_text("Put back 2 of 3 files")
    ada.get_by_test_id("branch-put").click()
    wait_until(lambda: own_server.text(session, "d.txt") == "fresh\n", "the new file is back")
    assert own_server.text(session, "a.txt") == "new a\n"
    assert own_server.text(session, "b.txt") == "b\n"
    ada.get_by_role("button", name="Look at it").click()
    expect(dialog).to_contain_text("One file differs")


def test_a_paste_larger_than_a_frame_arrives_whole(server: Server, people: People) -> None:
    ada, grace = people("Ada"), people("Grace")
    link = open_session(ada, server, "", "large.txt")
    enter(grace, link)
    text = "a line of text, 漢字 and 😀\n" * 100_000
    assert len(text.encode()) > 3_000_000
    paste(ada, text)
    ada.wait_for_selector(SAVED, timeout=60_000)
    units = len(text.encode("utf-16-le")) // 2
    for page in (ada, grace):
        wait_until(lambda page=page: page.evaluate("window.ensemble.view.state.doc.length") == units, "all of it is there", 60)
        assert text_of(page) == text
    ada.reload()
    ada.wait_for_selector(SAVED, timeout=60_000)
    assert text_of(ada) == text


def test_what_the_document_cannot_hold_is_refused_beforehand(tmp_path: Path, people: People) -> None:
    server = Server(tmp_path / "data", ENSEMBLE_MAX_DOCUMENT_BYTES="1000000")
    try:
        ada = people("Ada")
        open_session(ada, server, "base\n", "notes.txt")
        paste(ada, "x" * 1_200_000)
        expect(ada.locator(".toast")).to_contain_text("1.0 MB (ENSEMBLE_MAX_DOCUMENT_BYTES)")
        assert text_of(ada) == "base\n"
        paste(ada, "y" * 600_000)
        wait_for_text(ada, "text.length === 600005")
        paste(ada, "z" * 600_000)
        expect(ada.locator(".toast").last).to_contain_text("of it are used")
        assert len(text_of(ada)) == 600_005
        write(ada, "typing goes on ")
        ada.wait_for_selector(SAVED)
    finally:
        server.kill()


def test_a_copy_that_the_server_refuses_is_set_aside(tmp_path: Path, people: People) -> None:
    """Without that it would be brought, and refused, at each visit."""
    server = Server(tmp_path / "data")
    try:
        ada = people("Ada")
        open_session(ada, server, "base\n", "notes.txt")
        server.kill()
        ada.wait_for_selector(OFFLINE)
        paste(ada, "x" * 300_000)
        server.environment["ENSEMBLE_MAX_DOCUMENT_BYTES"] = "200000"
        server.start()
        ada.get_by_role("button", name="Open the session again").click(timeout=40_000)
        dialog = ada.get_by_test_id("branch-dialog")
        expect(dialog).to_contain_text("did not accept")
        assert text_of(ada) == "base\n"
        ada.get_by_test_id("branch-put").click()
        expect(ada.locator(".toast")).to_contain_text("ENSEMBLE_MAX_DOCUMENT_BYTES")
        expect(dialog).to_be_visible()
        ada.keyboard.press("Escape")
        write(ada, "on ")
        ada.wait_for_selector(SAVED)
        assert text_of(ada) == "on base\n"
    finally:
        server.kill()


def test_a_server_that_does_not_answer_is_told_from_one_that_is_away(own_server: Server, people: People) -> None:
    ada = people("Ada")
    open_session(ada, own_server, "base\n", "notes.txt")
    own_server.process.send_signal(signal.SIGSTOP)
    try:
        write(ada, "x")
        expect(ada.get_by_test_id("save-state")).to_contain_text("Saving")
        expect(ada.get_by_test_id("save-state")).to_contain_text("Not answering", timeout=15_000)
        write(ada, "y", "Control+End")
    finally:
        own_server.process.send_signal(signal.SIGCONT)
    ada.wait_for_selector(SAVED, timeout=40_000)
    assert text_of(ada) == "xbase\ny"


@pytest.mark.parametrize(
    ("broken", "why"),
    [
        ("indexedDB.open = () => { throw new DOMException('no', 'SecurityError') }", "storage is switched off for this site"),
        ("IDBObjectStore.prototype.add = () => { throw new DOMException('no', 'QuotaExceededError') }", "its storage is full"),
    ],
)
def test_a_browser_that_keeps_nothing_says_so(own_server: Server, people: People, broken: str, why: str) -> None:
    ada = people("Ada")
    ada.add_init_script(broken)
    link = open_session(ada, own_server, "base\n", "notes.txt")
    write(ada, "online ")
    ada.wait_for_selector(SAVED)
    own_server.kill()
    ada.wait_for_selector(OFFLINE)
    expect(ada.locator(".banner")).to_contain_text(f"keeps no copy ({why})")
    expect(ada.get_by_test_id("save-state")).to_contain_text("on this page only")
    write(ada, "offline ")
    own_server.start()
    ada.wait_for_selector(SAVED, timeout=40_000)
    grace = people("Grace")
    enter(grace, link)
    assert text_of(grace) == "offline online base\n"


def test_copies_of_sessions_long_unvisited_go(own_server: Server, people: People) -> None:
    ada = people("Ada")
    ada.clock.install()
    open_session(ada, own_server, "old\n", "notes.txt")
    wait_until(lambda: stored(ada)["updates"] > 0, "the copy is kept")
    link = str(own_server.session(("b.txt", "b\n"))["links"]["edit"])
    enter(ada, link)
    wait_until(lambda: stored(ada)["copies"] == 2, "the second is kept too")
    ada.clock.fast_forward(31 * 24 * 3600 * 1000)
    ada.reload()
    ada.wait_for_selector(SAVED)
    ada.clock.fast_forward("00:10")
    wait_until(lambda: stored(ada)["copies"] == 1, "the first is gone")


def end(server: Server, session: dict[str, Any]) -> None:
    answer = httpx.delete(f"{server.url}/api/sessions/{session['id']}", headers=bearer(session["tokens"]["host"]))
    assert answer.is_success, answer.text


def test_a_session_that_has_ended_leaves_nothing_that_was_saved(own_server: Server, people: People) -> None:
    ada = people("Ada")
    session = own_server.session(("a.txt", "a\n"))
    enter(ada, session["links"]["edit"])
    write(ada, "x")
    ada.wait_for_selector(SAVED)
    wait_until(lambda: stored(ada)["updates"] > 0, "the copy is kept")
    end(own_server, session)
    wait_until(lambda: stored(ada) == {"branches": 0, "clients": 0, "copies": 0, "updates": 0}, "nothing is left")


def test_text_that_never_reached_an_ended_session_can_be_taken_along(own_server: Server, people: People) -> None:
    ada = people("Ada")
    session = own_server.session(("a.txt", "a\n"))
    enter(ada, session["links"]["edit"])
    own_server.kill()
    ada.wait_for_selector(OFFLINE)
    write(ada, "offline ")
    wait_until_kept(ada)
    ada.goto("about:blank")
    own_server.start()
    end(own_server, session)
    ada.goto(session["links"]["edit"])
    with ada.expect_download() as download:
        ada.get_by_role("button", name="Download the copy").click()
    assert Path(download.value.path()).read_text() == "offline a\n"
    ada.get_by_role("button", name="Delete it").click()
    ada.get_by_role("button", name="Delete", exact=True).click()
    expect(ada.get_by_test_id("kept-copy")).to_have_count(0)
    wait_until(lambda: stored(ada)["copies"] == 0, "the copy is gone")


MARKS = """() => new Promise(resolve => { indexedDB.open('ensemble').onsuccess = ({target}) => {
    const all = target.result.transaction('clients').objectStore('clients').getAll();
    all.onsuccess = () => { target.result.close(); resolve(all.result.map(each => each.unsaved)) } } })"""


def test_what_is_written_on_a_kept_copy_alone_outlives_the_session(own_server: Server, people: People) -> None:
    """All of the visit before was saved: only this page knows of what came since."""
    ada = people("Ada")
    session = own_server.session(("a.txt", "a\n"))
    enter(ada, session["links"]["edit"])
    write(ada, "saved ")
    ada.wait_for_selector(SAVED)
    wait_until(lambda: ada.evaluate(MARKS) == [False], "the copy says that all of it is saved")
    ada.route("**/join", lambda route: route.fulfill(status=502, body="Bad gateway"))
    ada.reload()
    ada.wait_for_selector("body[data-phase=ready]")
    write(ada, "offline ")
    end(own_server, session)
    ada.unroute("**/join")
    with ada.expect_download(timeout=40_000) as download:
        ada.get_by_role("button", name="Download the copy").click(timeout=40_000)
    assert Path(download.value.path()).read_text() == "offline saved a\n"
    # Nor is it gone at the next visit.
    ada.reload()
    expect(ada.get_by_test_id("kept-copy")).to_be_visible()
