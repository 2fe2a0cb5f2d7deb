"""The server changes to another model while people work: nobody is thrown out, and nothing lands afterwards."""

from __future__ import annotations

import asyncio
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.conftest import ROOT, Server, bearer, join

GREET = 'def greet(name):\n    print("Hello " + name)\n'
NAME = "qwen2.5-coder-0.5b"
DOCSTRING = "add a docstring: Say hello."


@pytest.fixture
def two_models(tmp_path: Path, endless_model: Path) -> Iterator[Server]:
    """The built-in model in use, and one that writes nonsense for ever installed."""
    (tmp_path / "models").mkdir()
    shutil.copy(endless_model, tmp_path / "models" / "endless.gguf")
    running = Server(
        tmp_path, ENSEMBLE_THREADS="1", ENSEMBLE_MAX_CONTEXT_TOKENS="32768", ENSEMBLE_MAX_RUN_TOKENS="30000", ENSEMBLE_HOSTS_CHOOSE_MODEL="1"
    )
    yield running
    running.kill()


async def use(server: Server, name: str) -> str:
    process = await asyncio.create_subprocess_exec(
        *[sys.executable, "manage.py", "model", "use", name], cwd=ROOT, env=server.environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    said, _ = await process.communicate()
    return said.decode()


async def test_a_host_chooses_where_the_operator_lets_hosts(two_models: Server, server: Server, tmp_path: Path) -> None:
    session = two_models.session()
    tokens = session["tokens"]
    async with httpx.AsyncClient(base_url=f"{two_models.url}/api/sessions/{session['id']}") as browser, join(two_models, session) as ada:
        host, editor = bearer(tokens["host"]), bearer(tokens["edit"])
        listed = (await browser.get("/model", headers=host)).json()
        assert listed["may_choose"] and [(row["model"], row["in_use"]) for row in listed["models"]] == [("built-in", True), ("endless", False)]
        assert (await browser.put("/model", headers=editor, json={"model": "endless"})).status_code == 403
        assert (await browser.put("/model", headers=host, json={"model": str(tmp_path / "models" / "endless.gguf")})).status_code == 404
        # What is fetched, and removed: names of the catalogue and of the folder, and only by hosts.
        assert (await browser.post("/model", headers=editor, json={"model": NAME})).status_code == 403
        for name in ("no-such-model", str(tmp_path / "models" / "endless.gguf"), ""):
            assert (await browser.post("/model", headers=host, json={"model": name})).status_code == 404
            assert (await browser.request("DELETE", "/model", headers=host, json={"model": name})).status_code == 404
        assert (await browser.request("DELETE", "/model", headers=editor, json={"model": "endless"})).status_code == 403
        assert (await browser.request("DELETE", "/model", headers=host, json={"model": "built-in"})).status_code == 409
        assert (await browser.put("/model", headers=host, json={"model": "endless"})).status_code == 200
        await ada.wait(lambda: any(m["type"] == "model" and (m["model"]["name"], m["model"]["state"]) == ("endless", "ready") for m in ada.messages))
        # One that begins well and is cut off: tried in a process of its own, and refused.
        (tmp_path / "models" / "cut.gguf").write_bytes((tmp_path / "models" / "endless.gguf").read_bytes()[:-2_000_000])
        assert (await browser.put("/model", headers=host, json={"model": "cut"})).status_code == 200
        await ada.wait(lambda: any(m["type"] == "model" and "cut.gguf cannot be used" in m["model"]["detail"] for m in ada.messages))
        last = [message["model"] for message in ada.messages if message["type"] == "model"][-1]
        assert (last["name"], last["state"]) == ("endless", "ready")
    # And nowhere else.
    session = await asyncio.to_thread(server.session)
    async with httpx.AsyncClient(base_url=f"{server.url}/api/sessions/{session['id']}", headers=bearer(session["tokens"]["host"])) as browser:
        assert (await browser.get("/model")).json() == {"may_choose": False, "models": [], "to_install": [], "download": None}
        assert (await browser.post("/model", json={"model": NAME})).status_code == 400
        refused = await browser.put("/model", json={"model": "built-in"})
        assert refused.status_code == 400 and "./manage.py model use" in refused.json()["error"]["message"]


async def test_the_model_changes_under_a_session(two_models: Server, tmp_path: Path) -> None:
    server = two_models
    session = server.session(("greet.py", GREET), ("notes.py", "x = 1\n"))
    async with join(server, session) as ada, join(server, session, name="Grace") as grace:
        greet, notes = await ada.ready("greet.py"), await ada.ready("notes.py")
        assert "uses endless now" in await use(server, "endless")
        model = (await grace.message("model", model={"name": "endless", "state": "ready", "detail": "", "progress": None}))["model"]
        assert model["name"] == "endless"
        states = [message["model"] for message in grace.messages if message["type"] == "model"]
        assert states[0] == {"name": "endless", "state": "loading", "detail": "", "progress": None}
        shares = [state["progress"] for state in states if state["progress"] is not None]
        assert shares and shares == sorted(shares)

        # Back again, while it writes, and while an instruction waits.
        ada.send("run.start", instruction="write", file=notes)
        run = (await grace.message("run.started"))["run"]
        await grace.wait(lambda: len(str(grace.text_of("notes.py"))) > 60)
        changing = asyncio.create_task(use(server, "built-in"))
        finished = await grace.message("run.finished", run=run)
        assert finished["outcome"] == "stopped" and "another model" in finished["reason"] and finished["tokens"] > 0
        then = server.text(session, "notes.py")
        ada.send("run.start", instruction=DOCSTRING, file=greet)
        second = await grace.message("run.started", after=grace.messages.index(finished))
        done = await grace.message("run.finished", run=second["run"])
        assert done["outcome"] == "done"
        assert second["model"] == "Built-in model"
        assert '"""Say hello."""' in server.text(session, "greet.py")
        assert server.text(session, "notes.py") == then, "nothing of the run landed afterwards"
        assert "uses Built-in model now" in await changing
        assert ada.closed is None and grace.closed is None


def test_a_model_that_cannot_be_used_changes_nothing(two_models: Server, tmp_path: Path) -> None:
    damaged = tmp_path / "models" / "damaged.gguf"
    damaged.write_bytes((tmp_path / "models" / "endless.gguf").read_bytes()[:-2_000_000])
    assert "cannot be used" in asyncio.run(use(two_models, "damaged"))
    assert httpx.get(two_models.url + "/readyz").json()["model"] == "ready"


def test_what_was_chosen_is_used_from_the_next_start_on_or_it_is_said_why_not(two_models: Server, tmp_path: Path) -> None:
    assert "uses endless now" in asyncio.run(use(two_models, "endless"))
    assert two_models.stop() == 0
    two_models.start()
    session = two_models.session()

    async def name() -> str:
        async with join(two_models, session) as ada:
            return str((await ada.message("welcome"))["model"]["name"])

    assert asyncio.run(name()) == "endless"
    assert two_models.stop() == 0
    (tmp_path / "models" / "endless.gguf").unlink()
    two_models.log.clear()
    two_models.start()
    assert any("built-in model is used instead" in line for line in two_models.log), two_models.log
    assert asyncio.run(name()) == "Built-in model"
