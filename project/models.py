"""Which model the server uses: ``ENSEMBLE_MODEL``, else what ``./manage.py model use`` has chosen, else the embedded one.

The choice is a small file in the data folder. A running server looks at it each second, and answers in a second
file, so that the command can tell what became of it; each choice has a mark of its own that the answer repeats.
"""

from __future__ import annotations

import os
import secrets
import subprocess
import sys
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from functools import cache
from pathlib import Path
from typing import Literal

from inference import header
from inference.catalogue import BUILT_IN, Entry, Folder, UnknownModel, catalogue, size_of
from inference.machine import available
from inference.memory import Fit, Shape, fit, human
from project import config, kept, tuning

Source = Literal["ENSEMBLE_MODEL", "chosen", "default"]
PROBES_KEPT = 50


class Unusable(Exception):
    """The model cannot be used; the text says why, for people."""


@dataclass(frozen=True)
class Choice:
    """``reference``: a name or a path; empty for the embedded model. ``mark`` names one act of choosing."""

    reference: str
    source: Source
    mark: str = ""


@dataclass(frozen=True)
class Status:
    """The server's answer to the choice with this mark. ``progress``: 0 to 1, or None while it is unknown. ``process``: the server's."""

    mark: str
    state: Literal["trying", "loading", "ready", "failed"]
    name: str = ""
    detail: str = ""
    progress: float | None = None
    process: int = 0


def data() -> Path:
    return config.data_folder(config.values["ENSEMBLE_DATA"])


def folder() -> Folder:
    chosen = config.values["ENSEMBLE_MODELS"]
    return Folder(Path(chosen).expanduser() if chosen else data() / "models", config.EMBEDDED_MODEL)


def choice() -> Choice:
    own = chosen()
    if config.values["ENSEMBLE_MODEL"]:
        return Choice(config.values["ENSEMBLE_MODEL"], "ENSEMBLE_MODEL", own.mark)
    return own


def used() -> Path | None:
    """The file that the choice names; None where there is none such any more."""
    try:
        return folder().find(choice().reference)
    except UnknownModel:
        return None


def remove(name: str) -> int:
    """Deletes an installed model; how many bytes are free again. Raises UnknownModel, Unusable where it cannot go, or OSError."""
    if name == BUILT_IN:
        raise Unusable("The built-in model belongs to Ensemble.")
    there = folder().installed().get(name)
    if there and same(there.path, used()):
        raise Unusable(f"{name} is in use: choose another one first, such as the built-in model.")
    if there and same(there.path, second()):
        raise Unusable(f"{name} is the second model of this server (ENSEMBLE_DEEP_MODEL).")
    return folder().remove(name)


def same(path: Path, other: Path | None) -> bool:
    """Whether both name one file, by whatever way."""
    return other is not None and path.resolve() == other.resolve()


def second() -> Path | None:
    """The file of ``ENSEMBLE_DEEP_MODEL``, where it is one that is here."""
    try:
        return folder().find(config.values["ENSEMBLE_DEEP_MODEL"])
    except UnknownModel:
        return None


@cache
def first() -> tuple[Path, str]:
    """The file that the server starts with, and what is to be said of a choice that cannot be any more.

    Raises UnknownModel or Unusable where the environment, or the embedded model, cannot be.
    """
    found = choice()
    try:
        path = folder().find(found.reference)
        probe(path)
    except (UnknownModel, Unusable) as fault:
        if found.source != "chosen":
            raise
        probe(config.EMBEDDED_MODEL)
        return config.EMBEDDED_MODEL, f"{fault} It was chosen by `./manage.py model use`; the built-in model is used instead."
    return path, ""


def chosen() -> Choice:
    """What the data folder says, whatever the environment does."""
    found = kept.read(data() / "model.json")
    reference, mark = str(found.get("model", "")), str(found.get("mark", ""))
    return Choice(reference, "chosen", mark) if reference not in ("", BUILT_IN) else Choice("", "default", mark)


def choose(reference: str) -> str:
    """Keeps the choice; an installed model's name, a file's absolute path, or ``built-in``. Returns its mark."""
    mark = secrets.token_hex(8)
    kept.write(data() / "model.json", {"model": reference, "mark": mark})
    return mark


def tell(status: Status) -> None:
    """The server's side."""
    # A full disk must not stop it: the page says the same.
    with suppress(OSError):
        kept.write(data() / "model.status.json", asdict(replace(status, process=os.getpid())))


def status() -> Status | None:
    found = kept.read(data() / "model.status.json")
    try:
        return Status(**found)
    except TypeError:
        return None


def name_of(path: Path) -> str:
    return "Built-in model" if path == config.EMBEDDED_MODEL else path.stem


def check(model: Path | Entry) -> str:
    """What can be told without loading it: it is a model, and there is memory for it. Raises Unusable; returns a warning, or nothing."""
    about, name = describe(model), model.name if isinstance(model, Entry) else name_of(model)
    if about.problem:
        raise Unusable(about.problem)
    if about.fit == "too large" and about.needed:
        raise Unusable(
            f"{name} needs {human(about.needed)} of memory with a context of {about.tokens} tokens "
            f"(ENSEMBLE_MAX_CONTEXT_TOKENS), and this machine has {human(available()[0])}."
        )
    if about.fit == "tight" and about.needed:
        return f"{name} needs {human(about.needed)} of memory, and {human(available()[1])} are free: if it is slow, something else must give way."
    return ""


@dataclass(frozen=True)
class About:
    """A model on this machine: ``needed`` bytes of memory with the context that the settings ask for, ``tokens``."""

    shape: Shape | None
    bytes: int
    tokens: int
    needed: int | None
    fit: Fit | None
    header: header.Header | None = None
    problem: str = ""


def describe(model: Path | Entry) -> About:
    shape: Shape | None
    found, problem = None, ""
    if isinstance(model, Entry):
        shape, size = model.shape, model.bytes
    else:
        size = size_of(model)
        try:
            found = header.read(model)
        except header.NotGguf as fault:
            return About(None, size, 0, None, None, None, str(fault))
        shape = found.shape
        if not found.tensors:
            problem = f"{model.name} holds a vocabulary and no weights, so it is no model."
    tokens = config.values["ENSEMBLE_MAX_CONTEXT_TOKENS"]
    if shape is None:
        return About(None, size, tokens, None, None, found, problem)
    if shape.context:
        tokens = min(tokens, shape.context)
    needed = shape.needed(size, tokens, config.values["ENSEMBLE_MAX_CACHE_TOKENS"], config.values["ENSEMBLE_KV_TYPE"])
    return About(shape, size, tokens, needed, fit(needed, *available()) if needed else None, found, problem)


def probe(path: Path, measure: bool = True) -> None:
    """A file that crashes llama.cpp would take the server with it: a child process tries it first, and measures it, once a file. Raises Unusable."""
    if not path.is_file():
        raise Unusable(f"The model file {path} does not exist.")
    about = path.stat()
    stamp = f"{path.resolve()} {about.st_size} {about.st_mtime_ns} {sys.version_info[:2]}"
    known = data() / "model.probed.json"
    probed = list(kept.read(known).get("files", []))
    if stamp not in probed:
        _try(path)
        with suppress(OSError):  # else it is tried again
            kept.write(known, {"files": [*probed[-PROBES_KEPT:], stamp]})
    if measure:
        tuning.ensure(path, data(), extra_buffers())


def _try(path: Path) -> None:
    command = [sys.executable, "-m", "inference.probe", str(path), *([] if extra_buffers() else ["--no-extra-buffers"])]
    result = subprocess.run(command, cwd=config.BASE, capture_output=True, text=True, check=False)
    if result.returncode:
        reason = (result.stderr.strip().splitlines() or [f"llama.cpp ended with status {result.returncode}"])[-1]
        raise Unusable(f"The model {path} cannot be used: {reason.removeprefix(f'{path}: ').rstrip('.')}.")


def extra_buffers() -> bool:
    """Set-up found out, in a child process, whether the compiled library's fast path works on this machine."""
    return bool(kept.read(config.BASE / ".cache" / "llama.json").get("use_extra_bufts", True))


def licence_of(name: str, path: Path) -> str:
    """The catalogue's word, else the file's own."""
    if path == config.EMBEDDED_MODEL:
        return "MIT"
    known = catalogue().get(name)
    if known:
        return known.licence
    try:
        return header.read(path).licence or "not said in the file"
    except header.NotGguf:
        return ""
