"""Random plans: people write, delete, undo, leave, come back, change roles; the server is killed. Everybody converges, and what was saved is there, once."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest

from tests.conftest import ROOT, Server

# ENSEMBLE_PLANS=10000 make test ARGS='tests/socket/test_plans.py --timeout 0'; from another number: ENSEMBLE_FIRST_PLAN=77
PLANS = int(os.environ.get("ENSEMBLE_PLANS", "600"))
FIRST = int(os.environ.get("ENSEMBLE_FIRST_PLAN", "0"))
# Plans under way at the same time: one kill is for all of them.
WAVE = 50


@pytest.mark.timeout(900)
def test_people_converge_whatever_happens(tmp_path: Path) -> None:
    server = Server(tmp_path / "data", ENSEMBLE_MAX_SESSIONS_PER_HOUR="1000000", ENSEMBLE_MAX_LOG_UPDATES="40")
    script = ROOT / "tests" / "socket" / "plans.mjs"
    process = subprocess.Popen(
        ["node", str(script), server.url, str(FIRST), str(PLANS), str(WAVE)],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdin
        assert process.stdout
        last = ""
        for line in process.stdout:
            last = line.strip()
            if last == "kill":
                server.kill()
                server.start()
                process.stdin.write("up\n")
                process.stdin.flush()
        assert process.wait() == 0, process.stderr.read() if process.stderr else ""
        done = json.loads(last)
        assert done == {"plans": PLANS, "kills": 2 * -(-PLANS // WAVE)}
    finally:
        process.kill()
        server.kill()
