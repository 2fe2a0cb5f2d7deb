"""Requests of the embedded model lose manners and capitals, and nothing that is meant."""

from __future__ import annotations

import pytest

from inference.api import Task
from inference.prompts import PatchFormat
from inference.wording import plain

REGION = "class User:\n    name = 'I'"


@pytest.mark.parametrize(
    ("typed", "asked"),
    [
        ("Rename name to title.", "rename name to title"),
        ("Rename name to title", "rename name to title"),
        ("Could you please rename name to title?", "rename name to title"),
        ("can we rename name to title, please", "rename name to title"),
        ("will you add a docstring: May I?", "add a docstring: May I?"),
        # As they are typed most often.
        ("rename name to title", "rename name to title"),
        ("rename name to title.", "rename name to title."),
        # A name of the code, one that might be, a text to be written, a word that is a sentence of its own.
        ("User should be called Person.", "User should be called Person."),
        ("HTML title please", "HTML title please"),
        ("I want a docstring.", "I want a docstring."),
        ("Add a docstring: Say hello.", "add a docstring: Say hello."),
        ("Add the text saying May I go.", "add the text saying May I go."),
        ("Undo", "Undo"),
        # Signs at the end that are meant.
        ("Replace the comma by a .", "replace the comma by a ."),
        ("Change the ending to ...", "change the ending to ..."),
        ("Make the path ../..", "make the path ../.."),
        ("Import everything from .", "import everything from ."),
        ("can you change the ! to ?", "change the ! to ?"),
        ("Could you rename name to title.", "rename name to title"),
        ("Can you Rename it?", "rename it"),
        ("Could you " + "x" * 500, "Could you " + "x" * 500),
        ("", ""),
        ("   ", ""),
    ],
)
def test_what_is_asked(typed: str, asked: str) -> None:
    assert plain(typed, REGION) == asked


def test_the_prompt_of_the_embedded_model_asks_so() -> None:
    def said(instruction: str) -> list[str]:
        return [segment.text for segment in PatchFormat(marks=1).prompt(Task("", "", "a.py", "", REGION, "", instruction)).segments]

    assert said("Could you rename name to title?") == said("Rename name to title.") == said("rename name to title")
