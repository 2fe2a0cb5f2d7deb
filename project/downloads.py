"""The download that a host has begun from the page: one at a time for the whole server, in a thread of its own.

Owner of how far it is. What has come stays when it is stopped or breaks off, and the next one goes on from there.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass, replace
from functools import cache
from typing import Literal

from inference.catalogue import Entry
from inference.download import DownloadFailed, Offline, pull
from project import models


@dataclass(frozen=True)
class Download:
    """``done`` and ``size`` in bytes, 0 while they are unknown. ``detail``: why it ended, as a sentence."""

    model: str
    state: Literal["fetching", "checking", "done", "failed", "stopped"]
    done: int = 0
    size: int = 0
    detail: str = ""

    @property
    def under_way(self) -> bool:
        return self.state in ("fetching", "checking")


class Busy(Exception):
    """Another model is being fetched; the text says which."""


class _Stopped(Exception):
    pass


class Downloads:
    """Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._now: Download | None = None
        self._stop = threading.Event()

    @property
    def now(self) -> Download | None:
        """The last one begun since the server started."""
        return self._now

    def begin(self, entry: Entry) -> None:
        """Raises Busy."""
        with self._lock:
            if self._now and self._now.under_way:
                raise Busy(f"{self._now.model} is being fetched just now: wait for it, or stop it.")
            self._now = Download(entry.name, "fetching")
            self._stop.clear()
        threading.Thread(target=self._fetch, args=(entry,), name="download", daemon=True).start()

    def stop(self, model: str) -> bool:
        """Whether this one was being fetched. It ends with the next piece that comes."""
        now = self._now
        if not now or not now.under_way or now.model != model:
            return False
        self._stop.set()
        return True

    def _fetch(self, entry: Entry) -> None:
        def progress(done: int, size: int, doing: str) -> None:
            if self._stop.is_set():
                raise _Stopped
            self._now = Download(entry.name, "checking" if doing == "checking" else "fetching", done, size)

        try:
            pull(entry, models.folder(), progress)
        except _Stopped:
            self._end("stopped", "Stopped. What has come is kept: Install goes on from there.")
        except Offline as fault:
            self._end("failed", f"{fault} What is installed works without a network.")
        except DownloadFailed as fault:
            self._end("failed", str(fault))
        except Exception as fault:
            self._end("failed", f"{entry.name} could not be fetched: {fault}")
            raise
        else:
            self._end("done")

    def _end(self, state: Literal["done", "failed", "stopped"], detail: str = "") -> None:
        if self._now:
            self._now = replace(self._now, state=state, detail=detail)


@cache
def current() -> Downloads:
    return Downloads()
