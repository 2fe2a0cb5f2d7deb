"""Questions over the real socket: the answer streams to everybody, edits nothing, and stays."""

from __future__ import annotations

from tests.conftest import Client, Server, join

CODE = "def greet(name):\n    print(name)\n\n\ngreet('Zoë')\n"


def heard(client: Client, run: str) -> str:
    return "".join(message["text"] for message in client.messages if message["type"] == "run.text" and message["run"] == run)


async def test_a_question_is_answered_to_everybody_and_edits_nothing(chatting_server: Server) -> None:
    session = chatting_server.session(("greet.py", CODE))
    async with join(chatting_server, session) as ada, join(chatting_server, session, name="Grace") as grace:
        file = await ada.ready("greet.py")
        for text in ("What", "What does it do?"):
            ada.send("instruction.typed", text=text, file=file, mode="ask")
        ada.send("run.start", instruction="What does it do?", file=file, mode="ask")
        started = await grace.message("run.started")
        run = started["run"]
        assert started["mode"] == "ask" and started["instruction"] == "What does it do?"
        await grace.wait(lambda: len(heard(grace, run)) > 40)
        async with join(chatting_server, session, name="Later") as later:
            # Who comes while it streams has all of it.
            await later.wait(lambda: len(heard(later, run)) > 60)
            ada.send("run.stop", run=run)
            finished = await grace.message("run.finished", run=run)
            card = await grace.message("run.card", run=run)
            for other in (later, ada):
                await other.message("run.card", run=run)
            assert heard(later, run) == card["text"]
        assert finished["outcome"] == "stopped"
        assert card["text"] == heard(grace, run) == heard(ada, run)
        assert card["mode"] == "ask" and card["diff"] == []
        assert str(ada.text_of("greet.py")) == CODE == chatting_server.text(session, "greet.py")

        # Asking on: in the same conversation, while it streams too.
        ada.send("run.steer", run=run, instruction="And then?")
        second = await grace.message("run.started", continues=run)
        assert second["mode"] == "ask"
        assert [link["instruction"] for link in second["chain"]] == ["What does it do?"]
        await grace.wait(lambda: len(heard(grace, second["run"])) > 10)
        grace.send("run.steer", run=second["run"], instruction="Why?")
        third = await ada.message("run.started", continues=second["run"])
        assert (await ada.message("run.finished", run=second["run"]))["outcome"] == "steered"
        ada.send("run.stop")
        await ada.message("run.card", run=third["run"])
    async with join(chatting_server, session, name="Much later") as later:
        cards = (await later.message("welcome"))["runs"]
        assert cards[0]["text"] == card["text"] and len(cards) == 3


async def test_an_answer_does_not_wait_for_the_run_that_rewrites_these_lines(chatting_server: Server) -> None:
    session = chatting_server.session(("greet.py", CODE))
    async with join(chatting_server, session) as ada:
        file = await ada.ready("greet.py")
        everything = {"anchor": 0, "head": len(CODE)}
        ada.send("run.start", instruction="write something long", file=file, selection=everything)
        edit = (await ada.message("run.started"))["run"]
        ada.send("run.start", instruction="What is this?", file=file, selection=everything, mode="ask")
        asked = await ada.message("run.started", mode="ask")
        await ada.wait(lambda: len(heard(ada, asked["run"])) > 10)
        ada.send("run.stop", run=asked["run"])
        assert (await ada.message("run.finished"))["run"] == asked["run"]
        ada.send("run.stop", run=edit)
        await ada.message("run.finished", run=edit)


async def test_the_built_in_model_says_that_it_cannot_answer_and_what_can(server: Server) -> None:
    session = server.session(("greet.py", CODE))
    async with join(server, session) as ada:
        file = await ada.ready("greet.py")
        ada.send("run.start", instruction="What does it do?", file=file, mode="ask")
        error = await ada.message("error")
        assert error["code"] == "unsupported"
        assert "cannot answer questions" in error["message"] and "./manage.py model list" in error["message"]


async def test_what_the_model_saw_of_other_files_is_told_and_kept(chatting_server: Server) -> None:
    session = chatting_server.session(("main.py", "import util\n\nutil.run()\n"), ("util.py", "def run():\n    pass\n"), ("other.py", "x = 1\n"))
    async with join(chatting_server, session) as ada:
        file = await ada.ready("main.py")
        ada.send("run.start", instruction="write something long", file=file)
        started = await ada.wait(lambda: next((m for m in ada.messages if m["type"] == "run.started" and m["saw"]), None))
        assert [(seen["path"], seen["why"]) for seen in started["saw"]] == [("main.py", "edited"), ("util.py", "imported")]
        assert all(0 < seen["tokens"] == seen["of"] for seen in started["saw"])
        ada.send("run.stop")
        card = await ada.message("run.card", run=started["run"])
        assert card["saw"] == started["saw"]
