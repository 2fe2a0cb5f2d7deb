"""Each limit on people and text: what answers, that it is named, and that nobody else notices."""

from __future__ import annotations

import asyncio
import json
import socket
import time
from collections.abc import Iterator

import httpx
import pytest
from pycrdt import Doc, Map, Text
from websockets.asyncio.client import connect

from editor import protocol, wire
from tests.conftest import Server, bearer, join

LIMITS = {
    "ENSEMBLE_MAX_DOCUMENT_BYTES": "60000",
    "ENSEMBLE_MAX_FILES": "3",
    "ENSEMBLE_MAX_PARTICIPANTS": "3",
    "ENSEMBLE_MAX_CONNECTIONS": "2",
    "ENSEMBLE_MAX_NAME_LENGTH": "12",
    "ENSEMBLE_MAX_AWARENESS_BYTES": "500",
    "ENSEMBLE_MAX_FRAMES_PER_SECOND": "50",
}


@pytest.fixture(scope="module")
def strict(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    server = Server(tmp_path_factory.mktemp("data"), **LIMITS)
    yield server
    server.kill()


async def test_files_beyond_the_limit_are_taken_out_again_and_their_text_is_kept(strict: Server) -> None:
    session = strict.session(("one", "1"), ("two", "2"))
    async with join(strict, session, name="Ada") as ada, join(strict, session, name="Bob") as bob:
        await ada.ready("two")
        await bob.ready("two")
        for name in ("three", "four"):
            ada.files[name] = Map({"path": name, "text": Text(f"the text of {name}")})
        fault = await ada.message("error", code="too_large")
        assert "ENSEMBLE_MAX_FILES" in fault["message"] and "four" in fault["message"]
        await ada.wait(lambda: set(ada.files) == set(bob.files) and len(ada.files) == 3)
        # What is in the session goes on being written.
        with bob.doc.transaction():
            bob.text_of("three").insert(0, "still ")
        await ada.wait(lambda: str(ada.text_of("three")) == "still the text of three")
        await ada.all_saved()
    async with httpx.AsyncClient(headers=bearer(session["tokens"]["edit"])) as browser:
        events = await browser.get(f"{strict.url}/api/sessions/{session['id']}/history/live")
    assert b"the text of four" in events.content


async def test_a_document_that_is_full_says_so_and_takes_deletions(strict: Server) -> None:
    session = strict.session(("a", ""))
    async with join(strict, session, name="Ada") as ada, join(strict, session, name="Bob") as bob:
        await ada.ready("a")
        await bob.ready("a")
        with bob.doc.transaction():
            bob.text_of("a").insert(0, "kept ")
        await ada.wait(lambda: str(ada.text_of("a")) == "kept ")
        with ada.doc.transaction():
            ada.text_of("a").insert(0, "x" * 61_000)
        fault = await ada.message("error", code="too_large")
        assert "60000" in fault["message"] and "ENSEMBLE_MAX_DOCUMENT_BYTES" in fault["message"]
        await ada.wait(lambda: ada.closed)
        assert ada.closed == protocol.TOO_LARGE.code
        with bob.doc.transaction():
            bob.text_of("a").clear()
        await bob.all_saved()
    assert strict.text(session, "a") == ""


async def test_updates_that_build_on_what_never_came_are_kept_nowhere(strict: Server) -> None:
    """They would be memory without a limit, and come in later unseen. What they lack brings them in with it."""
    session = strict.session(("a", ""))
    lacking: Doc = Doc()
    lacking.get("elsewhere", type=Text).insert(0, "what nobody else ever gets")
    waiting = []
    for _ in range(10):
        doc: Doc = Doc()
        text = doc.get("elsewhere", type=Text)
        doc.apply_update(lacking.get_update())
        known = doc.get_state()
        text.insert(4, "y" * 10_000)
        waiting.append(doc.get_update(known))
    async with join(strict, session, name="Ada") as ada, join(strict, session, name="Bob") as bob:
        await ada.ready("a")
        await bob.ready("a")
        for update in waiting:
            ada.send_bytes(wire.update(update))
        ada.text_of("a").insert(0, "still here")
        await bob.wait(lambda: str(bob.text_of("a")) == "still here")
        ada.send_bytes(wire.update(lacking.get_update()))
        ada.text_of("a").insert(0, "and ")
        await bob.wait(lambda: str(bob.text_of("a")) == "and still here")
        assert len(bob.doc.get_update()) < 1000
        ada.send_bytes(wire.sync_step2(bytes(doc.get_update())))
        await bob.wait(lambda: len(bob.doc.get_update()) > 10_000)


def test_a_request_that_is_too_large_is_told_the_limit(strict: Server) -> None:
    answer = httpx.post(strict.url + "/api/sessions", json={"files": [{"path": "a", "content": "x" * 70_000}]})
    assert answer.status_code == 413
    assert answer.json()["error"]["code"] == "too_large" and "ENSEMBLE_MAX_DOCUMENT_BYTES" in answer.json()["error"]["message"]


@pytest.mark.parametrize("said", [True, False])
def test_a_body_that_is_too_long_is_refused_while_it_comes(strict: Server, said: bool) -> None:
    address = httpx.URL(strict.url)
    with socket.create_connection((address.host, address.port), timeout=30) as sender:
        length = b"Content-Length: 1000000000000" if said else b"Transfer-Encoding: chunked"
        sender.sendall(b"POST /api/languages HTTP/1.1\r\nHost: x\r\n" + length + b"\r\n\r\n")
        for _ in range(0 if said else 8):
            sender.sendall(b"2710\r\n" + bytes(10_000) + b"\r\n")
        # It does not end, and is answered all the same.
        answer = sender.recv(65536)
        assert answer.startswith(b"HTTP/1.1 413 ") and b"ENSEMBLE_MAX_DOCUMENT_BYTES" in answer
    assert httpx.get(strict.url + "/livez").status_code == 200
    assert httpx.post(strict.url + "/api/languages", json={"path": "a.py", "content": ""}).status_code == 200


async def test_one_who_asks_for_the_document_again_and_again_gets_it(strict: Server) -> None:
    session = strict.session(("a", "text"))
    async with join(strict, session, "view") as vic:
        await vic.ready("a")
        for _ in range(40):
            vic.send_bytes(wire.sync_step1(b"\x00"))
        before = vic.binary
        await vic.wait(lambda: vic.binary > before)
        await vic.message("welcome")
        assert vic.closed is None and str(vic.text_of("a")) == "text"


async def test_coming_back_again_and_again_fills_nothing(strict: Server) -> None:
    """All of a document's deletions come along each time, and are known."""
    session = strict.session(("a", ""))
    async with join(strict, session, name="Ada") as ada:
        await ada.ready("a")
        text = ada.text_of("a")
        with ada.doc.transaction():
            text.insert(0, "ab" * 500)
            for number in range(500):
                del text[number : number + 1]
        await ada.all_saved()
        known = ada.doc.get_update(ada.doc.get_state())
        assert len(known) > 1000
        for _ in range(70):
            ada.send_bytes(wire.sync_step2(known), updates=1)
        text.insert(0, "and still there is room")
        await ada.all_saved()
    assert strict.text(session, "a").startswith("and still")


async def test_the_session_is_full_and_so_is_a_participant(strict: Server) -> None:
    session = strict.session(("a", ""))
    address = f"{strict.ws}/ws/{session['id']}"
    path = f"/api/sessions/{session['id']}/join"
    async with httpx.AsyncClient(base_url=strict.url) as browser:
        await browser.post(path, json={"token": session["tokens"]["edit"], "name": "Ada"})
        headers = {"Cookie": "; ".join(f"{name}={value}" for name, value in browser.cookies.items())}
    tabs = [await connect(address, origin=strict.url, additional_headers=headers) for _ in range(3)]  # type: ignore[arg-type]
    await tabs[2].wait_closed()
    assert tabs[2].close_code == protocol.TOO_MANY_TABS.code
    assert tabs[0].close_code is None and tabs[1].close_code is None
    async with join(strict, session, name="Bob"), join(strict, session, name="Cleo"):
        late = await connect(address, additional_headers=bearer(session["tokens"]["edit"]))
        await late.wait_closed()
        assert late.close_code == protocol.ROOM_FULL.code
    await asyncio.gather(*(tab.close() for tab in tabs))


async def test_names_and_carets_are_cut_to_their_limits(strict: Server) -> None:
    session = strict.session(("a", ""))
    async with join(strict, session, name="\u202e  Ada Lovelace,\tCountess \x00of") as ada:
        assert (await ada.message("welcome"))["name"] == "Ada Lovelace"
        big = json.dumps({"file": "z" * 600})
        ada.send_bytes(wire.awareness([wire.AwarenessEntry(ada.doc.client_id, 1, big)]))
        fault = await ada.message("error", code="too_large")
        assert "ENSEMBLE_MAX_AWARENESS_BYTES" in fault["message"]
        assert ada.closed is None


async def test_who_sends_too_fast_is_read_more_slowly_and_loses_nothing(strict: Server) -> None:
    session = strict.session(("a", ""))
    async with join(strict, session, name="Ada") as ada, join(strict, session, name="Bob") as bob:
        await ada.ready("a")
        await bob.ready("a")
        begun = time.monotonic()
        for number in range(250):
            with ada.doc.transaction():
                ada.text_of("a").insert(0, f"{number} ")
        fault = await ada.message("error", code="too_fast")
        assert "ENSEMBLE_MAX_FRAMES_PER_SECOND" in fault["message"]
        # Somebody else is read at once meanwhile.
        with bob.doc.transaction():
            bob.text_of("a").insert(0, "bob ")
        await ada.wait(lambda: "bob " in str(ada.text_of("a")))
        assert len(str(bob.text_of("a")).split()) < 250
        await bob.wait(lambda: len(str(bob.text_of("a")).split()) == 251)
        # Two seconds' worth go through at once, the others at their rate: a lower bound, which no slow machine can miss.
        assert time.monotonic() - begun > (250 - 100) / 50 * 0.8
