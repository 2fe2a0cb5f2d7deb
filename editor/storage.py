"""The append-only update log and its snapshots, in the database.

One writer thread takes all writes. Updates that come while it commits go out together in its next
transaction (group commit), so a short transaction serves many rooms, and SQLite never sees two writers.
"""

from __future__ import annotations

import asyncio
import logging
import queue
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any, TypeVar

from django.db import close_old_connections, connection, connections, transaction

from editor.document import EMPTY_UPDATE, Document, merged
from editor.models import DocumentSnapshot, DocumentUpdate, Session

log = logging.getLogger(__name__)
T = TypeVar("T")

# With this many log entries behind it, a session is compacted when it is loaded or closed.
COMPACT_UPDATES = 200
RETRY_S = (0.1, 0.5, 1, 2, 5)


class Unloadable(Exception):
    """The session's text could not be read. It is never replaced by an empty one."""


@dataclass
class _Append:
    session: str
    data: bytes
    done: Callable[[BaseException | None], None]


@dataclass
class _Call:
    function: Callable[[], Any]
    future: Future[Any] = field(default_factory=Future)


class Writer:
    """Owner of the writing connection. Start once a process; callable from any thread.

    ``append`` retries for ever: the text is in memory until it is written. ``on_failing(True)`` and
    ``on_failing(False)`` tell when writing begins to fail and when it works again.
    """

    def __init__(self) -> None:
        self.on_failing: Callable[[bool, str], None] = lambda failing, message: None
        self._queue: queue.SimpleQueue[_Append | _Call | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        self._lock = threading.Lock()

    def append(self, session: str, data: bytes, done: Callable[[BaseException | None], None]) -> None:
        """``done(None)`` is called, in the writer thread, once the update is durable."""
        self._start()
        self._queue.put(_Append(session, data, done))

    def call(self, function: Callable[[], T]) -> Future[T]:
        """Runs a function that writes, in one transaction."""
        self._start()
        call = _Call(function)
        self._queue.put(call)
        return call.future

    def close(self) -> None:
        """Writes what has been queued, then ends."""
        with self._lock:
            thread, self._thread = self._thread, None
        if thread:
            self._queue.put(None)
            thread.join()

    def _start(self) -> None:
        with self._lock:
            if self._thread is None:
                self._thread = threading.Thread(target=self._main, name="storage", daemon=True)
                self._thread.start()

    def _main(self) -> None:
        open_ = True
        while open_:
            items: list[_Append | _Call | None] = [self._queue.get()]
            while not self._queue.empty():
                items.append(self._queue.get())
            open_ = None not in items
            # Order between appends and calls is kept, so that a call sees the appends before it.
            appends: list[_Append] = []
            for item in items:
                if isinstance(item, _Append):
                    appends.append(item)
                elif item is not None:
                    self._write(appends)
                    appends = []
                    self._run(item)
            self._write(appends)
        connections.close_all()

    def _run(self, call: _Call) -> None:
        try:
            with transaction.atomic():
                result = call.function()
        except BaseException as fault:
            call.future.set_exception(fault)
            close_old_connections()
        else:
            call.future.set_result(result)

    def _write(self, appends: list[_Append]) -> None:
        attempt = 0
        known: set[str] = set()
        while appends:
            try:
                with transaction.atomic():
                    known = set(Session.objects.filter(pk__in={a.session for a in appends}).values_list("pk", flat=True))
                    DocumentUpdate.objects.bulk_create(DocumentUpdate(session_id=a.session, data=a.data) for a in appends if a.session in known)
                break
            except Exception as fault:
                log.error("Edits could not be written (attempt %d): %s", attempt + 1, fault)
                self.on_failing(True, str(fault))
                connection.close()
                time.sleep(RETRY_S[min(attempt, len(RETRY_S) - 1)])
                attempt += 1
        if attempt:
            self.on_failing(False, "")
        for append in appends:
            append.done(None if append.session in known else KeyError(append.session))


writer = Writer()


async def call(function: Callable[[], T]) -> T:
    """Runs a function that writes on the writer thread, from the loop."""
    return await asyncio.wrap_future(writer.call(function))


def load(session: str) -> list[bytes]:
    """A session's updates, oldest first. Raises Unloadable where there are none: every session has a first one."""
    # In this order: what a compaction takes out of the log between the two is in the snapshot, and twice is once.
    rows = DocumentUpdate.objects.filter(session=session).order_by("id").values_list("data", flat=True)
    updates = [bytes(data) for data in rows]
    snapshot = DocumentSnapshot.objects.filter(session=session).first()
    if snapshot:
        updates.insert(0, bytes(snapshot.data))
    if not updates:
        raise Unloadable(f"The session {session} has no text in the database.")
    return updates


def compact(session: str) -> None:
    """Turns the log into a snapshot. On the writer thread: nothing is appended meanwhile."""
    last = DocumentUpdate.objects.filter(session=session).order_by("-id").values_list("id", flat=True).first()
    if last is None:
        return
    document = Document([merged(load(session))], lambda update, origin: None)
    data = document.diff()
    assert data != EMPTY_UPDATE or not document.files()
    DocumentSnapshot.objects.update_or_create(session_id=session, defaults={"last": last, "data": data})
    DocumentUpdate.objects.filter(session=session, id__lte=last).delete()
