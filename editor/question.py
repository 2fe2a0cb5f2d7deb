"""A run that answers a question: it edits nothing, its text goes to everybody as it comes and stays on its card."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from editor.part import Part
from editor.places import marked, place
from editor.regions import Region, region_of, selected_lines
from editor.run import Run, make_task
from inference.api import Event, Text

NO_ANSWERS = "The built-in model cannot answer questions. For answers, whoever runs this server installs a larger one: `./manage.py model list`."

# Of the conversation so far, the model is given this much: turns, and characters of each answer.
TURNS, ANSWER_CHARS = 4, 4000


class Question(Run):
    """Owner of its answer. Its one part is what the question is about; nothing of it is rewritten.

    ``said`` hears more of the answer; ``conversation`` gives question and answer by turns, oldest first.
    """

    said: Callable[[str], None]
    conversation: Callable[[], tuple[str, ...]]

    def overlaps(self, file: str, text: str, region: Region) -> bool:
        return False

    def take(self, regions: Sequence[Region]) -> None:
        """Raises KeyError where the file is gone."""
        (region,) = regions
        file = self.request.file
        text = self._room.document.text(file)
        self.stop_watching()
        self.parts = [Part(self.id, file, region, text)]
        self._place = place(text, region)
        self._region = region
        self.model = self.engine.info.name
        self.state = "streaming"

    def places(self) -> list[dict[str, int]]:
        """What it was asked about, as it was then."""
        return [self._place]

    def begin(self) -> None:
        (part,) = self.parts
        part.asked = True
        text = self._room.document.text(self.request.file)
        task = make_task(self._room, self.engine, self.request, text, self._region, self.conversation())
        self.engine.start(part.key, task, partial(self._listen, part))

    def _listen(self, part: Part, events: Sequence[Event]) -> None:
        if self.state != "streaming" or part.finished:
            return
        notes, tokens = (self.notes, part.saw), part.tokens
        part.hear(events)
        if (self.notes, part.saw) != notes:
            self._owner.noted(self)
        if text := "".join(event.text for event in events if isinstance(event, Text)):
            self.answer += text
            self.said(text)
        if part.finished:
            self._owner.concluded(self)
        elif part.tokens != tokens:
            self._owner.progressed(self)

    def settle(self) -> list[str]:
        for part in self.parts:
            if self.state == "streaming" and part.finished is None:
                self.engine.stop(part.key)
        self.state = "finished"
        self.stop_watching()
        return [part.old for part in self.parts]


def asked_about(text: str, selection: dict[str, int] | None) -> Region:
    """The selected lines; without a selection no text, at the beginning of the caret's line. Offsets in characters."""
    ends = marked(text, selection)
    if ends is None:
        return Region(0, 0, 1, 1)
    lines = text.split("\n")
    first, last = selected_lines(lines, min(ends), max(ends))
    region = region_of(lines, first, last)
    return region if ends[0] != ends[1] else replace(region, end=region.start)


def conversation(card_of: Callable[[str], dict[str, Any] | None], run: str | None) -> tuple[str, ...]:
    """Question and answer by turns, oldest first, up to and with this run's."""
    turns: list[str] = []
    while run and len(turns) < 2 * TURNS:
        card = card_of(run)
        if card is None or card["mode"] != "ask":
            break
        turns[:0] = [card["instruction"], card.get("text", "")[:ANSWER_CHARS]]
        run = card["continues"]
    return tuple(turns)
