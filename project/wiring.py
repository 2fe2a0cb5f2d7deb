"""Where the parts meet: the process's registry of rooms, with the engine that the settings ask for."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

from editor.members import Limits
from editor.rooms import Rooms
from inference.api import Engine
from inference.options import Options
from inference.switching import Switching
from project import config, models
from project.follow import Follower

# Models up to this size decode as fast on one thread, and leave the other cores to people's keystrokes.
ONE_THREAD_BYTES = 64 * 2**20


def options(path: Path) -> Options:
    values = config.values
    small = path.exists() and path.stat().st_size <= ONE_THREAD_BYTES
    return Options(
        path=path,
        name=models.name_of(path),
        context=values["ENSEMBLE_MAX_CONTEXT_TOKENS"],
        threads=values["ENSEMBLE_THREADS"] or (1 if small else os.cpu_count() or 1),
        extra_buffers=models.extra_buffers(),
        max_tokens=values["ENSEMBLE_MAX_RUN_TOKENS"],
        idle_cells=min(4096, values["ENSEMBLE_MAX_CONTEXT_TOKENS"] // 2),
    )


def make_engine(loop: asyncio.AbstractEventLoop) -> Engine:
    # Not at the top: every management command would load llama.cpp.
    from inference.llama import LlamaEngine

    def make(path: Path) -> Engine:
        return LlamaEngine(options(path), loop)

    path, _ = models.first()
    engine = Switching(make(path))
    Follower(engine, path, make).begin(loop)
    return engine


def limits() -> Limits:
    values = {name.removeprefix("ENSEMBLE_MAX_").lower(): value for name, value in config.values.items()}
    return Limits(**{name: values[name] for name in Limits.__dataclass_fields__})


def make_rooms() -> Rooms:
    return Rooms(limits(), make_engine, config.values["ENSEMBLE_IDLE_DAYS"])
