"""The table of role x action, asked of every transport: what it allows goes through, what it does not is refused."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import httpx
import pytest
from django.urls import get_resolver
from pycrdt import Doc, Map
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from editor import consumers, messages, protocol, wire
from editor.permissions import ACTIONS, LINK_ROLES, ROLES, Action, may
from tests.conftest import Server, bearer


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    running = Server(tmp_path_factory.mktemp("data"), ENSEMBLE_MAX_SESSIONS_PER_HOUR="100000")
    yield running
    running.kill()


LINK_OF = {role: link for link, role in LINK_ROLES.items()}


@dataclass
class Someone:
    """Somebody in a session who brings a Bearer token, or a cookie from our own page."""

    server: Server
    session: dict[str, Any]
    headers: dict[str, str]

    @property
    def base(self) -> str:
        return f"{self.server.url}/api/sessions/{self.session['id']}"

    async def http(self, method: str, path: str, body: object = None) -> bool:
        """Whether it was allowed."""
        async with httpx.AsyncClient(headers=self.headers, verify=False) as browser:
            answer = await browser.request(method, self.base + path, json=body)
        assert answer.status_code in (200, 204, 400, 401, 403, 404), answer.text
        return answer.status_code not in (401, 403)

    @asynccontextmanager
    async def socket(self) -> AsyncIterator[tuple[ClientConnection, Doc]]:
        """A socket that has said hello, and the document it was given."""
        async with connect(f"{self.server.ws}/ws/{self.session['id']}", additional_headers=self.headers) as socket:
            doc: Doc = Doc()
            await socket.send(json.dumps({"type": "hello", "version": 1}))
            await socket.send(wire.sync_step1(doc.get_state()))
            while not len(doc.get("files", type=Map)):
                data = await asyncio.wait_for(socket.recv(), 10)
                frame = wire.decode(data) if isinstance(data, bytes) else None
                if isinstance(frame, wire.Update):
                    doc.apply_update(frame.data)
            yield socket, doc

    async def says(self, frame: bytes | str) -> bool:
        """Whether a frame was allowed. Frames are handled in order: what follows an unknown type has been judged before it."""
        async with self.socket() as (socket, _):
            return await judged(socket, frame)

    async def writes(self, make: Callable[[bytes], bytes]) -> bool:
        """Whether a change of the text was allowed: the server says so, and the text itself."""
        async with self.socket() as (socket, doc):
            known = doc.get_state()
            text = next(iter(doc.get("files", type=Map).values()))["text"]
            text.insert(0, "written ")
            allowed = await judged(socket, make(doc.get_update(known)))
        async with self.socket() as (_, doc):
            assert str(next(iter(doc.get("files", type=Map).values()))["text"]).startswith("written ") == allowed
        return allowed


async def judged(socket: ClientConnection, frame: bytes | str) -> bool:
    await socket.send(frame)
    await socket.send('{"type":"the end"}')
    allowed = True
    while True:
        data = await asyncio.wait_for(socket.recv(), 10)
        message = json.loads(data) if isinstance(data, str) else {}
        if message.get("type") == "error":
            if "the end" in message["message"]:
                return allowed
            allowed = allowed and message["code"] not in ("forbidden", "unauthorised")


def overlong(*values: int) -> bytes:
    """Numbers in more bytes than they need, as lib0 reads them too."""
    return b"".join(bytes([value | 0x80, 0x80, 0x00]) for value in values)


def http(method: str, path: str, body: object = None) -> Callable[[Someone], Awaitable[bool]]:
    return lambda someone: someone.http(method, path, body)


def message(kind: str, **fields: object) -> Callable[[Someone], Awaitable[bool]]:
    return lambda someone: someone.says(json.dumps({"type": kind, **fields}))


def update(make: Callable[[bytes], bytes]) -> Callable[[Someone], Awaitable[bool]]:
    return lambda someone: someone.writes(make)


async def receives(someone: Someone) -> bool:
    async with someone.socket():
        return True


WAYS: tuple[tuple[Action, str, Callable[[Someone], Awaitable[bool]]], ...] = (
    ("read", "ws", receives),
    ("read", "GET files/<path>", http("GET", "/files/a.txt")),
    ("read", "GET export.zip", http("GET", "/export.zip")),
    ("write", "update frame", update(wire.update)),
    ("write", "sync step 2 frame", update(wire.sync_step2)),
    ("write", "update frame, overlong kind", update(lambda data: overlong(0) + b"\x02" + wire.chunk(data))),
    ("write", "update frame, overlong step", update(lambda data: b"\x00" + overlong(2) + wire.chunk(data))),
    ("write", "update frame, overlong length", update(lambda data: b"\x00\x02" + bytes([len(data) & 0x7F | 0x80, len(data) >> 7 | 0x80, 0]) + data)),
    ("write", "sync step 2 frame, overlong", update(lambda data: overlong(0, 1) + wire.chunk(data))),
    # The update's own first number, the count of clients, is what tells that it holds more than deletions.
    ("write", "sync step 2 frame, overlong count", update(lambda data: wire.sync_step2(overlong(data[0]) + data[1:]))),
    ("instruct", "instruction.typed", message("instruction.typed", text="x", file="f")),
    ("instruct", "run.start", message("run.start", instruction="x", file="f")),
    ("instruct", "run.steer", message("run.steer", run="r", instruction="x")),
    ("instruct", "run.undo", message("run.undo", run="r")),
    ("instruct", "run.retry", message("run.retry", run="r")),
    ("instruct", "run.continue", message("run.continue", run="r")),
    ("instruct", "run.keep", message("run.keep", run="r")),
    ("stop", "run.stop", message("run.stop")),
    ("history", "GET history", http("GET", "/history")),
    ("history", "GET history/<segment>", http("GET", "/history/live")),
    ("history", "GET export.zip?version", http("GET", "/export.zip?version=1")),
    ("share_view", "GET qr.svg", http("GET", "/qr.svg?role=view")),
    ("share_edit", "GET qr.svg", http("GET", "/qr.svg?role=edit")),
    ("manage", "PATCH session", http("PATCH", "", {"title": "x"})),
    ("manage", "DELETE session", http("DELETE", "")),
    ("manage", "POST rotate", http("POST", "/links/view/rotate")),
    ("manage", "GET participants", http("GET", "/participants")),
    ("manage", "GET model", http("GET", "/model")),
    ("manage", "PUT model", http("PUT", "/model", {"model": "nothing"})),
    ("manage", "PATCH participant", http("PATCH", "/participants/nobody", {"role": "viewer"})),
    ("manage", "DELETE participant", http("DELETE", "/participants/nobody")),
)  # fmt: skip
# A QR code is for a person in front of a page; a token's own holder has the link already.
COOKIE_ONLY = {"GET qr.svg"}
CREDENTIALS = ("bearer", "cookie")


async def somebody(server: Server, role: str, credential: str, removed: bool = False) -> Someone:
    session = await asyncio.to_thread(server.session, ("a.txt", "text\n"))
    token = session["tokens"][LINK_OF[role]]
    if credential == "bearer":
        return Someone(server, session, bearer(token))
    async with httpx.AsyncClient(base_url=server.url, verify=False) as browser:
        joined = await browser.post(f"/api/sessions/{session['id']}/join", json={"token": token, "name": "Ada"})
        cookies = "; ".join(f"{name}={value}" for name, value in browser.cookies.items())
        if removed:
            await browser.delete(
                f"/api/sessions/{session['id']}/participants/{joined.json()['participant']}", headers=bearer(session["tokens"]["host"])
            )
    return Someone(server, session, {"Cookie": cookies, "Origin": server.url})


CASES = [(*way, credential) for way in WAYS for credential in CREDENTIALS if not (way[1] in COOKIE_ONLY and credential == "bearer")]


@pytest.mark.parametrize(("action", "name", "way", "credential"), CASES, ids=[f"{case[0]}: {case[1]}, {case[3]}" for case in CASES])
async def test_each_role_may_what_the_table_says(
    server: Server, action: Action, name: str, way: Callable[[Someone], Awaitable[bool]], credential: str
) -> None:
    for role in ROLES:
        someone = await somebody(server, role, credential)
        assert await way(someone) == may(role, action), role


@pytest.mark.parametrize(("action", "name", "way"), WAYS, ids=[f"{action}: {name}" for action, name, _ in WAYS])
async def test_the_removed_and_strangers_may_nothing(server: Server, action: Action, name: str, way: Callable[[Someone], Awaitable[bool]]) -> None:
    removed = await somebody(server, "host", "cookie", removed=True)
    stranger = await somebody(server, "host", "bearer")
    stranger.session = await asyncio.to_thread(server.session, ("a.txt", "text\n"))
    # A cookie that another site's page brought along.
    forged = await somebody(server, "host", "cookie")
    forged.headers["Origin"] = "https://elsewhere.example"
    for someone in (removed, stranger, forged):
        if someone is forged and name.startswith("GET"):
            continue  # reading by HTTP: browsers give another site's page no answer to see
        assert not await way_in(someone, way)


async def way_in(someone: Someone, way: Callable[[Someone], Awaitable[bool]]) -> bool:
    try:
        return await way(someone)
    except ConnectionClosed as closed:
        # Before it was told anything.
        return closed.rcvd is None or closed.rcvd.code not in (protocol.UNAUTHORISED.code, protocol.FORBIDDEN.code)


def test_the_matrix_is_whole() -> None:
    assert {action for action, _, _ in WAYS} == set(ACTIONS)
    named = {name for _, name, _ in WAYS}
    assert set(messages.TO_SERVER) - {"hello"} <= named
    assert {name: action for action, name, _ in WAYS if name in messages.TO_SERVER} == consumers.NEEDS
    routes = {str(pattern.pattern) for pattern in get_resolver().url_patterns}
    # Those that are for a session, but for the one that lets people in.
    assert len([route for route in routes if route.startswith("api/sessions/<") and not route.endswith("/join")]) == 10
