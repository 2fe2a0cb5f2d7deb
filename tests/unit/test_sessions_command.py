"""``manage.py sessions`` on a database of its own."""

from __future__ import annotations

import subprocess
import sys
from datetime import timedelta
from pathlib import Path

from tests.conftest import ROOT, Server, wait_until


def manage(data: Path, *arguments: str) -> str:
    result = subprocess.run(
        [sys.executable, "manage.py", *arguments], cwd=ROOT, env={"ENSEMBLE_DATA": str(data), "PATH": ""}, capture_output=True, text=True, check=True
    )
    return result.stdout


def test_before_the_first_start_there_is_one_line(tmp_path: Path) -> None:
    command = [sys.executable, "manage.py", "sessions", "list"]
    result = subprocess.run(command, cwd=ROOT, env={"ENSEMBLE_DATA": str(tmp_path), "PATH": ""}, capture_output=True, text=True, check=False)
    assert result.returncode == 1
    assert "first start" in result.stderr and len(result.stderr.strip().splitlines()) == 1


def test_sessions_are_listed_renewed_and_expire(tmp_path: Path) -> None:
    data = tmp_path / "data"
    server = Server(data)
    try:
        kept, old = server.session(title="Kept")["id"], server.session(title="Old")["id"]
    finally:
        assert server.stop() == 0
    listed = manage(data, "sessions", "list")
    assert kept in listed and "Old" in listed
    shell = "from editor.models import Session; print(*Session.objects.order_by('pk').values_list('pk', 'lineage'))"
    before = manage(data, "shell", "--no-imports", "-c", shell)
    manage(data, "sessions", "new-lineage", "--all")
    after = manage(data, "shell", "--no-imports", "-c", shell)
    assert before != after and kept in after
    days = timedelta(days=31).total_seconds()
    past = f"from editor.models import Session; s = Session.objects.get(pk='{old}'); import datetime; s.expires_at -= datetime.timedelta(0, {days}); s.save()"
    manage(data, "shell", "--no-imports", "-c", past)
    # The server does at its start what it does each hour: whose time is over goes, and nobody else.
    server.start()
    try:
        wait_until(lambda: old not in manage(data, "sessions", "list"), "the expired session is deleted")
        assert kept in manage(data, "sessions", "list")
    finally:
        server.kill()
