"""The model's own caret and name in a room."""

from __future__ import annotations

import asyncio
import json
import secrets
from typing import Any

from editor import presence
from editor.members import Peer
from editor.room import Room

CARET_S = 0.05


class ModelPresence:
    """The model's own caret and name in a room, while one run writes. Looks like any other peer."""

    def __init__(self, room: Room, name: str, file: str) -> None:
        self._room = room
        self._client = secrets.randbits(31)
        self._user = {
            "name": name,
            "color": presence.MODEL_COLOR,
            "colorLight": presence.light(presence.MODEL_COLOR),
            "model": True,
        }
        self._file = file
        self._clock = 0
        self._drawn = False
        self._timer: asyncio.TimerHandle | None = None

    def appear(self) -> None:
        """In the file, with no caret yet: nothing is written."""
        self._show({})

    def wrote(self) -> None:
        """Something was just inserted: the caret goes behind it, at most every 50 ms, and the last time too."""
        if self._timer is None:
            self._timer = self._room.later(CARET_S if self._drawn else 0, self._draw)

    def _draw(self) -> None:
        self._timer = None
        self._drawn = True
        place = self._room.document.after_own_insertion()
        self._show({"cursor": {"anchor": place, "head": place}})

    def _show(self, more: dict[str, Any]) -> None:
        state = {"user": self._user, "file": self._file, **more}
        self._clock += 1
        self._room.peers.put(self._client, Peer(self._clock, json.dumps(state), None))

    def leave(self) -> None:
        if self._timer:
            self._timer.cancel()
        self._room.peers.forget(self._client)
