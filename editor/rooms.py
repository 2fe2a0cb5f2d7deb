"""The registry of live rooms: each session is loaded once however many ask, and leaves memory when it is idle."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine
from datetime import timedelta
from functools import wraps
from typing import Any, Concatenate, ParamSpec, TypeVar

from django.db.models import F
from django.utils import timezone

from editor import protocol, storage, updates
from editor.authors import Entry
from editor.cards import CARDS
from editor.deliveries import Deliveries, soon
from editor.dismissal import dismiss
from editor.document import BadUpdate
from editor.engines import Deep, Engines, public_model
from editor.index import Index
from editor.members import Limits, Person
from editor.models import Author, DocumentUpdate, Participant, RunRecord, Session
from editor.pace import Pace
from editor.permissions import may
from editor.queue import Queue
from editor.room import Room
from editor.runs import Runs
from editor.warming import Warming
from inference.api import Engine, ModelInfo

log = logging.getLogger(__name__)
P = ParamSpec("P")
T = TypeVar("T")

IDLE_S = 60.0
SWEEP_S = 3600.0
WARM_S = 1.0


class NoSession(Exception):
    """There is no such session, or it has ended."""


class LiveRoom:
    """A room with its runs, and how many hold it."""

    def __init__(self, room: Room, runs: Runs, warming: Warming) -> None:
        self.room = room
        self.runs = runs
        self.warming = warming


def _whole(decide: Callable[Concatenate[Rooms, P], Coroutine[Any, Any, T]]) -> Callable[Concatenate[Rooms, P], Coroutine[Any, Any, T]]:
    """It is done to its end, also where whoever asked has gone meanwhile, which cancels their request:
    half of it would be true in the database and for nobody who is here."""

    @wraps(decide)
    async def decided(self: Rooms, /, *arguments: P.args, **named: P.kwargs) -> T:
        return await asyncio.shield(self._going_on(decide(self, *arguments, **named)))

    return decided


class Rooms:
    """Owner of all live rooms of the process. ``engines`` are made at the first use, on the running loop."""

    def __init__(
        self,
        limits: Limits,
        make_engine: Callable[[asyncio.AbstractEventLoop], Engine],
        idle_days: int,
        make_deep: Callable[[asyncio.AbstractEventLoop], Deep | None] = lambda loop: None,
        waited: Callable[[float], None] = lambda seconds: None,
    ) -> None:
        self._limits = limits
        self._make_engine = make_engine
        self._make_deep = make_deep
        self._idle = timedelta(days=idle_days)
        self._engines: Engines | None = None
        self._queue = Queue(limits.streaming_runs, waited)
        self._loading: dict[str, asyncio.Task[LiveRoom]] = {}
        self._live: dict[str, LiveRoom] = {}
        self._timers: dict[str, asyncio.TimerHandle] = {}
        self._tasks: set[asyncio.Task[Any]] = set()
        self._epochs: dict[str, int] = {}
        self._chores: list[asyncio.Task[None]] = []
        self._pace = Pace(limits.draft_ms)
        self._model = ""
        self._failing = ""  # what is told while nothing can be written

    @property
    def engine(self) -> Engine:
        """The one that every run is for unless it says otherwise."""
        return self.engines.fast

    @property
    def engines(self) -> Engines:
        if self._engines is None:
            loop = asyncio.get_running_loop()
            self._engines = Engines(self._make_engine(loop), self._make_deep(loop))
            self._engines.fast.watch(self._model_changed)
            if deep := self._engines.deep:
                deep.engine.watch(self._deep_changed)
            storage.writer.deliver = Deliveries(loop).take
            storage.writer.on_failing = lambda failing, message: soon(loop, self._set_failing, failing, message)
        return self._engines

    def start(self) -> None:
        """On the loop that everything will run on: the model begins to load, and sessions begin to expire."""
        _ = self.engines
        loop = asyncio.get_running_loop()
        self._chores = [loop.create_task(self.sweep()), loop.create_task(self.warm())]

    def counts(self) -> tuple[int, int]:
        """Live rooms, and connections in them."""
        return len(self._live), sum(len(live.room.members) for live in self._live.values())

    @property
    def waiting(self) -> int:
        """Runs that wait for their turn."""
        return self._queue.waiting

    def epoch(self, session: str) -> int:
        """Grows whenever links or roles of a session change: who was identified in an earlier one must be identified anew."""
        return self._epochs.get(session, 0)

    def present(self, session: str) -> set[str]:
        """The participants who are connected."""
        live = self._live.get(session)
        return {member.person.id for member in live.room.members} if live else set()

    # What hosts decide: first in the database, then for those who are here. Each raises KeyError for what is not there.

    @_whole
    async def change(self, session: str, changes: dict[str, object]) -> Session:
        """``title``, ``viewers_may_stop`` and ``drafts``."""
        row = await storage.call(lambda: _update(session, changes))
        if live := self._live.get(session):
            live.room.title, live.room.viewers_may_stop, live.room.drafts = row.title, row.viewers_may_stop, row.drafts
            live.room.announce("session", session=live.room.public_session())
            live.runs.drafts.settle()
        return row

    @_whole
    async def rotate(self, session: str, link: str, keep: str | None) -> Session:
        """Replaces a link's token. Whoever used the old one is closed with 4410, but for the participant ``keep``."""
        row = await storage.call(lambda: _rotate(session, link, keep))
        self._changed(session)
        self._dismiss(session, lambda person: person.link == link and person.id != keep, protocol.LINK_ROTATED)
        return row

    @_whole
    async def set_role(self, session: str, participant: str, role: str) -> None:
        await storage.call(lambda: _update_participant(session, participant, role=role))
        self._changed(session)
        if live := self._live.get(session):
            live.room.set_role(participant, role)
            if not may(role, "instruct"):
                self._dismiss(session, lambda person: person.id == participant)

    @_whole
    async def remove(self, session: str, participant: str) -> None:
        await storage.call(lambda: _update_participant(session, participant, removed=True))
        self._changed(session)
        self._dismiss(session, lambda person: person.id == participant, protocol.FORBIDDEN)

    @_whole
    async def end(self, session: str) -> None:
        """Ends a session and deletes its data."""
        await storage.call(lambda: Session.objects.filter(pk=session).delete())
        # Not before it is true: where nothing can be written, it goes on.
        self._changed(session)
        self._drop(session, protocol.NOT_FOUND)

    def _going_on(self, work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        """The loop alone would forget a task that nobody waits for."""
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    def _changed(self, session: str) -> None:
        self._epochs[session] = self.epoch(session) + 1

    def _dismiss(self, session: str, gone: Callable[[Person], bool], close: protocol.Close | None = None) -> None:
        if live := self._live.get(session):
            dismiss(live.room, live.runs, gone)
            for member in list(live.room.members):
                if close and gone(member.person):
                    member.close(close)

    async def get(self, session: str) -> LiveRoom:
        """The live room of a session. Raises NoSession, or storage.Unloadable."""
        live = self._live.get(session)
        if live is None:
            task = self._loading.get(session)
            if task is None:
                task = self._begin_loading(session, self._load(session))
            live = await asyncio.shield(task)
        self._postpone(session)
        return live

    def _begin_loading(self, session: str, load: Coroutine[Any, Any, LiveRoom]) -> asyncio.Task[LiveRoom]:
        task = self._loading[session] = asyncio.get_running_loop().create_task(load)
        task.add_done_callback(lambda _: self._loading.pop(session, None))
        return task

    async def _load(self, session: str) -> LiveRoom:
        try:
            row, document, index, entries, cards, authors = await storage.read(lambda: _read(session))
            room = Room(row, document, index, authors, self._limits)
        except (BadUpdate, updates.Malformed) as fault:
            raise storage.Unloadable(f"The text of the session {session} is damaged in the database: {fault}") from None
        room.failing = self._failing
        room.on_broken = lambda: self._reload(session)
        live = self._live[session] = LiveRoom(room, Runs(room, self.engines, cards, self._pace, self._queue), Warming(room, self.engines.fast))
        storage.writer.call(lambda: self._save(session, entries > storage.COMPACT_UPDATES))
        return live

    def _reload(self, session: str) -> None:
        """The room's copy cannot be used any more; everybody comes back to what the database has, which is all but the last update."""
        live = self._drop(session, protocol.UNAVAILABLE)
        if live:
            live.room.flush()

            async def load() -> LiveRoom:
                await storage.call(lambda: None)  # what is queued for the log is written first
                return await self._load(session)

            self._begin_loading(session, load())

    def _drop(self, session: str, close: protocol.Close) -> LiveRoom | None:
        """Takes a live room out of the registry; its runs end, its members are closed."""
        live = self._live.pop(session, None)
        if live:
            self._cancel(session)
            live.runs.close()
            for member in list(live.room.members):
                member.close(close)
        return live

    def _save(self, session: str, compact: bool) -> None:
        """On the writer thread: the session is in use, and its log may be long."""
        now = timezone.now()
        Session.objects.filter(pk=session).update(active_at=now, expires_at=now + self._idle)
        if compact:
            storage.compact(session)

    def _postpone(self, session: str) -> None:
        """The room stays for another while; then it goes, if nobody is in it."""
        self._cancel(session)
        self._timers[session] = asyncio.get_running_loop().call_later(IDLE_S, self._maybe_close, session)

    def _cancel(self, session: str) -> None:
        timer = self._timers.pop(session, None)
        if timer:
            timer.cancel()

    async def warm(self) -> None:
        """For as long as the server runs: the model reads what people look at."""
        while True:
            await asyncio.sleep(WARM_S)
            now = asyncio.get_running_loop().time()
            for live in list(self._live.values()):
                try:
                    live.warming.look(now)
                except Exception:
                    log.exception("What people look at in the session %s could not be given to the model", live.room.session)

    async def sweep(self) -> None:
        """For as long as the server runs: sessions in use live on, those past their time end."""
        while True:
            open_ = [session for session, live in self._live.items() if live.room.members]
            try:
                for session in await storage.call(lambda: self._sweep(open_)):  # noqa: B023 (it is awaited here)
                    await self.end(session)
            except Exception:
                log.exception("Expired sessions could not be deleted; it is tried again")
            await asyncio.sleep(SWEEP_S)

    def _sweep(self, open_: list[str]) -> list[str]:
        """On the writer thread. Those that have expired."""
        now = timezone.now()
        Session.objects.filter(pk__in=open_).update(active_at=now, expires_at=now + self._idle)
        return list(Session.objects.filter(expires_at__lte=now).values_list("pk", flat=True))

    def _maybe_close(self, session: str) -> None:
        live = self._live.get(session)
        if live is None:
            return
        if live.room.members or not live.room.saved.settled or not live.runs.idle:
            return self._postpone(session)
        self._timers.pop(session, None)
        # At once: whoever came between would be in a room of which nobody else knows.
        del self._live[session]
        live.runs.close()
        live.room.flush()
        self._going_on(self._put_away(session))

    async def _put_away(self, session: str) -> None:
        await storage.call(lambda: self._save(session, DocumentUpdate.objects.filter(session=session).count() > storage.COMPACT_UPDATES))

    async def close(self) -> None:
        """The server stops: runs end, members are told, everything is written."""
        for live in self._live.values():
            live.runs.stop(None)
            live.room.flush()
            for member in list(live.room.members):
                member.close(protocol.SHUTDOWN)
        for timer in self._timers.values():
            timer.cancel()
        for chore in self._chores:
            chore.cancel()
        if self._engines:
            self._engines.close()
        for live in self._live.values():
            await live.runs.cards.settled()
        await asyncio.to_thread(storage.writer.close)

    def _model_changed(self, info: ModelInfo) -> None:
        if info.name != self._model:
            self._model = info.name
            self._pace.reset()
        for live in self._live.values():
            live.room.announce("model", model=public_model(info))
            live.runs.drafts.settle()
        self._queue.advance()

    def _deep_changed(self, info: ModelInfo) -> None:
        for live in self._live.values():
            live.room.announce("engines", engines=self.engines.public())
        self._queue.advance()

    def _set_failing(self, failing: bool, message: str) -> None:
        self._failing = "Edits cannot be written to the disk just now. They are kept in memory and tried again." if failing else ""
        for live in self._live.values():
            if live.room.failing != self._failing:
                live.room.set_failing(self._failing)


def _read(session: str) -> tuple[Session, bytes, Index, int, list[dict[str, object]], dict[int, list[Entry]]]:
    """The row, the document and its index, the log's length, the timeline's cards, and who is known to have written what."""
    row = Session.objects.filter(pk=session, expires_at__gt=timezone.now()).first()
    if row is None:
        raise NoSession(session)
    records = RunRecord.objects.filter(session=session).order_by("-started_at").values_list("card", flat=True)[:CARDS]
    authors: dict[int, list[Entry]] = {}
    for client, *entry in Author.objects.filter(session=session).order_by("clock").values_list("client", *Entry._fields):
        authors.setdefault(client, []).append(Entry(*entry))
    document, entries = storage.load(session)
    return row, document, Index(updates.structs(document)), entries, list(reversed(records)), authors


def _update(session: str, changes: dict[str, object]) -> Session:
    if not Session.objects.filter(pk=session).update(**changes):
        raise KeyError(session)
    return Session.objects.get(pk=session)


def _rotate(session: str, link: str, keep: str | None) -> Session:
    field = link + "_generation"
    row = _update(session, {field: F(field) + 1})
    Participant.objects.filter(session=session, pk=keep, link=link).update(generation=getattr(row, field))
    return row


def _update_participant(session: str, participant: str, **changes: object) -> None:
    if not Participant.objects.filter(session=session, pk=participant, removed=False).update(**changes):
        raise KeyError(participant)


_current: list[Rooms] = []


def install(rooms: Rooms) -> None:
    """The process's registry. Called once, by the project, which knows the engine."""
    _current[:] = [rooms]


def current() -> Rooms:
    return _current[0]
