"""The history over HTTP: any version from it, who wrote what, and what a long log does to loading."""

from __future__ import annotations

import asyncio
import io
import itertools
import sqlite3
import zipfile
from contextlib import closing

import httpx
from pycrdt import Doc, Map, Text

from editor import wire
from editor.order import Order
from tests.conftest import Client, Server, bearer, join, state_clocks, wait_until


def get(server: Server, session: dict, path: str, link: str = "edit") -> httpx.Response:
    return httpx.get(f"{server.url}/api/sessions/{session['id']}/{path}", headers=bearer(session["tokens"][link]), timeout=60)


def entries(data: bytes) -> list[tuple[int, int, bytes]]:
    reader = wire.Reader(data)
    found = [(reader.integer(), reader.integer(), reader.chunk()) for _ in range(reader.integer())]
    assert reader.done()
    return found


def text_of(updates: list[bytes], path: str) -> str:
    doc: Doc = Doc()
    files = doc.get("files", type=Map)
    for update in updates:
        doc.apply_update(update)
    return next(str(entry["text"]) for entry in files.values() if entry["path"] == path)


async def type_in(client: Client, path: str, text: str) -> None:
    """One update a character, each durable as an entry of its own or with its neighbours."""
    shared = client.text_of(path)
    for character in text:
        with client.doc.transaction():
            shared.insert(len(str(shared).encode()), character)
    expected = state_clocks(client.doc)[client.doc.client_id]
    await client.wait(lambda: any(m["type"] == "saved" and m["clock"] >= expected for m in client.messages))


async def test_every_version_can_be_seen_again_with_its_author(server: Server) -> None:
    session = server.session(("a.txt", "one\n"))
    async with join(server, session, name="Ada") as ada, join(server, session, name="Bob") as bob:
        await ada.ready("a.txt")
        await type_in(ada, "a.txt", "two\n")
        await bob.ready("a.txt")
        await bob.wait(lambda: str(bob.text_of("a.txt")) == "one\ntwo\n")
        await type_in(bob, "a.txt", "drei 😀\n")
        authors = {ada.doc.client_id: "Ada", bob.doc.client_id: "Bob"}
    overview = get(server, session, "history").json()
    assert [segment["id"] for segment in overview["segments"]] == ["live"]
    assert {entry["client"]: entry["name"] for entry in overview["authors"]} == authors
    steps = entries(get(server, session, "history/live").content)
    versions = [text_of([update for _, _, update in steps[: n + 2]], "a.txt") for n in range(len(steps) - 1)]
    assert versions[0] == "one\n" and versions[-1] == "one\ntwo\ndrei 😀\n"
    assert all(later.startswith(earlier) for earlier, later in itertools.pairwise(versions))
    assert [at for _, at, _ in steps] == sorted(at for _, at, _ in steps)
    middle = len(steps) // 2
    archive = get(server, session, f"export.zip?version={steps[middle][0]}")
    with zipfile.ZipFile(io.BytesIO(archive.content)) as files:
        assert files.read("a.txt").decode() == versions[middle - 1]


async def test_a_runs_text_is_marked_as_the_models(server: Server) -> None:
    session = server.session(("main.py", "def greet(name):\n    return name\n"))
    async with join(server, session, name="Ada") as ada:
        file = await ada.ready("main.py")
        ada.send("run.start", instruction="add a docstring: Say hello.", file=file, selection={"anchor": 0, "head": 34})
        finished = await ada.message("run.finished")
        assert finished["outcome"] == "done"
        ada.send("run.undo", run=finished["run"])
        await ada.message("run.card", undone=True)
    by_run = [entry for entry in get(server, session, "history").json()["authors"] if entry["run"] == finished["run"]]
    assert len(by_run) == 1 and by_run[0]["name"] == "Ada" and by_run[0]["client"] != ada.doc.client_id


def written(server: Server, session: dict, client: Client, path: str) -> str:
    """The text with a letter for who wrote each character: a person's first one, ``m`` for the model, ``.`` for nobody."""
    text = str(client.text_of(path))
    order = Order(client.doc.get_update(), str(client.file(path)), text)
    authors = get(server, session, "history").json()["authors"]
    out = ""
    for name, clock in zip(order.clients[order.visible], order.clocks[order.visible], strict=True):
        entry = next((entry for entry in reversed(authors) if entry["client"] == name and entry["clock"] <= clock), {"name": "", "run": ""})
        out += "m" if entry["run"] else entry["name"][:1] or "."
    return out


async def test_what_a_draft_a_variant_and_an_undo_bring_is_marked_as_its_writers(server: Server) -> None:
    """The model's text stays the model's, and what it replaced comes back as whose it was, whoever takes and undoes."""
    old = 'def greet(name):\n    print("Hello " + name)\n'
    new = old.replace("name):\n", 'name):\n    """Say hello."""\n')
    instruction = "add a docstring: Say hello."
    session = server.session(("greet.py", old))
    async with join(server, session, name="Ada") as ada, join(server, session, name="Grace") as grace:
        file = await ada.ready("greet.py")
        await grace.ready("greet.py")
        line = '    """Say hello."""\n'
        marked = "." * (len(new) - len(line) - old.index("    print"))
        head = "." * old.index("    print")

        async def stands(text: str) -> None:
            await ada.wait(lambda: str(ada.text_of("greet.py")) == text)

        async def is_marked(letters: str) -> None:
            """Soon: the database hears of it behind the clients."""
            for _ in range(200):
                if (now := written(server, session, ada, "greet.py")) == letters:
                    return
                await asyncio.sleep(0.05)
            assert now == letters

        async def undo(run: str) -> None:
            grace.send("run.undo", run=run)
            await grace.message("run.card", run=run, undone=True)

        ada.send("instruction.typed", text=instruction, file=file)
        await ada.message("draft.shown", instruction=instruction)
        ada.send("run.start", instruction=instruction, file=file)
        run = (await ada.message("run.card", outcome="done"))["run"]
        await stands(new)
        await is_marked(head + "m" * len(line) + marked)
        # What nobody here has written goes and comes back, by a person's hand.
        grace.send("run.start", instruction="rename the function greet to welcome", file=file)
        renamed = (await grace.message("run.card", instruction="rename the function greet to welcome", outcome="done"))["run"]
        await ada.wait(lambda: str(ada.text_of("greet.py")) != new)
        await undo(renamed)
        await stands(new)
        await is_marked(head + "m" * len(line) + marked)
        await undo(run)
        await stands(old)
        await is_marked(head + marked)

        ada.send("run.start", instruction=instruction, file=file, variants=2)
        offer = (await grace.message("variants.shown", variant=0, state="done"))["run"]
        grace.send("run.keep", run=offer, variant=0)
        await grace.message("variants.gone", outcome="taken")
        await stands(new)
        await is_marked(head + "m" * len(line) + marked)


def test_history_is_not_for_an_audience(server: Server) -> None:
    session = server.session()
    for path in ("history", "history/live", "export.zip?version=1"):
        assert get(server, session, path, "view").status_code == 403
    for path in (
        "history/123456789",
        "history/nonsense",
        "export.zip?version=123456789",
        "export.zip?version=x",
        "history/" + "9" * 5000,
        "export.zip?version=" + "9" * 5000,
    ):
        assert get(server, session, path).status_code == 404


async def test_a_long_log_is_compacted_into_the_history_and_nothing_is_lost(tmp_path) -> None:
    """100 000 updates behind a session: it opens, the log becomes a snapshot, and each version is still there."""
    server = Server(tmp_path / "data", ENSEMBLE_MAX_HISTORY_BYTES="1000000000")
    try:
        session = server.session(("a.txt", ""))
        assert server.stop() == 0
        doc: Doc = Doc()
        with closing(sqlite3.connect(server.data / "ensemble.sqlite3")) as database, database:
            first = database.execute("SELECT data FROM editor_documentupdate WHERE session_id = ?", (session["id"],)).fetchone()[0]
            doc.apply_update(first)
            text: Text = next(iter(doc.get("files", type=Map).values()))["text"]
            updates: list[bytes] = []
            subscription = doc.observe(lambda event: updates.append(bytes(event.update)))
            for number in range(100_000):
                text.insert(number, "0123456789"[number % 10])
            doc.unobserve(subscription)
            rows = [(session["id"], number, update) for number, update in enumerate(updates)]
            database.executemany("INSERT INTO editor_documentupdate (session_id, at, data) VALUES (?, ?, ?)", rows)
        server.start()
        expected = "0123456789" * 10_000
        assert server.text(session, "a.txt") == expected

        def segments() -> list[dict]:
            return get(server, session, "history").json()["segments"]

        wait_until(lambda: len(segments()) == 2, "the log is in the history")
        archived, live = segments()
        assert archived["updates"] == 100_001 and live["updates"] == 0
        steps = entries(get(server, session, f"history/{archived['id']}").content)
        assert text_of([update for _, _, update in steps[:502]], "a.txt") == expected[:500]
        server.kill()
        server.start()
        assert server.text(session, "a.txt") == expected
    finally:
        server.kill()


async def test_a_room_that_lives_long_keeps_its_log_short(tmp_path) -> None:
    server = Server(tmp_path / "data", ENSEMBLE_MAX_LOG_UPDATES="20")
    try:
        session = server.session(("a.txt", ""))
        async with join(server, session) as ada, join(server, session) as bob:
            await ada.ready("a.txt")
            for written in range(50):
                await type_in(ada, "a.txt", "0123456789"[written % 10])
            await bob.wait(lambda: bob.file("a.txt") and str(bob.text_of("a.txt")) == "0123456789" * 5)
        segments = get(server, session, "history").json()["segments"]
        assert len(segments) > 1 and segments[-1]["updates"] <= 20
        assert sum(segment["updates"] for segment in segments) >= 50
        server.kill()
        server.start()
        assert server.text(session, "a.txt") == "0123456789" * 5
    finally:
        server.kill()
