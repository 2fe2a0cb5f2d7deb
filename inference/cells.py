"""Carries out on llama.cpp's KV cache what ``Sequences`` has decided."""

from __future__ import annotations

from collections.abc import Iterable

from inference import native
from inference.sequences import Action, Copy, Drop, Park, Restore, Sequences, Truncate


class Cells:
    """Owner of what is parked outside of the context. On the worker's thread."""

    def __init__(self, context: native.Context, sequences: Sequences) -> None:
        self._context = context
        self._sequences = sequences
        self._saved: dict[int, native.Saved] = {}

    def apply(self, actions: Iterable[Action]) -> bool:
        """Whether all could be done: what was parked may find no room. Then its sequence, and what forks it, is empty."""
        empty: set[int] = set()
        for action in actions:
            match action:
                case Copy(source, target, length):
                    if source in empty:
                        self._lose(target, empty)
                    else:
                        self._context.copy(source, target, length)
                case Truncate(sequence, length):
                    self._context.truncate(sequence, length)
                    empty -= {sequence} if length == 0 else set()
                case Park(sequence, slot):
                    saved = self._context.save(sequence)
                    if saved is None:
                        self._sequences.lost(slot)
                    else:
                        self._saved[slot] = saved
                case Restore(slot, sequence):
                    if not self._context.restore(sequence, self._saved.pop(slot)):
                        self._lose(sequence, empty)
                case Drop(slot):
                    self._saved.pop(slot, None)
        return not empty

    def _lose(self, number: int, empty: set[int]) -> None:
        empty.add(number)
        sequence = self._sequences.all[number]
        sequence.tokens = []
        if sequence.job:
            sequence.job.cached = 0
