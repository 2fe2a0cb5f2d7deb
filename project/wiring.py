"""Where the parts meet: the process's registry of rooms, with the engine that the settings ask for."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

from editor.members import Limits
from editor.rooms import Rooms
from inference.api import Engine
from inference.memory import MIB
from inference.options import Options
from inference.switching import Switching
from project import config, models, tuning
from project.follow import Follower

# Models up to this size decode as fast on one thread, and leave the other cores to people's keystrokes.
ONE_THREAD_BYTES = 64 * 2**20


def options(path: Path) -> Options:
    """What is set by hand, else what was measured, else plain choices."""
    values = config.values
    known = tuning.known(path, models.data()) if values["ENSEMBLE_TUNE"] != "off" and path.exists() else None
    small = path.exists() and path.stat().st_size <= ONE_THREAD_BYTES
    context = values["ENSEMBLE_MAX_CONTEXT_TOKENS"]
    threads = values["ENSEMBLE_THREADS"] or (known.threads if known else 1 if small else os.cpu_count() or 1)
    by_hand = {"on": True, "off": False}
    return Options(
        path=path,
        name=models.name_of(path),
        context=context,
        cells=values["ENSEMBLE_MAX_CACHE_TOKENS"],
        idle_cells=min(4096, context // 2),
        parked_bytes=values["ENSEMBLE_MAX_PARKED_MB"] * MIB,
        kv=values["ENSEMBLE_KV_TYPE"],
        flash=by_hand.get(values["ENSEMBLE_FLASH_ATTENTION"], known.flash if known else False),
        threads=threads,
        batch_threads=values["ENSEMBLE_BATCH_THREADS"] or (threads if values["ENSEMBLE_THREADS"] else known.batch_threads if known else 0),
        spin=by_hand.get(values["ENSEMBLE_SPIN"], known.spin if known else None),
        costs=tuple((size, ms) for size, ms in known.costs) if known else (),
        longest_guess=values["ENSEMBLE_MAX_GUESSED_TOKENS"],
        extra_buffers=models.extra_buffers(),
        max_tokens=values["ENSEMBLE_MAX_RUN_TOKENS"],
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
