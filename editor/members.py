"""Who and what is in a room: its limits, participants, their connections, and the carets they show."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from editor.protocol import Close
from editor.transport import Transport


@dataclass
class Limits:
    """The room's share of the settings table; see ``project/config.py``."""

    document_bytes: int
    files: int
    frame_bytes: int
    frames_per_second: int
    participants: int
    connections: int
    name_length: int
    awareness_bytes: int
    outbox_bytes: int
    log_updates: int
    runs: int
    runs_per_person: int
    parallel_runs: int
    drafts: int
    draft_ms: int
    variants: int
    parallel_runs_per_person: int
    streaming_runs: int
    windows: int
    other_files: int
    parallel_windows: int


@dataclass(eq=False)
class Person:
    """A participant as the room knows them: shared by all of their connections."""

    id: str
    name: str
    color: str
    role: str
    link: str

    def public(self) -> dict[str, Any]:
        return {"participant": self.id, "name": self.name, "color": self.color}


@dataclass(eq=False)
class Member:
    """One connection. ``client`` is the Yjs client id that its awareness names; ``author`` is who its newest update
    is by, for clients without awareness. ``updates`` of its frames are in the document, ``held`` more are not: they
    wait for what they build on, or were refused. A sync step 2 brings them all.

    One that reads too slowly is ``behind``: the state vector of what it has been sent. Nothing of the document is
    queued for it meanwhile; ``waiting`` holds its text frames.
    """

    person: Person
    transport: Transport
    closing: Close | None = None
    hello: bool = False
    # It has sent text, and so reads it.
    spoke: bool = False
    client: int | None = None
    author: int | None = None
    updates: int = 0
    held: int = 0
    behind: bytes | None = None
    missed: bool = False
    asked: bool = False
    # A question about the document that waits, and when the next one is answered at once.
    question: bytes | None = None
    answer_at: float = 0.0
    waiting: list[str] = field(default_factory=list)
    waiting_bytes: int = 0

    def close(self, close: Close) -> None:
        if self.closing is None:
            self.closing = close
            self.transport.close(close.code, close.doc)


@dataclass
class Peer:
    """One awareness state. ``member`` is None for the model's."""

    clock: int
    state: str
    member: Member | None
