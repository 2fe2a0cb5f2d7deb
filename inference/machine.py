"""How much memory this machine has for us. The standard library alone: the set-up asks too."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

# Where a control group's files lie, and what they are called: of version 2, and of version 1.
UNIFIED = ("sys/fs/cgroup", "memory.max", "memory.current", "inactive_file")
LEGACY = ("sys/fs/cgroup/memory", "memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file")


def available(root: Path = Path("/")) -> tuple[int, int]:
    """Bytes of memory that this process may use in all, and that are free now. The limits of a container or a service count."""
    total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    about = _figures(root / "proc/meminfo")
    free = min(total, about["MemAvailable"] * 1024) if "MemAvailable" in about else total
    for limit, used in _limits(root):
        if limit < total:
            total, free = limit, min(free, max(0, limit - used))
    return total, free


def _limits(root: Path) -> Iterator[tuple[int, int]]:
    """Of this process's control group and of each above it: bytes it may have, and those it holds and would not give up for others."""
    try:
        groups = [line.split(":", 2) for line in (root / "proc/self/cgroup").read_text().splitlines()]
    except OSError:
        return
    for _, controllers, path in groups:
        if controllers not in ("", "memory"):
            continue
        mounted, most, held, cached = LEGACY if controllers else UNIFIED
        top = root / mounted
        group = top / path.lstrip("/")
        for folder in (group, *group.parents):
            try:
                limit, used = int((folder / most).read_text()), int((folder / held).read_text())
            except (OSError, ValueError):  # "max"; or a container that is not shown its own place
                pass
            else:
                # Files that have been read stay in memory until something else needs it.
                yield limit, used - _figures(folder / "memory.stat").get(cached, 0)
            if folder == top:
                break


def _figures(path: Path) -> dict[str, int]:
    """Lines of a name and a number."""
    try:
        words = [line.replace(":", " ").split() for line in path.read_text().splitlines()]
    except OSError:
        return {}
    return {line[0]: int(line[1]) for line in words if len(line) > 1 and line[1].isdigit()}
