"""The shared buffer over the real socket: who gets in, what is durable, what is refused."""

from __future__ import annotations

import asyncio

import httpx
import pytest
from websockets.asyncio.client import connect

from editor import protocol, wire
from tests.conftest import Client, Server, bearer, join, state_clocks, wait_until


async def close_code(server: Server, session: str, headers: dict[str, str]) -> int | None:
    async with connect(f"{server.ws}/ws/{session}", additional_headers=headers) as socket:
        await asyncio.wait_for(socket.wait_closed(), 10)
        return socket.close_code


async def test_nobody_gets_in_without_a_capability(server: Server) -> None:
    session = server.session()
    own = {"Origin": server.url}
    assert await close_code(server, session["id"], own) == protocol.UNAUTHORISED.code
    assert await close_code(server, session["id"], bearer("wrong")) == protocol.UNAUTHORISED.code
    assert await close_code(server, "nosuchsession", own) == protocol.NOT_FOUND.code


async def test_a_cookie_counts_from_our_own_page_alone(server: Server) -> None:
    session = server.session()
    async with httpx.AsyncClient(base_url=server.url) as browser:
        joined = await browser.post(f"/api/sessions/{session['id']}/join", json={"token": session["tokens"]["edit"], "name": "Ada"})
        assert joined.json()["role"] == "editor"
        assert "httponly" in joined.headers["set-cookie"].lower()
        cookie = "; ".join(f"{name}={value}" for name, value in browser.cookies.items())
        again = await browser.post(f"/api/sessions/{session['id']}/join", json={})
        assert again.json()["participant"] == joined.json()["participant"]
    for origin in ({}, {"Origin": "null"}, {"Origin": "https://elsewhere.example"}):
        assert await close_code(server, session["id"], {"Cookie": cookie, **origin}) == protocol.FORBIDDEN.code
    async with connect(f"{server.ws}/ws/{session['id']}", additional_headers={"Cookie": cookie, "Origin": server.url}) as socket:
        frame = await asyncio.wait_for(socket.recv(), 10)
        assert isinstance(wire.decode(frame), wire.SyncStep1)


@pytest.mark.parametrize("other", ['prefs={"a":1}', "seen=Tue Mar 04 2025", "name=J\u00fcrgen", "version=3", "path=/x", 'a=b"c', "foo", "a[0]=1"])
def test_cookies_of_other_applications_keep_nobody_out(server: Server, other: str) -> None:
    session = server.session(("a.txt", ""))
    with httpx.Client(base_url=server.url) as browser:
        browser.post(f"/api/sessions/{session['id']}/join", json={"token": session["tokens"]["edit"]})
        cookies = [f"{name}={value}" for name, value in browser.cookies.items()]
    for header in ("; ".join([other, *cookies]), "; ".join([*cookies, other])):
        answer = httpx.get(f"{server.url}/api/sessions/{session['id']}/files/a.txt", headers=[(b"cookie", header.encode("latin-1"))])
        assert answer.status_code == 200, header


async def test_saved_text_survives_kill_nine(tmp_path) -> None:
    server = Server(tmp_path / "data")
    try:
        session = server.session(("notes.md", "# Notes\n"))
        async with join(server, session) as ada:
            await ada.ready("notes.md")
            text = ada.text_of("notes.md")
            for number in range(50):
                with ada.doc.transaction():
                    text.insert(len(str(text).encode()), f"line {number} 😀\n")
            clock = state_clocks(ada.doc)[ada.doc.client_id]
            await ada.wait(lambda: any(m["type"] == "saved" and m["clock"] >= clock for m in ada.messages))
            expected = str(text)
        server.kill()
        server.start()
        assert server.text(session, "notes.md") == expected
        # And a clean stop and start neither loses nor doubles anything.
        assert server.stop() == 0
        server.start()
        assert server.text(session, "notes.md") == expected
    finally:
        server.kill()


async def test_a_reconnecting_client_merges_what_it_typed_meanwhile(tmp_path) -> None:
    server = Server(tmp_path / "data")
    try:
        session = server.session(("a.txt", "base\n"))
        async with join(server, session) as ada:
            await ada.ready("a.txt")
            doc = ada.doc
        with doc.transaction():
            ada.text_of("a.txt").insert(0, "offline ")
        server.kill()
        server.start()
        async with join(server, session) as again:
            await again.ready("a.txt")
            again.send_bytes(wire.update(doc.get_update(again.doc.get_state())))
            await again.message("saved", updates=2)
        assert server.text(session, "a.txt") == "offline base\n"
    finally:
        server.kill()


async def test_viewers_watch_and_change_nothing(server: Server) -> None:
    session = server.session(("a.py", "x = 1\n"))
    async with join(server, session, "view") as viewer, join(server, session) as ada:
        file = await viewer.ready("a.py")
        with viewer.doc.transaction():
            viewer.text_of("a.py").insert(0, "vandal ")
        assert (await viewer.message("error"))["code"] == "forbidden"
        # The same update behind overlong integers: decided on the decoded value.
        update = viewer.doc.get_update(b"\x00")
        viewer.send_bytes(b"\x80\x00" + b"\x82\x00" + wire.chunk(update))
        await viewer.wait(lambda: len([m for m in viewer.messages if m["type"] == "error"]) == 2)
        for kind, fields in {
            "run.start": {"instruction": "x", "file": file},
            "run.stop": {},
            "instruction.typed": {"text": "x", "file": file},
            "run.undo": {"run": "x"},
        }.items():
            before = len(viewer.messages)
            viewer.send(kind, **fields)
            assert (await viewer.message("error", after=before))["code"] == "forbidden"
        with ada.doc.transaction():
            (await ada.wait(lambda: ada.file("a.py"))) and ada.text_of("a.py").insert(0, "# ")
        await viewer.wait(lambda: "# " in str(viewer.text_of("a.py")))
        assert server.text(session, "a.py") == "# x = 1\n"


async def test_malformed_frames_are_answered_and_then_closed(server: Server) -> None:
    session = server.session(("a.py", "x = 1\n"))
    async with join(server, session) as ada:
        await ada.ready("a.py")
        for number in range(20):
            ada.send_bytes([b"", b"\xff" * 200_000, b"\x00\x02\x05abc", b"\x00\x02\x03\xff\xff\xff", b"\x07"][number % 5])
        await ada.wait(lambda: ada.closed)
        assert ada.closed == protocol.BAD_FRAME.code
        assert {m["code"] for m in ada.messages if m["type"] == "error"} == {"bad_frame"}
    assert server.text(session, "a.py") == "x = 1\n"


async def test_a_frame_above_the_limit_names_the_limit(tmp_path) -> None:
    server = Server(tmp_path / "data", ENSEMBLE_MAX_FRAME_BYTES="50000")
    try:
        session = server.session(("a.py", "x = 1\n"))
        async with join(server, session) as ada:
            await ada.ready("a.py")
            with ada.doc.transaction():
                ada.text_of("a.py").insert(0, "y" * 60_000)
            error = await ada.message("error")
            assert error["code"] == "too_large"
            assert "50000" in error["message"]
            await ada.wait(lambda: ada.closed)
            assert ada.closed == protocol.TOO_LARGE.code
        assert server.text(session, "a.py") == "x = 1\n"
    finally:
        server.kill()


async def test_carets_carry_the_servers_names_and_go_with_their_socket(server: Server) -> None:
    session = server.session(("a.py", ""))
    async with join(server, session, name="Grace") as grace:
        seen: list[wire.AwarenessEntry] = []
        async with join(server, session, name="Ada") as ada:
            forged = '{"user": {"name": "Boss", "color": "red;background:url(x)"}, "cursor": {"anchor": {"tname": "x"}, "head": {"tname": "x"}}}'
            ada.send_bytes(wire.awareness([wire.AwarenessEntry(ada.doc.client_id, 1, forged)]))
            people = await grace.wait(lambda: next((m for m in grace.messages if any(p["clients"] for p in m.get("participants", []))), None))
            assert {p["name"] for p in people["participants"]} == {"Ada", "Grace"}
            async with connect(f"{server.ws}/ws/{session['id']}", additional_headers=bearer(session["tokens"]["view"])) as raw:
                while not seen:
                    frame = wire.decode(await asyncio.wait_for(raw.recv(), 10))
                    if isinstance(frame, wire.Awareness):
                        seen += frame.entries
                assert '"Ada"' in seen[0].state
                assert "url" not in seen[0].state
                await ada.socket.close()
                while seen[-1].state != "null":
                    frame = wire.decode(await asyncio.wait_for(raw.recv(), 10))
                    if isinstance(frame, wire.Awareness):
                        seen += frame.entries
        await grace.wait(lambda: people_seen(grace) == ["Grace"])


def people_seen(client: Client) -> list[str]:
    latest = [m for m in client.messages if m["type"] == "participants"][-1]
    return [person["name"] for person in latest["participants"]]


def test_http_refuses_what_another_site_asks(server: Server) -> None:
    answer = httpx.post(server.url + "/api/sessions", json={}, headers={"Origin": "https://elsewhere.example"})
    assert answer.status_code == 403
    assert httpx.post(server.url + "/api/sessions", content=b"[").status_code == 400
    assert httpx.get(server.url + "/s/nosuchsession").status_code == 404


def test_what_is_asked_wrongly_over_http_is_answered_in_its_form(server: Server) -> None:
    made = httpx.post(server.url + "/api/sessions", json={"files": [{"path": "./src/../a.py"}, {"path": "b.py"}]}).json()
    assert made["paths"] == ["src/a.py", "b.py"]
    mine = httpx.Client(base_url=f"{server.url}/api/sessions/{made['id']}", headers=bearer(made["tokens"]["edit"]))
    assert mine.get("/files/src/a.py").status_code == 200
    assert mine.head("/history").status_code == 200 and mine.head("/files/b.py").content == b""
    wrong = mine.post("/history")
    assert wrong.status_code == 405 and "GET" in wrong.headers["Allow"] and wrong.json()["error"]["code"] == "bad_message"
    for path in ("/api/nothing", "/api/sessions/", "/api/sessions/x/y/z"):
        assert httpx.get(server.url + path).json()["error"]["code"] == "not_found", path
    twice = httpx.post(server.url + "/api/sessions", json={"files": [{"path": "a.py"}, {"path": "./a.py"}]})
    assert twice.status_code == 400 and "a.py comes twice" in twice.json()["error"]["message"]


def test_files_and_export_need_a_token(server: Server) -> None:
    session = server.session(("src/a.py", "x = 1\r\n"), ("../b.txt", "b"))
    url = f"{server.url}/api/sessions/{session['id']}"
    assert httpx.get(url + "/files/src/a.py").status_code == 401
    assert server.text(session, "src/a.py") == "x = 1\n"
    import io
    import zipfile

    archive = zipfile.ZipFile(io.BytesIO(httpx.get(url + "/export.zip", headers=bearer(session["tokens"]["view"])).content))
    assert sorted(archive.namelist()) == ["b.txt", "src/a.py"]


def test_the_page_says_no_secret_and_allows_no_inline_script(server: Server) -> None:
    session = server.session()
    page = httpx.get(f"{server.url}/s/{session['id']}")
    assert all(token not in page.text for token in session["tokens"].values())
    policy = page.headers["content-security-policy"]
    assert "script-src 'self';" in policy
    assert page.headers["referrer-policy"] == "no-referrer"
    assert "<script>" not in page.text
    metrics = httpx.get(server.url + "/metrics").text
    assert "ensemble_rooms" in metrics
    wait_until(lambda: httpx.get(server.url + "/livez").status_code == 200, "alive")
    assert not any(token in line for token in session["tokens"].values() for line in server.log)


async def test_a_copy_of_another_lineage_is_not_merged(server: Server) -> None:
    session = server.session(("a.txt", "shared\n"))
    async with join(server, session) as ada:
        lineage = (await ada.message("welcome"))["session"]["lineage"]
        await ada.ready("a.txt")
        ada.send("hello", version=1, lineage=lineage)
        ada.send("hello", version=1, lineage="of-a-backup")
        # What comes behind it in the same breath is not read either.
        with ada.doc.transaction():
            ada.text_of("a.txt").insert(0, "branch ")
        await ada.wait(lambda: ada.closed)
        assert ada.closed == protocol.OTHER_LINEAGE.code
    assert server.text(session, "a.txt") == "shared\n"
