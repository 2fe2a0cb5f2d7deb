"""How far two texts, or two lists, agree. Halves the interval, so that the comparing is done in C. Pure."""

from __future__ import annotations

from typing import TypeVar

T = TypeVar("T", str, list[str], list[int])


def common_start(a: T, b: T) -> int:
    """Length of the longest common beginning."""
    low, high = 0, min(len(a), len(b))
    if a[:high] == b[:high]:
        return high
    while high - low > 1:
        middle = (low + high) // 2
        if a[low:middle] == b[low:middle]:
            low = middle
        else:
            high = middle
    return low


def common_end(a: T, b: T) -> int:
    """Length of the longest common end."""
    low, high = 0, min(len(a), len(b))
    if a[len(a) - high :] == b[len(b) - high :]:
        return high
    while high - low > 1:
        middle = (low + high) // 2
        if a[len(a) - middle : len(a) - low] == b[len(b) - middle : len(b) - low]:
            low = middle
        else:
            high = middle
    return low
