"""One reply inside the worker, from its first token to its last: what is chosen, read and told of it."""

from __future__ import annotations

import codecs
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from inference.api import Event
from inference.certainty import HELD_TOKENS, probability
from inference.drafting import Drafter
from inference.foreseen import Logits
from inference.prompts import Prompt
from inference.reply import Reply
from inference.scheduler import Job

# How variants differ: the usual values for code, small enough that each is still a likely answer.
TEMPERATURE, TOP = 0.7, 40


@dataclass(eq=False, kw_only=True)
class Stream(Reply):
    """``drafter``: None where replies are not guessed at; ``drafting``: it follows what is written. ``foreseen``: what the model says to the prompt, where that is known.
    ``untold``: what people are to hear next. ``least``: how likely each of the first tokens must be, else the reply is ``unsure``."""

    id: str
    prompt: Prompt
    job: Job
    drafter: Drafter | None = None
    drafting: bool = False
    foreseen: Logits | None = None
    announced: bool = False
    untold: list[Event] = field(default_factory=list)
    least: float = 0.0
    unsure: bool = False
    _held: list[Event] = field(default_factory=list)
    _decoder: Any = field(default_factory=lambda: codecs.getincrementaldecoder("utf-8")("replace"))
    _random: np.random.Generator | None = None

    def __post_init__(self) -> None:
        if self.task.variant:
            self._random = np.random.default_rng(self.task.variant)

    def choose(self, logits: Logits, ahead: int = 0) -> int | None:
        """The next token, or the one ``ahead`` of it: the likeliest, or for a variant one that is drawn. None where the logits are not numbers."""
        best = int(logits.argmax())
        if not np.isfinite(logits[best]):
            return None
        if self._random is None:
            if self.least and self.tokens + ahead < HELD_TOKENS and probability(logits, best) < self.least:
                self.unsure = True
            return best
        top = np.argpartition(logits, -min(TOP, len(logits)))[-TOP:]
        weights = np.exp((logits[top] - logits[best]) / TEMPERATURE)
        return int(self._random.choice(top, p=weights / weights.sum()))

    def held(self, events: list[Event], ended: bool) -> list[Event]:
        """What may be told by now: nothing before it is sure enough."""
        if not self.least:
            return events
        self._held += events
        if not ended and self.tokens < HELD_TOKENS:
            return []
        told, self._held = self._held, []
        return told

    def read(self, piece: bytes, control: bool) -> list[Event]:
        """What one token says. Raises Malformed."""
        text = piece.decode() if control else self._decoder.decode(piece)
        return self.note(self.reader.feed(text, control)) if text else []

    def read_end(self) -> list[Event]:
        """The model has ended its reply. Raises Malformed."""
        rest = self._decoder.decode(b"", True)
        return self.note([*(self.reader.feed(rest, False) if rest else []), *self.reader.finish()])
