"""Who wrote what: which participant, or which run, a Yjs client id stands for from a clock on.

Invariant: the first who is seen to write with a client id keeps it. Nobody can take what another has written for
theirs later, and nothing here decides what somebody may do. Text that an undo brings back stays its writer's.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable
from itertools import pairwise
from typing import TYPE_CHECKING, Any, NamedTuple

from editor import presence, storage
from editor.models import Author

if TYPE_CHECKING:
    from editor.document import Document
    from editor.members import Person


class Entry(NamedTuple):
    """From ``clock`` on it is this participant's, or this ``run``'s for them; both empty: nobody's, as a session's first text is."""

    clock: int
    participant: str = ""
    run: str = ""
    name: str = ""
    color: str = ""


class Authors:
    """Of one room. ``known``: client -> its entries, clocks ascending."""

    def __init__(self, session: str, known: dict[int, list[Entry]]) -> None:
        self._session = session
        self._known = known
        self._writer = ("", "")

    def knows(self, client: int) -> bool:
        return client in self._known

    def wrote(self, client: int, person: Person) -> None:
        """A participant's update brought structs of this client, which nobody is known to stand for."""
        self._record(client, [Entry(0, person.id, "", person.name, person.color)])

    def room_writes(self, document: Document, by: Person, run: str) -> None:
        """The room itself is about to write, for a run. Others may take turns with it."""
        if self._writer != (by.id, run):
            self._writer = (by.id, run)
            client, clock = document.own_clock()
            # Who was here before may have written nothing: what only deletes moves no clock.
            self._record(client, [Entry(clock, by.id, run, by.name, presence.MODEL_COLOR)], instead=True)

    def brought_back(self, client: int, by: Person, moved: Iterable[tuple[int, int, int, int, int]]) -> None:
        """An undo has written with this client, for a participant. ``moved``: see ``undo.Edit``; the rest is the participant's own."""
        own = Entry(0, by.id, "", by.name, by.color)
        entries = {0: own}
        for old, first, end, _, new in moved:
            for entry, (start, _) in self.shares(old, first, end):
                entries[new + start - first] = entry
            entries[new + end - first] = own
        changes = [entries[clock]._replace(clock=clock) for clock in sorted(entries)]
        self._record(client, [changes[0], *(after for before, after in pairwise(changes) if after[1:] != before[1:])])

    def shares(self, client: int, first: int, end: int) -> list[tuple[Entry, tuple[int, int]]]:
        """Who wrote a client's clocks from ``first`` to ``end``, in turn."""
        known = self._known.get(client, [])
        out = []
        at = bisect_right(known, first, key=lambda entry: entry.clock)
        while first < end:
            until = min(known[at].clock, end) if at < len(known) else end
            out.append((known[at - 1] if at else Entry(0), (first, until)))
            first, at = until, at + 1
        return out

    def _record(self, client: int, entries: list[Entry], instead: bool = False) -> None:
        """``instead``: of what is known of the same clock."""
        self._known.setdefault(client, []).extend(entries)
        rows = [Author(session_id=self._session, client=client, **entry._asdict()) for entry in entries]
        update = {"update_conflicts": True, "unique_fields": ("session", "client", "clock"), "update_fields": Entry._fields[1:]}
        # Twice is once: a session that is loaded again may see the same.
        how: dict[str, Any] = update if instead else {"ignore_conflicts": True}
        storage.writer.call(lambda: Author.objects.bulk_create(rows, **how), kept=True)
