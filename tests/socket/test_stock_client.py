"""The binary frames are those of the stock npm ``y-websocket`` client, which knows nothing of us."""

from __future__ import annotations

import json
import subprocess

from tests.conftest import ROOT, Server


def test_stock_clients_converge_with_few_frames(server: Server) -> None:
    session = server.session(("notes.md", "# Notes\n"))
    script = ROOT / "tests" / "socket" / "stock_clients.mjs"
    command = ["node", str(script), server.ws + "/ws", session["id"], session["tokens"]["edit"], "8"]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=90, check=False)
    assert result.returncode == 0, result.stderr
    seen = json.loads(result.stdout)
    assert max(seen["join"]) <= 10, seen["join"]
    assert seen["keystroke"] == [0, 1, 1, 1, 1, 1, 1, 1]
    assert seen["textFrames"] == 0
    assert server.text(session, "notes.md") == seen["text"]
