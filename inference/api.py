"""What the editor and any engine say to each other. A leaf: imports nothing of the project.

The editor speaks of files, regions and instructions; tokens never cross this line. Regions are
whole lines without the last line's newline; replies come as hunks and text that belongs to them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol

Outcome = Literal["done", "stopped", "declined", "failed"]
State = Literal["asleep", "loading", "ready", "failed"]


@dataclass(frozen=True)
class Source:
    """Another file of the session that may help. ``why`` it was chosen, for people: "open", "imported" and so on."""

    path: str
    text: str
    why: str


@dataclass(frozen=True)
class Task:
    """One region of one file, and what is asked of it.

    ``cache`` is the domain that evaluated prefixes may be shared in (a session): caches never cross it.
    ``who`` names the person whose instruction this is; their keystrokes extend one sequence.
    ``before`` ends and ``after`` begins where the region does; both may be cut by the prompt's policy.
    ``earlier``: the instructions that it goes on from; for "ask" question and answer by turns, oldest first.
    ``mode`` "ask": the reply is Text alone, an answer for people, and edits nothing; the region is what the question is about, or empty.
    ``others``: the most helpful first; as many as fit are shown. ``variant``: 0 is the likeliest reply, each other number another one.
    ``draft``: nobody has pressed Enter yet; gives way to every run. ``tentative``: somebody looks at the reply before it is taken, so the
    model may try what it is not sure of.
    """

    cache: str
    who: str
    path: str
    before: str
    region: str
    after: str
    instruction: str
    earlier: tuple[str, ...] = ()
    mode: Literal["edit", "ask"] = "edit"
    others: tuple[Source, ...] = ()
    variant: int = 0
    draft: bool = False
    tentative: bool = False


@dataclass(frozen=True)
class Seen:
    """What the model saw of one file: ``tokens`` of the ``of`` that the whole has, and why it was shown."""

    path: str
    tokens: int
    of: int
    why: str


@dataclass(frozen=True)
class Started:
    """The model has a sequence; ``cached`` of ``prompt`` tokens were evaluated before the request came. ``prompt`` 0: it is not known.

    ``left_out`` says what did not fit, for people; ``saw`` lists the files in the prompt, the edited one first."""

    prompt: int
    cached: int
    left_out: str = ""
    saw: tuple[Seen, ...] = ()


@dataclass(frozen=True)
class Hunk:
    """The text that follows replaces lines ``first`` to ``last`` of the region (counted from 1, both included).

    ``last == first - 1`` inserts before line ``first``. Hunks come in ascending order and do not overlap.
    """

    first: int
    last: int


@dataclass(frozen=True)
class Text:
    """New text of the current hunk. Its lines end in ``\\n``, except that the last one of a reply may not."""

    text: str


@dataclass(frozen=True)
class Note:
    """What people should know of the reply, in a sentence: that something of it was left out."""

    text: str


@dataclass(frozen=True)
class Progress:
    tokens: int
    ttft_ms: float
    tokens_per_s: float | None


@dataclass(frozen=True)
class Finished:
    """The last event of a run. ``revert``: nothing of it may stay in the file. ``unsure``: the model would have written something, but may
    well be wrong; asked tentatively it does. Times in ms from the request; rates in tokens per second after the first token."""

    outcome: Outcome
    tokens: int
    ttft_ms: float | None
    tokens_per_s: float | None
    reason: str = ""
    revert: bool = False
    unsure: bool = False


Event = Started | Hunk | Text | Note | Progress | Finished
Listener = Callable[[Sequence[Event]], None]


@dataclass(frozen=True)
class ModelInfo:
    """``state``: asleep (it is loaded when it is first wanted), loading, ready or failed (``detail`` says why). ``progress``: 0 to 1 of the loading, None while unknown.

    ``region_lines``: the most lines of a region."""

    name: str
    state: State = "loading"
    detail: str = ""
    progress: float | None = None
    format: str = ""
    context: int = 0
    region_lines: int = 0
    parameters: int = 0
    facts: dict[str, str] = field(default_factory=dict)


@dataclass
class Figures:
    """What an engine has done since it told the last time: increments, so that a restart loses little and nothing is counted twice.

    ``steps`` took ``busy_s`` together; ``prefilled`` tokens of prompts and ``decoded`` tokens of replies were evaluated.
    ``keystrokes`` were evaluated whole, at a cost of ``keystroke_tokens``. Of ``drafted`` tokens that were guessed ``accepted`` were right.
    ``streams`` alone is no increment: the runs that are in work now.
    """

    steps: int = 0
    busy_s: float = 0.0
    prefilled: int = 0
    decoded: int = 0
    keystrokes: int = 0
    keystroke_tokens: int = 0
    drafted: int = 0
    accepted: int = 0
    restarts: int = 0
    streams: int = 0


class EngineError(Exception):
    """The engine as a whole cannot work; the text is for people. A request that fails ends in Finished instead."""


class Engine(Protocol):
    """What turns tasks into edits. Called on the event loop only; listeners are called there too."""

    @property
    def info(self) -> ModelInfo:
        """How it is now."""

    def watch(self, callback: Callable[[ModelInfo], None]) -> None:
        """Calls back at every change of ``info``."""

    def warm(self, task: Task) -> None:
        """Evaluates what is known of a task ahead of its start. The newest call of each ``who`` counts."""

    def start(self, run: str, task: Task, listener: Listener) -> None:
        """Begins a run. Events arrive in batches, in order, and end with exactly one Finished."""

    def stop(self, run: str) -> None:
        """Stops computing. The listener gets Finished("stopped"); unknown or ended runs are ignored."""

    def forget(self, cache: str) -> None:
        """Drops everything evaluated for a cache domain."""

    def close(self, reason: str = "") -> None:
        """Ends the engine. Runs under way end as stopped, with this reason."""
