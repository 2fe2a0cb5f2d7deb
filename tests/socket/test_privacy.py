"""Capabilities stay with those who have them: not in a log, not in a Referer, not with another site."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from pathlib import Path

import httpx
from websockets.asyncio.client import connect

from tests.conftest import ROOT, Server, bearer, join


async def test_no_capability_in_any_log_line(tmp_path: Path) -> None:
    server = Server(tmp_path / "data")
    try:
        session = server.session(("a.txt", "x"))
        tokens = list(session["tokens"].values())
        path = f"/api/sessions/{session['id']}"
        async with httpx.AsyncClient(base_url=server.url, verify=False) as browser:
            joined = await browser.post(f"{path}/join", json={"token": tokens[1], "name": "Ada"})
            cookie = next(iter(joined.cookies.values()))
            # Everything that is refused, or fails, is the kind of thing that gets logged.
            await browser.get(f"/s/{session['id']}?token={tokens[0]}")
            await browser.get(f"/s/{tokens[0]}")
            await browser.get(f"{path}/files/none?token={tokens[0]}", headers=bearer(tokens[0]))
            await browser.post(f"{path}/join", content=f'{{"token": "{tokens[0]}"')
            await browser.post(f"{path}/join", json={"token": tokens[0]}, headers={"Origin": "https://elsewhere.example"})
            await browser.get("/", headers={"Host": "a b", **bearer(tokens[0])})
            await browser.put(path, headers=bearer(tokens[0]))
        async with join(server, session) as ada:
            await ada.ready("a.txt")
            ada.send_bytes(b"\xff" + tokens[0].encode())
            ada.send("run.start", instruction=tokens[0], file=tokens[0])
            await ada.message("error", code="not_found")
        refused = await connect(
            f"{server.ws}/ws/{session['id']}?token={tokens[0]}", additional_headers={"Cookie": "x=y"}, origin="https://elsewhere.example"
        )  # type: ignore[arg-type]
        await refused.wait_closed()
        await asyncio.to_thread(server.stop)
        log = "\n".join(server.log)
        assert "Ensemble is open" in log
        for secret in (*tokens, cookie):
            assert secret not in log
    finally:
        server.kill()


def test_nothing_is_told_to_where_links_lead(server: Server) -> None:
    session = server.session()
    assert "#" in session["links"]["edit"], "the token is in the fragment, which no server sees"
    with httpx.Client(base_url=server.url, verify=False) as browser:
        for path in ("/", f"/s/{session['id']}", "/s/none", "/api/sessions/none/join", "/none", "/static/dist/session.js"):
            answer = browser.get(path)
            assert answer.headers["Referrer-Policy"] == "no-referrer", path
            assert answer.headers["X-Content-Type-Options"] == "nosniff", path
        page = browser.get(f"/s/{session['id']}")
        assert page.headers["X-Frame-Options"] == "DENY"
        assert "frame-ancestors 'none'" in page.headers["Content-Security-Policy"]


def production(tmp_path: Path, *command: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "ENSEMBLE_DATA": str(tmp_path), "ENSEMBLE_PUBLIC_URL": "https://pair.example.org"}
    return subprocess.run([sys.executable, "manage.py", *command], cwd=ROOT, env=environment, capture_output=True, text=True, check=False)


def test_django_finds_nothing_to_warn_of_in_production(tmp_path: Path) -> None:
    found = production(tmp_path, "check", "--deploy", "--fail-level", "INFO")
    assert found.returncode == 0, found.stderr
    # One warning is left to who owns the domain (project/settings.py says which).
    assert "(1 silenced)" in found.stdout + found.stderr


def test_what_people_write_is_nobody_elses_on_the_machine(tmp_path: Path) -> None:
    server = Server(tmp_path / "data")
    try:
        server.session(("a.txt", "secret"))
        assert [path.name for path in (tmp_path / "data", *(tmp_path / "data").iterdir()) if path.stat().st_mode & 0o077] == []
    finally:
        server.kill()


def test_behind_a_proxy_that_encrypts(tmp_path: Path) -> None:
    server = Server(tmp_path / "data", ENSEMBLE_PUBLIC_URL="https://pair.example.org")
    try:
        proxied = {"Host": "pair.example.org", "X-Forwarded-Proto": "https"}
        with httpx.Client(base_url=server.url, headers=proxied, verify=False) as browser:
            made = browser.post("/api/sessions", json={}).json()
            assert made["links"]["edit"].startswith("https://pair.example.org/s/")
            joined = browser.post(f"/api/sessions/{made['id']}/join", json={"token": made["tokens"]["edit"]})
            cookie = joined.headers["Set-Cookie"]
            assert all(part in cookie for part in ("Secure", "HttpOnly", "SameSite=Lax"))
            assert "max-age=31536000" in browser.get("/").headers["Strict-Transport-Security"]
            plain = browser.get("/", headers={"X-Forwarded-Proto": "http"})
            assert plain.status_code == 301
            assert plain.headers["Location"] == "https://pair.example.org/"
            assert browser.get("/", headers={"Host": "elsewhere.example"}).status_code == 400
        for path in ("/livez", "/readyz", "/metrics"):
            # A probe names the machine as it likes.
            assert httpx.get(server.url + path, headers={"Host": "10.0.0.5:8000"}).status_code == 200, path
        assert httpx.get(server.url + "/", headers={"Host": "10.0.0.5:8000", "X-Forwarded-Proto": "https"}).status_code == 400
    finally:
        server.kill()
