"""The model's process crashes while people look on: both pages say so, and that it is back."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable

from playwright.sync_api import Page, expect

from tests.browser.conftest import enter, instruct, text_of, wait_for_text
from tests.conftest import Server, process_of, wait_until


def test_a_crash_is_told_and_its_end_as_well(endless: Server, people: Callable[..., Page]) -> None:
    session = endless.session(("a.py", "x = 1\n"))
    ada = people("Ada")
    grace = people("Grace", viewport={"width": 390, "height": 844}, color_scheme="dark")
    for page in (ada, grace):
        enter(page, session["links"]["edit"])
    instruct(ada, "write")
    wait_for_text(grace, "text.length > 60")
    pid = process_of(endless)
    os.kill(pid, signal.SIGSEGV)
    wait_until(lambda: process_of(endless) != pid, "the next process")
    # Held while it loads, so that everybody can look.
    os.kill(process_of(endless), signal.SIGSTOP)
    for page in (ada, grace):
        expect(page.locator("#banners")).to_contain_text("The model's process crashed (SIGSEGV); it is started again.")
        expect(page.locator("#model")).to_have_attribute("data-state", "loading")
    expect(ada.locator("#run-list")).to_contain_text("While it worked on this the model's process crashed (SIGSEGV)")
    stands = text_of(ada)
    instruct(ada, "again")
    expect(ada.locator("#run-list")).to_contain_text("Waits for the model")
    os.kill(process_of(endless), signal.SIGCONT)
    wait_for_text(grace, f"text.length > {len(stands) + 20}")
    for page in (ada, grace):
        expect(page.locator("#banners")).to_be_empty()
        expect(page.locator("#model")).to_have_attribute("data-state", "ready")

    os.kill(process_of(endless), signal.SIGKILL)
    for page in (ada, grace):
        expect(page.locator("#banners")).to_contain_text("it is not started again (ENSEMBLE_MAX_RESTARTS)")
        expect(page.locator("#model")).to_have_attribute("data-state", "failed")
