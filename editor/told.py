"""Runs as the protocol tells them to everybody."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from editor.run import Run


def started(run: Run) -> dict[str, Any]:
    """``run.started``, with the regions as they are now."""
    places = run.places()
    return {**run.public(), "region": places[0], "regions": places, "model": run.model, "notes": run.notes, "saw": run.saw}


def queued(run: Run) -> dict[str, Any]:
    """``run.queued``."""
    position, reason = run.place
    return {**run.public(), "position": position, "reason": reason, "behind": run.behind}


def listed(names: Sequence[str]) -> str:
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)
