"""The catalogue of models to install (``models/catalogue.toml``), and the folder that installed ones lie in.

Knows nothing of settings or of which model is in use.
"""

from __future__ import annotations

import glob
import re
import tomllib
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from inference.memory import Shape

CATALOGUE = Path(__file__).resolve().parent / "models" / "catalogue.toml"
BUILT_IN = "built-in"
# A model in several files is named by its first.
LATER_PART = re.compile(r"-(?!00001)\d{5}-of-\d{5}$")


@dataclass(frozen=True)
class Entry:
    """``bytes`` is about the file's size; the hub says exactly."""

    name: str
    repo: str
    file: str
    bytes: int
    licence: str
    good_for: str
    parameters: str
    quantization: str
    shape: Shape


@dataclass(frozen=True)
class Installed:
    name: str
    path: Path
    bytes: int


class UnknownModel(Exception):
    """There is no such model here; the text says what there is."""


@cache
def catalogue() -> dict[str, Entry]:
    """Name -> entry, from small to large."""
    out = {}
    for name, row in tomllib.loads(CATALOGUE.read_text()).items():
        shape = Shape(**row.pop("shape"))
        out[name] = Entry(name=name, bytes=row.pop("megabytes") * 10**6, shape=shape, **row)
    return out


class Folder:
    """A folder of GGUF files. A model's name is its file's, without the ending; catalogue models are named as there."""

    def __init__(self, path: Path, embedded: Path) -> None:
        self.path = path
        self._embedded = embedded

    def installed(self) -> dict[str, Installed]:
        """Name -> model, in order of the name; files that are still being downloaded are none."""
        try:
            files = sorted(self.path.glob("*.gguf"))
        except OSError:
            files = []
        found = {file.stem: file for file in files if file.is_file() and not LATER_PART.search(file.stem)}
        return {name: Installed(name, file, size_of(file)) for name, file in found.items()}

    def place(self, name: str) -> Path:
        """Where a catalogue's model is installed."""
        return self.path / f"{name}.gguf"

    def parts(self, name: str) -> list[Path]:
        """What a download that has not ended left of a model."""
        return [file for file in self.path.glob("*.part") if re.fullmatch(re.escape(name) + r"\.[0-9a-f]{12}\.part", file.name)]

    def find(self, reference: str) -> Path:
        """The file of a name, of a path, or of a folder that holds one model. Raises UnknownModel."""
        if reference in ("", BUILT_IN):
            return self._embedded
        installed = self.installed()
        if reference in installed:
            return installed[reference].path
        if reference in catalogue():
            raise UnknownModel(f"{reference} is not installed yet: ./manage.py model pull {reference}")
        # A person whom the machine does not know, a name that no disk takes.
        with suppress(RuntimeError, OSError):
            path = Path(reference).expanduser()
            if path.is_dir():
                return self._only(path)
            if path.is_file():
                return path.resolve()
        if "/" in reference or reference.endswith(".gguf"):
            raise UnknownModel(f"The model file {reference} does not exist.")
        known = ", ".join([BUILT_IN, *installed])
        raise UnknownModel(f"There is no model {reference!r}. Installed: {known}. To install: {', '.join(catalogue())}.")

    def _only(self, path: Path) -> Path:
        files = list(Folder(path, self._embedded).installed().values())
        if not files:
            raise UnknownModel(f"There is no GGUF file in {path}.")
        if len(files) > 1:
            names = ", ".join(file.path.name for file in files)
            raise UnknownModel(f"There are {len(files)} models in {path}: name one of them, as {path}/FILE. {names}")
        return files[0].path.resolve()

    def remove(self, name: str) -> int:
        """Deletes an installed model and what was downloaded of it. Returns the bytes set free. Raises UnknownModel."""
        there = self.installed().get(name)
        files = [*(files_of(there.path) if there else []), *self.parts(name)]
        if not files:
            names = ", ".join(self.installed()) or "none"
            raise UnknownModel(f"{name} is not in the folder {self.path}. Installed there: {names}.")
        freed = sum(file.stat().st_size for file in files)
        for file in files:
            file.unlink()
        return freed


def files_of(path: Path) -> list[Path]:
    """A model's file, with the parts that follow a first one."""
    match = re.fullmatch(r"(.*)-00001-of-(\d{5})", path.stem)
    return sorted(path.parent.glob(f"{glob.escape(match[1])}-*-of-{match[2]}.gguf")) if match else [path]


def size_of(path: Path) -> int:
    return sum(part.stat().st_size for part in files_of(path))
