"""A second model beside the usual one: a file that is loaded when it is first wanted, and an endpoint that comes and goes."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import httpx
import pytest

from project import config
from tests.conftest import Server, join
from tests.endpoint import FakeEndpoint

GREET = 'def greet(name):\n    print("Hello " + name)\n'
DOCSTRING = "add a docstring: Say hello."
KEY = "sk-nobody-sees-this"


def test_where_there_is_none_it_is_said(server: Server) -> None:
    async def ask() -> None:
        session = server.session(("a.py", GREET))
        async with join(server, session) as ada:
            file = await ada.ready("a.py")
            assert list((await ada.message("welcome"))["engines"]) == ["fast"]
            ada.send("run.start", instruction=DOCSTRING, file=file, engine="deep")
            refused = await ada.message("error")
            assert refused["code"] == "unsupported" and "ENSEMBLE_DEEP_MODEL" in refused["message"]
            ada.send("run.start", instruction=DOCSTRING, file=file)
            card = await ada.message("run.card")
            assert card["engine"] == "fast"
            ada.send("run.retry", run=card["run"], engine="deep")
            assert (await ada.message("error", code="unsupported", run=card["run"]))["message"] == refused["message"]
            ada.send("run.start", instruction=DOCSTRING, file=file, engine="fastest")
            assert (await ada.message("error", code="bad_message"))["message"].endswith("must be one of fast, deep.")

    asyncio.run(ask())


async def test_a_file_is_loaded_when_it_is_first_wanted(tmp_path: Path, endless_model: Path) -> None:
    running = await asyncio.to_thread(Server, tmp_path, ENSEMBLE_MODEL=str(endless_model), ENSEMBLE_DEEP_MODEL=str(config.EMBEDDED_MODEL))
    try:
        session = running.session(("greet.py", GREET))
        async with join(running, session) as ada, join(running, session, name="Grace") as grace:
            file = await ada.ready("greet.py")
            engines = (await grace.message("welcome"))["engines"]
            assert (engines["fast"]["name"], engines["fast"]["state"]) == (endless_model.stem, "ready")
            assert (engines["deep"]["name"], engines["deep"]["state"]) == ("Built-in model", "asleep")
            ada.send("run.start", instruction=DOCSTRING, file=file, engine="deep")
            queued = await grace.message("run.queued")
            assert queued["engine"] == "deep" and queued["reason"] == "Waits for the model to be loaded."
            await grace.wait(lambda: "ready" in [m["engines"]["deep"]["state"] for m in grace.messages if m["type"] == "engines"])
            started = await grace.message("run.started", run=queued["run"])
            assert (started["engine"], started["model"]) == ("deep", "Built-in model")
            card = await grace.message("run.card", run=queued["run"])
            assert (card["engine"], card["model"], card["outcome"]) == ("deep", "Built-in model", "done")
            assert '"""Say hello."""' in str(grace.text_of("greet.py"))
            # The usual model is not disturbed.
            assert not [m for m in grace.messages if m["type"] == "model"]
            # The same once more, on the same lines, by the same model; what stands stays.
            before = len(grace.messages)
            ada.send("run.retry", run=queued["run"], engine="deep")
            again = await grace.message("run.started", before)
            assert (again["engine"], again["retries"], again["region"]["first_line"]) == ("deep", None, 1)
            assert again["region"]["last_line"] == 3
            await grace.message("run.card", run=again["run"])
            assert not (await grace.message("run.card", run=queued["run"]))["undone"]
            # A steer goes on with the same model.
            ada.send("run.steer", run=queued["run"], instruction="add a docstring: Say bye.")
            assert (await grace.message("run.started", continues=queued["run"]))["engine"] == "deep"
    finally:
        running.kill()


async def test_an_endpoint_answers_beside_the_usual_model(tmp_path: Path) -> None:
    endpoint = FakeEndpoint()
    await endpoint.open()

    async def docstring(asked: Any) -> None:
        await asked.begin()
        await asked.text(
            "Sure, here it is:\n```python\n", "def greet(name):\n", '    """Say hel', 'lo, deeply."""\n', '    print("Hello " + name)\n', "```\n"
        )
        await asked.end(usage={"prompt_tokens": 80, "completion_tokens": 31})

    endpoint.complete = docstring
    environment = {"ENSEMBLE_DEEP_MODEL": endpoint.url.removesuffix("/v1"), "ENSEMBLE_DEEP_KEY": KEY}
    running = await asyncio.to_thread(Server, tmp_path, **environment)
    try:
        session = await asyncio.to_thread(running.session, ("greet.py", GREET))
        async with join(running, session) as ada, join(running, session, name="Grace") as grace:
            file = await ada.ready("greet.py")
            await grace.wait(lambda: endpoint.seen)
            ada.send("run.start", instruction="add a docstring", file=file, engine="deep")
            card = await grace.message("run.card")
            assert (card["engine"], card["model"], card["outcome"], card["tokens"]) == ("deep", "some-coder", "done", 6)
            assert str(grace.text_of("greet.py")) == 'def greet(name):\n    """Say hello, deeply."""\n    print("Hello " + name)\n'
            asked = endpoint.seen[-1]
            assert asked.headers["authorization"] == f"Bearer {KEY}" and GREET.rstrip("\n") in asked.body["messages"][1]["content"]

            await endpoint.close()
            ada.send("run.start", instruction="add another", file=file, engine="deep")
            failed = await grace.message("run.card", outcome="failed")
            assert "cannot be reached" in failed["reason"]
            await grace.wait(lambda: "failed" in [m["engines"]["deep"]["state"] for m in grace.messages if m["type"] == "engines"])
            before = len(ada.messages)
            ada.send("run.start", instruction="add another", file=file, engine="deep")
            assert "cannot be reached" in (await ada.message("error", before, code="model_unavailable"))["message"]
            # The server serves all the same.
            assert (await asyncio.to_thread(httpx.get, running.url + "/readyz")).status_code == 200
            ada.send("run.start", instruction=DOCSTRING, file=file)
            assert (await grace.message("run.card", engine="fast"))["outcome"] in ("done", "declined")

            await endpoint.open()
            await grace.wait(lambda: [m["engines"]["deep"]["state"] for m in grace.messages if m["type"] == "engines"][-1] == "ready", 60)
            assert KEY not in repr(ada.messages) + repr(grace.messages)
        assert not [line for line in running.log if KEY in line]
    finally:
        running.kill()
        await endpoint.close()


async def test_the_usual_model_can_be_an_endpoint(tmp_path: Path) -> None:
    endpoint = FakeEndpoint()
    await endpoint.open()
    try:
        running = await asyncio.to_thread(Server, tmp_path, ENSEMBLE_MODEL=endpoint.url, ENSEMBLE_MODEL_KEY=KEY)
        try:
            session = await asyncio.to_thread(running.session, ("a.py", "x = 1\ny = 2\n"))
            async with join(running, session) as ada:
                file = await ada.ready("a.py")
                assert (await ada.message("welcome"))["model"]["name"] == "some-coder"
                ada.send("instruction.typed", text="make x two", file=file)
                ada.send("run.start", instruction="make x two", file=file)
                assert (await ada.message("run.card"))["outcome"] == "done"
                assert str(ada.text_of("a.py")) == "x = 2\ny = 2\n"
                # Keystrokes cost nothing.
                assert len([asked for asked in endpoint.seen if asked.body]) == 1
        finally:
            running.kill()
    finally:
        await endpoint.close()


@pytest.mark.parametrize(
    ("environment", "words"),
    [
        ({"ENSEMBLE_DEEP_MODEL": "https://somebody:secret@host/v1"}, "a key goes into ENSEMBLE_DEEP_KEY"),
        ({"ENSEMBLE_DEEP_MODEL": "https://host/v1?key=secret"}, "a key goes into ENSEMBLE_DEEP_KEY"),
        ({"ENSEMBLE_DEEP_MODEL": "http://"}, "should look like https://host:port/v1"),
        ({"ENSEMBLE_DEEP_MODEL": "http://host:99999"}, "should look like"),
        ({"ENSEMBLE_DEEP_MODEL": "http://host/v1", "ENSEMBLE_DEEP_KEY": "secr\u00e9t"}, "ENSEMBLE_DEEP_KEY holds characters"),
        ({"ENSEMBLE_DEEP_MODEL": "secret-model"}, "ENSEMBLE_DEEP_MODEL cannot be used. There is no model 'secret-model'"),
        ({"ENSEMBLE_MODEL": "https://somebody:secret@host/v1"}, "a key goes into ENSEMBLE_MODEL_KEY"),
    ],
)
def test_a_setting_that_cannot_be_stops_the_start(tmp_path: Path, environment: dict[str, str], words: str) -> None:
    import subprocess

    done = subprocess.run(Server.command, env={**Server.inherited(), "ENSEMBLE_DATA": str(tmp_path), **environment}, capture_output=True, text=True)
    assert done.returncode
    assert words in done.stderr
    if "secret-model" not in environment.values():
        assert "secr" not in done.stdout + done.stderr
