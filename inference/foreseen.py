"""What a reply begins with, known before it is asked for. Pure: knows no llama.cpp.

Every keystroke of an instruction is evaluated with what asks for the reply, so the model has said what it would write first by the time
Enter comes. A run with exactly these tokens evaluates none of them: its first token is taken from what is kept here.
"""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from inference.recent import Recent
from inference.scheduler import Job

Logits: TypeAlias = npt.NDArray[np.float32]
# So many people's newest keystrokes: of a large vocabulary each is half a megabyte.
KEPT = 16


class Foreseen:
    """Owner of the logits behind what people have typed last, by room and person."""

    def __init__(self, kept: int = KEPT) -> None:
        self._known: Recent[tuple[list[int], Logits]] = Recent(kept)

    def keep(self, job: Job, logits: Logits) -> None:
        """Keystrokes are evaluated whole. ``logits``, which are copied: of every token of the vocabulary, behind the last one of the job."""
        self._known.keep((job.cache, job.key), (list(job.tokens), logits.copy()))

    def of(self, job: Job) -> Logits | None:
        """What follows the run's prompt, where its person has typed exactly that."""
        tokens, logits = self._known.get((job.cache, job.key), ([], None))
        return logits if tokens == job.tokens else None

    def forget(self, cache: str) -> None:
        self._known.forget(cache)
