"""Runs as the protocol tells them to everybody."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from editor.protocol import utf16_length
from editor.regions import Region
from editor.run import Run


def started(run: Run) -> dict[str, Any]:
    """``run.started``, with the regions as they are now."""
    request, places = run.request, run.places()
    return {
        "run": run.id,
        "by": request.by.public(),
        "file": request.file,
        "region": places[0],
        "regions": places,
        "instruction": request.instruction,
        "mode": request.mode,
        "engine": request.engine,
        "model": run.model,
        "continues": run.continues,
        "chain": list(run.chain),
        "retries": run.retries,
        "notes": run.notes,
        "saw": run.saw,
    }


def place(text: str, region: Region) -> dict[str, int]:
    start, end = (utf16_length(text[:at]) if not text.isascii() else at for at in (region.start, region.end))
    return {"from": start, "to": end, "first_line": region.first, "last_line": region.last}


def queued(run: Run) -> dict[str, Any]:
    request = run.request
    position, reason = run.place
    fields = {
        "run": run.id,
        "position": position,
        "reason": reason,
        "behind": run.behind,
        "by": request.by.public(),
        "instruction": request.instruction,
    }
    fields |= {
        "file": request.file,
        "mode": request.mode,
        "engine": request.engine,
        "continues": run.continues,
        "chain": list(run.chain),
        "retries": run.retries,
    }
    return fields


def listed(names: Sequence[str]) -> str:
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)
