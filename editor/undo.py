"""Taking back what a run did, whenever that is: hours later, after a restart, with everybody's edits in between.

While a run writes, the names of the characters that it wrote and deleted are noted, with the deleted text; the names
stand for ever. The undo is one update made by hand: it deletes what the run wrote and still stands, by name, so that it
cannot hit anybody else's text, and puts what the run deleted back at its place among the deleted characters. Pure.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from editor import updates, wire
from editor.order import Mask, Numbers, Order, Range, Units, utf16

NEWLINE = ord("\n")


@dataclass
class Edit:
    """What a run did to a file.

    ``deleted``: texts, each with the names of its characters (in no order); the newline that goes with a last line may be
    the run's own. ``withdrawn``: what it wrote and took back itself. ``moved``: set by its undo, ``(client, first, end, new
    client, new first)``: what it has brought back, and under which names.
    """

    file: str
    inserted: list[Range] = field(default_factory=list)
    deleted: list[tuple[str, list[Range]]] = field(default_factory=list)
    withdrawn: list[Range] = field(default_factory=list)
    moved: list[tuple[int, int, int, int, int]] = field(default_factory=list)

    def note(self, update: bytes, deleted: str) -> None:
        """An update of the document that the run has made. ``deleted``: the text that it took out which was not the run's own."""
        structs = updates.structs(update)
        for client, end in structs.end.items():
            first = structs.first[client]
            if self.inserted and self.inserted[-1][0] == client and self.inserted[-1][2] == first:
                first = self.inserted.pop()[1]
            self.inserted.append((client, first, end))
        gone = [(c, int(a), int(b)) for c, f, e in updates.deletions(update, structs.rest) for a, b in zip(f, e, strict=True)]
        if deleted:
            self.deleted.append((deleted, gone))
        else:
            self.withdrawn += gone

    def public(self) -> dict[str, Any]:
        return {"file": self.file, "inserted": self.inserted, "deleted": self.deleted, "withdrawn": self.withdrawn, "moved": self.moved}

    @classmethod
    def read(cls, saved: dict[str, Any]) -> Edit:
        deleted = [(text, [_range(entry) for entry in ranges]) for text, ranges in saved["deleted"]]
        moved = [(c, a, b, client, first) for c, a, b, client, first in saved["moved"]]
        inserted, withdrawn = ([_range(entry) for entry in saved[name]] for name in ("inserted", "withdrawn"))
        return cls(saved["file"], inserted, deleted, withdrawn, moved)


def merged(file: str, edits: Iterable[Edit]) -> Edit:
    """What several edits of a file amount to."""
    whole = Edit(file)
    for edit in edits:
        whole.inserted += edit.inserted
        whole.deleted += edit.deleted
        whole.withdrawn += edit.withdrawn
        whole.moved += edit.moved
    return whole


def _range(entry: list[int]) -> Range:
    client, first, end = entry
    return client, first, end


@dataclass(frozen=True)
class Undo:
    """``update`` takes the run back; ``client`` has written in it, if anything was to be written; ``moved`` as in Edit."""

    update: bytes
    client: int | None
    moved: list[tuple[int, int, int, int, int]]


def undo(state: bytes, text: str, edit: Edit, others: Iterable[Edit], client: int) -> Undo:
    """What takes an edit back in a document in this state, where its file's text is this. Raises KeyError where the file is gone.

    ``others``: of the runs that may have been taken back before; ``client``: a Yjs client id that nobody has had.
    """
    order = Order(state, edit.file, text)
    others = [other for other in others if other.file == edit.file]
    mine = order.labels([_with_moved(edit, others)]) >= 0
    written = mine & order.visible
    content = order.content.copy()
    content[written] = 0
    restored = _restored(order, edit, mine, others)
    for places, units, _ in restored:
        content[places] = units
    (standing,) = np.nonzero(content)
    items: list[bytes] = []
    moved: list[tuple[int, int, int, int, int]] = []
    # The first struct holds nothing: it says in the history who has undone, whoever wrote what comes back.
    clock = 1
    for places, units, whole in restored:
        for part in np.split(np.arange(len(places)), np.nonzero(np.diff(places) != 1)[0] + 1):
            before, after = _missing_newlines(content, mine, standing, places, units, part) if whole else (0, 0)
            new = "\n" * before + units[part].tobytes().decode("utf-16-le") + "\n" * after
            items.append(_item(order, int(places[part[-1]]), new))
            first = clock + before
            for old, a, b in order.ranges(places[part]):
                moved.append((old, a, b, client, first))
                first += b - a
            clock = first + after
    return Undo(_update(client, items, order.ranges(np.nonzero(written)[0])), client if items else None, moved)


def _with_moved(edit: Edit, others: Iterable[Edit]) -> list[Range]:
    """The names of all that the run wrote, also of what another's undo has brought back."""
    moved = [entry for other in others for entry in other.moved]
    found = list(edit.inserted)
    for client, first, end in found:  # it grows meanwhile: what was brought back may have been deleted and brought back again
        for old, a, b, new, start in moved:
            if old == client and max(a, first) < min(b, end):
                entry = (new, start + max(a, first) - a, start + min(b, end) - a)
                if entry not in found:
                    found.append(entry)
    return found


def _restored(order: Order, edit: Edit, mine: Mask, others: Iterable[Edit]) -> list[tuple[Numbers, Units, bool]]:
    """Places and content of what comes back, and whether it begins and ends with what was not the run's own: whole lines always;
    what was replaced within a line only while something of its replacement stands, or else two texts would stand where one was."""
    labels = order.labels(ranges for _, ranges in edit.deleted)
    # What another's undo has brought back counts where it is now.
    moved = [(client, first, end) for other in others for client, first, end, _, _ in other.moved]
    kept = mine & (order.labels([edit.withdrawn]) < 0) & (labels < 0) & (order.labels([moved]) < 0)
    # Where the run has been alone, seen from any place: up to the next character that stands and is not its own.
    (walls,) = np.nonzero(order.visible & ~mine)
    written = np.concatenate(([0], np.cumsum(kept)))
    standing = np.concatenate(([0], np.cumsum(kept & order.visible)))
    out = []
    for number, (text, _) in enumerate(edit.deleted):
        places: Numbers = np.nonzero(labels == number)[0]
        units = utf16(text)
        if len(places) != len(units):
            continue  # it went with its file
        theirs = ~mine[places]
        places, units = places[theirs], units[theirs]
        if not len(places):
            continue
        if "\n" not in text:
            at = int(np.searchsorted(walls, places[0]))
            left = int(walls[at - 1]) + 1 if at else 0
            at = int(np.searchsorted(walls, places[-1]))
            right = int(walls[at]) if at < len(walls) else len(mine)
            if written[right] > written[left] and standing[right] == standing[left]:
                continue
        out.append((places, units, bool(theirs[0] and theirs[-1])))
    return sorted(out, key=lambda entry: int(entry[0][0]))


def _missing_newlines(content: Units, mine: Mask, standing: Numbers, places: Numbers, units: Units, part: Numbers) -> tuple[int, int]:
    """How many newlines a whole line lacks before and after it where it comes back to. People may have joined the lines
    around it: then something of theirs has gone right beside it."""
    if len(units) > 1 and units[-1] == NEWLINE and part[0] == 0:
        at = int(np.searchsorted(standing, places[0]))
        joined = at > 0 and content[standing[at - 1]] != NEWLINE and not mine[standing[at - 1] + 1 : places[0]].all()
        return int(joined), 0
    if len(units) > 1 and units[0] == NEWLINE and units[-1] != NEWLINE and part[-1] == len(places) - 1:
        at = int(np.searchsorted(standing, places[-1], "right"))
        joined = at < len(standing) and content[standing[at]] != NEWLINE and not mine[places[-1] + 1 : standing[at]].all()
        return 0, int(joined)
    return 0, 0


def _item(order: Order, left: int, text: str) -> bytes:
    """A struct that puts text right behind a unit: between two neighbours nothing can ever come but what names both."""
    right = left + 1 < len(order.clients)
    names = [(int(order.clients[place]), int(order.clocks[place])) for place in ([left, left + 1] if right else [left])]
    info = updates.STRING | 0x80 | 0x40 * right
    return bytes([info]) + b"".join(wire.integer(number) for name in names for number in name) + wire.chunk(text.encode())


def _update(client: int, items: list[bytes], gone: list[Range]) -> bytes:
    out = [wire.integer(bool(items))]
    if items:
        out += [wire.integer(1 + len(items)), wire.integer(client), wire.integer(0), bytes([updates.GC]), wire.integer(1), *items]
    clients: dict[int, list[tuple[int, int]]] = {}
    for name, first, end in gone:
        clients.setdefault(name, []).append((first, end))
    out.append(wire.integer(len(clients)))
    for name, ranges in clients.items():
        out += [wire.integer(name), wire.integer(len(ranges))]
        out += [wire.integer(first) + wire.integer(end - first) for first, end in sorted(ranges)]
    return b"".join(out)
