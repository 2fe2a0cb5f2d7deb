"""What the writer's thread has to say, on the loop."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable

log = logging.getLogger(__name__)


class Deliveries:
    """Runs what a commit has to say on the loop, some of it each turn: keystrokes do not wait for a hundred rooms' acknowledgements."""

    SLICE = 8

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._calls: deque[Callable[[], None]] = deque()

    def take(self, calls: list[Callable[[], None]]) -> None:
        """From any thread."""
        soon(self._loop, self._add, calls)

    def _add(self, calls: list[Callable[[], None]]) -> None:
        busy = bool(self._calls)
        self._calls.extend(calls)
        if not busy:
            self._run()

    def _run(self) -> None:
        for _ in range(min(self.SLICE, len(self._calls))):
            try:
                self._calls.popleft()()
            except Exception:
                log.exception("A commit could not be told of")
        if self._calls:
            self._loop.call_soon(self._run)


def soon(loop: asyncio.AbstractEventLoop, function: Callable[..., None], *arguments: object) -> None:
    """From any thread; never raises."""
    try:
        loop.call_soon_threadsafe(function, *arguments)
    except RuntimeError:
        log.warning("The loop has ended before it could be told")
