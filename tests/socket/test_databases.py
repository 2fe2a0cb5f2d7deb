"""What is said to be saved, on both databases: crashes, a database that goes away, tables that cannot be read."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest
from websockets.asyncio.client import connect

from editor import protocol
from tests.conftest import Client, Server, bearer, join
from tests.postgres import Postgres, programs


@dataclass
class Database:
    url: str
    execute: Callable[[str], None]


@pytest.fixture(scope="module")
def postgres() -> Iterator[Postgres]:
    if programs() is None:
        pytest.skip("PostgreSQL is not installed (Debian: postgresql)")
    running = Postgres()
    yield running
    running.remove()


@pytest.fixture(params=("sqlite", "postgres"))
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Database:
    if request.param == "postgres":
        url = request.getfixturevalue("postgres").database()

        def execute(statement: str) -> None:
            with psycopg.connect(url.replace("postgres://ensemble@/", "postgresql:///") + "&user=ensemble", autocommit=True) as connection:
                connection.execute(statement)
    else:
        path = tmp_path / "text.sqlite3"
        url = f"sqlite:///{path}"

        def execute(statement: str) -> None:
            connection = sqlite3.connect(path, timeout=10)
            connection.execute(statement)
            connection.commit()
            connection.close()

    return Database(url, execute)


@pytest.fixture
def server(database: Database, tmp_path: Path) -> Iterator[Server]:
    running = Server(tmp_path / "data", DATABASE_URL=database.url, ENSEMBLE_MAX_LOG_UPDATES="20")
    yield running
    running.kill()


def write(client: Client, words: str) -> None:
    with client.doc.transaction():
        client.text_of("a.txt").insert(0, words)


async def test_what_is_saved_survives_every_kind_of_end(server: Server) -> None:
    session = server.session(("a.txt", "."))
    async with join(server, session, name="Ada") as ada, join(server, session, name="Bob") as bob:
        await ada.ready("a.txt")
        await bob.ready("a.txt")
        # More than one snapshot's worth, and two who write into each other.
        for number in range(40):
            write(ada, f"a{number} ")
            write(bob, f"😀{number} ")
            if number % 4 == 0:
                await ada.all_saved()
        await ada.all_saved()
        await bob.all_saved()
    server.kill()
    server.start()
    expected = sorted(f"{who}{number}" for who in ("a", "😀") for number in range(40))
    text = server.text(session, "a.txt")
    assert sorted(text.rstrip(".").split()) == expected
    async with join(server, session, name="Ada") as ada, join(server, session, name="Bob") as bob:
        await ada.ready("a.txt")
        await bob.ready("a.txt")
        write(ada, "last ")
        # It has arrived; whether it was saved by now is for the clean stop to see to.
        await bob.wait(lambda: str(bob.text_of("a.txt")).startswith("last "))
        assert await asyncio.to_thread(server.stop) == 0
        await ada.wait(lambda: ada.closed)
        assert ada.closed == protocol.SHUTDOWN.code
    server.start()
    assert server.text(session, "a.txt") == "last " + text


async def test_a_run_beside_a_nul_keeps_its_card_and_its_undo(server: Server) -> None:
    text = 'END = "\0"\nport = 80\n'
    session = server.session(("a.py", text))
    async with join(server, session) as ada:
        file = await ada.ready("a.py")
        ada.send("run.start", instruction="change 80 to 8080", file=file)
        card = await ada.message("run.card")
        assert card["outcome"] == "done"
        assert server.text(session, "a.py") == text.replace("80", "8080")
    assert server.stop() == 0
    server.start()
    async with join(server, session) as ada:
        assert [known["run"] for known in (await ada.message("welcome"))["runs"]] == [card["run"]]
        await ada.ready("a.py")
        ada.send("run.undo", run=card["run"])
        await ada.message("run.card", run=card["run"], undone=True)
        assert server.text(session, "a.py") == text


async def test_while_nothing_can_be_written_people_are_told_and_go_on(server: Server, database: Database) -> None:
    session = server.session(("a.txt", ""))
    async with join(server, session, name="Ada") as ada, join(server, session, name="Bob") as bob:
        await ada.ready("a.txt")
        await bob.ready("a.txt")
        write(ada, "before ")
        await ada.all_saved()
        seen = len(ada.messages)
        database.execute("ALTER TABLE editor_documentupdate RENAME TO away")
        write(ada, "during ")
        for person in (ada, bob):
            told = await person.message("storage", state="failing")
            assert "kept in memory" in told["message"]
        assert not [m for m in ada.messages[seen:] if m["type"] == "saved"]
        write(bob, "more ")
        await ada.wait(lambda: "more " in str(ada.text_of("a.txt")))
        # Who comes meanwhile cannot be let in, and is told so at once.
        async with httpx.AsyncClient(base_url=server.url) as browser:
            answer = await browser.post("/api/sessions", json={})
            assert answer.status_code == 503 and answer.json()["error"]["code"] == "unavailable"
        late = await connect(f"{server.ws}/ws/{session['id']}", additional_headers=bearer(session["tokens"]["view"]))
        await late.wait_closed()
        assert late.close_code == protocol.UNAVAILABLE.code
        database.execute("ALTER TABLE away RENAME TO editor_documentupdate")
        await ada.message("storage", state="ok")
        await ada.all_saved()
        await bob.all_saved()
        expected = str(ada.text_of("a.txt"))
    server.kill()
    server.start()
    assert server.text(session, "a.txt") == expected
    assert sorted(expected.split()) == ["before", "during", "more"]


@pytest.mark.parametrize("fault", ["missing", "damaged"])
async def test_a_session_that_cannot_be_read_is_refused_and_never_replaced(server: Server, database: Database, fault: str) -> None:
    session = server.session(("a.txt", "precious\n"))
    server.kill()
    database.execute("CREATE TABLE away AS SELECT id, session_id, data FROM editor_documentupdate")
    database.execute("DELETE FROM editor_documentupdate" if fault == "missing" else "UPDATE editor_documentupdate SET data = substr(data, 1, 9)")
    server.start()
    for _ in range(2):
        socket = await connect(f"{server.ws}/ws/{session['id']}", additional_headers=bearer(session["tokens"]["edit"]))
        await socket.wait_closed()
        assert socket.close_code == protocol.UNAVAILABLE.code
    async with httpx.AsyncClient(headers=bearer(session["tokens"]["edit"])) as browser:
        answer = await browser.get(f"{server.url}/api/sessions/{session['id']}/files/a.txt")
        assert answer.status_code == 503
    if fault == "missing":
        database.execute("INSERT INTO editor_documentupdate (id, session_id, at, data) SELECT id, session_id, 0, data FROM away")
    else:
        database.execute("UPDATE editor_documentupdate SET data = (SELECT data FROM away WHERE away.id = editor_documentupdate.id)")
    assert server.text(session, "a.txt") == "precious\n"


async def test_a_database_server_that_crashes_and_comes_back(postgres: Postgres, tmp_path: Path) -> None:
    server = Server(tmp_path / "data", DATABASE_URL=postgres.database())
    try:
        session = server.session(("a.txt", ""))
        async with join(server, session, name="Ada") as ada:
            await ada.ready("a.txt")
            write(ada, "before ")
            await ada.all_saved()
            postgres.stop("immediate")
            write(ada, "during ")
            await ada.message("storage", state="failing")
            assert await _status(server, "/readyz") == 503
            assert not [line for line in server.log if "readyz" in line]
            postgres.start()
            await ada.message("storage", state="ok")
            await ada.all_saved()
        assert await _status(server, "/readyz") == 200
        # Every thread's connection was cut, not only the writer's.
        for _ in range(8):
            async with join(server, session, name="Bob") as bob:
                await bob.ready("a.txt")
                assert str(bob.text_of("a.txt")) == "during before "
        server.session()
    finally:
        server.kill()


async def _status(server: Server, path: str) -> int:
    async with httpx.AsyncClient() as browser:
        answer: Any = await browser.get(server.url + path)
        return int(answer.status_code)
