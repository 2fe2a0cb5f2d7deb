"""Names, colours and awareness states: what people see of each other. Pure.

Awareness is JSON that any client can forge, and other clients put parts of it into style attributes:
what is passed on is written anew here, with the name and colour that the server knows.
"""

from __future__ import annotations

import json
import re
import unicodedata
from typing import Any

# Distinct on white and on near-black; the light twin is the same with alpha, for selections.
PALETTE = (
    "#c2410c", "#7c3aed", "#1d4ed8", "#be185d", "#4d7c0f", "#b45309",
    "#a21caf", "#0369a1", "#b91c1c", "#4338ca", "#a16207", "#9d174d",
)  # fmt: skip
# Nobody else's: people's colours leave teal out.
MODEL_COLOR = "#0f766e"
FALLBACK_NAME = "Guest"


def clean_name(name: str, longest: int) -> str:
    """A name fit to be shown: no control or direction characters, single blanks, cut to ``longest`` characters."""
    kept = "".join(" " if c.isspace() else c for c in name if c.isspace() or unicodedata.category(c) not in ("Cc", "Cf", "Cs", "Co", "Cn"))
    return re.sub(r" +", " ", kept).strip()[:longest].strip() or FALLBACK_NAME


def pick_color(taken: list[str]) -> str:
    """The palette's colour that fewest have."""
    return min(PALETTE, key=taken.count)


def light(color: str) -> str:
    return color + "33"


def awareness_state(raw: str, name: str, color: str) -> str | None:
    """A client's state rewritten: true name and colour, its cursor and file. None: it leaves, or sent no object."""
    try:
        state = json.loads(raw)
    except (ValueError, RecursionError):
        return None
    if not isinstance(state, dict):
        return None
    out: dict[str, Any] = {"user": {"name": name, "color": color, "colorLight": light(color)}}
    cursor = state.get("cursor")
    if isinstance(cursor, dict):
        ends = {end: _relative_position(cursor.get(end)) for end in ("anchor", "head")}
        if all(ends.values()):
            out["cursor"] = ends
    file = state.get("file")
    if isinstance(file, str) and len(file) <= 64:
        out["file"] = file
    return json.dumps(out)


def _relative_position(value: Any) -> dict[str, Any] | None:
    """A Yjs relative position with nothing else in it."""
    if not isinstance(value, dict):
        return None
    out: dict[str, Any] = {}
    for key in ("type", "item"):
        place = value.get(key)
        if isinstance(place, dict) and all(type(place.get(part)) is int and place[part] >= 0 for part in ("client", "clock")):
            out[key] = {"client": place["client"], "clock": place["clock"]}
    if isinstance(value.get("tname"), str) and len(value["tname"]) <= 64:
        out["tname"] = value["tname"]
    if not out:
        return None
    out["assoc"] = -1 if type(value.get("assoc")) is int and value["assoc"] < 0 else 0
    return out
