"""The scheduler with no model: a make-believe cache carries its plans out, and the invariants hold."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from inference.scheduler import Copy, Job, Plan, Scheduler, common_prefix


class Cache:
    """What llama.cpp would hold: carries a plan out, and fails where the scheduler believes something else."""

    def __init__(self, scheduler: Scheduler) -> None:
        self.scheduler = scheduler
        self.cells: list[list[int]] = [[] for _ in scheduler.sequences]

    def step(self, prefill: int = 8) -> Plan:
        plan = self.scheduler.plan(prefill)
        for action in plan.actions:
            if isinstance(action, Copy):
                assert not self.cells[action.target]
                self.cells[action.target] = self.cells[action.source][: action.length]
            else:
                del self.cells[action.sequence][action.length :]
        for entry in plan.batch:
            assert entry.position == len(self.cells[entry.sequence])
            self.cells[entry.sequence].append(entry.token)
        self.scheduler.evaluated(plan)
        assert self.cells == [sequence.tokens for sequence in self.scheduler.sequences]
        return plan


def job(cache: str, key: str, tokens: list[int], run: bool) -> Job:
    return Job(cache, key, list(tokens), run)


def test_streams_decode_before_anybodys_prompt_and_slices_are_bounded() -> None:
    scheduler = Scheduler(4, 1000)
    cache = Cache(scheduler)
    fast, paste = job("a", "ada", [1, 2], True), job("b", "bob", list(range(100, 200)), True)
    scheduler.add(fast)
    cache.step()
    fast.tokens.append(3)
    scheduler.add(paste)
    plan = cache.step(prefill=8)
    assert [e.token for e in plan.batch] == [3, *range(100, 108)]
    assert [e.job for e in plan.batch if e.job] == [fast]


def test_only_the_newest_keystroke_of_a_person_is_evaluated_and_on_top_of_the_last() -> None:
    scheduler = Scheduler(4, 1000)
    cache = Cache(scheduler)
    for end in (3, 4, 5):
        scheduler.add(job("a", "ada", list(range(end)), False))
    assert len(scheduler.jobs) == 1
    assert len(cache.step().batch) == 5
    scheduler.add(job("a", "ada", [0, 1, 2, 9], False))
    plan = cache.step()
    assert [e.token for e in plan.batch] == [9]


def test_a_run_needs_only_what_was_not_typed_and_others_fork_the_common_prefix() -> None:
    scheduler = Scheduler(4, 1000)
    cache = Cache(scheduler)
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
    scheduler = Scheduler(2, 1000)
    cache = Cache(scheduler)
    first = job("a", "ada", [1, 2, 3], True)
    scheduler.add(first)
    cache.step()
    scheduler.remove(first)
    again = job("a", "ada", [1, 2, 3], True)
    scheduler.add(again)
    plan = cache.step()
    assert [(e.token, e.job) for e in plan.batch] == [(3, again)]


def test_runs_wait_when_every_sequence_is_taken() -> None:
    scheduler = Scheduler(2, 1000)
    cache = Cache(scheduler)
    jobs = [job("a", str(n), [n, n + 1], True) for n in range(3)]
    for each in jobs:
        scheduler.add(each)
    cache.step()
    assert scheduler.waiting() == [jobs[2]]
    scheduler.remove(jobs[0])
    cache.step()
    assert scheduler.waiting() == []


def test_idle_sequences_give_way_the_oldest_first() -> None:
    scheduler = Scheduler(4, idle_limit=6)
    cache = Cache(scheduler)
    for number, name in enumerate("abc"):
        scheduler.add(job(name, "x", [number * 10 + n for n in range(4)], False))
        cache.step()
    cache.step()
    assert [s.cache for s in scheduler.sequences if s.tokens] == ["c"]
    assert scheduler.evict() is not None
    assert scheduler.evict() is None


def test_after_an_aborted_step_the_rest_is_evaluated_again() -> None:
    scheduler = Scheduler(2, 1000)
    run = job("a", "ada", list(range(20)), True)
    scheduler.add(run)
    plan = scheduler.plan(16)
    assert len(plan.batch) == 16
    sequence = scheduler.sequences[plan.batch[0].sequence]
    sequence.tokens += [e.token for e in plan.batch if e.position < 8]
    scheduler.resynchronise(sequence.id, 8)
    assert [e.position for e in scheduler.plan(100).batch] == list(range(8, 20))


tokens = st.lists(st.integers(0, 3), min_size=1, max_size=12)
events = st.lists(
    st.one_of(
        st.tuples(st.just("add"), st.sampled_from("ab"), st.sampled_from("xyz"), tokens, st.booleans()),
        st.tuples(st.just("step"), st.integers(1, 9)),
        st.tuples(st.just("end"), st.integers(0, 5)),
        st.tuples(st.just("grow"), st.integers(0, 3)),
        st.tuples(st.just("forget"), st.sampled_from("ab")),
    ),
    max_size=40,
)


@given(events)
def test_whatever_comes_a_sequence_is_a_prefix_of_its_job_and_rooms_stay_apart(plan: list) -> None:
    scheduler = Scheduler(3, 10)
    cache = Cache(scheduler)
    offset = {"a": 0, "b": 100}  # tokens tell whose they are
    for event in plan:
        if event[0] == "add":
            _, room, key, numbers, run = event
            scheduler.add(job(room, key, [offset[room] + n for n in numbers], run))
        elif event[0] == "step":
            cache.step(event[1])
        elif event[0] == "end" and scheduler.jobs:
            scheduler.remove(scheduler.jobs[event[1] % len(scheduler.jobs)])
        elif event[0] == "grow":
            for each in scheduler.jobs:
                if each.run and each.sequence and each.remaining == 0:
                    each.tokens.append(offset[each.cache] + event[1])
        elif event[0] == "forget":
            for action in scheduler.forget(event[1]):
                del cache.cells[action.sequence][action.length :]
        held = [each.sequence for each in scheduler.jobs if each.sequence]
        assert len({id(s) for s in held}) == len(held)
        for each in scheduler.jobs:
            if each.sequence:
                assert each.tokens[: len(each.sequence.tokens)] == each.sequence.tokens
                assert each.sequence.job is each
        for sequence in scheduler.sequences:
            assert all((token >= 100) == (sequence.cache == "b") for token in sequence.tokens)


@given(tokens, tokens)
def test_common_prefix(a: list[int], b: list[int]) -> None:
    length = common_prefix(a, b)
    assert a[:length] == b[:length]
    assert length == min(len(a), len(b)) or a[length] != b[length]
