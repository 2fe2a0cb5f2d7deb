"""The history of a session: every update that its log has held, to scrub through and to take versions from.

The log's newest part is the table of updates itself (segment ``live``); what a snapshot takes in moves to
segments of its own, each with the state before it, so that any version is one base and a few updates away.
"""

from __future__ import annotations

import zlib
from typing import Any

from django.conf import settings
from django.db.models import Count, Max, Min, Sum
from django.db.models.functions import Length

from editor import wire
from editor.document import EMPTY_UPDATE, Document
from editor.models import Author, DocumentSnapshot, DocumentUpdate, HistorySegment

LIVE = "live"
# A row's number has no more.
DIGITS = 18

# One version: the update's id, ms since 1970, and the update.
Entry = tuple[int, int, bytes]


def keep(session: str, base: bytes, entries: list[Entry]) -> None:
    """Moves a stretch of the log into a segment, and forgets the oldest ones beyond the limit. On the writer thread."""
    HistorySegment.objects.create(
        session_id=session,
        first=entries[0][0],
        last=entries[-1][0],
        from_at=entries[0][1],
        to_at=entries[-1][1],
        updates=len(entries),
        base=zlib.compress(base),
        data=zlib.compress(_packed(entries)),
    )
    kept = 0
    for segment, size in (
        HistorySegment.objects.filter(session=session).order_by("-first").annotate(size=Length("data") + Length("base")).values_list("pk", "size")
    ):
        kept += size
        if kept > settings.ENSEMBLE["ENSEMBLE_MAX_HISTORY_BYTES"]:
            HistorySegment.objects.filter(session=session, pk__lte=segment).delete()
            break


def overview(session: str) -> dict[str, Any]:
    """The segments, oldest first, and who wrote what. What a compaction moves between the two reads may be in neither until it is asked again."""
    rows = HistorySegment.objects.filter(session=session).order_by("first")
    segments = [
        {"id": str(pk), "from": from_at, "to": to_at, "updates": updates, "bytes": size}
        for pk, from_at, to_at, updates, size in rows.annotate(size=Length("data") + Length("base")).values_list(
            "pk", "from_at", "to_at", "updates", "size"
        )
    ]
    live = DocumentUpdate.objects.filter(session=session).aggregate(begin=Min("at"), end=Max("at"), updates=Count("id"), size=Sum(Length("data")))
    last = segments[-1]["to"] if segments else 0
    segments.append({"id": LIVE, "from": live["begin"] or last, "to": live["end"] or last, "updates": live["updates"], "bytes": live["size"] or 0})
    authors = Author.objects.filter(session=session).order_by("client", "clock").values("client", "clock", "participant", "run", "name", "color")
    return {"segments": segments, "authors": list(authors)}


def segment(session: str, name: str) -> bytes:
    """A segment as the page reads it: a count, then id, time and update of the state before it and of each update.

    Raises KeyError. Not on the writer thread, nor ``contents_at``: a long one takes a while.
    """
    base, entries = _segment(session, name)
    before = (entries[0][0] - 1, entries[0][1]) if entries else (0, 0)
    return wire.integer(len(entries) + 1) + _packed([(*before, base), *entries])


def contents_at(session: str, version: int) -> list[tuple[str, str]]:
    """(path, text) of each file after an update. Raises KeyError where the history does not reach."""
    found = HistorySegment.objects.filter(session=session, first__lte=version, last__gte=version).values_list("pk", flat=True).first()
    base, entries = _segment(session, str(found) if found else LIVE)
    if version not in (number for number, _, _ in entries):
        raise KeyError(version)
    updates = [update for number, _, update in entries if number <= version]
    return Document([base, *updates], lambda update, origin: None).contents()


def _segment(session: str, name: str) -> tuple[bytes, list[Entry]]:
    while name == LIVE:
        entries, snapshot = log(session), DocumentSnapshot.objects.filter(session=session).first()
        # Between the two a compaction may have taken some of the log into the snapshot.
        if not (snapshot and entries and snapshot.last >= entries[0][0]):
            return bytes(snapshot.data) if snapshot else EMPTY_UPDATE, entries
    found = HistorySegment.objects.filter(session=session, pk=row_number(name)).first()
    if found is None:
        raise KeyError(name)
    return zlib.decompress(bytes(found.base)), _unpacked(zlib.decompress(bytes(found.data)), found.updates)


def row_number(name: str) -> int:
    """As an address names a row. Raises KeyError where it can be none."""
    if not name.isdecimal() or len(name) > DIGITS:
        raise KeyError(name)
    return int(name)


def log(session: str) -> list[Entry]:
    """What no snapshot has taken in yet."""
    rows = DocumentUpdate.objects.filter(session=session).order_by("id").values_list("id", "at", "data")
    return [(number, at, bytes(data)) for number, at, data in rows.iterator()]


def _packed(entries: list[Entry]) -> bytes:
    return b"".join(wire.integer(number) + wire.integer(at) + wire.chunk(update) for number, at, update in entries)


def _unpacked(data: bytes, count: int) -> list[Entry]:
    reader = wire.Reader(data)
    return [(reader.integer(), reader.integer(), reader.chunk()) for _ in range(count)]
