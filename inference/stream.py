"""One reply inside the worker, from its first token to its last: what is chosen, read and told of it."""

from __future__ import annotations

import codecs
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from inference.api import Event, Hunk, Progress, Task
from inference.drafting import Drafter
from inference.prompts import Prompt
from inference.replies import Reader
from inference.scheduler import Job

PROGRESS_S = 0.1
# How variants differ: the usual values for code, small enough that each is still a likely answer.
TEMPERATURE, TOP = 0.7, 40


@dataclass(eq=False)
class Stream:
    """``asked`` and all times: seconds of ``time.perf_counter()``. ``drafter``: None where replies are not guessed at."""

    id: str
    task: Task
    asked: float
    prompt: Prompt
    reader: Reader
    job: Job
    drafter: Drafter | None = None
    announced: bool = False
    tokens: int = 0
    first: float | None = None
    last: float = 0.0
    told: float = 0.0
    edited: bool = False
    _decoder: Any = field(default_factory=lambda: codecs.getincrementaldecoder("utf-8")("replace"))
    _random: np.random.Generator | None = None

    def __post_init__(self) -> None:
        if self.task.variant:
            self._random = np.random.default_rng(self.task.variant)

    def figures(self) -> tuple[int, float | None, float | None]:
        """Tokens, time to first token in ms, tokens per second after the first."""
        ttft = (self.first - self.asked) * 1000 if self.first else None
        rate = (self.tokens - 1) / (self.last - self.first) if self.first and self.tokens > 1 and self.last > self.first else None
        return self.tokens, ttft, rate

    def choose(self, logits: npt.NDArray[np.float32]) -> int | None:
        """The next token: the likeliest, or for a variant one that is drawn. None where the logits are not numbers."""
        best = int(logits.argmax())
        if not np.isfinite(logits[best]):
            return None
        if self._random is None:
            return best
        top = np.argpartition(logits, -min(TOP, len(logits)))[-TOP:]
        weights = np.exp((logits[top] - logits[best]) / TEMPERATURE)
        return int(self._random.choice(top, p=weights / weights.sum()))

    def took(self, now: float, tokens: int) -> None:
        self.tokens += tokens
        self.last = now
        self.first = self.first or now

    def read(self, piece: bytes, control: bool) -> list[Event]:
        """What one token says. Raises Malformed."""
        text = piece.decode() if control else self._decoder.decode(piece)
        events = self.reader.feed(text, control) if text else []
        self.edited = self.edited or any(isinstance(event, Hunk) for event in events)
        return events

    def end(self) -> list[Event]:
        """The model has ended its reply. Raises Malformed."""
        rest = self._decoder.decode(b"", True)
        events = [*(self.reader.feed(rest, False) if rest else []), *self.reader.finish()]
        self.edited = self.edited or any(isinstance(event, Hunk) for event in events)
        return events

    def progress(self, now: float) -> list[Event]:
        """Now and then, how far it is."""
        if self.told and now - self.told < PROGRESS_S:
            return []
        self.told = now
        tokens, ttft, rate = self.figures()
        return [Progress(tokens, ttft or 0.0, rate)]
