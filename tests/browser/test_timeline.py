"""A timeline that has grown long."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import Any

from playwright.sync_api import Page, expect

from tests.browser.conftest import enter
from tests.conftest import Server, join

People = Callable[..., Page]
RUNS = 60


def let_run(server: Server, session: dict[str, Any], count: int) -> None:
    """In a thread, for Playwright's loop is the one of this."""

    async def all_of_them() -> None:
        async with join(server, session) as bo:
            file = await bo.ready("a.py")
            for number in range(count):
                bo.send("run.start", instruction=f"add a docstring to function_{number}", file=file, mode="edit")
                await bo.wait(lambda: sum(message["type"] == "run.card" for message in bo.messages) > number)  # noqa: B023

    thread = threading.Thread(target=lambda: asyncio.run(all_of_them()))
    thread.start()
    thread.join()


def opened(page: Page, session: dict[str, Any], cards: int) -> float:
    """Opens the session and says how often the page was laid out for that."""
    metrics = page.context.new_cdp_session(page)
    metrics.send("Performance.enable")
    enter(page, str(session["links"]["edit"]))
    expect(page.get_by_test_id("run-card")).to_have_count(cards)
    return float(next(each["value"] for each in metrics.send("Performance.getMetrics")["metrics"] if each["name"] == "LayoutCount"))


def test_a_long_timeline_is_laid_out_once_not_once_for_each_card(server: Server, people: People) -> None:
    text = "".join(f"def function_{number}(a):\n    return a\n\n\n" for number in range(RUNS))
    empty, long = server.session(("a.py", text)), server.session(("a.py", text))
    let_run(server, long, RUNS)
    ada, grace = people("Ada"), people("Grace")
    bare, full = opened(ada, empty, 0), opened(grace, long, RUNS)
    assert 0 < full < bare + RUNS / 2, (bare, full)
    expect(grace.get_by_test_id("run-card").last).to_be_in_viewport()
