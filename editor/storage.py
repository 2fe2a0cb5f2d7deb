"""The append-only update log and its snapshots, in the database.

One writer thread takes all writes. Updates that come while it commits go out together in its next
transaction (group commit), so a short transaction serves many rooms, and SQLite never sees two writers.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
import queue
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field
from functools import partial
from typing import Any, TypeVar, cast

from asgiref.sync import sync_to_async
from django.db import (
    DatabaseError,
    DataError,
    IntegrityError,
    InterfaceError,
    OperationalError,
    close_old_connections,
    connection,
    connections,
    transaction,
)

from editor import history
from editor.document import EMPTY_UPDATE, Document
from editor.models import DocumentSnapshot, DocumentUpdate, Session

log = logging.getLogger(__name__)
T = TypeVar("T")

# With this many log entries behind it, a session is compacted when it is loaded or closed.
COMPACT_UPDATES = 200
# At most one commit in this time: what comes meanwhile shares the next one, and the loop's thread is left alone.
COMMIT_S = 0.05
# By hand: the ORM takes most of a commit's time.
_INSERT = "INSERT INTO editor_documentupdate (session_id, at, data) VALUES (%s, %s, %s)"
RETRY_S = (0.1, 0.5, 1, 2, 5)


class Unwritable(Exception):
    """The database takes nothing just now. What people type waits in memory; everything else is refused."""


class Unloadable(Exception):
    """The session's text could not be read. It is never replaced by an empty one."""


@dataclass(slots=True)
class _Append:
    session: str
    at: int
    data: bytes
    done: Callable[[BaseException | None], None]


@dataclass
class _Call:
    function: Callable[[], Any]
    kept: bool
    future: Future[Any] = field(default_factory=Future)


def _call_all(calls: list[Callable[[], None]]) -> None:
    for call in calls:
        call()


class Writer:
    """Owner of the writing connection. Start once a process; callable from any thread.

    ``append`` and calls that are to be ``kept`` are tried for ever: the text is in memory until it is written.
    ``on_failing(True)`` and ``on_failing(False)`` tell when writing begins to fail and when it works again.
    ``deliver`` brings a commit's callbacks to where they are to run, in order.
    """

    def __init__(self) -> None:
        self.on_failing: Callable[[bool, str], None] = lambda failing, message: None
        self.deliver: Callable[[list[Callable[[], None]]], None] = _call_all
        self._queue: queue.SimpleQueue[_Append | _Call | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        self._lock = threading.Lock()
        self._failing = False

    def append(self, session: str, data: bytes, done: Callable[[BaseException | None], None]) -> None:
        """``done(None)`` is delivered once the update is durable, ``done(KeyError)`` if the session is no more."""
        self._put(_Append(session, time.time_ns() // 1_000_000, data, done))

    def call(self, function: Callable[[], T], *, kept: bool = False) -> Future[T]:
        """Runs a function that writes, in one transaction. While nothing can be written, only what is ``kept`` waits;
        anything else fails at once with Unwritable."""
        call = _Call(function, kept)
        if self._failing and not kept:
            call.future.set_exception(Unwritable())
        else:
            self._put(call)
        return call.future

    def close(self) -> None:
        """Writes what has been queued, then ends. What comes meanwhile is written as well, by one thread at a time."""
        with self._lock:
            thread = self._thread
        while thread:
            self._queue.put(None)
            thread.join()
            with self._lock:
                self._thread = thread = None if self._queue.empty() else self._begun()

    def _put(self, item: _Append | _Call) -> None:
        with self._lock:
            self._thread = self._thread or self._begun()
            self._queue.put(item)

    def _begun(self) -> threading.Thread:
        thread = threading.Thread(target=self._main, name="storage", daemon=True)
        thread.start()
        return thread

    def _main(self) -> None:
        open_ = True
        while open_:
            items: list[_Append | _Call | None] = [self._queue.get()]
            begun = time.monotonic()
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
            rest = begun + COMMIT_S - time.monotonic()
            if rest > 0 and open_:
                time.sleep(rest)
        connections.close_all()

    def _run(self, call: _Call) -> None:
        # Whoever waited may have gone: setting the result of a cancelled future would raise.
        if not call.future.set_running_or_notify_cancel():
            return None
        if self._failing and not call.kept:
            return call.future.set_exception(Unwritable())
        try:
            call.future.set_result(self._insist(call.function) if call.kept else self._try(call.function))
        except BaseException as fault:
            call.future.set_exception(fault)

    def _try(self, function: Callable[[], T]) -> T:
        """Once; and once more if it was the connection, which may be older than the database server."""
        try:
            return _in_transaction(function)
        except (OperationalError, InterfaceError) as fault:
            if connection.is_usable():
                raise
            connection.close()
            log.warning("The connection to the database was lost: %s", fault)
            return _in_transaction(function)

    def _insist(self, function: Callable[[], T], *, whatever: bool = False) -> T:
        """Until it is done. ``whatever``: also where the fault is not the database's."""
        result = None
        for attempt in itertools.count():
            try:
                result = _in_transaction(function)
                break
            except IntegrityError:
                raise
            except Exception as fault:
                if not whatever and (isinstance(fault, DataError) or not isinstance(fault, DatabaseError | InterfaceError)):
                    raise
                # The server restarts, the disk is full, somebody holds a lock, a restore has not come to this table yet.
                log.error("The database cannot be written (attempt %d): %s", attempt + 1, fault)
                if not self._failing:
                    self._failing = True
                    self.on_failing(True, str(fault))
                connection.close()
                time.sleep(RETRY_S[min(attempt, len(RETRY_S) - 1)])
        if self._failing:
            self._failing = False
            self.on_failing(False, "")
        return cast(T, result)

    def _write(self, appends: list[_Append]) -> None:
        if not appends:
            return
        gone: set[str] = set()

        def insert() -> None:
            with connection.cursor() as cursor:
                cursor.executemany(_INSERT, [(a.session, a.at, a.data) for a in appends if a.session not in gone])

        while True:
            try:
                self._insist(insert, whatever=True)
                break
            except IntegrityError:
                # A session was deleted meanwhile; the others' edits are written all the same.
                sessions = {a.session for a in appends}
                gone = sessions - self._insist(lambda: set(Session.objects.filter(pk__in=sessions).values_list("pk", flat=True)))  # noqa: B023

        self.deliver([partial(a.done, KeyError(a.session) if a.session in gone else None) for a in appends])


def _in_transaction(function: Callable[[], T]) -> T:
    with transaction.atomic():
        return function()


writer = Writer()


async def call(function: Callable[[], T]) -> T:
    """Runs a function that writes on the writer thread, from the loop. Cancelled, it is done if it has begun, and not at all if it has not."""
    return await asyncio.wrap_future(writer.call(function))


async def read(function: Callable[[], T]) -> T:
    """Runs a function that reads on a thread of its own, from the loop."""

    def run() -> T:
        # A thread's connection may be older than the database server.
        close_old_connections()
        return function()

    return await sync_to_async(run, thread_sensitive=False)()


def load(session: str) -> tuple[bytes, int]:
    """A session's document as one update, and how many log entries are in it. Raises Unloadable where there is nothing:
    every session has a first update. For another thread than the loop's: a long log takes a while."""
    # In this order: what a compaction takes out of the log between the two is in the snapshot, and twice is once.
    entries = history.log(session)
    snapshot = DocumentSnapshot.objects.filter(session=session).first()
    updates = ([bytes(snapshot.data)] if snapshot else []) + [update for _, _, update in entries]
    if not updates:
        raise Unloadable(f"The session {session} has no text in the database.")
    return _whole(updates), len(entries)


def _whole(updates: list[bytes]) -> bytes:
    """One update that does what all of them do."""
    # One by one into a document: each call is short, so that the loop gets the interpreter's lock in between.
    return updates[0] if len(updates) == 1 else Document(updates, lambda update, origin: None).diff()


def compact(session: str) -> None:
    """Turns the log into a snapshot, and moves it to the history. On the writer thread: nothing is appended meanwhile."""
    entries = history.log(session)
    if not entries:
        return
    snapshot = DocumentSnapshot.objects.filter(session=session).first()
    base = bytes(snapshot.data) if snapshot else EMPTY_UPDATE
    last = entries[-1][0]
    DocumentSnapshot.objects.update_or_create(
        session_id=session, defaults={"last": last, "data": _whole([base, *(update for _, _, update in entries)])}
    )
    history.keep(session, base, entries)
    DocumentUpdate.objects.filter(session=session, id__lte=last).delete()
