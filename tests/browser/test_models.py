"""Changing the server's model, as a host's and an editor's page show it."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import enter, instruct
from tests.conftest import Server


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
