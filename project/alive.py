"""Whether a server runs on a data folder: it holds a lock there for as long as its process lives."""

from __future__ import annotations

import errno
import fcntl
import os
from pathlib import Path
from typing import TextIO

from project import kept

LOCK = "server.lock"
# What a disk says that has no locks.
NO_LOCKS = (errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS)

_held: list[TextIO] = []  # open until the process ends


class Taken(Exception):
    """Another server is at it; the text is its process's number."""


def hold(data: Path) -> None:
    """One server to a folder: two would each have rooms of the same sessions, and hear nothing of each other. Raises Taken or OSError.

    A disk without locks cannot tell, and keeps nobody from starting."""
    file = kept.private(data / LOCK)
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise Taken(file.read().strip() or "unknown") from None
    except OSError as fault:
        if fault.errno not in NO_LOCKS:
            raise
    file.truncate()
    file.write(str(os.getpid()))
    file.flush()
    _held.append(file)


def has_ended(data: Path, process: int) -> bool:
    """Whether a server that was at the folder is no more: its process has gone, and the lock with it. False where nobody can tell."""
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return process > 0 and not _is_held(data)
    except OSError:
        pass
    return False


def _is_held(data: Path) -> bool:
    try:
        with kept.private(data / LOCK) as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        return True
    return False
