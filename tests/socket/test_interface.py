"""What a client of its own, which knows nothing but the documentation, may count on: order, answers, and who is told what."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from editor import protocol, wire
from tests.conftest import Server, bearer, join

EDIT = "change 80 to 8080"


def opened(server: Server, session: dict[str, Any], link: str = "edit") -> connect:
    return connect(f"{server.ws}/ws/{session['id']}", additional_headers=bearer(session["tokens"][link]), max_size=None)


async def heard(socket: ClientConnection, kind: str) -> dict[str, Any]:
    async with asyncio.timeout(30):
        while True:
            data = await socket.recv()
            if isinstance(data, str) and json.loads(data)["type"] == kind:
                return json.loads(data)


async def test_a_client_that_says_no_hello_hears_its_own_state(server: Server) -> None:
    """Stock ones that hear nothing for half a minute begin anew."""
    session = server.session()
    async with opened(server, session) as socket, join(server, session, name="Grace") as grace:
        await grace.message("welcome")
        await socket.send(wire.awareness([wire.AwarenessEntry(77, 1, '{"cursor":1}')]))
        async with asyncio.timeout(30):
            while True:
                frame = wire.decode(await socket.recv())
                if isinstance(frame, wire.Awareness) and any((entry.client, entry.clock) == (77, 1) for entry in frame.entries):
                    break


async def test_a_welcome_does_not_count_as_what_waits(tmp_path: Path) -> None:
    server = Server(tmp_path / "data", ENSEMBLE_MAX_OUTBOX_BYTES="1000")
    try:
        session = server.session(*((f"{number}.txt", "x" * 1_000_000) for number in range(8)))
        async with opened(server, session) as socket:
            await socket.send(wire.sync_step1(b"\x00"))
            await socket.send(json.dumps({"type": "hello", "version": 1}))
            assert len(json.dumps(await heard(socket, "welcome"))) > 1000
    finally:
        server.kill()


async def test_text_comes_before_what_is_said_of_its_places(server: Server) -> None:
    session = server.session(("a.py", "port = 80\n"))
    async with join(server, session) as ada, opened(server, session) as socket:
        await socket.send(json.dumps({"type": "hello", "version": 1, "name": "Grace"}))
        await heard(socket, "welcome")
        file = await ada.ready("a.py")
        with ada.doc.transaction():
            ada.text_of("a.py").insert(0, "# a comment of some length\n")
        ada.send("run.start", instruction=EDIT, file=file)
        before = b""
        async with asyncio.timeout(30):
            while isinstance(data := await socket.recv(), bytes) or json.loads(data)["type"] != "run.started":
                before += data if isinstance(data, bytes) else b""
        assert b"# a comment" in before


async def test_every_request_about_a_run_is_answered(server: Server) -> None:
    session = server.session(("a.py", "port = 80\n"))
    async with join(server, session) as ada:
        file = await ada.ready("a.py")
        ada.send("run.start", instruction=EDIT, file=file)
        run = (await ada.message("run.finished"))["run"]
        # The card may still be on its way.
        ada.send("run.keep", run=run)
        await ada.message("run.card", run=run, kept=True)
        # One behind the other, the second on what the first leaves.
        ada.send("run.undo", run=run)
        ada.send("run.retry", run=run)
        await ada.message("run.card", run=run, undone=True)
        again = await ada.message("run.card", retries=run)
        assert again["outcome"] == "done"
        assert server.text(session, "a.py") == "port = 8080\n"
        known = len(ada.messages)
        ada.send("run.undo", run=run)
        assert (await ada.message("run.card", after=known - 1, run=run))["undone"]
        ada.send("run.keep", run=run)
        assert "undone" in (await ada.message("error", run=run))["message"]
        for kind in ("run.steer", "run.undo", "run.keep", "run.stop"):
            ada.send(kind, run="nope", **({"instruction": "x"} if kind == "run.steer" else {}))
            known = len(ada.messages)
            assert (await ada.message("error", after=known - 1, run="nope"))["code"] == "not_found", kind


async def test_a_hello_that_cannot_be_is_answered_and_is_none(server: Server) -> None:
    session = server.session(("a.py", "port = 80\n"))
    for hello, code in (({}, "bad_message"), ({"version": "1"}, "bad_message"), ({"version": 99}, "unsupported_version")):
        async with opened(server, session) as socket:
            await socket.send(json.dumps({"type": "hello", **hello}))
            assert (await heard(socket, "error"))["code"] == code
            await socket.send(json.dumps({"type": "run.stop"}))
            assert "hello" in (await heard(socket, "error"))["message"]
            await socket.send(json.dumps({"type": "hello", "version": 1}))
            await heard(socket, "welcome")


async def test_a_close_says_why(server: Server) -> None:
    session = server.session()
    url = f"{server.ws}/ws/{session['id']}"
    for headers, close in (
        ({}, protocol.UNAUTHORISED),
        (bearer("wrong"), protocol.UNAUTHORISED),
        ({"Origin": "https://elsewhere.example"}, protocol.FORBIDDEN),
    ):
        socket = await connect(url, additional_headers=headers)
        await socket.wait_closed()
        assert (socket.close_code, bool(socket.close_reason)) == (close.code, True), headers
    socket = await connect(f"{server.ws}/ws/nosuchsession", additional_headers=bearer(session["tokens"]["edit"]))
    await socket.wait_closed()
    assert socket.close_code == protocol.NOT_FOUND.code and socket.close_reason
    async with opened(server, session) as socket:
        try:
            await socket.send(bytes(9 * 2**20))
            await socket.wait_closed()
        except ConnectionClosed:
            pass
        assert socket.close_code == 1009


async def test_what_is_said_for_somebody_costs_them_no_move(server: Server) -> None:
    session = server.session()
    async with join(server, session, name="Grace") as grace, opened(server, session) as socket:
        await grace.message("welcome")
        seen: dict[int, tuple[int, str]] = {}
        moved = asyncio.Event()

        async def watch(other: ClientConnection) -> None:
            # As y-protocols takes states: newer ones, and that somebody has gone.
            async for data in other:
                frame = wire.decode(data) if isinstance(data, bytes) else None
                for entry in frame.entries if isinstance(frame, wire.Awareness) else ():
                    clock, state = seen.get(entry.client, (-1, "null"))
                    if clock < entry.clock or (clock == entry.clock and entry.state == "null" != state):
                        seen[entry.client] = (entry.clock, entry.state)
                        moved.set()

        async with opened(server, session) as other:
            watching = asyncio.create_task(watch(other))

            async def shows(words: str) -> None:
                async with asyncio.timeout(30):
                    while words not in seen.get(9, (0, ""))[1]:
                        moved.clear()
                        await moved.wait()

            await socket.send(wire.awareness([wire.AwarenessEntry(9, 5, '{"file":"one"}')]))
            await shows("one")
            await socket.send(json.dumps({"type": "hello", "version": 1, "name": "Ada"}))
            await shows("Ada")
            await socket.send(wire.awareness([wire.AwarenessEntry(9, 6, '{"file":"two"}')]))
            await shows("two")
            await socket.close()
            await shows("null")
            async with opened(server, session) as back:
                await back.send(wire.awareness([wire.AwarenessEntry(9, 6, '{"file":"three"}')]))
                await shows("three")
            watching.cancel()


async def test_a_line_goes_with_who_typed_it_and_newcomers_see_it(server: Server) -> None:
    session = server.session(("a.py", "port = 80\n"))
    async with join(server, session, name="Grace") as grace:
        await grace.message("welcome")
        async with join(server, session) as ada:
            file = await ada.ready("a.py")
            ada.send("instruction.typed", text="change 8", file=file)
            await grace.message("instruction.typed", text="change 8")
            async with join(server, session, name="Late") as late:
                assert (await late.message("instruction.typed"))["text"] == "change 8"
        await grace.message("instruction.typed", text="", file=file)
