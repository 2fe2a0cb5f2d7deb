"""Any ASGI server will do (docs/decisions/009): uvicorn, with stock clients, a slow reader, and a clean end."""

from __future__ import annotations

import asyncio
import json
import signal
import subprocess
import sys
from pathlib import Path

from tests.conftest import ROOT, Server, join
from tests.socket.test_slow_readers import small_window, tell_too_much


class Uvicorn(Server):
    command = (sys.executable, "-m", "uvicorn", "project.asgi:application", "--port", "0", "--ws", "websockets-sansio", "--log-level", "info")
    opened = "Uvicorn running on "


async def test_uvicorn_serves_as_daphne_does(tmp_path: Path) -> None:
    environment = {"ENSEMBLE_DATA": str(tmp_path / "data"), "ENSEMBLE_MAX_OUTBOX_BYTES": "50000"}
    subprocess.run([sys.executable, "manage.py", "migrate", "-v0"], cwd=ROOT, env={**Server.inherited(), **environment}, check=True)  # noqa: ASYNC221
    server = Uvicorn(tmp_path / "data", **environment)
    try:
        session = await asyncio.to_thread(server.session, ("a.txt", ""))
        command = ["node", str(ROOT / "tests" / "socket" / "stock_clients.mjs"), server.ws + "/ws", session["id"], session["tokens"]["edit"], "8"]
        stock = await asyncio.to_thread(subprocess.run, command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
        assert stock.returncode == 0, stock.stderr
        assert max(json.loads(stock.stdout)["join"]) <= 10
        slow = await small_window(server, session)
        await slow.send('{"type":"hello","version":1}')
        async with join(server, session) as ada:
            await tell_too_much(ada, slow)
            async with join(server, session, name="Bob") as bob:
                await bob.ready("a.txt")
                with ada.doc.transaction():
                    ada.text_of("a.txt").insert(0, "and this. ")
                # What has been received is written before the end.
                await bob.wait(lambda: str(bob.text_of("a.txt")) == "and this. the end")
                # uvicorn ends itself once more by the signal it was sent.
                assert await asyncio.to_thread(server.stop) in (0, -signal.SIGTERM)
        server.start()
        assert server.text(session, "a.txt") == "and this. the end"
    finally:
        server.kill()
