"""What follows keystrokes is kept for exactly what was typed, by whom and where, and only so much of it."""

from __future__ import annotations

import numpy as np

from inference.foreseen import Foreseen
from inference.scheduler import Job, Priority


def job(cache: str, key: str, tokens: list[int], priority: Priority = Priority.RUN) -> Job:
    return Job(cache, key, tokens, priority)


def test_only_the_same_tokens_of_the_same_person_in_the_same_room_find_it() -> None:
    known, logits = Foreseen(), np.array([1.0, 2.0], np.float32)
    known.keep(job("a", "ada", [1, 2, 3], Priority.KEYSTROKE), logits)
    logits[0] = 9.0  # the engine writes over it at its next step
    found = known.of(job("a", "ada", [1, 2, 3]))
    assert found is not None and found.tolist() == [1.0, 2.0]
    for other in (
        job("b", "ada", [1, 2, 3]),
        job("a", "ben", [1, 2, 3]),
        job("a", "ada", [1, 2]),
        job("a", "ada", [1, 2, 3, 4]),
        job("a", "ada", []),
    ):
        assert known.of(other) is None


def test_the_newest_keystroke_counts_and_the_oldest_persons_goes() -> None:
    known = Foreseen(kept=2)
    for number, who in enumerate(("ada", "ben", "ada", "eve")):
        known.keep(job("a", who, [number]), np.zeros(2, np.float32))
    assert known.of(job("a", "ada", [2])) is not None and known.of(job("a", "ada", [0])) is None
    assert known.of(job("a", "ben", [1])) is None
    known.forget("a")
    assert known.of(job("a", "eve", [3])) is None
