"""The queue without rooms and engines: who is next."""

from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from editor.queue import Queue, Turn


class People:
    """Runs by (session, person), and what they hear."""

    def __init__(self, most: int) -> None:
        self.queue = Queue(most)
        self.began: list[Turn] = []
        self.heard: dict[Turn, tuple[int, str]] = {}
        self.blocked: dict[Turn, str] = {}

    def ask(self, session: str, person: str, blocked: str = "") -> Turn:
        turn = self._turn(session, person)
        self.blocked[turn] = blocked
        self.queue.enter(turn)
        return turn

    def _turn(self, session: str, person: str) -> Turn:
        turn = Turn(
            session,
            person,
            lambda: self.blocked.get(turn, ""),
            lambda: self.began.append(turn),
            lambda place, reason: self.heard.__setitem__(turn, (place, reason)),
        )
        return turn

    def steer(self, old: Turn) -> Turn:
        new = self._turn(old.session, old.person)
        self.queue.take_over(old, new)
        return new


def test_a_busy_session_does_not_starve_another() -> None:
    people = People(1)
    first = people.ask("busy", "ada")
    many = [people.ask("busy", "ada") for _ in range(10)]
    other = people.ask("quiet", "grace")
    assert people.heard[other] == (1, ""), "ten runs came before it, but another session has its turn"
    people.queue.leave(first)
    assert people.began == [first, other]
    people.queue.leave(other)
    assert people.began[-1] is many[0]


def test_people_of_a_session_take_turns() -> None:
    people = People(1)
    first = people.ask("s", "ada")
    ada = [people.ask("s", "ada") for _ in range(3)]
    grace = [people.ask("s", "grace") for _ in range(2)]
    for turn in (first, grace[0], ada[0], grace[1], ada[1]):
        assert people.began[-1] is turn
        people.queue.leave(turn)


def test_places_are_told_when_they_change_and_cancelling_moves_the_others_up() -> None:
    people = People(1)
    people.ask("s", "ada")
    second, third = people.ask("s", "ada"), people.ask("s", "ada")
    assert (people.heard[second], people.heard[third]) == ((1, ""), (2, ""))
    people.queue.leave(second)
    assert people.heard[third] == (1, "")
    assert len(people.began) == 1


def test_who_cannot_begin_holds_up_nobody_and_says_why() -> None:
    people = People(2)
    first = people.ask("s", "ada")
    waiting = people.ask("s", "ada", "Waits for Ada's run.")
    assert people.heard[waiting] == (1, "Waits for Ada's run.")
    beside = people.ask("s", "ada")
    assert people.began == [first, beside]
    people.blocked[waiting] = ""
    people.queue.leave(first)
    assert people.began[-1] is waiting


def test_a_steer_takes_the_place_of_its_run() -> None:
    people = People(1)
    first = people.ask("s", "ada")
    waiting = people.ask("s", "grace")
    steered = people.steer(first)
    assert people.began == [first, steered], "nobody came in between"
    changed = people.steer(waiting)
    assert people.heard[changed] == (1, "")
    people.queue.leave(steered)
    assert people.began[-1] is changed


@given(
    st.lists(st.tuples(st.sampled_from("ABC"), st.sampled_from("xyz"), st.booleans()), min_size=1, max_size=40),
    st.integers(1, 3),
    st.randoms(use_true_random=False),
)
def test_everybody_gets_a_turn_and_no_session_two_before_another_that_waits(asked: list[tuple[str, str, bool]], most: int, random: object) -> None:
    people = People(most)
    live: list[Turn] = []
    for session, person, ends in asked:
        live.append(people.ask(session, person))
        if ends and people.began:
            ended = people.began[0]
            people.queue.leave(ended)
            live = [turn for turn in live if turn is not ended]
    began = len(people.began)
    waiting = people.queue.order()
    assert [people.heard[turn][0] for turn in waiting] == list(range(1, len(waiting) + 1))
    left = Counter(turn.session for turn in waiting)
    since: Counter[str] = Counter()
    while people.queue.waiting:
        for turn in [turn for turn in people.began if turn in people.queue._streaming]:
            people.queue.leave(turn)
            break
        for turn in people.began[began:]:
            began += 1
            since[turn.session] += 1
            left[turn.session] -= 1
            behind = [since[session] for session, count in left.items() if count]
            assert not behind or since[turn.session] <= min(behind) + 1
    for turn in list(people.queue._streaming):
        people.queue.leave(turn)
    assert len(people.began) == len(asked)
    assert not people.queue._streaming
