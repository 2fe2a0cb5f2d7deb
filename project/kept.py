"""Small JSON files in the data folder: read whole or not at all, written so too."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any, TextIO

# What is larger was not written by us, and is as good as nothing.
LONGEST_FILE = 4 * 2**20


def read(path: Path) -> dict[str, Any]:
    """The object in the file; empty where there is none that can be read."""
    try:
        with path.open("rb") as file:
            data = file.read(LONGEST_FILE + 1)
        found = json.loads(data) if len(data) <= LONGEST_FILE else {}
    except (OSError, ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def private(path: Path) -> TextIO:
    """For reading and writing, made where there is none, and its owner's alone. Raises OSError."""
    return os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT, 0o600), "r+")


def write(path: Path, content: dict[str, Any]) -> None:
    """In one step: the other side looks at any moment, and a crash leaves the old one. Raises OSError."""
    temporary = path.with_name(f"{path.name}.{os.getpid()}.new")
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary.write_text(json.dumps(content, indent=1))
    temporary.replace(path)
