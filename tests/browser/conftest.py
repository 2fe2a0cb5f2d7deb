"""Real Chromium through Playwright. ``people`` opens browsers that share nothing but the server."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from tests.conftest import ROOT, Server, wait_until

FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


def executable() -> str:
    chosen = ROOT / ".cache" / "chromium"
    found = os.environ.get("ENSEMBLE_CHROMIUM") or (chosen.read_text().strip() if chosen.is_file() else shutil.which("chromium"))
    assert found, "make test brings a Chromium, and names it in ENSEMBLE_CHROMIUM"
    return found


# Machines are shared: what takes a second here takes ten elsewhere.
expect.set_options(timeout=20_000)


@pytest.fixture(scope="package")
def chromium() -> Iterator[Browser]:
    # Not for the session: while Playwright runs, its event loop does, and other tests need their own.
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable(), args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture
def people(chromium: Browser, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Callable[..., Page]]:
    """``people(name, **context)`` is a new person's page. No page may log an error."""
    pages: list[Page] = []
    complaints: list[str] = []

    def person(name: str, **options: Any) -> Page:
        context = chromium.new_context(**options)
        context.add_init_script(f"localStorage.setItem('ensemble.name', {name!r})")
        page = context.new_page()
        page.set_default_timeout(20_000)
        page.on("pageerror", lambda error: complaints.append(f"{name}: {error}"))
        page.on("console", lambda message: complaints.append(f"{name}: {message.text}") if message.type == "error" else None)
        pages.append(page)
        return page

    yield person
    folder = os.environ.get("ENSEMBLE_SCREENSHOTS")
    for number, page in enumerate(pages):
        if folder and not page.is_closed():
            page.screenshot(path=Path(folder) / f"{request.node.name}-{number}.png")
        page.context.close()
    expected = [mark.args[0] for mark in request.node.iter_markers("complaints")]
    left = [c for c in complaints if not any(text in c for text in expected)]
    assert not left, left


def open_session(page: Page, server: Server, text: str = "", path: str = "main.py") -> str:
    """Makes a session over the interface, opens it as an editor, and returns the link."""
    session = server.session((path, text))
    link = str(session["links"]["edit"])
    enter(page, link)
    return link


def enter(page: Page, link: str) -> None:
    page.goto(link)
    page.wait_for_selector("[data-testid=save-state][data-state=saved]")
    page.wait_for_selector("[data-testid=editor] .cm-content")


def text_of(page: Page) -> str:
    return str(page.evaluate("window.ensemble.view.state.doc.toString()"))


def wait_for_text(page: Page, condition: str) -> None:
    """``condition``: JavaScript over ``text``. Not wait_for_function, which the page's policy forbids (eval)."""
    met = f"(() => {{ const text = window.ensemble.view.state.doc.toString(); return {condition} }})()"
    wait_until(lambda: page.evaluate(met), f"{condition}, instead of: {text_of(page)!r}", 20)


def instruct(page: Page, instruction: str) -> None:
    page.get_by_test_id("instruction-input").click()
    page.keyboard.type(instruction)
    page.keyboard.press("Enter")
