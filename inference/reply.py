"""One reply under way, wherever it is computed: how far it is, and how its end is told."""

from __future__ import annotations

from dataclasses import dataclass

from inference.api import Event, Hunk, Outcome, Progress, Task
from inference.replies import Reader

PROGRESS_S = 0.1


@dataclass(eq=False, kw_only=True)
class Reply:
    """``asked`` and all times: seconds of ``time.perf_counter()``. ``edited``: it has changed something."""

    task: Task
    asked: float
    reader: Reader
    tokens: int = 0
    first: float | None = None
    last: float = 0.0
    told: float = 0.0
    edited: bool = False

    def figures(self) -> tuple[int, float | None, float | None]:
        """Tokens, time to first token in ms, tokens per second after the first."""
        ttft = (self.first - self.asked) * 1000 if self.first else None
        rate = (self.tokens - 1) / (self.last - self.first) if self.first and self.tokens > 1 and self.last > self.first else None
        return self.tokens, ttft, rate

    def came(self, now: float, tokens: int = 1) -> None:
        self.tokens += tokens
        self.last = now
        self.first = self.first or now

    def note(self, events: list[Event]) -> list[Event]:
        """The same events, which the reader has made."""
        self.edited = self.edited or any(isinstance(event, Hunk) for event in events)
        return events

    def progress(self) -> list[Event]:
        """Now and then, how far it is."""
        if not self.first or (self.told and self.last - self.told < PROGRESS_S):
            return []
        self.told = self.last
        tokens, ttft, rate = self.figures()
        return [Progress(tokens, ttft or 0.0, rate)]

    def end(self) -> tuple[Outcome, str]:
        """The outcome of a reply that has ended as it should, and the reason."""
        return ("done", "") if self.edited or self.task.mode == "ask" else ("declined", "The model found nothing to change.")

    def cut(self, limit: int, other: str = "") -> tuple[Outcome, str]:
        """Of one that has reached the limit of tokens. ``other``: whose limit it may have been instead."""
        rest = "." if self.task.mode == "ask" else "; the lines it had not reached are unchanged."
        return "failed", f"The answer reached the limit of {limit} tokens (ENSEMBLE_MAX_RUN_TOKENS){other} and was cut{rest}"
