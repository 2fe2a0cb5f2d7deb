"""A room's runs that are not over: how many there may be, and which of them is in another's way."""

from __future__ import annotations

from collections.abc import Sequence

from editor.members import Limits
from editor.protocol import ProtocolError
from editor.regions import Region
from editor.run import Request, Run


class Ongoing:
    """Owner of the runs that wait for their turn and of those that write, by their ids."""

    def __init__(self, limits: Limits) -> None:
        self.waiting: dict[str, Run] = {}
        self.writing: dict[str, Run] = {}
        self._limits = limits

    def __contains__(self, run: str) -> bool:
        return run in self.waiting or run in self.writing

    def __bool__(self) -> bool:
        return bool(self.waiting or self.writing)

    def get(self, run: str) -> Run | None:
        return self.waiting.get(run) or self.writing.get(run)

    def all(self) -> list[Run]:
        return [*self.waiting.values(), *self.writing.values()]

    def drop(self, run: Run) -> None:
        self.waiting.pop(run.id, None)
        self.writing.pop(run.id, None)

    def admit(self, request: Request, instead_of: Run | None = None) -> None:
        """Raises ProtocolError where one more would be too many. ``instead_of``: the run whose place it would take."""
        limits = self._limits
        others = [run for run in self.all() if run is not instead_of]
        if len(others) >= limits.runs:
            raise ProtocolError("busy", f"{limits.runs} runs are under way or waiting in this session (ENSEMBLE_MAX_RUNS). Wait, or stop one.")
        if sum(run.request.by is request.by for run in others) >= limits.runs_per_person:
            raise ProtocolError(
                "busy", f"{limits.runs_per_person} runs of yours are under way or waiting (ENSEMBLE_MAX_RUNS_PER_PERSON). Wait, or stop one."
            )

    def crowded(self, request: Request) -> str:
        """Why one more may not write just now; nothing if it may."""
        limits, person = self._limits, request.by
        if len(self.writing) >= limits.parallel_runs:
            return f"Waits until fewer than {limits.parallel_runs} runs of this session write (ENSEMBLE_MAX_PARALLEL_RUNS)."
        if sum(other.request.by is person for other in self.writing.values()) >= limits.parallel_runs_per_person:
            return f"Waits until fewer than {limits.parallel_runs_per_person} runs of {person.name} write (ENSEMBLE_MAX_PARALLEL_RUNS_PER_PERSON)."
        return ""

    def overlapping(self, request: Request, text: str, chosen: Sequence[Region]) -> Run | None:
        """The run that writes in some of these lines of the file's text, which is as it is now."""
        if request.mode == "ask":
            return None
        return next((other for region in chosen for other in self.writing.values() if other.overlaps(request.file, text, region)), None)
