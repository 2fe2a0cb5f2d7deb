"""The model reads along: files that people look at are evaluated while nothing else is to do, so that an instruction finds them done."""

from __future__ import annotations

from editor.context import opened
from editor.room import Room
from inference.api import Engine, Task

# How long nobody has typed before a file is worth reading, and how many files of a room are.
QUIET_S = 0.5
FILES = 4


class Warming:
    """What one room has asked the engine to read. Owner of that; called now and then, on the event loop."""

    def __init__(self, room: Room, engine: Engine) -> None:
        self._room = room
        self._engine = engine
        self._read: dict[str, int] = {}  # file -> hash of the text that was asked for
        self._looked: tuple[float, list[str]] = (-1.0, [])

    def look(self, now: float) -> None:
        """``now``: the loop's time."""
        if self._engine.info.state != "ready":
            self._read, self._looked = {}, (-1.0, [])  # another model, or this one anew, knows nothing
            return
        if self._engine.info.format == "patch" or now - self._room.changed_at < QUIET_S:
            return
        looked = (self._room.changed_at, opened(self._room.peers.states()))
        if looked == self._looked:
            return
        self._looked = looked
        paths = self._room.document.files()
        files = [file for file in looked[1] if file in paths][:FILES]
        self._read = {file: seen for file, seen in self._read.items() if file in files}
        for file in files:
            text = self._room.document.text(file)
            seen = hash((paths[file], text))
            if self._read.get(file) != seen and text.strip():
                self._read[file] = seen
                others = self._room.context.others(file, text, "", self._room.limits.other_files)
                self._engine.warm(Task(self._room.session, "", paths[file], "", "", text, "", others=others))
