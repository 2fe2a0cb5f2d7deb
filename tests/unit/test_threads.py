"""As many threads as are fastest just now: on a quiet machine, a busy one, and while it changes."""

from __future__ import annotations

import random
from collections.abc import Callable
from itertools import groupby

import pytest

from inference.costs import Costs
from inference.threads import COMPARED, SHARE, TRIED, Threads

COSTS = Costs({1: 18.0, 4: 45.0, 8: 83.0, 32: 300.0})
# Seconds of a step of 1 and of 8 tokens by threads: measured of a 0.5B model on two cores, alone and beside other work.
QUIET = {(1, 1): 0.018, (1, 2): 0.013, (8, 1): 0.083, (8, 2): 0.043}
BUSY = {(1, 1): 0.018, (1, 2): 0.036, (8, 1): 0.083, (8, 2): 0.065}

Noise = Callable[[], float]


def none() -> float:
    return 1.0


def work(threads: Threads, size: int, machine: dict[tuple[int, int], float], steps: int, noise: Noise = none) -> list[int]:
    """What was chosen."""
    chosen = []
    for _ in range(steps):
        count = threads.choose(size)
        chosen.append(count)
        threads.took(size, machine[size, count] * noise())
    return chosen


def test_more_threads_on_a_quiet_machine_fewer_on_a_busy_one() -> None:
    threads = Threads([1, 2], (1, 1), COSTS.measured)
    assert work(threads, 1, QUIET, 200)[-100:].count(2) > 80
    # Slow steps are noticed at once, not at the next trial.
    assert work(threads, 1, BUSY, 100)[COMPARED + TRIED :].count(2) <= TRIED
    assert work(threads, 1, QUIET, 400)[-100:].count(2) > 80


def test_what_is_better_for_one_token_says_nothing_of_eight() -> None:
    threads = Threads([1, 2], (1, 1), COSTS.measured)
    ones, eights = [], []
    for _ in range(300):
        ones += work(threads, 1, BUSY, 1)
        eights += work(threads, 8, BUSY, 1)
    assert ones[100:].count(1) > 180
    assert eights[100:].count(2) > 150


@pytest.mark.parametrize("worse", [1.2, 2.0, 70.0])
@pytest.mark.parametrize("seed", range(4))
def test_trials_that_are_lost_cost_a_small_share(worse: float, seed: int) -> None:
    """Also where steps are of all lengths by chance: one in five takes twice as long."""
    chance = random.Random(seed)
    machine = {(1, 1): 0.001, (1, 2): 0.001 * worse}
    threads = Threads([1, 2], (1, 1), float)
    chosen = work(threads, 1, machine, 20_000, lambda: chance.uniform(0.9, 1.1) * (2 if chance.random() < 0.2 else 1))
    lost = chosen.count(2) * (worse - 1)
    # Beside the share, one trial more than there was credit for.
    assert lost < 20_000 * max(1.5 * SHARE, 0.03 if worse < 1.5 else 0.0) + TRIED * 2 * worse


def test_a_short_disturbance_costs_the_second_core_for_a_moment_only() -> None:
    """Though its first step takes long: a thread that slept must be woken, and the machine may have given its core away."""
    threads = Threads([1, 2], (2, 2), COSTS.measured)
    work(threads, 1, QUIET, 100)
    work(threads, 1, {count: 3 * seconds for count, seconds in BUSY.items()}, 12)
    assert threads.choose(1) == 1
    chosen = []
    for _ in range(60):
        count = threads.choose(1)
        waking = count == 2 and chosen[-1:] == [1]
        chosen.append(count)
        threads.took(1, 0.25 if waking else QUIET[1, count])
    assert chosen[-30:].count(2) > 25


def test_a_core_that_is_away_for_a_moment_changes_nothing() -> None:
    threads = Threads([1, 2], (2, 2), COSTS.measured)
    chosen = []
    for _ in range(30):
        chosen += work(threads, 1, QUIET, 60)
        for slow in (20.0, 1.0, 1.0, 2.0, 2.0, 1.6):
            chosen += work(threads, 1, QUIET, 1, lambda slow=slow: slow)
    # Trials of one thread, and nothing more.
    assert max(len(list(run)) for count, run in groupby(chosen) if count == 1) <= TRIED


def test_all_that_were_given_up_come_back_though_they_are_slow_to_wake() -> None:
    quiet = {(1, 1): 0.003, (1, 2): 0.002, (1, 4): 0.0015, (1, 8): 0.0012}
    busy = {(1, 1): 0.003, (1, 2): 0.006, (1, 4): 0.009, (1, 8): 0.02}
    threads = Threads([1, 2, 4, 8], (8, 8), float)
    work(threads, 1, quiet, 300)
    assert work(threads, 1, busy, 60)[-1] == 1
    last, chosen = 1, []
    for _ in range(500):
        count = threads.choose(1)
        threads.took(1, quiet[1, count] * (200 if count > last else 1))
        chosen.append(last := count)
    assert chosen[-200:].count(8) > 190


@pytest.mark.parametrize("busy", [20, 40, 100])
@pytest.mark.parametrize("slower", [20, 70])
def test_a_machine_that_is_busy_now_and_then_costs_little_more_than_one_thread(busy: int, slower: int) -> None:
    threads = Threads([1, 2], (2, 2), float)
    seconds = 0.0
    for step in range(20_000):
        count = threads.choose(1)
        took = 0.001 if count == 1 else 0.0007 * (slower if step % (2 * busy) < busy else 1)
        threads.took(1, took)
        seconds += took
    assert seconds < 20_000 * 0.001 * 1.1


@pytest.mark.parametrize("slower", [1.3, 1.6, 2.0])
def test_what_lasts_is_noticed_though_no_trial_may_lose_anything(slower: float) -> None:
    threads = Threads([1, 2], (2, 2), float)
    machine = {(1, 1): 1.0, (1, 2): 0.9}
    work(threads, 1, machine, 100)
    # Waking a thread after a trial of one took long.
    while threads.choose(1) == 2:
        threads.took(1, 0.9)
    threads.took(1, 60.0)
    assert threads.choose(1) == 2
    assert 1 in work(threads, 1, {(1, 1): 1.0, (1, 2): 0.9 * slower}, 50)


def test_what_is_in_between_is_found_from_both_sides_and_a_busy_machine_at_once() -> None:
    machine = {(1, 1): 3.0, (1, 2): 2.0, (1, 4): 1.5, (1, 8): 2.5}
    busy = {(1, 1): 3.0, (1, 2): 6.0, (1, 4): 9.0, (1, 8): 20.0}
    for begin in (1, 2, 8):
        threads = Threads([1, 2, 4, 8], (begin, begin), float)
        assert work(threads, 1, machine, 2000)[-200:].count(4) > 150
        assert work(threads, 1, busy, 60)[-20:].count(1) > 15


def test_a_step_that_is_not_compared_is_no_trial() -> None:
    """A run may end in the middle of one, and keystrokes follow."""
    threads = Threads([1, 2], (1, 1), float)
    while threads.choose(8) == 1:
        threads.took(8, 0.01)
    assert [threads.choose(8, alike=False) for _ in range(3)] == [1, 1, 1]
    assert threads.choose(8) == 2


@pytest.mark.parametrize("counts", [[], [3]])
def test_set_by_hand_it_stays(counts: list[int]) -> None:
    threads = Threads(counts, (3, 5), float)
    for _ in range(100):
        assert threads.took(1, 0.1)
        assert threads.took(300, 0.1)
    assert (threads.choose(1), threads.choose(300)) == (3, 5)


def test_costs_follow_what_steps_take_now() -> None:
    costs = Costs({1: 10.0, 8: 80.0, 32: 320.0})
    assert costs.best(0.95, 0, 7) == 0  # a guess costs all that it gains
    for _ in range(100):
        costs.took(1, 10.0)
        costs.took(8, 20.0)
    assert costs(8) == pytest.approx(20.0, rel=0.2)
    assert costs(1) == pytest.approx(10.0, rel=0.1)
    assert costs.measured(8) == 80.0
    assert costs.best(0.95, 0, 7) == 7


def test_guesses_that_lost_while_the_machine_was_busy_are_tried_again() -> None:
    costs = Costs({1: 10.0, 8: 20.0, 32: 80.0})
    assert costs.best(0.8, 0, 7) > 0
    costs.took(8, 500.0)
    assert costs.best(0.8, 0, 7) > 0  # one slow step says little
    for _ in range(100):
        costs.took(8, 500.0)
        costs.took(3, 500.0)
        costs.took(1, 10.0)
    assert costs.best(0.8, 0, 7) == 0
    for _ in range(1000):
        costs.took(1, 10.0)
    assert costs.best(0.8, 0, 7) > 0
