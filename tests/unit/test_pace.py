"""Drafts pause where the machine cannot keep up, and come back when it can."""

from __future__ import annotations

from editor.pace import FEWEST, RETRY_S, Pace


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def slow(pace: Pace) -> None:
    for _ in range(FEWEST):
        assert pace.may()
        pace.took(900)


def test_it_pauses_once_the_middle_draft_is_too_slow_and_tells() -> None:
    pace, told = Pace(300), []
    end = pace.watch(lambda: told.append(pace.paused))
    for _ in range(FEWEST - 1):
        pace.took(900)
    assert not pace.paused, "a few say nothing"
    pace.took(900)
    assert pace.paused and told == [True] and pace.middle_ms == 900
    assert not pace.may()
    end()
    pace.reset()
    assert told == [True]


def test_a_few_slow_ones_among_fast_ones_do_not_pause_it() -> None:
    pace = Pace(300)
    for ms in (20, 900, 30, 900, 25, 40, 900):
        pace.took(ms)
    assert not pace.paused


def test_one_draft_now_and_then_shows_whether_it_keeps_up_again() -> None:
    clock = Clock()
    pace = Pace(300, clock)
    slow(pace)
    clock.now += RETRY_S[0]
    assert pace.may(), "a try"
    assert not pace.may(), "one at a time"
    pace.took(800)
    clock.now += RETRY_S[0]
    assert not pace.may(), "the wait has doubled"
    clock.now += RETRY_S[0]
    assert pace.may()
    pace.took(30)
    assert not pace.paused and pace.may() and pace.may()
    assert pace.middle_ms is None, "the slow ones do not count any more"


def test_the_wait_between_tries_is_bounded() -> None:
    clock = Clock()
    pace = Pace(300, clock)
    slow(pace)
    for _ in range(12):
        clock.now += RETRY_S[1]
        assert pace.may()
        pace.took(900)


def test_drafts_that_are_given_up_count_only_where_they_were_too_slow() -> None:
    pace = Pace(300)
    for _ in range(20):
        pace.given_up(40)
    assert pace.middle_ms is None
    for _ in range(FEWEST):
        pace.given_up(450)
    assert pace.paused


def test_another_model_begins_anew() -> None:
    pace = Pace(300)
    slow(pace)
    pace.reset()
    assert not pace.paused and pace.middle_ms is None


def test_drafts_of_many_places_that_do_not_come_in_time_make_the_next_ones_fewer() -> None:
    pace = Pace(300)
    assert pace.places == 0, "nothing is known yet"
    for _ in range(3):
        pace.took(20)
    assert pace.places == 15
    pace.given_up(200, 10)
    assert pace.places == 15, "somebody typed on before it was late"
    for _ in range(4):
        pace.given_up(1200, 10)
    assert pace.places == 2 and not pace.paused
    for _ in range(9):
        pace.given_up(1200, 2)
    assert pace.places == 1 and pace.paused
