"""Runs as the protocol tells them to everybody."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import Any

from editor.ongoing import Ongoing
from editor.run import Run


def started(run: Run) -> dict[str, Any]:
    """``run.started``, with the regions as they are now."""
    places = run.places()
    return {**run.public(), "region": places[0], "regions": places, "model": run.model, "notes": run.notes, "saw": run.saw}


def queued(run: Run) -> dict[str, Any]:
    """``run.queued``."""
    position, reason = run.place
    return {**run.public(), "position": position, "reason": reason, "behind": run.behind}


def live(ongoing: Ongoing) -> Iterator[tuple[str, dict[str, Any]]]:
    """The messages that bring somebody who has just come to where the others are."""
    for run in ongoing.writing.values():
        with suppress(KeyError):  # its file is gone, and it ends with its next word
            yield "run.started", started(run)
        yield "run.progress", {"run": run.id, **run.figures, "places": run.progress}
        if run.answer:
            yield "run.text", {"run": run.id, "text": run.answer}
    for run in ongoing.waiting.values():
        yield "run.queued", queued(run)


def listed(names: Sequence[str]) -> str:
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)
