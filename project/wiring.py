"""Where the parts meet: the process's registry of rooms, with the engines that the settings ask for."""

from __future__ import annotations

import asyncio
import math
import os
from pathlib import Path

from editor.engines import DEEP, FAST, Deep
from editor.members import Limits
from editor.rooms import Rooms
from inference.api import Engine, EngineError
from inference.catalogue import UnknownModel
from inference.lazy import Lazy
from inference.memory import MIB
from inference.options import Endpoint, Options
from inference.process import Patience, ProcessEngine
from inference.switching import Switching
from project import config, endpoints, metrics, models, tuning
from project.follow import Follower
from project.metrics import Metered

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
        flash=by_hand.get(values["ENSEMBLE_FLASH_ATTENTION"], known.flash if known else None),
        own_kernels=values["ENSEMBLE_KERNELS"] == "auto",
        threads=threads,
        batch_threads=values["ENSEMBLE_BATCH_THREADS"] or (threads if values["ENSEMBLE_THREADS"] else known.batch_threads if known else 0),
        thread_counts=tuple(known.thread_counts) if known and not values["ENSEMBLE_THREADS"] + values["ENSEMBLE_BATCH_THREADS"] else (),
        spin=by_hand.get(values["ENSEMBLE_SPIN"], known.spin if known else None),
        costs=tuple((size, ms) for size, ms in known.costs) if known else (),
        longest_guess=values["ENSEMBLE_MAX_GUESSED_TOKENS"],
        other_tokens=values["ENSEMBLE_MAX_OTHER_TOKENS"],
        extra_buffers=models.extra_buffers(),
        gpu_layers=values["ENSEMBLE_GPU_LAYERS"],
        max_tokens=values["ENSEMBLE_MAX_RUN_TOKENS"],
    )


def patience() -> Patience:
    values = config.values
    return Patience(
        restarts=values["ENSEMBLE_MAX_RESTARTS"],
        step_s=values["ENSEMBLE_MAX_STEP_SECONDS"] or math.inf,
        load_s=values["ENSEMBLE_MAX_LOAD_SECONDS"] or math.inf,
    )


def _local(path: Path, loop: asyncio.AbstractEventLoop, role: str) -> Engine:
    return ProcessEngine(options(path), loop, patience(), metrics.reporter(role))


def _remote(endpoint: Endpoint, loop: asyncio.AbstractEventLoop) -> Engine:
    # Not at the top: every management command would load an HTTP client.
    from inference.remote import RemoteEngine

    return RemoteEngine(endpoint, loop)


def make_engine(loop: asyncio.AbstractEventLoop) -> Engine:
    def make(path: Path) -> Engine:
        return _local(path, loop, FAST)

    if endpoints.is_remote(config.values["ENSEMBLE_MODEL"]):
        path, engine = Path(), Switching(_remote(endpoints.fast(), loop))
    else:
        path, _ = models.first()
        engine = Switching(make(path))
    Follower(engine, path, make).begin(loop)
    return Metered(engine, FAST)


def make_deep(loop: asyncio.AbstractEventLoop) -> Deep | None:
    """None where the settings ask for none. A file is loaded when it is first wanted: it is large, and may never be."""
    reference = config.values["ENSEMBLE_DEEP_MODEL"]
    if not reference:
        return None
    if endpoints.is_remote(reference):
        return Deep(Metered(_remote(endpoints.deep(), loop), DEEP))

    def find() -> Path:
        path = models.folder().find(reference)
        models.probe(path)
        models.check(path)
        return path

    async def make() -> Engine:
        try:
            path = await asyncio.to_thread(find)
        except (UnknownModel, models.Unusable) as fault:
            raise EngineError(str(fault)) from None
        return _local(path, loop, DEEP)

    lazy = Lazy(models.name_of(models.folder().find(reference)), make)
    return Deep(Metered(lazy, DEEP), lazy.wake)


def limits() -> Limits:
    values = {name.removeprefix("ENSEMBLE_MAX_").lower(): value for name, value in config.values.items()}
    return Limits(**{name: values[name] for name in Limits.__dataclass_fields__})


def make_rooms() -> Rooms:
    return Rooms(limits(), make_engine, config.values["ENSEMBLE_IDLE_DAYS"], make_deep, metrics.QUEUED.observe)
