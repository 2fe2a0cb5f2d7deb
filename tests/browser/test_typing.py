"""What the editor itself does as people type."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import open_session, text_of
from tests.conftest import Server

People = Callable[..., Page]


@pytest.mark.parametrize(
    ("path", "language", "text", "typed", "expected"),
    [
        ("empty.py", "Python", "", "def f():\nreturn 1", "def f():\n    return 1"),
        ("two.py", "Python", "def g():\n  return 2\n\n\n", "def f():\nreturn 1", "def g():\n  return 2\n\n\ndef f():\n  return 1"),
        ("empty.css", "CSS", "", "a {\ncolor: red;", "a {\n  color: red;\n}"),
        ("main.go", "Go", "", "func main() {\nrun()", "func main() {\n\trun()\n}"),
    ],
)
def test_a_new_line_is_as_deep_as_its_neighbours_or_its_language_have_it(
    server: Server, people: People, path: str, language: str, text: str, typed: str, expected: str
) -> None:
    ada = people("Ada")
    open_session(ada, server, text, path)
    expect(ada.get_by_text(language, exact=True).first).to_be_visible()
    ada.locator(".cm-content").click()
    ada.keyboard.press("Control+End")
    ada.keyboard.type(typed)
    assert text_of(ada) == expected
