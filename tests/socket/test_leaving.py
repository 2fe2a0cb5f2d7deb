"""People who do anything and leave at any moment: afterwards the session, and the server, work for who comes."""

from __future__ import annotations

import asyncio
import random
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx
from websockets.exceptions import ConnectionClosed

from tests.conftest import Client, Server, join, leave

TEXT = 'def greet(name):\n    print("Hello " + name)\n\n\ndef other(port=80):\n    return port\n'
WANTED = ("add a docstring saying Say hello", "rename greet to welcome", "change 80 to 8080", "make it async", "what does it do?")
REQUESTS = ("GET /history", "GET /history/live", "GET /export.zip", "GET /files/a.py", "GET /participants", "PATCH ")
PEOPLE, SECONDS = 10, 12.0


async def do_something(dice: random.Random, server: Server, session: dict[str, Any], client: Client, file: str) -> None:
    runs = [message["run"] for message in client.messages if "run" in message][-6:]
    text, wanted = client.text_of("a.py"), dice.choice(WANTED)
    place = {"instruction": wanted, "file": file, "selection": {"anchor": dice.randrange(60), "head": dice.randrange(60)}}
    match dice.randrange(9):
        case 0:
            text.insert(0, dice.choice(["x", "# y\n", "\n"]))
        case 1:
            with client.doc.transaction():
                text.clear()
                text.insert(0, TEXT)
        case 2:
            client.send("instruction.typed", text=wanted[: dice.randrange(1, 30)], file=file)
        case 3:
            client.send("run.start", mode=dice.choice(["edit", "ask"]), **place)
        case 4:
            client.send("run.start", variants=3, **place)
        case 5 if runs:
            client.send("run.steer", run=dice.choice(runs), instruction=wanted)
        case 6 if runs:
            client.send("run.keep", run=dice.choice(runs), variant=dice.randrange(3))
        case 7 if runs:
            client.send(dice.choice(["run.stop", "run.undo", "run.retry", "run.continue", "run.keep"]), run=dice.choice(runs))
        case _:
            await leave(server, session, dice.choice(REQUESTS), dice.random() * 0.06)


async def comes_and_goes(dice: random.Random, server: Server, session: dict[str, Any], until: float) -> None:
    while time.monotonic() < until:
        with suppress(ConnectionClosed):
            async with join(server, session, dice.choice(["edit", "host"])) as client:
                file = await client.ready("a.py")
                stays = min(until, time.monotonic() + dice.random() * 3)
                while time.monotonic() < stays and not client.closed:
                    await do_something(dice, server, session, client, file)
                    await asyncio.sleep(dice.random() ** 3 * 0.2)
                if dice.random() < 0.5:
                    client.socket.transport.abort()


async def test_whoever_leaves_at_whatever_moment_leaves_all_in_order(tmp_path: Path) -> None:
    # Drafts that are always too slow pause and are tried again.
    server = Server(tmp_path, ENSEMBLE_MAX_DRAFT_MS="1")
    try:
        sessions = [server.session(("a.py", TEXT)) for _ in range(3)]
        until = time.monotonic() + SECONDS
        await asyncio.gather(*(comes_and_goes(random.Random(number), server, sessions[number % 3], until) for number in range(PEOPLE)))
        for session in (*sessions, server.session(("a.py", TEXT))):
            async with join(server, session) as ada:
                file = await ada.ready("a.py")
                ada.send("run.stop")
                with ada.doc.transaction():
                    ada.text_of("a.py").clear()
                    ada.text_of("a.py").insert(0, TEXT)
                await ada.all_saved()
                seen = len(ada.messages)
                at = TEXT.index("80")
                ada.send("run.start", instruction="change 80 to 8080", file=file, selection={"anchor": at, "head": at})
                await ada.message("run.card", after=seen, outcome="done")
                expected = TEXT.replace("80", "8080")
                await ada.wait(lambda ada=ada, expected=expected: str(ada.text_of("a.py")) == expected)
        async with httpx.AsyncClient() as http:
            figures = (await http.get(server.url + "/metrics")).text
        assert 'ensemble_engine_waiting{engine="fast"} 0.0' in figures and 'ensemble_engine_streaming{engine="fast"} 0.0' in figures
        assert not [line for line in server.log if "Traceback" in line]
    finally:
        server.kill()
