"""Drafts over the real socket with the real embedded model: what is shown before Enter, and what Enter makes of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx

from tests.conftest import Client, Server, bearer, join

GREET = 'def greet(name):\n    print("Hello " + name)\n'
DOCSTRING = "add a docstring: Say hello."
GREETED = 'def greet(name):\n    """Say hello."""\n    print("Hello " + name)\n'
# Too long to be one region; with a character that UTF-16 and UTF-8 count differently.
BEFORE = "# 😀\n" + "".join(f"a{number} = {number}\n" for number in range(13)) + "\n"
LONG = BEFORE + GREET
MANY = BEFORE + "\n\n".join(GREET.replace("greet", f"greet_{number}") for number in range(3))
EVERYWHERE = "add a docstring to every function: Say hello."
AT = len(BEFORE) + 1
CARET = {"anchor": AT + 2, "head": AT + 2}


def applied(text: str, draft: dict[str, Any]) -> str:
    """What the text would be; positions are UTF-16 units."""
    units = text.encode("utf-16-le")
    for edit in reversed(draft["edits"]):
        units = units[: 2 * edit["from"]] + edit["text"].encode("utf-16-le") + units[2 * edit["to"] :]
    return units.decode("utf-16-le")


async def drafted(client: Client, instruction: str, after: int = 0) -> dict[str, Any]:
    return await client.message("draft.shown", after=after, instruction=instruction)


async def test_a_draft_is_shown_to_everybody_and_is_not_in_the_text(server: Server) -> None:
    session = server.session(("greet.py", LONG))
    async with join(server, session) as ada, join(server, session, "view", name="Vera") as vera:
        file = await ada.ready("greet.py")
        await vera.ready("greet.py")
        assert (await vera.message("drafts"))["state"] == "on"
        for length in range(1, len(DOCSTRING) + 1):
            ada.send("instruction.typed", text=DOCSTRING[:length], file=file, selection=CARET)
        for client in (ada, vera):
            draft = await drafted(client, DOCSTRING)
            assert draft["by"]["name"] == "Ada"
            assert applied(LONG, draft) == BEFORE + GREETED
            assert draft["region"] == {"from": AT, "to": AT + len(GREET) - 1, "first_line": 16, "last_line": 17}
            assert str(client.text_of("greet.py")) == LONG
        assert server.text(session, "greet.py") == LONG
        # An emptied line takes it away.
        ada.send("instruction.typed", text="", file=file)
        gone = await vera.message("draft.gone")
        assert gone["participant"] == draft["by"]["participant"]


async def test_what_comes_late_is_told_of_the_draft(server: Server) -> None:
    session = server.session(("greet.py", GREET))
    async with join(server, session) as ada:
        file = await ada.ready("greet.py")
        ada.send("instruction.typed", text=DOCSTRING, file=file)
        shown = await drafted(ada, DOCSTRING)
        async with join(server, session, name="Late") as late:
            assert (await drafted(late, DOCSTRING))["id"] == shown["id"]
            await ada.socket.close()
            assert (await late.message("draft.gone"))["participant"] == shown["by"]["participant"]


async def test_somebody_who_changes_the_lines_drops_the_draft_and_who_writes_elsewhere_moves_it(server: Server) -> None:
    session = server.session(("greet.py", LONG))
    async with join(server, session) as ada, join(server, session, name="Grace") as grace:
        file = await ada.ready("greet.py")
        await grace.ready("greet.py")
        ada.send("instruction.typed", text=DOCSTRING, file=file, selection=CARET)
        shown = await drafted(grace, DOCSTRING)
        with grace.doc.transaction():
            grace.text_of("greet.py").insert(6, "far ")
        await ada.wait(lambda: str(ada.text_of("greet.py")).startswith("# 😀far"))
        async with join(server, session, name="Late") as late:
            assert (await drafted(late, DOCSTRING))["edits"][0]["from"] == shown["edits"][0]["from"] + 4
        with grace.doc.transaction():
            grace.text_of("greet.py").insert(len(BEFORE.encode()) + 20, "x")
        assert (await ada.message("draft.gone", why="changed"))["participant"] == shown["by"]["participant"]


async def test_the_host_turns_drafts_off_for_the_session(server: Server) -> None:
    session = server.session(("greet.py", GREET))
    async with join(server, session) as ada:
        file = await ada.ready("greet.py")
        ada.send("instruction.typed", text=DOCSTRING, file=file)
        await drafted(ada, DOCSTRING)
        url = f"{server.url}/api/sessions/{session['id']}"
        async with httpx.AsyncClient(headers=bearer(session["tokens"]["host"])) as http:
            assert (await http.patch(url, json={"drafts": "no"})).status_code == 400
            assert (await http.patch(url, json={"drafts": False})).json()["drafts"] is False
        await ada.message("draft.gone")
        await ada.message("drafts", state="off")
        assert (await ada.message("session"))["session"]["drafts"] is False
        before = len(ada.messages)
        ada.send("instruction.typed", text=DOCSTRING, file=file)
        ada.send("run.start", instruction=DOCSTRING, file=file)
        await ada.message("run.finished", outcome="done")
        assert not [m for m in ada.messages[before:] if m["type"] == "draft.shown"]
        assert server.text(session, "greet.py") == GREETED


async def test_a_model_that_is_not_fast_makes_no_drafts_unless_the_host_says_so(chatting_server: Server) -> None:
    session = chatting_server.session(("a.py", "x = 1\n"))
    async with join(chatting_server, session) as ada:
        assert (await ada.message("drafts"))["state"] == "off"
        async with httpx.AsyncClient(headers=bearer(session["tokens"]["host"])) as http:
            await http.patch(f"{chatting_server.url}/api/sessions/{session['id']}", json={"drafts": True})
        await ada.message("drafts", state="on")


async def test_drafts_pause_where_the_machine_cannot_keep_up(tmp_path: Path) -> None:
    server = Server(tmp_path / "data", ENSEMBLE_MAX_DRAFT_MS="1")
    try:
        session = server.session(("greet.py", GREET))
        async with join(server, session) as ada:
            file = await ada.ready("greet.py")
            await ada.message("drafts", state="on")
            for number in range(4):
                seen = len(ada.messages)
                ada.send("instruction.typed", text=f"{DOCSTRING} {number}", file=file)
                await ada.wait(lambda seen=seen: any(m["type"] in ("draft.shown", "draft.gone") for m in ada.messages[seen:]))
            paused = await ada.message("drafts", state="paused")
            assert paused["ms"] >= paused["bound_ms"] == 1
            # It is tried again later; until then a keystroke warms as before, and Enter runs.
            seen = len(ada.messages)
            ada.send("instruction.typed", text=DOCSTRING, file=file)
            ada.send("run.start", instruction=DOCSTRING, file=file)
            await ada.message("run.finished", outcome="done")
            assert not [m for m in ada.messages[seen:] if m["type"] == "draft.shown"]
            assert server.text(session, "greet.py") == GREETED
    finally:
        server.kill()


async def test_enter_takes_the_draft_and_the_text_is_what_a_run_writes(server: Server) -> None:
    session = server.session(("greet.py", LONG))
    async with join(server, session) as ada, join(server, session, name="Grace") as grace:
        file = await ada.ready("greet.py")
        await grace.ready("greet.py")
        ada.send("instruction.typed", text=DOCSTRING, file=file, selection=CARET)
        shown = await drafted(grace, DOCSTRING)
        seen = len(grace.messages)
        ada.send("run.start", instruction=DOCSTRING, file=file, selection=CARET)
        gone = await grace.message("draft.gone", after=seen)
        told = [m["type"] for m in grace.messages[seen : grace.messages.index(gone)]]
        assert told == ["run.started", "run.finished"], "it is over at once, nothing is computed a second time"
        finished = await grace.message("run.finished")
        assert finished["outcome"] == "done" and finished["tokens"] > 3
        assert str(grace.text_of("greet.py")) == applied(LONG, shown) == BEFORE + GREETED
        assert (await grace.message("run.card"))["by"]["name"] == "Ada"
        # It is undone as any run is.
        ada.send("run.undo", run=finished["run"])
        await grace.wait(lambda: str(grace.text_of("greet.py")) == LONG)


async def test_a_draft_of_many_places_stands_in_all_of_them_and_enter_takes_them_as_one_run(server: Server) -> None:
    text, wanted = MANY, EVERYWHERE
    session = server.session(("a.py", text))
    async with join(server, session) as ada, join(server, session, name="Grace") as grace:
        file = await ada.ready("a.py")
        await grace.ready("a.py")
        for length in range(1, len(wanted) + 1):
            ada.send("instruction.typed", text=wanted[:length], file=file, selection={"anchor": 0, "head": 0})
        shown = await drafted(grace, wanted)
        assert [region["first_line"] for region in shown["regions"]] == [16, 20, 24]
        assert (shown["region"]["from"], shown["region"]["first_line"]) == (AT, 16)
        assert shown["region"]["to"] == shown["regions"][-1]["to"]
        assert str(grace.text_of("a.py")) == text
        seen = len(grace.messages)
        ada.send("run.start", instruction=wanted, file=file, selection={"anchor": 0, "head": 0})
        started = await grace.message("run.started", after=seen)
        assert started["regions"] == shown["regions"]
        card = await grace.message("run.card", run=started["run"])
        assert card["outcome"] == "done" and " of 3 places changed." in card["reason"]
        assert str(grace.text_of("a.py")) == applied(text, shown) != text
        assert server.text(session, "a.py").count("Say hello.") > 1
        ada.send("run.undo", run=started["run"])
        await grace.wait(lambda: str(grace.text_of("a.py")) == text)


async def test_enter_runs_as_usual_where_the_draft_is_of_something_else(server: Server) -> None:
    session = server.session(("greet.py", LONG))
    async with join(server, session) as ada, join(server, session, name="Grace") as grace:
        file = await ada.ready("greet.py")
        await grace.ready("greet.py")
        ada.send("instruction.typed", text=DOCSTRING, file=file, selection=CARET)
        await drafted(grace, DOCSTRING)
        other = DOCSTRING.replace("hello", "goodbye")
        ada.send("run.start", instruction=other, file=file, selection=CARET)
        assert (await grace.message("run.finished"))["outcome"] == "done"
        assert "Say goodbye" in server.text(session, "greet.py")
        assert (await grace.message("draft.gone"))["participant"] == ada.messages[0]["participant"]


async def test_a_draft_is_made_of_a_selection_and_in_an_empty_file(server: Server) -> None:
    session = server.session(("empty.py", ""), ("greet.py", LONG))
    async with join(server, session) as ada:
        empty, greet = await ada.ready("empty.py"), await ada.ready("greet.py")
        text = "write a fibonacci function"
        ada.send("instruction.typed", text=text, file=empty, selection={"anchor": 0, "head": 0})
        draft = await drafted(ada, text)
        assert [(edit["from"], edit["to"]) for edit in draft["edits"]] == [(0, 0)]
        ada.send("instruction.typed", text=DOCSTRING, file=greet, selection={"anchor": AT, "head": AT + len(GREET) - 1})
        assert applied(LONG, await drafted(ada, DOCSTRING)) == BEFORE + GREETED
