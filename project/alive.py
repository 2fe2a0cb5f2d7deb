"""Whether a server runs on a data folder: it holds a lock there for as long as its process lives."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path
from typing import TextIO

_held: list[TextIO] = []  # open until the process ends


class Taken(Exception):
    """Another server is at it; the text is its process's number."""


def hold(data: Path) -> None:
    """One server to a folder: two would each have rooms of the same sessions, and hear nothing of each other. Raises Taken or OSError."""
    file = _open(data)
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise Taken(file.read().strip() or "unknown") from None
    file.truncate()
    file.write(str(os.getpid()))
    file.flush()
    _held.append(file)


def is_served(data: Path) -> bool:
    """Also where nobody can tell."""
    try:
        with _open(data) as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        return True
    return False


def _open(data: Path) -> TextIO:
    return os.fdopen(os.open(data / "server.lock", os.O_RDWR | os.O_CREAT, 0o600), "r+")
