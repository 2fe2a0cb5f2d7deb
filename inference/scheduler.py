"""Which jobs decode, prefill and wait. Pure: no clock, no llama, testable with no model.

The engine asks for a plan, carries it out in order, and reports what was evaluated. Invariants:

- a job's sequence holds a prefix of the job's tokens, and behind all of them at most its guess;
- streams come first: a prompt is evaluated in slices beside them, one that people wait for before one that is only likely;
- drafts and what is evaluated ahead wait while a run streams, or yield their sequence to it.
"""

from __future__ import annotations

from bisect import insort
from dataclasses import dataclass, field
from enum import IntEnum

from inference.sequences import Action, Sequence, Sequences, Truncate


class Priority(IntEnum):
    RUN = 0
    DRAFT = 1
    KEYSTROKE = 2
    FILES = 3


@dataclass(eq=False)
class Job:
    """Tokens to evaluate in one sequence. A run's tokens grow as it decodes; a job that only warms ends when all are evaluated.

    ``key`` names whose keystrokes these are: a warming job may rewrite the idle sequence of its own key, unless it ``keeps`` what is there.
    ``held``: it gave its cells up, and waits until another job ends. ``guess``: what the next tokens may be; evaluated behind the last one, and taken back where the model says otherwise.
    ``foreseen``: what follows its tokens is known already, so that where the cache holds them all, none is evaluated anew.
    """

    cache: str
    key: str
    tokens: list[int]
    priority: Priority
    keeps: bool = False
    held: bool = False
    foreseen: bool = False
    guess: list[int] = field(default_factory=list)
    sequence: Sequence | None = None
    cached: int = 0

    @property
    def run(self) -> bool:
        """Whether it decodes, rather than warms."""
        return self.priority <= Priority.DRAFT

    @property
    def remaining(self) -> int:
        return len(self.tokens) - (len(self.sequence.tokens) if self.sequence else 0)


@dataclass(frozen=True)
class Entry:
    """One token of the batch. ``job`` is set where its logits are wanted."""

    sequence: int
    position: int
    token: int
    job: Job | None


@dataclass
class Plan:
    """``prefilled``: how many tokens of the batch are of prompts."""

    actions: list[Action] = field(default_factory=list)
    batch: list[Entry] = field(default_factory=list)
    prefilled: int = 0


class Scheduler:
    """Owner of the jobs. ``sequences`` is shared with nobody else."""

    def __init__(self, sequences: Sequences) -> None:
        self.sequences = sequences
        self.jobs: list[Job] = []  # by priority, and in order of their coming
        self._changed = False  # somebody may need a place, or have left one

    def add(self, job: Job) -> None:
        """A warming job replaces the waiting one of its key: only the newest keystroke counts."""
        if not job.run:
            for old in [j for j in self.jobs if not j.run and j.cache == job.cache and j.key == job.key]:
                self.remove(old)
        insort(self.jobs, job, key=lambda j: j.priority)
        self._changed = True

    def remove(self, job: Job) -> None:
        """The job ends or is given up; what was evaluated stays as an idle sequence."""
        self._changed = True
        if job in self.jobs:
            self.jobs.remove(job)
        if job.sequence:
            job.sequence.job = None
            job.sequence = None
        for other in self.jobs:
            other.held = False

    def clear(self) -> None:
        for job in list(self.jobs):
            self.remove(job)

    def forget(self, cache: str) -> list[Action]:
        for job in [j for j in self.jobs if j.cache == cache]:
            self.remove(job)
        return self.sequences.forget(cache)

    def waiting(self) -> list[Job]:
        """Runs that have no sequence yet, in order of their turn."""
        return [job for job in self.jobs if job.run and job.sequence is None]

    @property
    def decoding(self) -> int:
        """How many streams await their next token."""
        return sum(job.run and job.sequence is not None and job.remaining == 1 for job in self.jobs)

    def plan(self, prefill: int, now: float = 0.0) -> Plan:
        """The next step: every decoding stream's token and guess, then up to ``prefill`` tokens of prompts, short ones first."""
        plan = Plan()
        if self._changed:
            self._place(plan, now)
        running = bool(self.jobs) and self.jobs[0].priority == Priority.RUN and any(job.sequence for job in self.jobs if job.priority == Priority.RUN)
        prompts = []
        for job in self.jobs:
            if job.sequence is None or (running and job.priority in (Priority.DRAFT, Priority.FILES)):
                continue
            job.sequence.used = now
            if job.run and job.remaining == 1:
                self._decode(job, plan)
            else:
                prompts.append(job)
        if prompts:
            for job in sorted(prompts, key=lambda j: (j.priority, j.remaining)):
                count = min(job.remaining, prefill)
                self._prefill(job, count, plan)
                prefill -= count
        return plan

    def evaluated(self, plan: Plan) -> list[Job]:
        """The plan's batch went through. Returns the warming jobs that are complete, already removed."""
        for entry in plan.batch:
            self.sequences.all[entry.sequence].tokens.append(entry.token)
        done = [job for job in self.jobs if not job.run and job.sequence and job.remaining == 0]
        for job in done:
            self.remove(job)
        return done

    def chose(self, job: Job, tokens: list[int]) -> list[Action]:
        """The model's next tokens: all but the last were guessed. What was guessed wrong is taken back."""
        assert job.sequence
        kept = len(job.tokens) + len(tokens) - 1
        job.tokens += tokens
        job.guess = []
        if len(job.sequence.tokens) == kept:
            return []
        del job.sequence.tokens[kept:]
        return [Truncate(job.sequence.id, kept)]

    def resynchronise(self, plan: Plan, lengths: dict[int, int]) -> list[Action]:
        """After an aborted step: ``lengths`` cells of the plan's sequences are there. Guesses are taken back."""
        actions: list[Action] = []
        for number, length in lengths.items():
            sequence = self.sequences.all[number]
            known = sequence.tokens
            known += [e.token for e in plan.batch if e.sequence == number and len(known) <= e.position < length]
            del known[length:]
            if sequence.job and sequence.job.run and len(known) >= len(sequence.job.tokens):
                # The logits of its last token are lost: it is evaluated anew.
                del known[len(sequence.job.tokens) - 1 :]
                actions.append(Truncate(number, len(known)))
        for job in self.jobs:
            job.guess = []
        return actions

    def preempt(self) -> list[Action] | None:
        """No cell is free: the last to come of several that have a sequence gives it up and waits. None where only one has."""
        placed = [job for job in self.jobs if job.sequence]
        if len(placed) < 2:
            return None
        job = placed[-1]
        sequence = job.sequence
        assert sequence
        job.sequence = sequence.job = None
        job.guess = []
        job.held = True
        return self.sequences.clear(sequence)

    def _place(self, plan: Plan, now: float) -> None:
        self._changed = False
        for job in self.jobs:
            if job.sequence is None and not job.held:
                actions = self.sequences.assign(job, self.jobs, now)
                if actions is None and job.priority == Priority.RUN:
                    actions = self._take_place(job, now)
                if actions is None:
                    self._changed = True
                else:
                    plan.actions += actions
        plan.actions += self.sequences.trim()

    def _take_place(self, job: Job, now: float) -> list[Action] | None:
        """A run need not wait for a sequence that a draft, or what is evaluated ahead, has."""
        if any(sequence.job is None for sequence in self.sequences.all):
            return None  # it waits for something else
        for other in reversed(self.jobs):
            if other.priority != Priority.RUN and other.sequence:
                other.sequence.job = None
                other.sequence = None
                self._changed = True
                return self.sequences.assign(job, self.jobs, now)
        return None

    def _decode(self, job: Job, plan: Plan) -> None:
        sequence = job.sequence
        assert sequence
        position = len(sequence.tokens)
        plan.batch.append(Entry(sequence.id, position, job.tokens[position], job))
        for offset, token in enumerate(job.guess, 1):
            plan.batch.append(Entry(sequence.id, position + offset, token, job))

    def _prefill(self, job: Job, count: int, plan: Plan) -> None:
        sequence = job.sequence
        assert sequence
        start = len(sequence.tokens)
        last = len(job.tokens) - 1 if job.priority != Priority.FILES else -1
        plan.batch += [
            Entry(sequence.id, position, job.tokens[position], job if position == last else None) for position in range(start, start + count)
        ]
        plan.prefilled += count
