"""The way to listeners on the event loop, from whatever thread something happens on."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Iterable
from typing import Any

log = logging.getLogger(__name__)

# Events of one tick reach the loop together; below the 3 ms that a token may spend in the server.
TICK_S = 0.002


class Mailbox:
    """Carries events to listeners on the loop, merged per tick, in order."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._items: deque[tuple[Callable[[Any], None], Any]] = deque()
        self._scheduled = False
        self._drained = 0.0

    def post(self, callback: Callable[[Any], None], events: Iterable[Any]) -> None:
        """From any thread."""
        self._items.extend((callback, event) for event in events)
        if not self._scheduled:
            self._scheduled = True
            try:
                self._loop.call_soon_threadsafe(self._wake)
            except RuntimeError:
                self._items.clear()  # the loop has ended: nobody listens

    def _wake(self) -> None:
        wait = self._drained + TICK_S - self._loop.time()
        if wait > 0:
            self._loop.call_later(wait, self._drain)
        else:
            self._drain()

    def _drain(self) -> None:
        self._scheduled = False
        self._drained = self._loop.time()
        batches: dict[Callable[[Any], None], list[Any]] = {}
        while self._items:
            callback, event = self._items.popleft()
            batches.setdefault(callback, []).append(event)
        for callback, events in batches.items():
            try:
                callback(events)
            except Exception:
                log.exception("A listener of the engine failed")
