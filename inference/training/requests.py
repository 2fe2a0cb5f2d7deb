"""Reads the requests written by hand that every model is judged by.

``requests.toml`` was written before any training; ``requests-second.toml`` by somebody else after the fifth, of what people type in a hurry.
Nobody who writes what models are taught reads either.
"""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from inference.training.scene import Example

FILE = Path(__file__).parent / "requests.toml"
SECOND_FILE = FILE.with_name("requests-second.toml")


@dataclass(frozen=True)
class Request:
    """``right``: the regions that are right; None among them is a refusal."""

    example: Example
    right: tuple[str | None, ...]

    def is_right(self, result: str | None) -> bool:
        return any(result is None if right is None else result is not None and result.strip("\n") == right.strip("\n") for right in self.right)


class Unclear(Exception):
    """A change that names text which the region does not hold exactly once."""


def changed(region: str, pairs: Sequence[str], everywhere: bool) -> str:
    """All pairs are found in the old region first: the order they are written in does not matter."""
    spots: list[tuple[int, str, str]] = []
    for old, new in zip(pairs[::2], pairs[1::2], strict=True):
        count = region.count(old)
        if not count or (count > 1 and not everywhere):
            raise Unclear(f"{old!r} occurs {count} times")
        at = -1
        for _ in range(count):
            at = region.index(old, at + 1)
            spots.append((at, old, new))
    for at, old, new in sorted(spots, reverse=True):
        region = region[:at] + new + region[at + len(old) :]
    return region


def read(path: Path = FILE) -> list[Request]:
    with path.open("rb") as file:
        scenes: list[dict[str, Any]] = tomllib.load(file)["scene"]
    return [request_of(scene, entry) for scene in scenes for entry in scene["requests"]]


def request_of(scene: dict[str, Any], entry: dict[str, Any]) -> Request:
    region = scene["region"].removesuffix("\n")
    right: list[str | None] = [None] if entry.get("decline") else []
    try:
        if "change" in entry:
            right.append(changed(region, entry["change"], everywhere=False))
        if "everywhere" in entry:
            right.append(changed(region, entry["everywhere"], everywhere=True))
        right += [changed(region, pairs, everywhere=False) for pairs in entry.get("or", [])]
    except Unclear as fault:
        raise Unclear(f"{scene['path']}, {entry['ask']}: {fault}") from fault
    right += entry.get("text", [])
    language = scene["path"].rsplit(".", 1)[-1]
    example = Example("by hand", language, scene["path"], scene.get("before", ""), region, scene.get("after", ""), entry["ask"], right[0])
    return Request(example, tuple(right))
