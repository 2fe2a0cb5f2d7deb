"""Tasks as prompts in tokens, and as jobs, with what the cache holds of their files."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from inference.api import Task
from inference.prompts import Format, Prompt, Segment
from inference.reading import Tokens
from inference.recent import Recent
from inference.scheduler import Job, Priority
from inference.snapshots import Snapshot, Snapshots

# So many people's newest prompts are kept.
MADE = 16


class Prompting:
    """Owner of what each room's prompts show of its files. ``size``: tokens of the context. All that takes a task raises Unread, and may then be asked again."""

    def __init__(self, form: Format, tokens: Tokens, size: int, other_tokens: int) -> None:
        self.snapshots = Snapshots(tokens.count, other_tokens)
        self._format = form
        self._tokens = tokens
        self._size = size
        # By cache and path: the file's evaluation in idle time, and the snapshot that it is of, where that is a new one.
        self._refreshing: dict[tuple[str, str], tuple[Job, Task, Snapshot | None]] = {}
        # By cache and person: what they asked for last, the snapshot that its prompt shows, and the prompt.
        self._made: Recent[tuple[Task, Snapshot | None, Prompt, list[int]]] = Recent(MADE)

    def prompt(self, task: Task) -> tuple[Prompt, list[int]]:
        """Of a run, with all its tokens: as it was typed, where that is the person's last keystroke."""
        key = task.cache, task.who
        asked = replace(task, variant=0, draft=False, tentative=False)
        held = self._made.get(key)
        if held and held[0] == asked and held[1] is self.snapshots.held(task.cache, task.path):
            return held[2], list(held[3])
        room = self._format.room(task)
        snapshot = None if room is None else self.snapshots.follow(task, room)
        prompt = self._format.prompt(task, snapshot)
        tokens = self._encode((*prompt.segments, *prompt.trigger))
        self._made.keep(key, (asked, snapshot, prompt, tokens))
        return prompt, list(tokens)

    def typed(self, task: Task) -> Job | None:
        """Keystrokes of an instruction, with what asks for the reply: the next key evaluates that again, but Enter finds all of it done."""
        _, tokens = self.prompt(task)
        return self._job(task, task.who, tokens, Priority.KEYSTROKE)

    def file(self, task: Task) -> Job | None:
        """The file alone, in what time is left."""
        room = self._format.room(task)
        if room is None:
            return None
        followed = self.snapshots.follow(task, room)
        # Until the fresh one is evaluated, beside the old one, prompts go on with the log.
        refreshed = self.snapshots.refreshed(task, room)
        prompt = self._format.prompt(task, refreshed or followed)
        job = self._job(task, f"the file {task.path}", self._encode(prompt.segments[: prompt.stable]), Priority.FILES)
        if job:
            self._refreshing[task.cache, task.path] = (job, task, refreshed)
        return job

    def evaluated(self, job: Job) -> None:
        """A ``file`` is: prompts show it as it is there from now on, unless it has changed since."""
        for key, (refreshing, task, snapshot) in list(self._refreshing.items()):
            if refreshing is job:
                del self._refreshing[key]
                held = self.snapshots.held(*key)
                if snapshot and held and held.now == snapshot.now:
                    self.snapshots.keep(task, snapshot)

    def forget(self, cache: str) -> None:
        self.snapshots.forget(cache)
        self._made.forget(cache)
        self._refreshing = {key: value for key, value in self._refreshing.items() if key[0] != cache}

    def _job(self, task: Task, key: str, tokens: list[int], priority: Priority) -> Job | None:
        return Job(task.cache, key, tokens, priority, keeps=priority == Priority.FILES) if 0 < len(tokens) < self._size else None

    def _encode(self, segments: Iterable[Segment]) -> list[int]:
        return [token for segment in segments for token in self._tokens(segment.text, segment.control)]
