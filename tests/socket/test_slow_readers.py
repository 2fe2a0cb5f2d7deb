"""Somebody who stops reading: the server's memory stays bounded, nobody else waits, and one update brings them back."""

from __future__ import annotations

import asyncio
import os
import socket
import time
from contextlib import suppress
from pathlib import Path

from pycrdt import Doc, Map
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from editor import protocol, wire
from tests.conftest import Client, Server, bearer, join

CHUNK = 100_000
# On a slow disk as many as there is time for: it must end before the server misses the sleeper's pongs, after 50 s.
ROUNDS, ROUNDS_S = 300, 30


def resident(server: Server) -> int:
    """Bytes of memory of the server's process."""
    pages = int(Path(f"/proc/{server.process.pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


async def small_window(server: Server, session: dict) -> ClientConnection:
    """A client whose system takes little for it: what it does not read stays on the server's side. Nothing is compressed:
    a server that offers it (uvicorn) would put all of a test's repeated letters into the little that is taken."""
    plain = socket.socket()
    plain.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    host, port = server.url.removeprefix("http://").split(":")
    plain.connect((host, int(port)))
    plain.setblocking(False)
    address = f"{server.ws}/ws/{session['id']}"
    headers = bearer(session["tokens"]["view"])
    return await connect(address, sock=plain, additional_headers=headers, compression=None, max_size=None, max_queue=1, ping_interval=None)


async def test_who_reads_again_is_brought_up_to_date_by_one_update(tmp_path) -> None:
    server = Server(tmp_path / "data")
    try:
        session = server.session(("a.txt", ""), ("b.txt", "small\n"))
        slow = await small_window(server, session)
        async with join(server, session, name="Ada") as ada, join(server, session, name="Bob") as bob:
            await ada.ready("a.txt")
            await bob.ready("a.txt")
            before = resident(server)
            shared = ada.text_of("a.txt")
            rounds, end = 0, time.monotonic() + ROUNDS_S
            while rounds < ROUNDS and time.monotonic() < end:
                rounds += 1
                # Written and taken back: the document stays small, what goes over the wire does not.
                with ada.doc.transaction():
                    shared.insert(0, f"{rounds:06}" * (CHUNK // 6))
                with ada.doc.transaction():
                    shared.clear()
                await ada.all_saved()
            with ada.doc.transaction():
                shared.insert(0, "the end 😀")
            # The others do not wait for the one who sleeps.
            await bob.wait(lambda: str(bob.text_of("a.txt")) == "the end 😀")
            assert resident(server) - before < rounds * CHUNK / 2
        doc: Doc = Doc()
        files = doc.get("files", type=Map)
        doc_bytes = 0
        await slow.send(wire.sync_step1(doc.get_state()))
        async with asyncio.timeout(30):
            while not any(str(entry["text"]) == "the end 😀" for entry in files.values()):
                frame = wire.decode(await slow.recv())  # type: ignore[arg-type]
                if isinstance(frame, wire.Update):
                    doc_bytes += len(frame.data)
                    doc.apply_update(frame.data)
        assert doc_bytes < rounds * CHUNK / 2
        await slow.close()
    finally:
        server.kill()


async def tell_too_much(ada: Client, slow: ClientConnection) -> None:
    """Fills up the slow one's socket, then has them told more than may wait; they must be closed with the documented code."""
    file = await ada.ready("a.txt")
    shared = ada.text_of("a.txt")
    for _ in range(60):
        with ada.doc.transaction():
            shared.insert(0, "x" * CHUNK)
        # Told before it is taken back: of both in one tick nothing would be left to tell.
        await ada.all_saved()
        with ada.doc.transaction():
            shared.clear()
    await ada.all_saved()
    # An instruction line goes to everybody at each keystroke.
    for _ in range(60):
        ada.send("instruction.typed", text="y" * 4000, file=file)
    # Frames are read in order: with this one saved, the lines before it have been passed on.
    with ada.doc.transaction():
        shared.insert(0, "the end")
    await ada.all_saved()
    async with asyncio.timeout(30):
        with suppress(ConnectionClosed):
            while True:
                await slow.recv()
    assert slow.close_code == protocol.BEHIND.code


async def test_who_lets_messages_pile_up_is_closed_with_a_code(tmp_path) -> None:
    server = Server(tmp_path / "data", ENSEMBLE_MAX_OUTBOX_BYTES="50000")
    try:
        session = server.session(("a.txt", ""))
        slow = await small_window(server, session)
        await slow.send('{"type":"hello","version":1}')
        async with join(server, session, name="Ada") as ada:
            await tell_too_much(ada, slow)
            await ada.message("participants", participants=[p for p in ada.messages if p["type"] == "participants"][-1]["participants"])
    finally:
        server.kill()
