"""Which sequences decode, prefill and wait. Pure: no clock, no llama, testable with no model.

Owner of the engine's idea of the KV cache: for each sequence, the tokens that are evaluated in it.
The engine asks for a plan, carries it out in order, and reports what was evaluated. Invariants:

- a job's sequence holds a prefix of the job's tokens;
- sequences of one cache domain are never read by jobs of another;
- at most one job writes to a sequence at a time.
"""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass
class Sequence:
    id: int
    tokens: list[int] = field(default_factory=list)
    cache: str = ""
    key: str = ""
    job: Job | None = None
    used: int = 0


@dataclass(eq=False)
class Job:
    """Tokens to evaluate in one sequence. A run's tokens grow as it decodes; a warm job ends when all are evaluated.

    ``key`` names whose keystrokes these are: a warm job may rewrite the idle sequence of its own key.
    """

    cache: str
    key: str
    tokens: list[int]
    run: bool
    sequence: Sequence | None = None
    cached: int = 0

    @property
    def remaining(self) -> int:
        return len(self.tokens) - (len(self.sequence.tokens) if self.sequence else 0)


@dataclass(frozen=True)
class Copy:
    """Let ``target`` share the first ``length`` cells of ``source``; target is empty before."""

    source: int
    target: int
    length: int


@dataclass(frozen=True)
class Truncate:
    """Keep the first ``length`` cells of the sequence."""

    sequence: int
    length: int


@dataclass(frozen=True)
class Entry:
    """One token of the batch. ``job`` is set where its logits are wanted."""

    sequence: int
    position: int
    token: int
    job: Job | None


@dataclass
class Plan:
    actions: list[Copy | Truncate] = field(default_factory=list)
    batch: list[Entry] = field(default_factory=list)


class Scheduler:
    """``sequences``: how many there are. ``idle_limit``: most tokens that idle sequences may hold together;
    with one KV cache for all, every cell in use slows every stream."""

    def __init__(self, sequences: int, idle_limit: int) -> None:
        self.sequences = [Sequence(number) for number in range(sequences)]
        self.jobs: list[Job] = []
        self._idle_limit = idle_limit
        self._clock = 0

    def add(self, job: Job) -> None:
        """A warm job replaces the waiting one of its key: only the newest keystroke counts."""
        if not job.run:
            for old in [j for j in self.jobs if not j.run and j.cache == job.cache and j.key == job.key]:
                self.remove(old)
        self.jobs.append(job)

    def remove(self, job: Job) -> None:
        """The job ends or is given up; what was evaluated stays as an idle sequence."""
        if job in self.jobs:
            self.jobs.remove(job)
        if job.sequence:
            job.sequence.job = None
            job.sequence = None

    def forget(self, cache: str) -> list[Truncate]:
        for job in [j for j in self.jobs if j.cache == cache]:
            self.remove(job)
        return [self._clear(s) for s in self.sequences if s.cache == cache and s.tokens]

    def waiting(self) -> list[Job]:
        """Runs that have no sequence yet, in order of their turn."""
        return [job for job in self.jobs if job.run and job.sequence is None]

    def plan(self, prefill: int) -> Plan:
        """The next step: every decoding stream's token, then up to ``prefill`` tokens of prompts, runs before
        keystrokes and short ones first."""
        plan = Plan()
        for job in sorted(self.jobs, key=lambda j: not j.run):
            if job.sequence is None:
                self._assign(job, plan)
        self._trim(plan)
        active = [job for job in self.jobs if job.sequence]
        for job in active:
            if job.run and job.remaining == 1:
                self._enter(job, 1, plan)
        for job in sorted(active, key=lambda j: (not j.run, j.remaining)):
            if job.remaining > 1 or not job.run:
                count = min(job.remaining, prefill)
                self._enter(job, count, plan)
                prefill -= count
        return plan

    def evaluated(self, plan: Plan) -> list[Job]:
        """The plan's batch went through. Returns the warm jobs that are complete, already removed."""
        for entry in plan.batch:
            self.sequences[entry.sequence].tokens.append(entry.token)
        done = [job for job in self.jobs if not job.run and job.sequence and job.remaining == 0]
        for job in done:
            self.remove(job)
        return done

    def resynchronise(self, sequence: int, length: int) -> None:
        """After an aborted step: only ``length`` cells of the sequence are left."""
        del self.sequences[sequence].tokens[length:]

    def evict(self) -> Truncate | None:
        """Gives up the idle sequence that was used least recently, to make room."""
        idle = [s for s in self.sequences if s.job is None and s.tokens]
        return self._clear(min(idle, key=lambda s: s.used)) if idle else None

    def _enter(self, job: Job, count: int, plan: Plan) -> None:
        sequence = job.sequence
        assert sequence
        start = len(sequence.tokens)
        end = start + count
        plan.batch += [
            Entry(sequence.id, position, job.tokens[position], job if job.run and position + 1 == len(job.tokens) else None)
            for position in range(start, end)
        ]

    def _assign(self, job: Job, plan: Plan) -> None:
        """Finds the job a sequence: the one with the longest common prefix, in place or as a fork of it."""
        self._clock += 1
        source, common = None, 0
        for sequence in self.sequences:
            if sequence.cache == job.cache and sequence.tokens:
                length = common_prefix(sequence.tokens, job.tokens)
                if source is None or length > common or (length == common and sequence.key == job.key):
                    source, common = sequence, length
        if job.run:
            # The last token is evaluated anew: its logits are what the run begins with.
            common = min(common, len(job.tokens) - 1)
        if common == 0:
            source = None
        own = source is not None and source.job is None and (source.key == job.key or common == len(source.tokens))
        target = source if own else self._free(source)
        if target is None:
            target = source if source and source.job is None else None
        if target is None:
            return
        if target is not source:
            if target.tokens:
                plan.actions.append(self._clear(target))
            if source and common:
                plan.actions.append(Copy(source.id, target.id, common))
                target.tokens = source.tokens[:common]
        elif len(target.tokens) > common:
            plan.actions.append(Truncate(target.id, common))
            del target.tokens[common:]
        target.cache, target.key, target.used, target.job = job.cache, job.key, self._clock, job
        job.sequence, job.cached = target, common

    def _free(self, source: Sequence | None) -> Sequence | None:
        """An empty sequence, else the idle one used least recently, but not the one about to be copied."""
        free = [s for s in self.sequences if s.job is None and s is not source]
        return min(free, key=lambda s: (bool(s.tokens), s.used), default=None)

    def _trim(self, plan: Plan) -> None:
        idle = sorted((s for s in self.sequences if s.job is None and s.tokens), key=lambda s: s.used)
        total = sum(len(s.tokens) for s in idle)
        # The newest one stays whatever its length: it is what the next keystroke extends.
        for sequence in idle[:-1]:
            if total <= self._idle_limit:
                return
            total -= len(sequence.tokens)
            plan.actions.append(self._clear(sequence))

    def _clear(self, sequence: Sequence) -> Truncate:
        sequence.tokens = []
        sequence.cache = sequence.key = ""
        return Truncate(sequence.id, 0)


def common_prefix(a: list[int], b: list[int]) -> int:
    """Length of the longest common prefix. Halves the interval, so that the comparing is done in C."""
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
