"""Where the parts meet: the process's registry of rooms, with the engine that the settings ask for."""

from __future__ import annotations

import asyncio
import json
import os
from pathlib import Path
from typing import TYPE_CHECKING

from editor.room import Limits
from editor.rooms import Rooms
from inference.api import Engine
from project import config

if TYPE_CHECKING:
    from inference.llama import Options

# Models up to this size decode as fast on one thread, and leave the other cores to people's keystrokes.
ONE_THREAD_BYTES = 64 * 2**20


def options() -> Options:
    from inference.llama import Options

    values = config.values
    path = config.model_path(values["ENSEMBLE_MODEL"])
    small = path.exists() and path.stat().st_size <= ONE_THREAD_BYTES
    return Options(
        path=path,
        name="Built-in model" if path == config.EMBEDDED_MODEL else path.stem,
        context=values["ENSEMBLE_MAX_CONTEXT_TOKENS"],
        threads=values["ENSEMBLE_THREADS"] or (1 if small else os.cpu_count() or 1),
        extra_buffers=_extra_buffers(),
        max_tokens=values["ENSEMBLE_MAX_RUN_TOKENS"],
        idle_cells=min(4096, values["ENSEMBLE_MAX_CONTEXT_TOKENS"] // 2),
    )


def _extra_buffers() -> bool:
    """Set-up found out, in a child process, whether the compiled library's fast path works on this machine."""
    try:
        return bool(json.loads(Path(config.BASE / ".cache" / "llama.json").read_text())["use_extra_bufts"])
    except (OSError, ValueError, KeyError, TypeError):
        return True


def make_engine(loop: asyncio.AbstractEventLoop) -> Engine:
    # Not at the top: every management command would load llama.cpp.
    from inference.llama import LlamaEngine

    return LlamaEngine(options(), loop)


def limits() -> Limits:
    values = {name.removeprefix("ENSEMBLE_MAX_").lower(): value for name, value in config.values.items()}
    return Limits(**{name: values[name] for name in Limits.__dataclass_fields__})


def make_rooms() -> Rooms:
    return Rooms(limits(), make_engine, config.values["ENSEMBLE_IDLE_DAYS"])
