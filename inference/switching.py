"""An engine whose inside can be replaced while rooms hold it. Knows nothing of files, settings or llama.cpp."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from inference.api import Engine, ModelInfo
from inference.watched import Around

log = logging.getLogger(__name__)

SWITCHED = "The server has changed to another model; what stands was written by the one before. Give the instruction again."


class Switching(Around):
    """While one model gives way to the next, the state is ``loading``: rooms let their runs wait, and start them afterwards."""

    def __init__(self, engine: Engine) -> None:
        super().__init__(engine.info)
        self._changed = asyncio.Event()
        # The engine before, while it closes: also one whose change was given up meanwhile.
        self._leaving: asyncio.Task[None] | None = None
        self._adopt(engine)

    def announce(self, info: ModelInfo) -> None:
        """Also for what the engine in use does not know."""
        self._changed.set()
        super().announce(info)

    def close(self, reason: str = "") -> None:
        super().close(reason)
        self._changed.set()

    async def replace(self, name: str, make: Callable[[], Engine]) -> ModelInfo:
        """Ends the runs under way, closes the engine in use, and waits until the new one is ready or has failed.

        One after the other, for there may be memory for one model only. What goes wrong, also in ``make``, is a model that has failed.
        """
        old, self._engine = self._engine, None
        self.announce(ModelInfo(name))
        try:
            if old:
                self._leaving = asyncio.create_task(asyncio.to_thread(old.close, SWITCHED))
            if leaving := self._leaving:
                await asyncio.wait([leaving])
                self._leaving = None
                leaving.result()
            if self._closed:
                return self.info
            self._adopt(make())
        except asyncio.CancelledError:
            self.announce(ModelInfo(name, "failed", f"The change to {name} was given up, and no other model is in use yet."))
            raise
        except Exception as fault:
            log.exception("The model could not be changed")
            self.announce(ModelInfo(name, "failed", f"{name} could not be started: {fault}."))
        while self.info.state == "loading" and not self._closed:
            self._changed.clear()
            await self._changed.wait()
        return self.info
