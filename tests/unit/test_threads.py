"""As many threads as are fastest just now: on a quiet machine, a busy one, and while it changes."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from inference.costs import Costs
from inference.threads import LATEST, TRIED, Threads

COSTS = Costs({1: 18.0, 4: 45.0, 8: 83.0, 32: 300.0})
# Seconds of a step of 1 and of 8 tokens by threads: measured of a 0.5B model on two cores, alone and beside other work.
QUIET = {(1, 1): 0.018, (1, 2): 0.013, (8, 1): 0.083, (8, 2): 0.043}
BUSY = {(1, 1): 0.018, (1, 2): 0.036, (8, 1): 0.083, (8, 2): 0.065}


def work(threads: Threads, size: int, machine: dict[tuple[int, int], float], steps: int) -> list[int]:
    """What was chosen."""
    chosen = []
    for _ in range(steps):
        count = threads.choose(size)
        chosen.append(count)
        threads.took(size, machine[size, count])
    return chosen


def test_more_threads_on_a_quiet_machine_fewer_on_a_busy_one() -> None:
    threads = Threads([1, 2], (1, 1), COSTS.measured)
    assert work(threads, 1, QUIET, 100)[-50:].count(2) > 45
    # Slow steps are noticed at once, not at the next trial.
    assert work(threads, 1, BUSY, 100)[2 * TRIED :].count(2) <= 2 * TRIED
    assert work(threads, 1, QUIET, LATEST + 50)[-40:].count(2) >= 40 - TRIED


def test_what_is_better_for_one_token_says_nothing_of_eight() -> None:
    threads = Threads([1, 2], (1, 1), COSTS.measured)
    for _ in range(200):
        work(threads, 1, BUSY, 1)
        work(threads, 8, BUSY, 1)
    assert (threads.choose(1), threads.choose(8)) == (1, 2)


def test_trials_become_rare() -> None:
    threads = Threads([1, 2], (1, 1), COSTS.measured)
    assert work(threads, 1, BUSY, 10_000)[2000:].count(2) < 8_000 * TRIED / LATEST * 1.5


def test_what_is_in_between_is_found_from_both_sides() -> None:
    machine = {(1, 1): 3.0, (1, 2): 2.0, (1, 4): 1.5, (1, 8): 2.5}
    for begin in (1, 2, 8):
        assert work(Threads([1, 2, 4, 8], (begin, begin), float), 1, machine, 400)[-1] == 4


@pytest.mark.parametrize("counts", [[], [3]])
def test_set_by_hand_it_stays(counts: list[int]) -> None:
    threads = Threads(counts, (3, 5), float)
    took: Callable[[int, float], None] = threads.took
    for _ in range(100):
        took(1, 0.1)
        took(300, 0.1)
    assert (threads.choose(1), threads.choose(300)) == (3, 5)


def test_costs_follow_what_steps_take_now() -> None:
    costs = Costs({1: 10.0, 8: 80.0, 32: 320.0})
    assert costs.best(0.95, 0, 8) == 0  # a guess costs all that it gains
    for _ in range(20):
        costs.took(8, 20.0)
        costs.took(1, 10.0)
    assert costs(8) == pytest.approx(20.0)
    assert costs(1) == pytest.approx(10.0)
    # Of what was not seen, the steps that are most like it tell.
    assert costs(32) == pytest.approx(80.0)
    assert costs.measured(32) == 320.0
    assert costs.best(0.95, 0, 8) >= 3
