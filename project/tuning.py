"""What was measured of each model on this machine: a file in the data folder, used until model, machine or llama.cpp change."""

from __future__ import annotations

import logging
import os
import platform
from dataclasses import asdict
from importlib import metadata
from pathlib import Path

from inference import kernels, tuning
from inference.tuning import Tuning
from project import config, kept

log = logging.getLogger(__name__)

KEPT = 30


def file(data: Path) -> Path:
    return data / "tuning.json"


def known(path: Path, data: Path) -> Tuning | None:
    """What was measured of this very file on this very machine."""
    found = kept.read(file(data)).get(str(path.resolve()))
    if not isinstance(found, dict) or found.get("of") != _stamp(path):
        return None
    try:
        return Tuning(**found["tuning"])
    except (TypeError, KeyError):
        return None


def ensure(path: Path, data: Path, extra_buffers: bool) -> Tuning | None:
    """Measures what is not known yet; takes seconds. A machine where it cannot be done goes on with plain choices."""
    if config.values["ENSEMBLE_TUNE"] == "off":
        return None
    found = known(path, data)
    if found:
        return found
    log.warning("Measuring what suits the model %s on this machine (once; seconds, with a large model a minute or two)", path.stem)
    try:
        made = tuning.tune(path, extra_buffers, config.values["ENSEMBLE_GPU_LAYERS"], own=config.values["ENSEMBLE_KERNELS"] == "auto")
    except (RuntimeError, ValueError, TypeError) as fault:
        log.error("The model could not be measured: %s", fault)
        return None
    all_known = kept.read(file(data))
    all_known.pop(str(path.resolve()), None)
    all_known[str(path.resolve())] = {"of": _stamp(path), "tuning": asdict(made)}
    while len(all_known) > KEPT:
        del all_known[next(iter(all_known))]
    try:
        kept.write(file(data), all_known)
    except OSError as fault:
        log.error("What was measured could not be kept (%s): it is measured again at the next start", fault.strerror)
    return made


def forget(path: Path, data: Path) -> None:
    """The next start measures it anew."""
    all_known = kept.read(file(data))
    if all_known.pop(str(path.resolve()), None):
        kept.write(file(data), all_known)


def _stamp(path: Path) -> str:
    about = path.stat()
    layers = config.values["ENSEMBLE_GPU_LAYERS"]
    own = kernels.identity() if config.values["ENSEMBLE_KERNELS"] == "auto" else "off"
    llama = f"llama-cpp-python {metadata.version('llama-cpp-python')} kernels {own}"
    return f"{about.st_size} {about.st_mtime_ns} {_processor()} x{os.cpu_count()} gpu {layers} {llama}"


def _processor() -> str:
    names = Path("/proc/cpuinfo")
    if names.is_file():
        for line in names.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor()
