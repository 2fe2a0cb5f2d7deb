"""Drafts over a real document while people write: what is shown fits the text or is taken away, and taking it gives what was drawn."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from editor.document import Document, bytes_to_utf16
from editor.drafts import Drafts
from editor.edits import RegionDiff, size
from editor.live import LiveRegion
from editor.members import Person
from editor.pace import Pace
from editor.replacements import apply, of_reply, operations
from editor.run import Request
from editor.variants import merged
from inference.api import Finished, Hunk, ModelInfo, Task, Text
from tests.property.test_edits import line, rewrite, text


class Room:
    """What a draft needs of one: a document, a clock that the test turns, and what was told."""

    def __init__(self, content: str) -> None:
        self.document = Document((), lambda update, origin: None)
        self.file = self.document.add_file("a.py", content)
        self.limits = SimpleNamespace(drafts=4)
        self.members: set[Any] = set()
        self.drafts = True
        self.shown: dict[str, dict[str, Any]] = {}
        self._due: list[Any] = []

    def later(self, seconds: float, function: Any) -> Any:
        if not seconds:
            self._due.append(function)
        return SimpleNamespace(cancel=lambda: None)

    def turn(self) -> None:
        due, self._due = self._due, []
        for function in due:
            function()

    def flush(self) -> None:
        pass

    def announce(self, kind: str, passing: bool = False, **fields: Any) -> None:
        if kind == "draft.shown":
            self.shown[fields["by"]["participant"]] = fields
        elif kind == "draft.gone":
            self.shown.pop(fields["participant"], None)


class Engine:
    info = ModelInfo("m", "ready", format="patch")

    def __init__(self) -> None:
        self.listeners: dict[str, Any] = {}

    def start(self, run: str, task: Task, listener: Any) -> None:
        self.listeners[run] = listener

    def stop(self, run: str) -> None:
        self.listeners.pop(run, None)

    def reply(self, events: list[Any]) -> None:
        """To the newest request, if it is still wanted."""
        if self.listeners:
            self.listeners.popitem()[1]([*events, Finished("done", 1, 1.0, None)])


@given(st.lists(line, min_size=3, max_size=10), st.data())
@settings(max_examples=250)
def test_a_draft_fits_the_text_or_is_gone(lines, data):
    room, engine = Room("\n".join(lines)), Engine()
    person = Person("p1", "Ada", "#c2410c", "editor", "edit")

    def aim(request: Request) -> tuple[int, Task]:
        content = room.document.text(room.file)
        rows = content.split("\n")
        first = min(request.selection["anchor"], len(rows) - 1) if request.selection else 0
        last = min(first + 2, len(rows) - 1)
        start = sum(len(row) + 1 for row in rows[:first])
        end = start + len("\n".join(rows[first : last + 1]))
        task = Task("s", person.id, "a.py", content[:start], content[start:end], content[end:], request.instruction)
        return size(content[:start]), task

    drafts = Drafts(room, engine, Pace(10**9))  # type: ignore[arg-type]
    for step in range(data.draw(st.integers(1, 8))):
        content = room.document.text(room.file)
        kind = data.draw(st.sampled_from(["type", "reply", "insert", "delete"]))
        if kind == "type":
            row = data.draw(st.integers(0, content.count("\n")))
            request = Request(person, f"change {step}", room.file, {"anchor": row, "head": row})
            drafts.typed(request, aim(request), False)
        elif kind == "reply":
            new = data.draw(text)
            engine.reply([Hunk(1, 1), Text(new + "\n")])
        else:
            a = data.draw(st.integers(0, len(content)))
            b = data.draw(st.integers(a, min(len(content), a + 6)))
            with room.document.transaction("people"):
                if kind == "insert":
                    room.document.insert(room.file, size(content[:a]), data.draw(st.sampled_from(["x", "\n", "é\n", "\n😀", "a\nb"])))
                elif b > a:
                    room.document.delete(room.file, size(content[:a]), size(content[a:b]))
        room.turn()
        content = room.document.text(room.file)
        for draft in drafts._drafts.values():
            assert content.encode()[draft.start : draft.end].decode() == draft.old
            start = len(content.encode()[: draft.start].decode())
            assert start == 0 or content[start - 1] == "\n", "whole lines"
            if not draft.edits:
                continue
            taken = drafts.reply(Request(person, draft.instruction, room.file), draft.start, draft.old)
            assert taken is draft.events
            assert apply(draft.old, of_reply(draft.old, taken)) == apply(draft.old, draft.edits)
        shown = room.shown.get(person.id)
        if shown and (mine := drafts._drafts.get(person.id)) and mine.edits:
            assert shown["instruction"] == mine.instruction
            assert bytes_to_utf16(content, mine.end) - bytes_to_utf16(content, mine.start) == shown["region"]["to"] - shown["region"]["from"]
    drafts.drop_all()
    assert not room.shown and not engine.listeners


@given(rewrite(), st.data())
@settings(max_examples=300)
def test_a_variant_that_is_taken_later_keeps_what_people_typed_meanwhile(case, data):
    old, new, _ = case
    before, after = "# före\n", "\n# after"
    steps = operations(RegionDiff(old), [Hunk(1, old.count("\n") + 1), Text(new + "\n")])
    live = LiveRegion(size(before), size(old))
    content = before + old + after
    assert merged(content, live, steps) == new
    typed = 0
    for _ in range(data.draw(st.integers(0, 4))):
        at = data.draw(st.integers(0, len(content)))
        character = chr(0x4E00 + typed)
        content = content[:at] + character + content[at:]
        live.people_changed(size(content[:at]), 0, size(character))
        typed += 1
    result = content.encode()[: live.start].decode() + merged(content, live, steps) + content.encode()[live.end :].decode()
    assert all(result.count(chr(0x4E00 + number)) == 1 for number in range(typed))
