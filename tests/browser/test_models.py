"""Changing the server's model, as a host's and an editor's page show it."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import enter, instruct
from tests.conftest import Server
from tests.hub import Hub

NAME = "qwen2.5-coder-0.5b"


@pytest.fixture
def choosing(tmp_path: Path, endless_model: Path) -> Iterator[Server]:
    (tmp_path / "models").mkdir()
    shutil.copy(endless_model, tmp_path / "models" / "endless.gguf")
    running = Server(tmp_path, ENSEMBLE_HOSTS_CHOOSE_MODEL="1", ENSEMBLE_MAX_CONTEXT_TOKENS="32768", ENSEMBLE_MAX_RUN_TOKENS="30000")
    yield running
    running.kill()


def test_a_host_changes_the_model_and_everybody_sees_it(choosing: Server, people: Callable[..., Page]) -> None:
    session = choosing.session(("a.py", "x = 1\n"))
    hal, ada = people("Hal"), people("Ada")
    enter(hal, f"{choosing.url}/s/{session['id']}#{session['tokens']['host']}")
    enter(ada, session["links"]["edit"])
    expect(ada.locator("#model-name")).to_have_text("Built-in model")
    ada.locator("#share-button").click()
    expect(ada.get_by_test_id("model-choice")).to_be_hidden()
    ada.keyboard.press("Escape")

    hal.locator("#share-button").click()
    hal.get_by_test_id("model-select").select_option("endless")
    hal.get_by_test_id("model-use").click()
    expect(ada.locator("#model-name")).to_have_text("endless")
    expect(hal.get_by_test_id("notice")).to_contain_text("The server uses endless now.")
    hal.keyboard.press("Escape")

    # It writes for ever, until the model is changed back: the run ends with a reason.
    instruct(ada, "write")
    expect(ada.locator("#strip")).to_be_visible()
    hal.locator("#share-button").click()
    expect(hal.get_by_test_id("model-select").locator("option[selected]")).to_contain_text("endless")
    hal.get_by_test_id("model-select").select_option("built-in")
    hal.get_by_test_id("model-use").click()
    expect(ada.locator("#run-list")).to_contain_text("changed to another model")
    expect(ada.locator("#model-name")).to_have_text("Built-in model")
    expect(ada.locator("#strip")).to_be_hidden()


def test_a_host_fetches_a_model_of_the_catalogue_and_removes_it(tmp_path: Path, hub: Hub, people: Callable[..., Page]) -> None:
    """It stalls, is stopped, goes on from there, is used, and goes again."""
    hub.trouble = [("stall", 3 * 2**20)]
    server = Server(tmp_path, ENSEMBLE_HOSTS_CHOOSE_MODEL="1", ENSEMBLE_MAX_CONTEXT_TOKENS="2048", HF_ENDPOINT=hub.url, HF_HUB_DOWNLOAD_TIMEOUT="2")
    try:
        session = server.session(("a.py", "x = 1\n"))
        hal = people("Hal")
        enter(hal, f"{server.url}/s/{session['id']}#{session['tokens']['host']}")
        hal.locator("#share-button").click()
        hal.locator("#model-more summary").click()
        row = hal.locator(f'[data-model="{NAME}"]')
        expect(row).to_contain_text("Apache-2.0")
        row.get_by_role("button", name="Install").click()
        expect(row).to_contain_text("3 MB of")
        other = hal.get_by_test_id("model-row").nth(1).get_by_role("button")
        expect(other).to_be_disabled()
        row.get_by_role("button", name="Stop").click()
        row.get_by_role("button", name="Go on").click()
        expect(row).to_contain_text("installed")
        assert hub.ranges[0] == 0 and hub.ranges[-1] >= 2**20, "it went on from what had come"
        hal.get_by_test_id("model-select").select_option(NAME)
        hal.get_by_test_id("model-use").click()
        expect(hal.locator("#model-name")).to_have_text(NAME)
        expect(row.get_by_role("button", name="Remove")).to_be_disabled()
        hal.get_by_test_id("model-select").select_option("built-in")
        hal.get_by_test_id("model-use").click()
        expect(hal.locator("#model-name")).to_have_text("Built-in model")
        row.get_by_role("button", name="Remove").click()
        expect(row.get_by_role("button", name="Install")).to_be_visible()
        assert not list((tmp_path / "models").iterdir())

        hub.says_digest = "0" * 64
        row.get_by_role("button", name="Install").click()
        expect(row).to_contain_text("was damaged on its way")
        hub.status = 503
        row.get_by_role("button", name="Install").click()
        expect(row).to_contain_text("answered with the error 503")
    finally:
        server.kill()
