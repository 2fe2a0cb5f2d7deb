"""Who wrote what: which participant, or which run, a Yjs client id stands for from a clock on.

Invariant: the first who is seen to write with a client id keeps it. Nobody can take what another has written for
theirs later, and nothing here decides what somebody may do.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from editor import presence, storage
from editor.models import Author

if TYPE_CHECKING:
    from editor.document import Document
    from editor.members import Person


class Authors:
    """Of one room. ``known``: client -> the clock of its newest entry."""

    def __init__(self, session: str, known: dict[int, int]) -> None:
        self._session = session
        self._known = known
        self._writer = ("", "")

    def knows(self, client: int) -> bool:
        return client in self._known

    def wrote(self, client: int, person: Person) -> None:
        """A participant's update brought structs of this client, which nobody is known to stand for."""
        self._record(client, 0, person, "", person.color)

    def room_writes(self, document: Document, by: Person, run: str = "") -> None:
        """The room itself is about to write: for a run, or taking one back for a participant. Others may take turns with it."""
        if self._writer != (by.id, run):
            self._writer = (by.id, run)
            self._record(*document.own_clock(), by, run, presence.MODEL_COLOR if run else by.color)

    def _record(self, client: int, clock: int, person: Person, run: str, color: str) -> None:
        self._known[client] = clock
        entry = Author(session_id=self._session, client=client, clock=clock, participant=person.id, run=run, name=person.name, color=color)
        # Twice is once: a session that is loaded again may see the same.
        storage.writer.call(lambda: Author.objects.bulk_create([entry], ignore_conflicts=True), kept=True)
