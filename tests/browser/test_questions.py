"""Asking in the page: the answer as text with ways into the code, and nothing edited."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import enter, text_of
from tests.conftest import Server
from tests.endpoint import Asked, FakeEndpoint

People = Callable[..., Page]
CART = "import util\n\n\nclass Cart:\n    limit = 10\n\n    def total(self):\n        return sum(self.prices)\n" + "\n" * 60 + "cart = Cart()\n"
ANSWER = """`Cart` adds up its prices in `return sum(self.prices)`; see also line 4 and **shop/util.py:2**, but not line 999.

- It is made in `cart = Cart()`.
- <img src=x onerror=alert(1)> stays letters, and [a link](javascript:alert(1)) too.

```python
print(cart.total())
```
"""


@pytest.fixture
def answering(tmp_path: Path) -> Iterator[tuple[Server, FakeEndpoint]]:
    """The built-in model, and beside it an endpoint that answers questions."""
    endpoint, loop = FakeEndpoint(), asyncio.new_event_loop()

    async def answers(request: Asked) -> None:
        await request.begin()
        await request.text(*(ANSWER[at : at + 7] for at in range(0, len(ANSWER), 7)))
        await request.end()

    endpoint.complete = answers
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    asyncio.run_coroutine_threadsafe(endpoint.open(), loop).result()
    server = Server(tmp_path / "data", ENSEMBLE_DEEP_MODEL=endpoint.url.removesuffix("/v1"))
    yield server, endpoint
    server.kill()
    asyncio.run_coroutine_threadsafe(endpoint.close(), loop).result()
    loop.call_soon_threadsafe(loop.stop)
    thread.join()


def test_an_answer_has_ways_into_the_code_and_edits_nothing(answering: tuple[Server, FakeEndpoint], people: People) -> None:
    server, endpoint = answering
    session = server.session(("shop/cart.py", CART), ("shop/util.py", "a = 1\nb = 2\n"))
    link = str(session["links"]["edit"])
    ada, grace = people("Ada"), people("Grace")
    enter(ada, link)
    enter(grace, link)
    # A leading question mark asks.
    ada.get_by_test_id("instruction-input").click()
    ada.keyboard.type("?How does it add up")
    expect(ada.get_by_test_id("mode").get_by_label("Ask")).to_be_checked()
    expect(ada.get_by_test_id("run-button")).to_contain_text("Ask")
    expect(grace.get_by_test_id("typing-line")).to_contain_text("How does it add up")
    ada.keyboard.press("Enter")
    for page in (ada, grace):
        card = page.locator("[data-testid=run-card][data-outcome=done]")
        answer = card.get_by_test_id("answer")
        expect(answer.locator("pre")).to_contain_text("print(cart.total())")
        expect(answer).to_contain_text("<img src=x onerror=alert(1)> stays letters")
        expect(answer.locator("img, a")).to_have_count(0)
        expect(answer.locator("li")).to_have_count(2)
        assert answer.locator("button.way").all_text_contents() == ["return sum(self.prices)", "line 4", "shop/util.py:2", "cart = Cart()"]
        assert text_of(page) == CART
    # What the endpoint was asked holds the question behind the file.
    asked = endpoint.seen[-1].body["messages"][-1]["content"]
    assert "class Cart:" in asked and asked.endswith("Question: How does it add up")

    assert '<file path="shop/util.py">\na = 1' in asked
    # What it saw is on the card.
    saw = ada.get_by_test_id("saw")
    saw.locator("summary").click()
    expect(saw.locator("li").nth(1)).to_contain_text("shop/util.py")
    expect(saw.locator("li").nth(1)).to_contain_text("all 5 tokens")

    # The ways lead there, and light the line up.
    grace.get_by_role("button", name="cart = Cart()").click()
    expect(grace.locator(".flash-line")).to_have_text("cart = Cart()")
    grace.get_by_role("button", name="shop/util.py:2").click()
    expect(grace.locator(".flash-line")).to_have_text("b = 2")
    expect(grace.locator(".flash-line")).to_have_count(0)

    # Asking on: the conversation so far comes along. The card stays over a reload.
    ada.get_by_test_id("ask-on").click()
    ada.keyboard.type("And the limit?")
    ada.keyboard.press("Enter")
    expect(grace.locator("[data-testid=run-card][data-outcome=done]")).to_have_count(2)
    asked = endpoint.seen[-1].body["messages"][-1]["content"]
    assert "Question: How does it add up\n\nAnswer: `Cart` adds up" in asked and asked.endswith("Question: And the limit?")
    ada.reload()
    expect(ada.get_by_test_id("answer")).to_have_count(2)
    expect(ada.get_by_test_id("answer").first.locator("button.way")).to_have_count(4)


def test_what_stands_of_an_answer_holds_the_focus_while_it_goes_on(answering: tuple[Server, FakeEndpoint], people: People) -> None:
    server, endpoint = answering
    begin, go_on = threading.Event(), threading.Event()

    async def in_two_halves(request: Asked) -> None:
        await request.begin()
        await asyncio.to_thread(begin.wait, 60)
        await request.text("See line 4 of it.\n\n- one\n")
        await asyncio.to_thread(go_on.wait, 60)
        await request.text("- two\n\n```\nprint(1)\n")
        await request.text("```\n\nAnd line 5.")
        await request.end()

    endpoint.complete = in_two_halves
    session = server.session(("shop/cart.py", CART))
    ada = people("Ada")
    enter(ada, str(session["links"]["edit"]))
    ada.get_by_test_id("instruction-input").fill("?How?")
    ada.keyboard.press("Enter")
    badge = ada.get_by_test_id("run-card").locator(".badge")
    expect(badge).to_have_text("Reading")
    begin.set()
    way = ada.get_by_test_id("answer").get_by_role("button", name="line 4")
    way.focus()
    expect(badge).to_have_text("Answering")
    go_on.set()
    done = ada.locator("[data-testid=run-card][data-outcome=done]")
    expect(done.get_by_role("button", name="line 5")).to_be_visible()
    expect(way).to_be_focused()
    expect(done.get_by_test_id("answer").locator("li")).to_have_text(["one", "two"])
    expect(done.locator("pre")).to_have_text("print(1)")


def test_an_answer_stands_once_whoever_takes_another_name_meanwhile(answering: tuple[Server, FakeEndpoint], people: People) -> None:
    server, endpoint = answering
    go_on, end = threading.Event(), threading.Event()

    async def in_two_halves(request: Asked) -> None:
        await request.begin()
        await request.text("The first half.\n\n")
        await asyncio.to_thread(go_on.wait, 60)
        await request.text("The second half.\n\n")
        await asyncio.to_thread(end.wait, 60)
        await request.end()

    endpoint.complete = in_two_halves
    ada = people("Ada")
    enter(ada, str(server.session(("shop/cart.py", CART))["links"]["edit"]))
    ada.get_by_test_id("instruction-input").fill("?How?")
    ada.keyboard.press("Enter")
    answer = ada.get_by_test_id("answer")
    expect(answer).to_have_text("The first half.")
    ada.get_by_test_id("participants").click()
    ada.get_by_label("Your name").fill("Augusta")
    ada.keyboard.press("Enter")
    ada.get_by_test_id("participants").click()
    expect(ada.get_by_test_id("person")).to_contain_text("Augusta")
    go_on.set()
    expect(answer.locator("p")).to_have_text(["The first half.", "The second half."])
    expect(ada.locator("[data-testid=run-card][data-outcome=streaming]")).to_be_visible()
    end.set()


def test_on_a_phone_the_answer_comes_into_sight(answering: tuple[Server, FakeEndpoint], people: People) -> None:
    server, _ = answering
    session = server.session(("shop/cart.py", CART), ("shop/util.py", "a = 1\nb = 2\n"))
    ada = people("Ada", viewport={"width": 390, "height": 800}, color_scheme="dark")
    enter(ada, str(session["links"]["edit"]))
    ada.get_by_test_id("mode").get_by_label("Ask").click()
    ada.get_by_test_id("instruction-input").fill("How does it add up?")
    ada.get_by_test_id("run-button").click()
    expect(ada.get_by_test_id("answer").locator("pre")).to_be_in_viewport()
    ada.get_by_test_id("answer").get_by_role("button", name="line 4").click()
    expect(ada.locator(".flash-line")).to_have_text("class Cart:")
    expect(ada.get_by_test_id("timeline")).not_to_be_in_viewport()


def test_the_built_in_model_alone_says_what_can_answer(server: Server, people: People) -> None:
    question = "What is this?"
    session = server.session(("a.py", "x = 1\n"))
    ada = people("Ada")
    enter(ada, str(session["links"]["edit"]))
    ada.get_by_test_id("mode").get_by_label("Ask").check()
    ada.get_by_test_id("instruction-input").fill(question)
    ada.keyboard.press("Enter")
    expect(ada.get_by_role("status").filter(has_text="./manage.py model list")).to_be_visible()
    expect(ada.get_by_test_id("instruction-input")).to_have_value(question)
