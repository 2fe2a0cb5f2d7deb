"""Makes the running server follow the choice of a model in the data folder, and answers what became of it.

Owner of which file the engine in use was made from. Lives on the event loop; a model that cannot be used changes nothing.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from inference.api import Engine, ModelInfo
from inference.catalogue import UnknownModel
from inference.switching import Switching
from project import models
from project.models import Choice, Status

log = logging.getLogger(__name__)

LOOK_S = 1.0


class Follower:
    """``path``: the file that ``engine`` was made from, by ``make``."""

    def __init__(self, engine: Switching, path: Path, make: Callable[[Path], Engine]) -> None:
        self._engine = engine
        # The file in use, and the last one that could be used.
        self._in_use = self._path = path
        self._make = make
        self._mark = models.choice().mark
        self._refused = ""  # the mark of a choice that was answered with a no
        self._broken_off = False  # a change was given up for another, and may have left no model
        self._undecided = False
        self._task: asyncio.Task[None] | None = None
        engine.watch(self._watch)

    def begin(self, loop: asyncio.AbstractEventLoop) -> None:
        self._task = loop.create_task(self._follow())

    async def _follow(self) -> None:
        """For as long as the loop runs. The newest choice wins at once: nobody waits for a model that nobody wants any more."""
        work: asyncio.Task[None] | None = None
        while True:
            await asyncio.sleep(LOOK_S)
            choice = models.choice()
            if not choice.mark or choice.mark == self._mark:
                continue
            self._mark = choice.mark
            if work and not work.done():
                work.cancel()
                await asyncio.wait([work])
            work = asyncio.get_running_loop().create_task(self._take(choice))

    async def _take(self, choice: Choice) -> None:
        try:
            await self._try(choice)
        except (UnknownModel, models.Unusable) as fault:
            await self._stay(str(fault))
        except Exception as fault:
            log.exception("The choice of a model could not be followed")
            await self._stay(f"The server could not change its model: {fault}")

    async def _try(self, choice: Choice) -> None:
        if choice.source == "ENSEMBLE_MODEL":
            return self._fail(
                f"The server was started with ENSEMBLE_MODEL={choice.reference}, which wins: start it without to use what is chosen here."
            )
        path = models.folder().find(choice.reference)
        if path == self._in_use and self._engine.info.state == "ready":
            return self._engine.announce(self._engine.info)
        name = models.name_of(path)
        self._tell(Status(self._mark, "trying", name))
        await asyncio.to_thread(models.probe, path)
        log.warning("Changing to the model %s", name)
        # Whether it was done is not known before the last step.
        self._undecided = True
        try:
            info = await self._change(path)
            if info.state != "failed" or self._path == path:
                return self._answer(info)
            back = await self._change(self._path)
            after = (
                f"The one before cannot be used any more either: {back.detail}"
                if back.state == "failed"
                else f"The server uses {back.name} as before."
            )
            self._fail(f"{info.detail} {after}")
        finally:
            self._undecided = False

    async def _change(self, path: Path) -> ModelInfo:
        def make() -> Engine:
            self._in_use = path
            return self._make(path)

        self._broken_off = True
        info = await self._engine.replace(models.name_of(path), make)
        self._broken_off = False
        return info

    async def _stay(self, reason: str) -> None:
        """With the model that there is; where a change before this one was broken off in between, with the last that could be used."""
        self._fail(reason)
        if self._broken_off and self._engine.info.state == "failed":
            await self._change(self._path)

    def _fail(self, reason: str) -> None:
        log.warning("The model was not changed: %s", reason)
        before, self._undecided = self._undecided, True
        # Who asked for it in a page hears it there.
        self._engine.announce(replace(self._engine.info, detail=reason))
        self._undecided, self._refused = before, self._mark
        self._tell(Status(self._mark, "failed", self._engine.info.name, reason))

    def _watch(self, info: ModelInfo) -> None:
        if info.state in ("ready", "asleep"):
            self._path = self._in_use
        if not self._undecided or info.state == "loading":
            self._answer(info)

    def _answer(self, info: ModelInfo) -> None:
        if self._mark not in ("", self._refused) and info.state != "asleep":
            self._tell(Status(self._mark, info.state, info.name, info.detail, info.progress))

    def _tell(self, status: Status) -> None:
        """Small, and seldom: at most a hundred times a loading."""
        models.tell(replace(status, detail=status.detail[:1000]))
