"""What the KV cache holds: the tokens of each sequence, and of those that are parked outside of it. Pure.

Owner of the engine's idea of the cache. Every change is also an action that the engine carries out, in order.
Invariants: sequences of one cache domain are never read for another; at most one job writes to a sequence; what is
parked is held nowhere else under the same slot.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from inference.common import common_start

if TYPE_CHECKING:
    from inference.scheduler import Job

# Fewer tokens than this are evaluated anew as fast as they are parked and brought back.
WORTH_PARKING = 64
# How much of a prompt another one must be about to evaluate, for a job to wait for it and fork it.
WORTH_WAITING = 32


@dataclass(eq=False)
class Sequence:
    """``used``: when a job last went on in it, in the clock of whoever asks for plans."""

    id: int
    tokens: list[int] = field(default_factory=list)
    cache: str = ""
    key: str = ""
    job: Job | None = None
    used: float = 0.0


@dataclass(frozen=True)
class Parked:
    """A sequence whose cells are kept outside of the context."""

    slot: int
    tokens: list[int]
    cache: str
    key: str
    used: float


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
class Park:
    """Save the sequence's cells under ``slot``; a Truncate that empties it follows."""

    sequence: int
    slot: int


@dataclass(frozen=True)
class Restore:
    """Bring the cells saved under ``slot`` back into the sequence, which is empty, and forget the slot."""

    slot: int
    sequence: int


@dataclass(frozen=True)
class Drop:
    """Forget what is saved under ``slot``."""

    slot: int


Action = Copy | Truncate | Park | Restore | Drop


class Sequences:
    """``idle_limit``: most tokens that sequences without a job may hold together; with one KV cache for all, every
    cell in use slows every stream. ``parked_limit``: most tokens that are parked."""

    def __init__(self, count: int, idle_limit: int, parked_limit: int = 0) -> None:
        self.all = [Sequence(number) for number in range(count)]
        self.parked: list[Parked] = []
        self._idle_limit = idle_limit
        self._parked_limit = parked_limit
        self._slots = 0

    def assign(self, job: Job, others: Iterable[Job], now: float) -> list[Action] | None:
        """Finds the job a sequence: the one with the longest common prefix, in place or as a fork of it, or one that was parked.

        None: it has to wait, for a sequence or for another job that is about to evaluate what both begin with.
        """
        source, common = self._longest_prefix(job)
        # The last token of a run is evaluated anew: its logits are what the run begins with, where they are not known.
        most = len(job.tokens) - 1 if job.run and not job.foreseen else len(job.tokens)
        common = min(common, most)
        parked, kept = self._longest_parked(job)
        kept = min(kept, most)
        for other in others:
            if other.sequence and other.cache == job.cache and other.remaining > 1:
                coming = min(common_start(other.tokens, job.tokens), most)
                if coming > max(common, kept, len(other.sequence.tokens)) + WORTH_WAITING:
                    return None
        actions: list[Action] = []
        if parked and kept > common + WORTH_PARKING:
            target = self._free(None)
            if target is None:
                return None
            self.parked.remove(parked)  # before the target is cleared, which may park it and drop the oldest
            actions += self.clear(target)
            actions.append(Restore(parked.slot, target.id))
            if len(parked.tokens) > kept:
                actions.append(Truncate(target.id, kept))
            target.tokens = parked.tokens[:kept]
            common = kept
        else:
            if common == 0:
                source = None
            # Its own earlier keystrokes are rewritten in place; what only goes on is nobody else's loss.
            own = source is not None and source.job is None and ((source.key == job.key and not job.keeps) or common == len(source.tokens))
            target = source if own else self._free(source) or (source if source and source.job is None else None)
            if target is None:
                return None
            if target is not source:
                actions += self.clear(target)
                if source and common:
                    actions.append(Copy(source.id, target.id, common))
                    target.tokens = source.tokens[:common]
            elif len(target.tokens) > common:
                actions.append(Truncate(target.id, common))
                del target.tokens[common:]
        target.cache, target.key, target.used, target.job = job.cache, job.key, now, job
        job.sequence, job.cached = target, common
        return actions

    def trim(self) -> list[Action]:
        """Parks what idle sequences hold beyond the limit, the least recently used first."""
        idle = self._idle()
        total, counted = 0, list[Sequence]()
        for sequence in reversed(idle):
            # Cells that two share are there once.
            shared = max((common_start(sequence.tokens, other.tokens) for other in counted if other.cache == sequence.cache), default=0)
            total += len(sequence.tokens) - shared
            counted.append(sequence)
        actions: list[Action] = []
        # The newest one stays whatever its length: it is what the next keystroke extends.
        for sequence in idle[:-1]:
            if total <= self._idle_limit:
                break
            total -= len(sequence.tokens)
            actions += self.clear(sequence)
        return actions

    def evict(self) -> list[Action]:
        """Gives up the idle sequence that was used least recently, to make room; nothing where there is none."""
        idle = self._idle()
        return self.clear(idle[0]) if idle else []

    def rest(self, before: float) -> list[Action]:
        """Parks an idle sequence that was last used before this moment, if there is room for it, but none of the room that was active last."""
        latest = max((s for s in self.all if s.tokens), key=lambda s: s.used, default=self.all[0]).cache
        room = self._parked_limit - sum(len(parked.tokens) for parked in self.parked)
        for sequence in self._idle():
            if sequence.used < before and sequence.cache != latest and len(sequence.tokens) <= room:
                return self.clear(sequence)
        return []

    def lost(self, slot: int) -> None:
        """What was parked there could not be saved."""
        self.parked = [parked for parked in self.parked if parked.slot != slot]

    def forget(self, cache: str) -> list[Action]:
        actions: list[Action] = [Drop(parked.slot) for parked in self.parked if parked.cache == cache]
        self.parked = [parked for parked in self.parked if parked.cache != cache]
        for sequence in self.all:
            if sequence.cache == cache and sequence.tokens:
                actions += self._empty(sequence)
        return actions

    def reset(self) -> list[Action]:
        """Everything goes: nobody knows any more what the cells hold."""
        actions: list[Action] = [Drop(parked.slot) for parked in self.parked]
        self.parked = []
        for sequence in self.all:
            actions += self._empty(sequence)
        return actions

    def clear(self, sequence: Sequence) -> list[Action]:
        """Empties the sequence; what is worth it is parked."""
        if not sequence.tokens:
            return []
        if not self._worth_parking(sequence):
            return self._empty(sequence)
        self._slots += 1
        self.parked.append(Parked(self._slots, sequence.tokens, sequence.cache, sequence.key, sequence.used))
        actions: list[Action] = [Park(sequence.id, self._slots)]
        self.parked.sort(key=lambda parked: parked.used)
        while sum(len(parked.tokens) for parked in self.parked) > self._parked_limit:
            actions.append(Drop(self.parked.pop(0).slot))
        return actions + self._empty(sequence)

    def _empty(self, sequence: Sequence) -> list[Action]:
        sequence.tokens = []
        sequence.cache = sequence.key = ""
        return [Truncate(sequence.id, 0)]

    def _worth_parking(self, sequence: Sequence) -> bool:
        length = len(sequence.tokens)
        if length < WORTH_PARKING or length > self._parked_limit:
            return False
        held = [other.tokens for other in self.all if other is not sequence and other.cache == sequence.cache]
        held += [parked.tokens for parked in self.parked if parked.cache == sequence.cache]
        return all(length - common_start(sequence.tokens, tokens) >= WORTH_PARKING for tokens in held)

    def _idle(self) -> list[Sequence]:
        """The least recently used first."""
        return sorted((s for s in self.all if s.job is None and s.tokens), key=lambda s: s.used)

    def _longest_prefix(self, job: Job) -> tuple[Sequence | None, int]:
        source, common = None, 0
        for sequence in self.all:
            if sequence.cache == job.cache and sequence.tokens:
                length = common_start(sequence.tokens, job.tokens)
                if source is None or length > common or (length == common and sequence.key == job.key):
                    source, common = sequence, length
        return source, common

    def _longest_parked(self, job: Job) -> tuple[Parked | None, int]:
        best, common = None, 0
        for parked in self.parked:
            if parked.cache == job.cache:
                length = common_start(parked.tokens, job.tokens)
                if length > common:
                    best, common = parked, length
        return best, common

    def _free(self, source: Sequence | None) -> Sequence | None:
        """An empty sequence, else the idle one used least recently, but not the one about to be copied."""
        free = [s for s in self.all if s.job is None and s is not source]
        return min(free, key=lambda s: (bool(s.tokens), s.used), default=None)
