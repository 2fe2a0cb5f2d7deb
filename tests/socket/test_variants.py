"""Several replies to choose from, over the real socket: nothing lands until one is taken, and that one is a run."""

from __future__ import annotations

from typing import Any

from tests.conftest import Client, Server, join
from tests.socket.test_drafts import AT, BEFORE, CARET, DOCSTRING, EVERYWHERE, GREET, GREETED, LONG, MANY, applied


async def made(client: Client, run: str, count: int = 3) -> list[dict[str, Any]]:
    """All variants, each as it stands at its end."""

    async def ended(number: int) -> dict[str, Any]:
        def found() -> dict[str, Any] | None:
            shown = [m for m in client.messages if m["type"] == "variants.shown" and m["run"] == run and m["variant"] == number]
            return shown[-1] if shown and shown[-1]["state"] != "streaming" else None

        return dict(await client.wait(found))

    return [await ended(number) for number in range(count)]


def moved(shown: dict[str, Any], by: int) -> dict[str, Any]:
    """A variant's edits in the file, whose place begins there."""
    return {**shown, "edits": [{**edit, "from": edit["from"] + by, "to": edit["to"] + by} for edit in shown["edits"]]}


async def test_three_are_shown_to_everybody_and_somebody_else_takes_one(server: Server) -> None:
    session = server.session(("greet.py", LONG))
    async with join(server, session) as ada, join(server, session, name="Grace") as grace, join(server, session, "view", name="Vera") as vera:
        file = await ada.ready("greet.py")
        await grace.ready("greet.py")
        ada.send("run.start", instruction=DOCSTRING, file=file, selection=CARET, variants=3)
        started = await vera.message("variants.started", position=0)
        assert started["count"] == 3 and started["by"]["name"] == "Ada"
        assert started["region"] == {"from": AT, "to": AT + len(GREET) - 1, "first_line": 16, "last_line": 17}
        shown = await made(vera, started["run"])
        assert shown[0]["state"] == "done"
        assert all(each["state"] in ("done", "same", "declined", "failed") for each in shown)
        first = moved(shown[0], AT)
        assert applied(LONG, first) == BEFORE + GREETED
        assert [line["op"] for line in shown[0]["diff"]] == [" ", "+", " "]
        for each in shown:
            assert (each["state"] == "same") == (each["same_as"] is not None)
            if each["same_as"] is not None:
                assert each["edits"] == shown[each["same_as"]]["edits"]
        assert server.text(session, "greet.py") == LONG

        vera.send("run.keep", run=started["run"], variant=0)
        assert (await vera.message("error"))["code"] == "forbidden"
        grace.send("run.keep", run=started["run"], variant=9)
        assert (await grace.message("error"))["code"] == "not_found"
        grace.send("run.keep", run=started["run"], variant=0)
        gone = await ada.message("variants.gone", run=started["run"])
        assert (gone["outcome"], gone["variant"], gone["by"]["name"]) == ("taken", 0, "Grace")
        finished = await ada.message("run.finished", run=gone["taken"])
        assert finished["outcome"] == "done" and "taken by Grace" in finished["reason"]
        card = await ada.message("run.card", run=gone["taken"])
        assert card["by"]["name"] == "Ada" and card["instruction"] == DOCSTRING
        await ada.wait(lambda: str(ada.text_of("greet.py")) == BEFORE + GREETED)
        ada.send("run.undo", run=gone["taken"])
        await grace.wait(lambda: str(grace.text_of("greet.py")) == LONG)
        # There is nothing left to take.
        grace.send("run.keep", run=started["run"], variant=0)
        await grace.wait(lambda: [m["code"] for m in grace.messages if m["type"] == "error"] == ["not_found", "not_found"])


async def test_one_that_is_taken_works_around_what_people_have_changed(server: Server) -> None:
    session = server.session(("greet.py", LONG))
    async with join(server, session) as ada, join(server, session, name="Grace") as grace:
        file = await ada.ready("greet.py")
        await grace.ready("greet.py")
        ada.send("run.start", instruction=DOCSTRING, file=file, selection=CARET, variants=2)
        run = (await grace.message("variants.started"))["run"]
        await made(grace, run, 2)
        text = grace.text_of("greet.py")
        with grace.doc.transaction():
            text.insert(0, "# far above\n")
        with grace.doc.transaction():
            text.insert(str(text).encode().index(b")\n", len(BEFORE.encode()) + 30), ', "!"')
        await grace.message("variants.started", changed="typed")
        grace.send("run.keep", run=run, variant=0)
        await ada.message("variants.gone", outcome="taken")
        expected = "# far above\n" + BEFORE + GREETED.replace("name)\n", 'name, "!")\n').replace('(name, "!"):', "(name):")
        await ada.wait(lambda: str(ada.text_of("greet.py")) == expected)
        await grace.wait(lambda: str(grace.text_of("greet.py")) == expected)


async def test_lines_that_another_run_has_rewritten_are_refused_and_made_anew(server: Server) -> None:
    session = server.session(("greet.py", LONG))
    async with join(server, session) as ada, join(server, session, name="Grace") as grace:
        file = await ada.ready("greet.py")
        ada.send("run.start", instruction=DOCSTRING, file=file, selection=CARET, variants=2)
        run = (await grace.message("variants.started"))["run"]
        await made(grace, run, 2)
        grace.send("run.start", instruction="add a docstring: Say goodbye.", file=file, selection=CARET)
        await grace.message("variants.started", changed="rewritten")
        await grace.message("run.finished", outcome="done")
        grace.send("run.keep", run=run, variant=0)
        assert (await grace.message("error"))["code"] == "changed"
        before = server.text(session, "greet.py")
        grace.send("run.steer", run=run, instruction=DOCSTRING)
        assert (await ada.message("variants.gone", run=run))["outcome"] == "steered"
        again = await ada.message("variants.started", after=ada.messages.index(await ada.message("variants.gone")), position=0)
        assert again["by"]["name"] == "Grace" and again["count"] == 2 and again["chain"] == []
        await made(ada, again["run"], 2)
        grace.send("run.steer", run=again["run"], instruction="add a comment")
        last = await ada.message("variants.started", instruction="add a comment")
        assert [link["instruction"] for link in last["chain"]] == [DOCSTRING]
        assert server.text(session, "greet.py") == before


async def test_they_are_dropped_and_who_comes_later_is_told_of_them(server: Server) -> None:
    session = server.session(("greet.py", LONG))
    async with join(server, session) as ada:
        file = await ada.ready("greet.py")
        ada.send("run.start", instruction=DOCSTRING, file=file, selection=CARET, variants=3)
        run = (await ada.message("variants.started"))["run"]
        await made(ada, run)
        async with join(server, session, name="Late") as late:
            assert (await late.message("variants.started"))["run"] == run
            assert len(await made(late, run)) == 3
            late.send("run.stop", run=run)
            gone = await ada.message("variants.gone")
            assert (gone["outcome"], gone["by"]["name"]) == ("dropped", "Late")
        assert server.text(session, "greet.py") == LONG


async def test_stop_ends_what_is_still_being_made(chatting_server: Server) -> None:
    session = chatting_server.session(("a.py", "x = 1\n"))
    async with join(chatting_server, session) as ada:
        file = await ada.ready("a.py")
        ada.send("run.start", instruction="write something long", file=file, variants=2)
        run = (await ada.message("variants.started", position=0))["run"]
        for number in range(2):
            shown = await ada.wait(
                lambda number=number: [m for m in ada.messages if m["type"] == "variants.shown" and m["variant"] == number and m["edits"]]
            )
            assert shown[0]["state"] == "streaming"
        ada.send("run.keep", run=run, variant=1)
        assert (await ada.message("error"))["code"] == "busy"
        ada.send("run.stop")
        await ada.message("variants.gone", outcome="dropped")
        # The model computes no more: a run gets its first token at once.
        ada.send("run.start", instruction="again", file=file)
        await ada.message("run.progress")
        ada.send("run.stop")
        await ada.message("run.finished")


async def test_variants_of_an_instruction_about_many_places(server: Server) -> None:
    text, wanted = MANY, EVERYWHERE
    session = server.session(("a.py", text))
    async with join(server, session) as ada, join(server, session, name="Grace") as grace:
        file = await ada.ready("a.py")
        await grace.ready("a.py")
        ada.send("run.start", instruction=wanted, file=file, selection=CARET, variants=3)
        offer = await grace.message("variants.started", position=0)
        assert [region["first_line"] for region in offer["regions"]] == [16, 20, 24]
        shown = await made(grace, offer["run"])
        assert shown[0]["state"] == "done" and shown[0]["edits"]
        assert str(grace.text_of("a.py")) == text
        begin = offer["region"]["from"]
        first = moved(shown[0], begin)
        grace.send("run.keep", run=offer["run"], variant=0)
        gone = await ada.message("variants.gone", run=offer["run"])
        card = await ada.message("run.card", run=gone["taken"])
        assert card["outcome"] == "done" and "taken by Grace" in card["reason"] and " of 3 places changed." in card["reason"]
        await ada.wait(lambda: str(ada.text_of("a.py")) == applied(text, first))
        ada.send("run.undo", run=gone["taken"])
        await grace.wait(lambda: str(grace.text_of("a.py")) == text)


# The embedded model would write something to this, and is far from sure of it.
UNSURE = "count the greetings"


async def test_what_the_model_is_not_sure_of_is_offered_instead_of_written(server: Server) -> None:
    session = server.session(("greet.py", LONG))
    async with join(server, session) as ada, join(server, session, name="Grace") as grace:
        file = await ada.ready("greet.py")
        await grace.ready("greet.py")
        ada.send("run.start", instruction=UNSURE, file=file, selection=CARET)
        finished = await grace.message("run.finished")
        assert finished["outcome"] == "declined" and "not sure enough" in finished["reason"] and "was offered to Ada" in finished["reason"]
        offer = await grace.message("variants.started", position=0)
        assert (offer["unsure"], offer["by"]["name"], offer["instruction"], offer["count"]) == (True, "Ada", UNSURE, 3)
        assert offer["region"] == {"from": AT, "to": AT + len(GREET) - 1, "first_line": 16, "last_line": 17}
        shown = await made(grace, offer["run"])
        assert shown[0]["state"] == "done" and shown[0]["edits"]
        # Type on, and they go; a word of somebody else leaves them.
        grace.send("instruction.typed", text="x", file=file)
        await ada.message("instruction.typed")
        assert not [m for m in ada.messages if m["type"] == "variants.gone"]
        ada.send("instruction.typed", text="s", file=file, selection=CARET)
        gone = await grace.message("variants.gone", run=offer["run"])
        assert gone["outcome"] == "dropped"
        assert server.text(session, "greet.py") == LONG

        before = len(grace.messages)
        ada.send("run.start", instruction=UNSURE, file=file, selection=CARET)
        again = await grace.message("variants.started", after=before, position=0)
        shown = await made(grace, again["run"])
        first = moved(shown[0], AT)
        grace.send("run.keep", run=again["run"], variant=0)
        taken = await ada.message("variants.gone", run=again["run"])
        assert taken["outcome"] == "taken"
        await ada.wait(lambda: str(ada.text_of("greet.py")) == applied(LONG, first) != LONG)

        # Another run makes room as well, and begins at once.
        before = len(grace.messages)
        ada.send("run.undo", run=taken["taken"])
        await ada.wait(lambda: str(ada.text_of("greet.py")) == LONG)
        ada.send("run.start", instruction=UNSURE, file=file, selection=CARET)
        third = await ada.message("variants.started", after=before, position=0)
        ada.send("run.start", instruction=DOCSTRING, file=file, selection=CARET)
        assert (await grace.message("variants.gone", run=third["run"]))["outcome"] == "dropped"
        await ada.wait(lambda: str(ada.text_of("greet.py")) == BEFORE + GREETED)


async def test_nobody_is_offered_what_they_are_not_there_for(server: Server) -> None:
    session = server.session(("greet.py", LONG))
    async with join(server, session) as grace:
        await grace.ready("greet.py")
        async with join(server, session, name="Ada") as ada:
            file = await ada.ready("greet.py")
            asked = len(grace.messages)
            ada.send("run.start", instruction=DOCSTRING, file=file, selection=CARET, variants=2)
            await made(ada, (await ada.message("variants.started"))["run"], 2)
            # Who is choosing already is not interrupted.
            ada.send("run.start", instruction=UNSURE, file=file, selection=CARET)
            finished = await grace.message("run.finished", after=asked)
            assert "not sure enough" in finished["reason"] and "Ctrl+Enter" in finished["reason"]
        assert not [m for m in grace.messages if m["type"] == "variants.started" and m["unsure"]]


async def test_what_nobody_asked_for_goes_with_its_person_and_makes_way_for_their_next_run(server: Server) -> None:
    session = server.session(("greet.py", LONG), ("again.py", LONG))
    async with join(server, session) as grace:
        await grace.ready("greet.py")
        async with join(server, session, name="Ada") as ada:
            file, again = await ada.ready("greet.py"), await ada.ready("again.py")
            # Another run of hers waits already: she is about that.
            ada.send("run.start", instruction=UNSURE, file=file, selection=CARET)
            ada.send("run.start", instruction=DOCSTRING, file=file, selection=CARET)
            await grace.wait(lambda: len([m for m in grace.messages if m["type"] == "run.card"]) == 2)
            await grace.wait(lambda: str(grace.text_of("greet.py")) == BEFORE + GREETED)
            assert not [m for m in grace.messages if m["type"] == "variants.started"]
            ada.send("run.start", instruction=UNSURE, file=again, selection=CARET)
            offer = await grace.message("variants.started", position=0)
        assert (await grace.message("variants.gone", run=offer["run"]))["outcome"] == "dropped"
