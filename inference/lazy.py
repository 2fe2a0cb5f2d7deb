"""An engine that is loaded when somebody first wants it. Knows nothing of files, settings or llama.cpp."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import replace

from inference.api import Engine, EngineError, ModelInfo
from inference.watched import Around

log = logging.getLogger(__name__)


class Lazy(Around):
    """``asleep`` until ``wake``, then as the engine inside is. One that could not be made or loaded is made anew by the next ``wake``.

    ``make`` raises EngineError.
    """

    def __init__(self, name: str, make: Callable[[], Awaitable[Engine]]) -> None:
        super().__init__(ModelInfo(name, state="asleep", detail="It is loaded when it is first asked for."))
        self._make = make
        self._waking: asyncio.Task[None] | None = None

    def wake(self) -> None:
        """Begins to load it, unless that has happened."""
        if self._closed or self._waking or self.info.state in ("loading", "ready"):
            return
        self.announce(replace(self.info, state="loading", detail="", progress=None))
        self._waking = asyncio.get_running_loop().create_task(self._wake())

    async def _wake(self) -> None:
        old, self._engine = self._engine, None
        try:
            if old:
                await asyncio.to_thread(old.close)
            engine = await self._make()
        except EngineError as fault:
            return self.announce(replace(self.info, state="failed", detail=str(fault)))
        except Exception as fault:
            log.exception("An engine could not be made")
            return self.announce(replace(self.info, state="failed", detail=f"It could not be loaded: {type(fault).__name__}."))
        finally:
            self._waking = None
        if self._closed:
            return engine.close()
        self._adopt(engine)
