"""The scheduler with no model: a make-believe cache carries its plans out, and the invariants hold."""

from __future__ import annotations

from collections.abc import Iterable

from hypothesis import given
from hypothesis import strategies as st

from inference import sequences
from inference.common import common_start
from inference.scheduler import Job, Plan, Priority, Scheduler
from inference.sequences import WORTH_PARKING, Action, Copy, Drop, Park, Restore, Sequences, Truncate


class Cache:
    """What llama.cpp would hold: carries a plan out, and fails where the scheduler believes something else."""

    def __init__(self, sequences: int, idle_limit: int = 1000, parked_limit: int = 0) -> None:
        self.sequences = Sequences(sequences, idle_limit, parked_limit)
        self.scheduler = Scheduler(self.sequences)
        self.cells: list[list[int]] = [[] for _ in self.sequences.all]
        self.parked: dict[int, list[int]] = {}
        self.clock = 0.0

    def apply(self, actions: Iterable[Action]) -> None:
        for action in actions:
            match action:
                case Copy(source, target, length):
                    assert not self.cells[target]
                    assert length <= len(self.cells[source])
                    self.cells[target] = self.cells[source][:length]
                case Truncate(sequence, length):
                    del self.cells[sequence][length:]
                case Park(sequence, slot):
                    self.parked[slot] = list(self.cells[sequence])
                case Restore(slot, sequence):
                    assert not self.cells[sequence]
                    self.cells[sequence] = self.parked.pop(slot)
                case Drop(slot):
                    del self.parked[slot]
        assert self.parked == {parked.slot: parked.tokens for parked in self.sequences.parked}

    def step(self, prefill: int = 8) -> Plan:
        self.clock += 1
        plan = self.scheduler.plan(prefill, self.clock)
        self.apply(plan.actions)
        for entry in plan.batch:
            assert entry.position == len(self.cells[entry.sequence])
            self.cells[entry.sequence].append(entry.token)
        self.scheduler.evaluated(plan)
        for each in self.scheduler.jobs:
            if each.foreseen and each.sequence:
                # As the engine does: what follows is known, where the cache holds all that it follows.
                each.foreseen = False
                if each.remaining == 0:
                    self.apply(self.scheduler.chose(each, each.tokens[-1:]))
        assert self.cells == [sequence.tokens for sequence in self.sequences.all]
        return plan


def job(cache: str, key: str, tokens: list[int], run: bool) -> Job:
    return Job(cache, key, list(tokens), Priority.RUN if run else Priority.KEYSTROKE)


def test_streams_decode_before_anybodys_prompt_and_slices_are_bounded() -> None:
    cache = Cache(4, 1000)
    scheduler = cache.scheduler
    fast, paste = job("a", "ada", [1, 2], True), job("b", "bob", list(range(100, 200)), True)
    scheduler.add(fast)
    cache.step()
    fast.tokens.append(3)
    scheduler.add(paste)
    plan = cache.step(prefill=8)
    assert [e.token for e in plan.batch] == [3, *range(100, 108)]
    assert [e.job for e in plan.batch if e.job] == [fast]


def test_only_the_newest_keystroke_of_a_person_is_evaluated_and_on_top_of_the_last() -> None:
    cache = Cache(4, 1000)
    scheduler = cache.scheduler
    for end in (3, 4, 5):
        scheduler.add(job("a", "ada", list(range(end)), False))
    assert len(scheduler.jobs) == 1
    assert len(cache.step().batch) == 5
    scheduler.add(job("a", "ada", [0, 1, 2, 9], False))
    plan = cache.step()
    assert [e.token for e in plan.batch] == [9]


def test_a_run_needs_only_what_was_not_typed_and_others_fork_the_common_prefix() -> None:
    cache = Cache(4, 1000)
    scheduler = cache.scheduler
    scheduler.add(job("a", "ada", [1, 2, 3, 4], False))
    cache.step()
    run = job("a", "ada", [1, 2, 3, 4, 5], True)
    scheduler.add(run)
    assert [e.token for e in cache.step().batch] == [5]
    assert run.cached == 4
    other = job("a", "bob", [1, 2, 3, 7], False)
    scheduler.add(other)
    plan = cache.step()
    assert any(isinstance(action, Copy) and action.length == 3 for action in plan.actions)
    assert [e.token for e in plan.batch if e.token == 7] == [7]


def test_a_repeated_run_evaluates_its_last_token_anew() -> None:
    cache = Cache(2, 1000)
    scheduler = cache.scheduler
    first = job("a", "ada", [1, 2, 3], True)
    scheduler.add(first)
    cache.step()
    scheduler.remove(first)
    again = job("a", "ada", [1, 2, 3], True)
    scheduler.add(again)
    plan = cache.step()
    assert [(e.token, e.job) for e in plan.batch] == [(3, again)]


def test_nothing_is_evaluated_anew_of_a_run_whose_first_token_is_known() -> None:
    cache = Cache(2, 1000)
    scheduler = cache.scheduler
    typed = job("a", "ada", [1, 2, 3], False)
    scheduler.add(typed)
    assert [entry.job for entry in cache.step().batch] == [None, None, typed]
    run = Job("a", "ada", [1, 2, 3], Priority.RUN, foreseen=True)
    scheduler.add(run)
    plan = scheduler.plan(8)
    assert (plan.actions, plan.batch, run.remaining, run.cached) == ([], [], 0, 3)
    cache.apply(scheduler.chose(run, [4]))
    assert [(entry.token, entry.job) for entry in cache.step().batch] == [(4, run)]
    scheduler.remove(run)
    # Of one whose cells are not all there the rest is evaluated.
    other = Job("a", "ben", [1, 2, 9], Priority.RUN, foreseen=True)
    scheduler.add(other)
    assert [(entry.token, entry.job) for entry in scheduler.plan(8).batch] == [(9, other)]


def test_runs_wait_when_every_sequence_is_taken() -> None:
    cache = Cache(2, 1000)
    scheduler = cache.scheduler
    jobs = [job("a", str(n), [n, n + 1], True) for n in range(3)]
    for each in jobs:
        scheduler.add(each)
    cache.step()
    assert scheduler.waiting() == [jobs[2]]
    scheduler.remove(jobs[0])
    cache.step()
    assert scheduler.waiting() == []


def test_idle_sequences_give_way_the_oldest_first() -> None:
    cache = Cache(4, 6)
    scheduler = cache.scheduler
    for number, name in enumerate("abc"):
        scheduler.add(job(name, "x", [number * 10 + n for n in range(4)], False))
        cache.step()
    cache.step()
    assert [s.cache for s in cache.sequences.all if s.tokens] == ["c"]
    assert cache.sequences.evict()
    assert not cache.sequences.evict()


def test_what_gives_way_is_parked_and_comes_back_for_the_same_room_only() -> None:
    cache = Cache(2, idle_limit=1000, parked_limit=500)
    scheduler = cache.scheduler
    long = list(range(WORTH_PARKING * 3))
    for number, name in enumerate("abc"):
        scheduler.add(job(name, "x", [1000 * number + token for token in long], False))
        cache.step(1000)
    assert [parked.cache for parked in cache.sequences.parked] == ["a"]
    scheduler.add(job("d", "x", long, False))
    assert len(cache.step(1000).batch) == len(long)  # another room's, and so no help
    scheduler.add(job("a", "x", [*long, 7], False))
    assert [entry.token for entry in cache.step(1000).batch] == [7]
    assert [parked.cache for parked in cache.sequences.parked] == ["b", "c"]
    cache.apply(scheduler.forget("c"))
    assert "c" not in {parked.cache for parked in cache.sequences.parked}


def test_idle_rooms_are_parked_but_not_the_one_in_use() -> None:
    cache = Cache(4, parked_limit=2 * WORTH_PARKING)
    for name in "abcd":
        cache.scheduler.add(job(name, "x", list(range(WORTH_PARKING)), False))
        cache.step(1000)
    for parked in (["a"], ["a", "b"], ["a", "b"]):
        cache.apply(cache.sequences.rest(before=100.0))
        assert [each.cache for each in cache.sequences.parked] == parked
    # There is no room for the third, and the fourth is in use.
    assert sorted(s.cache for s in cache.sequences.all if s.tokens) == ["c", "d"]


def test_variants_wait_for_the_first_to_evaluate_what_they_share() -> None:
    cache = Cache(4)
    prompt = list(range(100))
    three = [job("a", "ada", prompt, True) for _ in range(3)]
    for each in three:
        cache.scheduler.add(each)
    assert len(cache.step(60).batch) == 60
    assert [entry.job for entry in cache.step(60).batch if entry.job] == [three[0]]
    three[0].tokens.append(5)
    plan = cache.step(60)
    assert [entry.token for entry in plan.batch] == [5, 99, 99]
    assert [each.cached for each in three] == [0, 99, 99]


def test_a_guess_is_checked_in_the_same_step_and_taken_back_where_it_was_wrong() -> None:
    cache = Cache(2)
    run = job("a", "ada", [1, 2, 3], True)
    cache.scheduler.add(run)
    cache.step()
    cache.apply(cache.scheduler.chose(run, [4]))
    run.guess = [5, 6, 7]
    plan = cache.step()
    assert [(entry.token, entry.job) for entry in plan.batch] == [(4, run), (5, run), (6, run), (7, run)]
    cache.apply(cache.scheduler.chose(run, [5, 6, 9]))
    assert run.tokens == [1, 2, 3, 4, 5, 6, 9]
    assert [entry.token for entry in cache.step().batch] == [9]


def test_a_guess_is_forgotten_when_its_step_is_cut() -> None:
    cache = Cache(2)
    run = job("a", "ada", [1, 2, 3], True)
    cache.scheduler.add(run)
    cache.step()
    cache.apply(cache.scheduler.chose(run, [4]))
    run.guess = [5, 6]
    plan = cache.scheduler.plan(8)
    number = plan.batch[0].sequence
    cache.cells[number] = [1, 2, 3, 4, 5]
    cache.apply(cache.scheduler.resynchronise(plan, {number: 5}))
    assert [entry.token for entry in cache.step().batch] == [4]


def test_drafts_wait_while_a_run_streams_and_give_it_their_place() -> None:
    cache = Cache(1)
    draft = Job("a", "ada", [1, 2], Priority.DRAFT)
    cache.scheduler.add(draft)
    cache.step()
    cache.apply(cache.scheduler.chose(draft, [3]))
    run = job("b", "bob", [7, 8], True)
    cache.scheduler.add(run)
    assert [entry.job for entry in cache.step().batch if entry.job] == [run]
    cache.scheduler.remove(run)
    assert [entry.job for entry in cache.step().batch if entry.job] == [draft]
    assert draft.tokens == [1, 2, 3]


def test_the_last_to_come_waits_where_there_are_too_few_cells() -> None:
    cache = Cache(3, parked_limit=1000)
    first, second = job("a", "ada", list(range(80)), True), job("b", "bob", list(range(80)), True)
    for each in (first, second):
        cache.scheduler.add(each)
    cache.step(1000)
    cache.apply(cache.scheduler.preempt() or [])
    cache.step(1000)  # it is not put back while nothing has changed
    assert cache.scheduler.waiting() == [second]
    assert cache.scheduler.preempt() is None  # one alone has nobody to wait for
    cache.scheduler.remove(first)
    cache.step(1000)
    assert second.cached == 79


def test_who_has_evaluated_nothing_yet_waits_too() -> None:
    cache = Cache(3)
    first, second = job("a", "ada", [1, 2], True), job("b", "bob", [3, 4], True)
    for each in (first, second):
        cache.scheduler.add(each)
    plan = cache.scheduler.plan(1)  # too much for the cells that are left: it was not carried out
    assert len(plan.batch) == 1
    assert cache.scheduler.preempt() == []
    assert cache.scheduler.waiting() == [second]


def test_after_an_aborted_step_the_rest_is_evaluated_again() -> None:
    scheduler = Scheduler(Sequences(2, 1000))
    run = job("a", "ada", list(range(20)), True)
    scheduler.add(run)
    plan = scheduler.plan(16)
    assert len(plan.batch) == 16
    scheduler.resynchronise(plan, {plan.batch[0].sequence: 8})
    assert [e.position for e in scheduler.plan(100).batch] == list(range(8, 20))


tokens = st.lists(st.integers(0, 3), min_size=1, max_size=12)
events = st.lists(
    st.one_of(
        st.tuples(st.just("add"), st.sampled_from("ab"), st.sampled_from("xyz"), tokens, st.sampled_from(list(Priority)), st.booleans()),
        st.tuples(st.just("step"), st.integers(1, 9)),
        st.tuples(st.just("end"), st.integers(0, 5)),
        st.tuples(st.just("choose"), tokens, st.lists(st.integers(0, 3), max_size=3)),
        st.tuples(st.just("forget"), st.sampled_from("ab")),
        st.tuples(st.just("preempt")),
        st.tuples(st.just("rest")),
    ),
    max_size=40,
)


@given(events, st.integers(0, 40))
def test_whatever_comes_a_sequence_is_a_prefix_of_its_job_and_rooms_stay_apart(plan: list, parked: int) -> None:
    worth, sequences.WORTH_PARKING = sequences.WORTH_PARKING, 3
    try:
        _whatever_comes(plan, parked)
    finally:
        sequences.WORTH_PARKING = worth


def _whatever_comes(plan: list, parked: int) -> None:
    cache = Cache(3, 10, parked)
    scheduler = cache.scheduler
    offset = {"a": 0, "b": 100}  # tokens tell whose they are
    for event in plan:
        if event[0] == "add":
            _, room, key, numbers, priority, foreseen = event
            known = foreseen and priority <= Priority.DRAFT
            scheduler.add(Job(room, key, [offset[room] + n for n in numbers], priority, keeps=priority == Priority.FILES, foreseen=known))
        elif event[0] == "step":
            cache.step(event[1])
        elif event[0] == "end" and scheduler.jobs:
            scheduler.remove(scheduler.jobs[event[1] % len(scheduler.jobs)])
        elif event[0] == "choose":
            # Every stream that can be continued is: the model takes as much of the guess as agrees with it.
            streams = [each for each in scheduler.jobs if each.run and each.sequence and each.remaining == 1]
            for each in streams:
                each.guess = [offset[each.cache] + n for n in event[2]]
            done = {entry.job for entry in cache.step(0).batch if entry.job}
            for each in streams:
                if each not in done:
                    each.guess = []
                    continue
                right = 0
                says = [offset[each.cache] + n for n in event[1]]
                while right < min(len(says) - 1, len(each.guess)) and says[right] == each.guess[right]:
                    right += 1
                cache.apply(scheduler.chose(each, says[: right + 1]))
        elif event[0] == "forget":
            cache.apply(scheduler.forget(event[1]))
        elif event[0] == "preempt":
            cache.apply(scheduler.preempt() or [])
        elif event[0] == "rest":
            cache.apply(cache.sequences.rest(cache.clock))
        held = [each.sequence for each in scheduler.jobs if each.sequence]
        assert len({id(s) for s in held}) == len(held)
        for each in scheduler.jobs:
            if each.sequence:
                assert each.tokens[: len(each.sequence.tokens)] == each.sequence.tokens
                assert each.sequence.job is each
        for sequence in [*cache.sequences.all, *cache.sequences.parked]:
            assert all((token >= 100) == (sequence.cache == "b") for token in sequence.tokens)
        assert sum(len(each.tokens) for each in cache.sequences.parked) <= parked


@given(tokens, tokens)
def test_common_start(a: list[int], b: list[int]) -> None:
    length = common_start(a, b)
    assert a[:length] == b[:length]
    assert length == min(len(a), len(b)) or a[length] != b[length]
