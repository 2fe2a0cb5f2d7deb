"""Drafts over a real document while people write: what is shown fits the text or is taken away, and taking it gives what was drawn."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from editor.document import Document
from editor.drafts import Drafts
from editor.edits import RegionDiff, size
from editor.live import LiveRegion
from editor.members import Person
from editor.offers import merged
from editor.pace import Pace
from editor.protocol import utf16_length
from editor.regions import Region, region_of
from editor.replacements import apply, of_reply, operations
from editor.run import Request
from inference.api import Finished, Hunk, ModelInfo, Task, Text
from tests.property.test_edits import line, rewrite, text


class Room:
    """What a draft needs of one: a document, a clock that the test turns, and what was told."""

    def __init__(self, content: str) -> None:
        self.document = Document((), lambda update, origin: None)
        self.file = self.document.add_file("a.py", content)
        self.session = "s"
        self.limits = SimpleNamespace(drafts=4, parallel_windows=3)
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

    def aim(content: str, row: int) -> list[Region]:
        """A few lines, or some of them here and there."""
        lines = content.split("\n")
        last = min(row + data.draw(st.integers(1, 4)), len(lines) - 1)
        if data.draw(st.booleans()):
            return [region_of(lines, row, last)]
        return [region_of(lines, number, number) for number in range(row, last + 1) if data.draw(st.booleans()) or number == row]

    aims: dict[str, int] = {}
    drafts = Drafts(room, engine, Pace(10**9))  # type: ignore[arg-type]
    for step in range(data.draw(st.integers(1, 8))):
        content = room.document.text(room.file)
        kind = data.draw(st.sampled_from(["type", "reply", "insert", "delete"]))
        if kind == "type":
            row = data.draw(st.integers(0, content.count("\n")))
            request = Request(person, f"change {step}", room.file, {"anchor": row, "head": row})
            chosen = aim(content, row)
            drafts.typed(request, content, chosen, False)
            aims[request.instruction] = len(chosen)
        elif kind == "reply":
            for _ in range(data.draw(st.integers(1, 4))):
                engine.reply([Hunk(1, 1), Text(data.draw(text) + "\n")])
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
            assert len(draft.inside) == aims[draft.instruction]
            above = content.count("\n", 0, start)
            now = [region_of(content.split("\n"), above + each.first - 1, above + each.last - 1) for each in draft.inside]
            taken = drafts.reply(Request(person, draft.instruction, room.file), content, now)
            assert taken and taken.regions == now
            # All places one by one, as their parts do; from the last on, so that none moves another.
            result = content
            for region, events in reversed(taken.places):
                old = content[region.start : region.end]
                result = result[: region.start] + apply(old, of_reply(old, events)) + result[region.end :]
            assert result == content[:start] + apply(draft.old, draft.edits) + content[start + len(draft.old) :]
            elsewhere = [*now[:-1], region_of(content.split("\n"), now[-1].first - 1, now[-1].first - 1)]
            if elsewhere != now:
                assert drafts.reply(Request(person, draft.instruction, room.file), content, elsewhere) is None
        shown = room.shown.get(person.id)
        if shown and (mine := drafts._drafts.get(person.id)) and mine.edits:
            assert shown["instruction"] == mine.instruction
            assert utf16_length(mine.old) == shown["region"]["to"] - shown["region"]["from"]
            assert len(shown["regions"]) == aims[mine.instruction]
            # A page draws it in its own text, in UTF-16 units.
            units = content.encode("utf-16-le")
            moved = 2 * (len(content.encode()[: mine.start].decode().encode("utf-16-le")) // 2 - shown["region"]["from"])
            for edit in reversed(shown["edits"]):
                units = units[: 2 * edit["from"] + moved] + edit["text"].encode("utf-16-le") + units[2 * edit["to"] + moved :]
            begin = len(content.encode()[: mine.start].decode())
            assert units.decode("utf-16-le") == content[:begin] + apply(mine.old, mine.edits) + content[begin + len(mine.old) :]
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
