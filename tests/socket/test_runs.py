"""Runs over the real socket with real models: the way from a keystroke to the card."""

from __future__ import annotations

import asyncio
from pathlib import Path

import httpx

from tests.conftest import Server, bearer, join, writes_on

GREET = 'def greet(name):\n    print("Hello " + name)\n'
DOCSTRING = "add a docstring: Say hello."


async def test_an_instruction_changes_the_text_for_everybody(server: Server) -> None:
    session = server.session(("greet.py", GREET))
    async with join(server, session) as ada, join(server, session, name="Grace") as grace:
        file = await ada.ready("greet.py")
        for length in range(1, len(DOCSTRING) + 1):
            ada.send("instruction.typed", text=DOCSTRING[:length], file=file)
        await grace.message("instruction.typed", text=DOCSTRING, name="Ada")
        ada.send("run.start", instruction=DOCSTRING, file=file)
        started = await grace.message("run.started")
        assert started["by"]["name"] == "Ada"
        assert started["region"] == {"from": 0, "to": len(GREET) - 1, "first_line": 1, "last_line": 2}
        finished = await grace.message("run.finished", run=started["run"])
        assert finished["outcome"] == "done"
        assert finished["tokens"] > 3
        assert finished["ttft_ms"] > 0
        assert finished["tokens_per_s"] > 0
        expected = 'def greet(name):\n    """Say hello."""\n    print("Hello " + name)\n'
        assert str(grace.text_of("greet.py")) == expected
        await ada.wait(lambda: str(ada.text_of("greet.py")) == expected)
        assert server.text(session, "greet.py") == expected
        card = await grace.message("run.card", run=started["run"])
        added = [line for line in card["diff"] if line["op"] == "+"]
        assert ["".join(text for _, text in line["tokens"]) for line in added] == ['    """Say hello."""']
        assert any(kind for kind, _ in added[0]["tokens"])

        # The run's text alone goes; what Grace has typed meanwhile stays.
        with grace.doc.transaction():
            grace.text_of("greet.py").insert(0, "# mine\n")
        await ada.wait(lambda: str(ada.text_of("greet.py")).startswith("# mine"))
        ada.send("run.undo", run=started["run"])
        await grace.message("run.card", run=started["run"], undone=True)
        await grace.wait(lambda: str(grace.text_of("greet.py")) == "# mine\n" + GREET)

    async with join(server, session, name="Later") as later:
        welcome = await later.message("welcome")
        assert [run["instruction"] for run in welcome["runs"]] == [DOCSTRING]


async def test_somebody_else_stops_a_run_and_nothing_lands_afterwards(chatting_server: Server) -> None:
    session = chatting_server.session(("a.py", "x = 1\ny = 2\n"))
    async with join(chatting_server, session) as ada, join(chatting_server, session, name="Grace") as grace:
        file = await ada.ready("a.py")
        await grace.ready("a.py")
        ada.send("run.start", instruction="write something long", file=file)
        run = (await grace.message("run.started"))["run"]
        await grace.wait(lambda: len(str(grace.text_of("a.py"))) > 60)
        grace.send("run.stop", run=run)
        finished = await ada.message("run.finished", run=run)
        assert finished["outcome"] == "stopped"
        await ada.message("run.card", run=run)
        then = chatting_server.text(session, "a.py")
        lines = then.split("\n")
        assert "y = 2" in lines, "the lines it had not reached are whole"
        end = len(then.encode("utf-16-le")) // 2
        # The model computes no more: the next run gets its first token at once, and the text stays as it was.
        grace.send("run.start", instruction="again", file=file, selection={"anchor": end, "head": end})
        second = await grace.message("run.started", after=grace.messages.index(await grace.message("run.finished")))
        await grace.message("run.progress", run=second["run"])
        grace.send("run.stop")
        await grace.message("run.finished", run=second["run"])
        assert chatting_server.text(session, "a.py").startswith(then.rstrip("\n"))
        await grace.wait(lambda: str(grace.text_of("a.py")) == chatting_server.text(session, "a.py"))


async def test_a_steer_keeps_what_stands_and_goes_on(chatting_server: Server) -> None:
    session = chatting_server.session(("a.py", "x = 1\n"))
    async with join(chatting_server, session) as ada, join(chatting_server, session, name="Grace") as grace:
        file = await ada.ready("a.py")
        await grace.ready("a.py")
        ada.send("run.start", instruction="write something", file=file)
        first = (await grace.message("run.started"))["run"]
        await grace.wait(lambda: str(grace.text_of("a.py")).count("\n") > 2)
        grace.send("run.steer", run=first, instruction="in French")
        assert (await ada.message("run.finished", run=first))["outcome"] == "steered"
        second = await ada.message("run.started", continues=first)
        assert second["by"]["name"] == "Grace"
        assert second["region"]["last_line"] > 1, "what the first instruction wrote belongs to the region"
        await ada.message("run.progress", run=second["run"])
        ada.send("run.stop")
        assert (await ada.message("run.finished", run=second["run"]))["outcome"] == "stopped"


async def test_what_people_type_into_the_region_survives(chatting_server: Server) -> None:
    session = chatting_server.session(("a.py", "first = 1\nsecond = 2\nthird = 3\n"))
    async with join(chatting_server, session) as ada, join(chatting_server, session, name="Grace") as grace:
        file = await ada.ready("a.py")
        await grace.ready("a.py")
        ada.send("run.start", instruction="rewrite", file=file, selection={"anchor": 0, "head": 30})
        run = (await grace.message("run.started"))["run"]
        await grace.wait(lambda: len(str(grace.text_of("a.py"))) > 80)
        place = str(grace.text_of("a.py")).encode().index(b"third") + 3
        for number, character in enumerate("GRACE"):
            with grace.doc.transaction():
                grace.text_of("a.py").insert(place + number, character)
        await ada.wait(lambda: "thiGRACErd" in str(ada.text_of("a.py")))
        ada.send("run.stop")
        finished = await ada.message("run.finished", run=run)
        assert finished["reason"].endswith("Grace typed in these lines meanwhile: that was kept.")
        assert chatting_server.text(session, "a.py").count("GRACE") == 1


async def test_a_run_on_lines_that_another_rewrites_waits_visibly(chatting_server: Server) -> None:
    session = chatting_server.session(("a.py", "x = 1\n"))
    async with join(chatting_server, session) as ada, join(chatting_server, session, name="Grace") as grace:
        file = await ada.ready("a.py")
        ada.send("run.start", instruction="write", file=file)
        first = (await ada.message("run.started"))["run"]
        grace.send("run.start", instruction="write too", file=file)
        queued = await ada.message("run.queued", instruction="write too")
        assert queued["reason"] == "Waits for Ada\u2019s run on these lines."
        assert queued["behind"] == first
        async with join(chatting_server, session, name="Late") as late:
            assert (await late.message("run.queued"))["reason"] == queued["reason"]
        ada.send("run.stop", run=first)
        await ada.message("run.finished", run=first)
        await ada.message("run.started", run=queued["run"])
        grace.send("run.stop")
        await ada.message("run.finished", run=queued["run"])


async def test_a_waiting_run_is_cancelled_at_once(chatting_server: Server) -> None:
    session = chatting_server.session(("a.py", "x = 1\n"))
    async with join(chatting_server, session) as ada:
        file = await ada.ready("a.py")
        ada.send("run.start", instruction="write", file=file)
        first = (await ada.message("run.started"))["run"]
        ada.send("run.start", instruction="write too", file=file)
        waiting = (await ada.message("run.queued"))["run"]
        ada.send("run.stop", run=waiting)
        assert (await ada.message("run.finished", run=waiting))["outcome"] == "stopped"
        assert not any(m["type"] == "run.finished" and m["run"] == first for m in ada.messages), "the other writes on"
        ada.send("run.stop", run=first)
        await ada.message("run.finished", run=first)
        assert not any(m["type"] == "run.started" and m["run"] == waiting for m in ada.messages)


async def test_one_person_is_limited_and_a_steer_is_not_counted_beside_its_run(tmp_path: Path, endless_model: Path) -> None:
    server = Server(
        tmp_path / "data",
        ENSEMBLE_MODEL=str(endless_model),
        ENSEMBLE_THREADS="1",
        ENSEMBLE_MAX_CONTEXT_TOKENS="8192",
        ENSEMBLE_MAX_RUN_TOKENS="8000",
        ENSEMBLE_MAX_RUNS_PER_PERSON="1",
    )
    try:
        session = server.session(("a.py", "x = 1\n"))
        async with join(server, session) as ada, join(server, session, name="Grace") as grace:
            file = await ada.ready("a.py")
            ada.send("run.start", instruction="write", file=file)
            first = (await ada.message("run.started"))["run"]
            ada.send("run.start", instruction="more", file=file)
            error = await ada.message("error")
            assert error["code"] == "busy"
            assert "ENSEMBLE_MAX_RUNS_PER_PERSON" in error["message"]
            ada.send("run.steer", run=first, instruction="in French")
            second = await grace.message("run.started", continues=first)
            assert [(link["by"]["name"], link["instruction"]) for link in second["chain"]] == [("Ada", "write")]
            grace.send("run.steer", run=second["run"], instruction="in Greek")
            third = await ada.message("run.started", continues=second["run"])
            assert [link["instruction"] for link in third["chain"]] == ["write", "in French"]
            ada.send("run.start", instruction="of my own again", file=file)
            assert "Grace" in (await ada.message("run.queued", instruction="of my own again"))["reason"]
            ada.send("run.stop")
            card = await ada.message("run.card", run=third["run"])
            assert [link["by"]["name"] for link in card["chain"]] == ["Ada", "Ada"]
    finally:
        server.kill()


async def test_bad_requests_get_a_typed_answer_and_change_nothing(server: Server) -> None:
    session = server.session(("a.py", "x = 1\n"))
    async with join(server, session) as ada:
        file = await ada.ready("a.py")
        cases = [
            ({"type": "run.start", "instruction": "x", "file": "nowhere"}, "not_found"),
            ({"type": "run.start", "instruction": "   ", "file": file}, "bad_message"),
            ({"type": "run.start", "file": file}, "bad_message"),
            ({"type": "run.start", "instruction": "x" * 5000, "file": file}, "bad_message"),
            ({"type": "run.start", "instruction": "x", "file": file, "selection": {"anchor": -1, "head": 0}}, "bad_message"),
            ({"type": "run.start", "instruction": "x", "file": file, "variants": 5}, "bad_message"),
            ({"type": "run.start", "instruction": "x", "file": file, "mode": "ask"}, "unsupported"),
            ({"type": "run.stop", "run": "nowhere"}, "not_found"),
            ({"type": "run.steer", "run": "nowhere", "instruction": "x"}, "not_found"),
            ({"type": "run.undo", "run": "nowhere"}, "not_found"),
            ({"type": "make.coffee"}, "bad_message"),
            ({"no": "type"}, "bad_message"),
        ]
        for number, (message, code) in enumerate(cases):
            ada.send(message.pop("type", 7), **message)
            await ada.wait(lambda number=number: len([m for m in ada.messages if m["type"] == "error"]) > number)
            error = [m for m in ada.messages if m["type"] == "error"][-1]
            assert error["code"] == code, (message, error)
        assert server.text(session, "a.py") == "x = 1\n"


async def test_a_request_beyond_the_built_in_model_is_declined_in_plain_words(server: Server) -> None:
    """Or done: what matters is that a run which changes nothing says so and names the way out."""
    session = server.session(("a.py", "x = 1\n"))
    async with join(server, session) as ada:
        file = await ada.ready("a.py")
        ada.send("run.start", instruction="prove the riemann hypothesis", file=file)
        finished = await ada.message("run.finished")
        if server.text(session, "a.py") == "x = 1\n":
            assert finished["outcome"] in ("declined", "failed")
            assert "manage.py model list" in finished["reason"] or "form" in finished["reason"]


async def test_many_people_run_at_the_same_time(server: Server) -> None:
    sessions = [server.session(("greet.py", GREET)) for _ in range(6)]

    async def one(session: dict) -> str:
        async with join(server, session) as ada:
            file = await ada.ready("greet.py")
            ada.send("run.start", instruction=DOCSTRING, file=file)
            assert (await ada.message("run.finished"))["outcome"] == "done"
        return server.text(session, "greet.py")

    texts = await asyncio.gather(*map(one, sessions))
    assert set(texts) == {'def greet(name):\n    """Say hello."""\n    print("Hello " + name)\n'}


async def test_who_comes_while_a_run_streams_is_told_of_it_and_can_stop_it(chatting_server: Server) -> None:
    session = chatting_server.session(("a.py", "x = 1\n"))
    async with join(chatting_server, session) as ada:
        file = await ada.ready("a.py")
        ada.send("run.start", instruction="write", file=file)
        run = (await ada.message("run.started"))["run"]
        async with join(chatting_server, session, name="Late") as late:
            assert (await late.message("run.started", run=run))["by"]["name"] == "Ada"
            late.send("run.stop", run=run)
            assert (await ada.message("run.finished", run=run))["outcome"] == "stopped"


async def test_a_selection_that_is_too_long_is_refused_and_nobody_is_thrown_out(server: Server) -> None:
    session = server.session(("a.py", "x = 1\n" * 4000))
    async with join(server, session) as ada:
        file = await ada.ready("a.py")
        ada.send("run.start", instruction="rename x to y", file=file, selection={"anchor": 0, "head": 24000})
        error = await ada.message("error")
        assert error["code"] == "too_large"
        assert "47" in error["message"]
        assert "ENSEMBLE_MAX_WINDOWS" in error["message"]
        ada.send("run.start", instruction="change x to 2", file=file, selection={"anchor": 0, "head": 5})
        await ada.message("run.finished")


MANY = "\n\n\n".join(f'def greet_{number}(name):\n    print("Hello " + name)\n    return LIMIT + {number}' for number in range(12))
MANY = f"LIMIT = 5\n\n\n{MANY}\n"


async def test_what_concerns_the_whole_file_is_done_in_windows_at_the_same_time_as_one_run(server: Server) -> None:
    """One card, one undo; also when people type in the file meanwhile."""
    session = server.session(("a.py", MANY))
    async with join(server, session) as ada, join(server, session, name="Grace") as grace:
        file = await ada.ready("a.py")
        await grace.ready("a.py")
        ada.send("run.start", instruction="add a docstring to every function: Say hello.", file=file, selection={"anchor": 0, "head": 0})
        started = await grace.message("run.started")
        assert len(started["regions"]) == 12
        assert started["regions"][0] == started["region"]
        assert (started["region"]["first_line"], started["region"]["last_line"]) == (4, 6)
        with grace.doc.transaction():
            grace.text_of("a.py").insert(0, "# mine\n")
        card = await grace.message("run.card", run=started["run"])
        assert card["outcome"] == "done", card["reason"]
        assert card["tokens"] > 12 * 3
        assert card["tokens_per_s"]
        await grace.all_saved()
        text = server.text(session, "a.py")
        # What a model makes of each is its own affair; the lines between the windows are nobody's.
        assert text.startswith("# mine\nLIMIT = 5\n\n\n")
        changed = sum("Say hello." in block for block in text.split("\n\n\n"))
        assert changed > 6, text
        assert " of 12 places changed." in card["reason"]
        progress = [m["places"] for m in grace.messages if m["type"] == "run.progress"]
        assert progress[-1]["of"] == 12
        assert [p["done"] for p in progress] == sorted(p["done"] for p in progress)
        assert len([m for m in grace.messages if m["type"] == "run.finished"]) == 1
        ada.send("run.undo", run=started["run"])
        await grace.message("run.card", run=started["run"], undone=True)
        await grace.wait(lambda: str(grace.text_of("a.py")) == "# mine\n" + MANY)


async def test_a_stop_ends_all_windows_and_those_that_had_not_begun_are_untouched(chatting_server: Server) -> None:
    session = chatting_server.session(("a.py", MANY))
    async with join(chatting_server, session) as ada:
        file = await ada.ready("a.py")
        ada.send("run.start", instruction="add a docstring to every function", file=file, selection={"anchor": 0, "head": 0})
        started = await ada.message("run.started")
        assert len(started["regions"]) == 12
        await ada.wait(lambda: len(str(ada.text_of("a.py"))) > len(MANY) + 60)
        ada.send("run.stop", run=started["run"])
        assert (await ada.message("run.finished"))["outcome"] == "stopped"
        await ada.message("run.card")
        text = chatting_server.text(session, "a.py")
        # Four at the same time: the others wait for one of these.
        assert text.endswith("\n\n\ndef greet_4(name)" + MANY.split("\n\n\ndef greet_4(name)")[1])
        ada.send("run.undo", run=started["run"])
        await ada.message("run.card", run=started["run"], undone=True)
        assert chatting_server.text(session, "a.py") == MANY


async def test_a_steer_of_many_windows_goes_on_in_all_of_them(chatting_server: Server) -> None:
    session = chatting_server.session(("a.py", MANY))
    async with join(chatting_server, session) as ada, join(chatting_server, session, name="Grace") as grace:
        file = await ada.ready("a.py")
        await grace.ready("a.py")
        ada.send("run.start", instruction="add a docstring to every function", file=file, selection={"anchor": 0, "head": 0})
        first = (await grace.message("run.started"))["run"]
        await grace.wait(lambda: len(str(grace.text_of("a.py"))) > len(MANY) + 60)
        grace.send("run.steer", run=first, instruction="in French")
        second = await ada.message("run.started", continues=first)
        assert len(second["regions"]) == 12
        assert second["chain"][0]["by"]["name"] == "Ada" and second["by"]["name"] == "Grace"
        assert (await ada.message("run.card", run=first))["outcome"] == "steered"
        await ada.message("run.progress", run=second["run"])
        ada.send("run.stop")
        await ada.message("run.card", run=second["run"], outcome="stopped")
        assert chatting_server.text(session, "a.py").startswith("LIMIT = 5\n\n\n")
        for run in (second["run"], first):
            ada.send("run.undo", run=run)
            await ada.message("run.card", run=run, undone=True)
        await grace.wait(lambda: str(grace.text_of("a.py")) == MANY)


async def test_a_server_that_is_stopped_while_the_model_writes_ends_and_keeps_the_run(tmp_path: Path, endless_model: Path) -> None:
    server = Server(tmp_path / "data", **writes_on(endless_model))
    try:
        session = server.session(("a.py", "x = 1\n"))
        async with join(server, session) as ada:
            file = await ada.ready("a.py")
            ada.send("run.start", instruction="write something long", file=file)
            run = (await ada.message("run.started"))["run"]
            await ada.wait(lambda: len(str(ada.text_of("a.py"))) > 60)
            assert await asyncio.to_thread(server.stop) == 0
        server.start()
        async with join(server, session, name="Grace") as grace:
            await grace.ready("a.py")
            (card,) = (await grace.message("welcome"))["runs"]
            assert (card["run"], card["outcome"]) == (run, "stopped")
            grace.send("run.undo", run=run)
            await grace.wait(lambda: str(grace.text_of("a.py")) == "x = 1\n")
    finally:
        server.kill()


async def test_an_undo_works_after_a_restart_and_the_models_text_is_still_marked_as_its(tmp_path: Path) -> None:
    """Removes what the run wrote and still stands, brings back what it deleted, and leaves everybody else's text."""
    server = Server(tmp_path / "data")
    try:
        session = server.session(("greet.py", GREET))
        async with join(server, session) as ada:
            file = await ada.ready("greet.py")
            ada.send("run.start", instruction=DOCSTRING, file=file)
            run = (await ada.message("run.finished", outcome="done"))["run"]
            ada.send("run.start", instruction="rename the function greet to welcome", file=file)
            renamed = (await ada.message("run.card", instruction="rename the function greet to welcome"))["run"]
            before = server.text(session, "greet.py")
            with ada.doc.transaction():
                ada.text_of("greet.py").insert(0, "# mine\n")
                place = str(ada.text_of("greet.py")).encode().index(b"hello.")
                ada.text_of("greet.py").insert(place, "MINE")
            await ada.all_saved()
        assert server.stop() == 0
        server.start()
        async with httpx.AsyncClient(headers=bearer(session["tokens"]["edit"]), timeout=60) as client:
            history = (await client.get(f"{server.url}/api/sessions/{session['id']}/history")).json()
        assert {run, renamed} <= {author["run"] for author in history["authors"]}
        async with join(server, session, name="Grace") as grace:
            await grace.ready("greet.py")
            grace.send("run.undo", run=renamed)
            card = await grace.message("run.card", run=renamed)
            assert card["undone"]
            await grace.wait(lambda: "welcome" not in str(grace.text_of("greet.py")))
            grace.send("run.undo", run=run)
            await grace.message("run.card", run=run, undone=True)
            await grace.wait(lambda: '"""' not in str(grace.text_of("greet.py")))
            now = str(grace.text_of("greet.py"))
            assert now.replace("MINE", "") == "# mine\n" + GREET, before
            grace.send("run.undo", run=run)
            await grace.wait(lambda: len([m for m in grace.messages if m["type"] in ("run.card", "error")]) >= 2)
        assert server.text(session, "greet.py") == now
        assert server.stop() == 0
        server.start()
        assert server.text(session, "greet.py") == now
    finally:
        server.kill()


async def test_a_retry_undoes_the_run_and_goes_to_the_same_lines(server: Server) -> None:
    session = server.session(("greet.py", "x = 1\n\n\n" + GREET + "\n\ny = 2\n"))
    async with join(server, session) as ada, join(server, session, name="Grace") as grace:
        file = await ada.ready("greet.py")
        await grace.ready("greet.py")
        ada.send("run.start", instruction=DOCSTRING, file=file)
        first = (await ada.message("run.card"))["run"]
        then = server.text(session, "greet.py")
        assert then.count("Say hello.") == 1
        # Lines above come and go meanwhile.
        with grace.doc.transaction():
            grace.text_of("greet.py").insert(0, "# one\n# two\n")
        await grace.all_saved()
        grace.send("run.retry", run=first)
        started = await ada.message("run.started", retries=first)
        assert started["region"]["first_line"] == 3, "two lines further down than the first time"
        assert started["by"]["name"] == "Grace"
        card = await ada.message("run.card", retries=first)
        assert card["outcome"] == "done"
        assert (await ada.message("run.card", run=first, undone=True))["instruction"] == DOCSTRING
        assert server.text(session, "greet.py") == "# one\n# two\n" + then
        ada.send("run.continue", run=first)
        assert "undone" in (await ada.message("error", run=first))["message"]
        ada.send("run.retry", run="nowhere")
        await ada.message("error", code="not_found")


async def test_a_retry_finds_lines_that_people_have_changed_since_and_no_others(server: Server) -> None:
    other = "def other(x):\n    return x\n"
    session = server.session(("greet.py", GREET + "\n\n\n" + other))
    async with join(server, session) as ada:
        file = await ada.ready("greet.py")
        ada.send("run.start", instruction=DOCSTRING, file=file, selection={"anchor": 0, "head": len(GREET)})
        first = (await ada.message("run.card"))["run"]
        text = ada.text_of("greet.py")
        # Where the selection was there is another function now, and the one that was meant has a line more.
        with ada.doc.transaction():
            text.insert(str(text).index("):\n") + 3, "    name = name.strip()\n")
            text.insert(0, other.replace("other", "above") * 3 + "\n\n")
        await ada.all_saved()
        ada.send("run.retry", run=first)
        started = await ada.message("run.started", retries=first)
        lines = str(text).split("\n")
        assert lines[started["region"]["first_line"] - 1].startswith("def greet(")
        await ada.message("run.card", retries=first)
        with ada.doc.transaction():
            start = str(text).index("def greet")
            del text[start : str(text).index("def other")]
        await ada.all_saved()
        now = str(text)
        ada.send("run.retry", run=first)
        refused = await ada.message("error", code="changed")
        assert "select" in refused["message"]
        assert str(text) == now


async def test_continue_goes_on_in_the_lines_that_a_stopped_run_left(chatting_server: Server) -> None:
    session = chatting_server.session(("a.py", "x = 1\ny = 2\n"))
    async with join(chatting_server, session) as ada:
        file = await ada.ready("a.py")
        ada.send("run.start", instruction="write", file=file)
        first = (await ada.message("run.started"))["run"]
        await ada.wait(lambda: str(ada.text_of("a.py")).count("\n") > 4)
        ada.send("run.continue", run=first)
        assert (await ada.message("error"))["code"] == "busy"
        ada.send("run.stop", run=first)
        await ada.message("run.card", run=first)
        stood = chatting_server.text(session, "a.py")
        ada.send("run.continue", run=first)
        started = await ada.message("run.started", continues=first)
        assert [link["instruction"] for link in started["chain"]] == ["write"]
        assert "Go on" in started["instruction"]
        assert (started["region"]["first_line"], started["region"]["last_line"]) == (1, stood.count("\n"))
        ada.send("run.stop")
        await ada.message("run.card", run=started["run"])
