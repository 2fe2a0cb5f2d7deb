"""What a host does with a session while people are in it: links, roles, removal, its end."""

from __future__ import annotations

from contextlib import AsyncExitStack
from pathlib import Path

import httpx
import pytest
from django.conf import settings

from editor import protocol, views
from editor.http import Refused
from tests.conftest import Server, bearer, join, leave, writes_on


@pytest.mark.parametrize(
    ("path", "clean"),
    [
        ("src/a.py", "src/a.py"),
        ("./a.py", "a.py"),
        ("../../a.py", "a.py"),
        (".\u200b./.\u200b./.ssh/authorized_keys", ".ssh/authorized_keys"),
        ("\u200b/etc/passwd", "etc/passwd"),
        ("..\\..\\a.py", "a.py"),
        ("C:\\windows\\a.py", "windows/a.py"),
        (" .. /a.py", "a.py"),
        (".../a.py", "a.py"),
        (".gitignore", ".gitignore"),
        ("a..b/c.", "a..b/c."),
    ],
)
def test_a_path_stays_in_its_folder_also_when_what_cannot_be_seen_is_gone(path: str, clean: str) -> None:
    assert views.clean_path(path) == clean


class Host:
    """The HTTP side of a host, by Bearer token."""

    def __init__(self, server: Server, session: dict) -> None:
        self.base = f"{server.url}/api/sessions/{session['id']}"
        self.http = httpx.AsyncClient(headers=bearer(session["tokens"]["host"]))

    async def call(self, method: str, path: str = "", expect: int = 200, **body: object) -> dict:
        answer = await self.http.request(method, self.base + path, json=body or None)
        assert answer.status_code == expect, answer.text
        return answer.json() if answer.content else {}


async def test_a_rotated_link_closes_its_sockets_and_nobody_elses(server: Server) -> None:
    session = server.session()
    host = Host(server, session)
    async with join(server, session, "edit") as ada, join(server, session, "view") as vic, join(server, session, "host", "Hal") as hal:
        answer = await host.call("POST", "/links/edit/rotate")
        await ada.wait(lambda: ada.closed)
        assert ada.closed == protocol.LINK_ROTATED.code
        await vic.message("participants", after=len(vic.messages) - 1)
        assert vic.closed is None and hal.closed is None
    async with httpx.AsyncClient(base_url=server.url) as browser:
        old = await browser.post(f"/api/sessions/{session['id']}/join", json={"token": session["tokens"]["edit"]})
        assert old.status_code == 401 and old.json()["error"]["code"] == "unauthorised"
        new = await browser.post(f"/api/sessions/{session['id']}/join", json={"token": answer["token"], "name": "Ada"})
        assert new.json()["role"] == "editor"


async def test_somebody_whose_link_was_replaced_comes_back_as_who_they_were(server: Server) -> None:
    session = server.session()
    host = Host(server, session)
    path = f"/api/sessions/{session['id']}/join"
    async with httpx.AsyncClient(base_url=server.url) as browser:
        first = (await browser.post(path, json={"token": session["tokens"]["edit"], "name": "Ada"})).json()
        token = (await host.call("POST", "/links/edit/rotate"))["token"]
        refused = await browser.post(path, json={})
        assert refused.status_code == 401 and "replaced" in refused.json()["error"]["message"]
        again = (await browser.post(path, json={"token": token})).json()
        assert again["participant"] == first["participant"]


async def test_the_host_who_replaces_the_host_link_stays(server: Server) -> None:
    session = server.session()
    async with httpx.AsyncClient(base_url=server.url, headers={"Origin": server.url}) as browser:
        path = f"/api/sessions/{session['id']}"
        await browser.post(f"{path}/join", json={"token": session["tokens"]["host"], "name": "Hal"})
        # Looking at one's own edit link does not make an editor of a host.
        again = await browser.post(f"{path}/join", json={"token": session["tokens"]["edit"]})
        assert again.json()["role"] == "host"
        assert (await browser.post(f"{path}/links/host/rotate")).status_code == 200
        assert (await browser.post(f"{path}/join", json={})).json()["role"] == "host"
    async with httpx.AsyncClient(base_url=server.url, headers=bearer(session["tokens"]["host"])) as old:
        assert (await old.patch(path, json={"title": "x"})).status_code == 401


async def test_a_role_is_changed_under_somebody_who_writes(server: Server) -> None:
    session = server.session(("a.txt", "text\n"))
    host = Host(server, session)
    async with join(server, session, "edit") as ada, join(server, session, "view", "Vic") as vic:
        await ada.ready("a.txt")
        me = (await ada.message("welcome"))["participant"]
        await host.call("PATCH", f"/participants/{me}", role="viewer")
        await ada.message("role", role="viewer")
        with ada.doc.transaction():
            ada.text_of("a.txt").insert(0, "no ")
        await ada.message("error", code="forbidden")
        ada.send("run.stop")
        await ada.message("error", after=len(ada.messages))
        viewer = (await vic.message("welcome"))["participant"]
        await host.call("PATCH", f"/participants/{viewer}", role="editor")
        await vic.message("role", role="editor")
        await vic.ready("a.txt")
        with vic.doc.transaction():
            vic.text_of("a.txt").insert(0, "yes ")
        await vic.all_saved()
        assert server.text(session, "a.txt") == "yes text\n"
        # What was refused meanwhile is asked for: what they write next builds on it.
        await host.call("PATCH", f"/participants/{me}", role="editor")
        await vic.wait(lambda: sorted(str(vic.text_of("a.txt")).split()) == ["no", "text", "yes"])
        with ada.doc.transaction():
            ada.text_of("a.txt").insert(0, "now ")
        await vic.wait(lambda: sorted(str(vic.text_of("a.txt")).split()) == ["no", "now", "text", "yes"])


async def test_roles_of_people_who_are_away(server: Server) -> None:
    session = server.session()
    host = Host(server, session)
    path = f"/api/sessions/{session['id']}/join"
    async with httpx.AsyncClient(base_url=server.url) as browser:
        me = (await browser.post(path, json={"token": session["tokens"]["edit"], "name": "Ada"})).json()["participant"]
        listed = (await host.call("GET", "/participants"))["participants"]
        assert [(p["name"], p["role"], p["here"]) for p in listed] == [("Ada", "editor", False)]
        await host.call("PATCH", f"/participants/{me}", role="viewer")
        # The link that she has does not undo it.
        assert (await browser.post(path, json={"token": session["tokens"]["edit"]})).json()["role"] == "viewer"
        await host.call("DELETE", f"/participants/{me}", expect=204)
        refused = await browser.post(path, json={"token": session["tokens"]["edit"]})
        assert refused.status_code == 403 and "removed" in refused.json()["error"]["message"]
        await host.call("PATCH", f"/participants/{me}", expect=404, role="editor")


async def test_the_removed_are_out_at_once(server: Server) -> None:
    session = server.session()
    host = Host(server, session)
    async with join(server, session) as ada:
        me = (await ada.message("welcome"))["participant"]
        await host.call("DELETE", f"/participants/{me}", expect=204)
        await ada.wait(lambda: ada.closed)
        assert ada.closed == protocol.FORBIDDEN.code


async def test_who_asks_and_goes_holds_nobody_up(server: Server) -> None:
    session = server.session(("a.txt", ""))
    async with join(server, session) as ada:
        await ada.ready("a.txt")
        for number in range(60):
            # The writer has just written, and takes the next a moment later.
            with ada.doc.transaction():
                ada.text_of("a.txt").insert(0, "x")
            await leave(server, session, "GET /history", number % 20 / 1000)
        await ada.all_saved()
    server.session()


async def test_what_a_host_decides_is_done_whole_also_where_they_leave(server: Server) -> None:
    session = server.session()
    host = Host(server, session)
    async with AsyncExitStack() as stack:
        people = {}
        for number in range(20):
            person = await stack.enter_async_context(join(server, session, name=f"P{number}"))
            people[(await person.message("welcome"))["participant"]] = person
        for number, participant in enumerate(people):
            await leave(server, session, f"DELETE /participants/{participant}", number / 100)
        # Behind all of them in the writer's queue.
        await host.call("PATCH", "", title="after")
        here = {known["participant"] for known in (await host.call("GET", "/participants"))["participants"]}
        for participant, person in people.items():
            if participant not in here:
                await person.wait(lambda person=person: person.closed == protocol.FORBIDDEN.code)
        assert len(here) < len(people)


@pytest.mark.parametrize("way", ["removed", "demoted", "link replaced"])
async def test_what_somebody_has_under_way_ends_with_their_right_to_it(tmp_path: Path, endless_model: Path, way: str) -> None:
    server = Server(tmp_path / "data", ENSEMBLE_MAX_PARALLEL_RUNS_PER_PERSON="1", **writes_on(endless_model))
    try:
        session = server.session(("a.py", "x = 1\n"), ("b.py", "y = 1\n"))
        host = Host(server, session)
        async with join(server, session, "edit") as ada, join(server, session, "host", "Hal") as hal:
            me = (await ada.message("welcome"))["participant"]
            for path in ("a.py", "b.py"):
                ada.send("run.start", instruction="write something long", file=await ada.ready(path))
            running, waiting = (await hal.message("run.started"))["run"], (await hal.message("run.queued"))["run"]
            if way == "removed":
                await host.call("DELETE", f"/participants/{me}", expect=204)
            elif way == "demoted":
                await host.call("PATCH", f"/participants/{me}", role="viewer")
            else:
                await host.call("POST", "/links/edit/rotate")
            for run in (running, waiting):
                assert (await hal.message("run.finished", run=run))["outcome"] == "stopped"
    finally:
        server.kill()


async def test_the_end_of_a_session_deletes_its_data(server: Server) -> None:
    import sqlite3

    session = server.session(("a.txt", "text\n"))
    host = Host(server, session)
    async with join(server, session) as ada:
        await ada.ready("a.txt")
        with ada.doc.transaction():
            ada.text_of("a.txt").insert(0, "x")
        await ada.wait(lambda: any(m["type"] == "saved" and m["updates"] for m in ada.messages))
        await host.call("DELETE", expect=204)
        await ada.wait(lambda: ada.closed)
        assert ada.closed == protocol.NOT_FOUND.code
    assert (await host.http.get(f"{server.url}/s/{session['id']}")).status_code == 404
    database = sqlite3.connect(server.data / "ensemble.sqlite3")
    tables = [
        name
        for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type='table' AND name LIKE 'editor_%' AND name <> 'editor_session'")
    ]
    assert len(tables) >= 6
    for table in tables:
        assert database.execute(f"SELECT count(*) FROM {table} WHERE session_id = ?", (session["id"],)).fetchone() == (0,), table
    database.close()


async def test_viewers_stop_where_the_host_allows_it(server: Server) -> None:
    session = server.session()
    host = Host(server, session)
    async with join(server, session, "view") as vic:
        vic.send("run.stop")
        await vic.message("error", code="forbidden")
        await host.call("PATCH", viewers_may_stop=True, title="Demo")
        told = await vic.message("session")
        assert told["session"]["viewers_may_stop"] is True and told["session"]["title"] == "Demo"
        seen = len(vic.messages)
        vic.send("run.stop")
        vic.send("run.stop", run="nosuchrun")
        await vic.message("error", after=seen, code="not_found")
        assert not any(m.get("code") == "forbidden" for m in vic.messages[seen:])
        vic.send("run.start", instruction="x", file="y")
        await vic.message("error", after=seen, code="forbidden")


def test_managing_is_for_hosts_and_from_our_own_page(server: Server) -> None:
    session = server.session()
    base = f"{server.url}/api/sessions/{session['id']}"
    for link in ("edit", "view"):
        for method, path in (("PATCH", ""), ("DELETE", ""), ("POST", "/links/edit/rotate"), ("GET", "/participants"), ("DELETE", "/participants/x")):
            answer = httpx.request(method, base + path, json={"title": "x"}, headers=bearer(session["tokens"][link]))
            assert answer.status_code == 403, (link, method, path, answer.text)
    with httpx.Client() as browser:
        browser.post(f"{base}/join", json={"token": session["tokens"]["host"], "name": "Hal"})
        assert browser.request("PATCH", base, json={"title": "x"}).status_code == 403
        for origin in ("null", "https://elsewhere.example"):
            assert browser.request("PATCH", base, json={"title": "x"}, headers={"Origin": origin}).status_code == 403
        assert browser.request("PATCH", base, json={"title": "x"}, headers={"Origin": server.url}).status_code == 200


def test_there_is_a_limit_on_sessions_and_it_is_named(tmp_path) -> None:
    server = Server(tmp_path / "data", ENSEMBLE_MAX_SESSIONS_PER_HOUR="2", ENSEMBLE_PROXIES="1")
    try:
        for address, status in (("9.9.9.9, 1.1.1.1", 201), ("1.1.1.1", 201), ("2.2.2.2", 201), ("8.8.8.8, 1.1.1.1", 429)):
            answer = httpx.post(server.url + "/api/sessions", json={}, headers={"X-Forwarded-For": address})
            assert answer.status_code == status, address
        assert "ENSEMBLE_MAX_SESSIONS_PER_HOUR" in answer.json()["error"]["message"]
    finally:
        server.kill()
    assert settings.ENSEMBLE["ENSEMBLE_PROXIES"] == 0


def test_no_sessions_at_all_is_a_limit_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(settings.ENSEMBLE, "ENSEMBLE_MAX_SESSIONS_PER_HOUR", 0)
    for _ in range(3):
        with pytest.raises(Refused, match="ENSEMBLE_MAX_SESSIONS_PER_HOUR"):
            views._count_session("1.2.3.4")
