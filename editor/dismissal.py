"""What somebody has under way ends with their right to ask for it."""

from __future__ import annotations

from collections.abc import Callable

from editor.members import Person
from editor.room import Room
from editor.runs import Runs


def dismiss(room: Room, runs: Runs, gone: Callable[[Person], bool]) -> None:
    """Runs, drafts and variants of those who may give no instructions any more: as if they had stopped them."""
    for participant in {member.person.id for member in room.members if gone(member.person)}:
        runs.lines.drop(participant)
        runs.drafts.drop(participant)
    runs.variants.dismiss(gone)
    for run in runs.ongoing.all():
        if gone(run.request.by):
            runs.stop(run.id)
