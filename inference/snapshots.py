"""What of a file the model's cache holds: the text as it once was, and a log of the edits since. Pure.

A prompt that shows the file as it is now would be evaluated anew from every edit on. A prompt that shows it as it
was, with the edits behind it, costs only the edits' tokens. ``Snapshots`` decides which is cheaper.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from difflib import SequenceMatcher

from inference.api import Source, Task
from inference.common import common_end, common_start
from inference.outline import Outline, outline
from inference.recent import Recent

Count = Callable[[str], int]

# A log is read with more trouble than a file: it must save this many tokens, and may not grow past its limits.
LOG_HANDICAP = 32
LOG_LEAST, LOG_MOST = 256, 1024
GROUPS, GROUP_COSTS = 8, 8
# Differences that reach over more lines than this are one edit.
DIFF_LINES = 20_000
SAMPLE = 4000
# What other files may take of a prompt, and the least that is worth showing of one.
OTHER_TOKENS, LEAST_OTHER = 1500, 24
# What the outline of lines that do not fit may take: a share of the room, and no more than so many tokens.
OUTLINE_SHARE, OUTLINE_MOST = 12, 512


def estimate(text: str) -> int:
    """Tokens, where nothing counts them: three characters each."""
    return len(text) // 3 + bool(text)


@dataclass(frozen=True)
class Edit:
    """From line ``first`` on (counted from 0, in the text that the edits before have left) ``old`` became ``new``. ``above``: the line before."""

    first: int
    old: tuple[str, ...]
    new: tuple[str, ...]
    above: str | None

    def render(self) -> str:
        """As in a unified diff, with the number of the first line that differs."""
        context = f" {self.above}\n" if self.above is not None else ""
        lines = "".join(f"-{line}\n" for line in self.old) + "".join(f"+{line}\n" for line in self.new)
        return f"@@ line {self.first + 1} @@\n{context}{lines}"


@dataclass(frozen=True)
class Group:
    """Edits that were logged together. ``before``: the whole text before them, and the lines of it that were shown."""

    before: str
    lines: tuple[int, int]
    log: str
    tokens: int


@dataclass(frozen=True)
class Snapshot:
    """``text``: lines ``lines`` (from 0, the second not included) of a file that then had ``of``; ``log``: what changed since, in order.

    ``now``: the whole text that both together stand for; ``shown``: which lines of it they show.
    ``outline``: what the lines that are not shown defined when it was made.
    """

    text: str
    tokens: int
    lines: tuple[int, int]
    of: int
    base: str
    now: str
    shown: tuple[int, int]
    log: tuple[Group, ...] = ()
    others: tuple[Other, ...] = ()
    outline: Outline = field(default_factory=Outline)

    @property
    def whole(self) -> bool:
        return self.lines == (0, self.of)

    @property
    def log_tokens(self) -> int:
        return sum(group.tokens for group in self.log)

    @property
    def seen(self) -> int:
        """Tokens of the file in the prompt, with its edits and outline."""
        return self.tokens + self.log_tokens + self.outline.tokens

    @property
    def whole_tokens(self) -> int:
        """Tokens of the file as it is now, by the share of it that was counted."""
        if self.shown == (0, self.now.count("\n") + 1):
            return self.seen
        return max(self.seen, self.tokens * len(self.now) // max(1, len(self.text)))


@dataclass(frozen=True)
class Other:
    """Another file of the session in the prompt, and why it is there."""

    path: str
    why: str
    snapshot: Snapshot


class Snapshots:
    """Owner of what each cache domain's prompts show of each file. ``count`` gives a text's tokens; ``other_tokens``: most that
    other files may take beside one; ``most``: how many are kept."""

    def __init__(self, count: Count = estimate, other_tokens: int = OTHER_TOKENS, most: int = 256) -> None:
        self._count = count
        self._other_tokens = other_tokens
        self._held: Recent[Snapshot] = Recent(most)

    def follow(self, task: Task, room: int) -> Snapshot:
        """What to show for the task: what the cache holds already and the edits since, else a fresh snapshot, whichever is cheaper.

        ``room``: most tokens that it may take.
        """
        held = self._held.get((task.cache, task.path))
        followed = self._follow(held, task, room) if held else None
        snapshot = followed or fresh(task, room, self._count)
        snapshot = replace(snapshot, others=self._others(followed.others if followed else (), task, room - snapshot.seen))
        self.keep(task, snapshot)
        return snapshot

    def keep(self, task: Task, snapshot: Snapshot) -> None:
        """The cache holds ``snapshot`` of the task's file from now on, such as a ``fresh`` one that idle time has evaluated."""
        self._held.keep((task.cache, task.path), snapshot)

    def held(self, cache: str, path: str) -> Snapshot | None:
        return self._held.get((cache, path))

    def refreshed(self, task: Task, room: int) -> Snapshot | None:
        """A fresh snapshot to evaluate while nothing else is to do: where the log has grown long, or it costs little more than the log does."""
        held = self._held.get((task.cache, task.path))
        if held is None:
            return None
        if held.log and (held.log_tokens > _log_limit(held) // 2 or _fresh_cost(held) <= 4 * held.log_tokens):
            snapshot = fresh(task, room, self._count)
            return replace(snapshot, others=pack(task, min(room - snapshot.seen, self._other_tokens), self._count))
        if held.outline.lines:
            # It stands behind the lines that are shown: they stay as they are.
            now = outline(task.path, held.now, held.shown, min(OUTLINE_MOST, room // OUTLINE_SHARE), self._count)
            return replace(held, outline=now) if now.names != held.outline.names else None
        return None

    def _others(self, held: tuple[Other, ...], task: Task, room: int) -> tuple[Other, ...]:
        """Those that are there already stay in their places, with the edits since; the task's new ones come behind them."""
        left = min(room, self._other_tokens)
        given = {source.path: source for source in task.others}
        out: list[Other] = []
        for other in held:
            source = given.get(other.path)
            if source is None:
                continue
            alone = _task_of(task, source)
            snapshot = self._follow(other.snapshot, alone, left) or fresh(alone, left, self._count)
            if snapshot.seen <= left:
                out.append(Other(other.path, source.why, snapshot))
                left -= snapshot.seen
        return (*out, *pack(task, left, self._count, [other.path for other in out]))

    def forget(self, cache: str) -> None:
        self._held.forget(cache)

    def _follow(self, held: Snapshot, task: Task, room: int) -> Snapshot | None:
        """With the log brought up to the task's text; None: a fresh snapshot is cheaper, or shows what this one does not."""
        text = whole_text(task)
        best: tuple[int, Snapshot] | None = (0, held)
        if text != held.now:
            # A new group, or the last one anew: the newest keystroke mostly belongs to it.
            ways = [self._extended(held, text, keep) for keep in {len(held.log), max(0, len(held.log) - 1)}]
            best = min((way for way in ways if way), key=lambda way: way[0] + GROUP_COSTS * len(way[1].log), default=None)
            if best and len(held.log) > 1 and (best[1].log_tokens > _log_limit(held) // 2 or len(best[1].log) >= GROUPS):
                # Long enough to be put in order: the edits that are left when all are taken together.
                best = self._extended(held, text, 0) or best
        if best is None:
            return None
        cost, followed = best
        first, last = region_lines(task)
        if not (followed.shown[0] <= first and last < followed.shown[1]) or followed.seen > room:
            return None
        if followed.log_tokens > _log_limit(held) or len(followed.log) > GROUPS:
            return None
        if followed.log and _fresh_cost(followed) <= cost + LOG_HANDICAP:
            return None
        return followed

    def _extended(self, held: Snapshot, text: str, keep: int) -> tuple[int, Snapshot] | None:
        """The log's first ``keep`` groups and one more up to ``text``, with the tokens to evaluate for it.

        None: an edit goes over the border of what is shown.
        """
        before, lines = held.now, held.shown
        if keep < len(held.log):
            before, lines = held.log[keep].before, held.log[keep].lines
        log, shown = "", lines
        for edit in difference(before, text):
            first, last = shown
            end, grown = edit.first + len(edit.old), len(edit.new) - len(edit.old)
            if first <= edit.first and end <= last:
                log += edit.render()
                shown = first, last + grown
            elif end <= first:
                shown = first + grown, last + grown
            elif edit.first < last:
                return None
        dropped = "".join(group.log for group in held.log[keep:])
        cost = self._count(log[common_start(dropped, log) :])
        groups = held.log[:keep] + ((Group(before, lines, log, self._count(log)),) if log else ())
        return cost, replace(held, now=text, shown=shown, log=groups)


def pack(task: Task, room: int, count: Count = estimate, without: Sequence[str] = ()) -> tuple[Other, ...]:
    """The task's other files within ``room`` tokens: whole ones first, in their order, then the beginnings of what is left."""
    wanted = [source for source in task.others if source.path != task.path and source.path not in without and source.text.strip()]
    packed: dict[str, Other] = {}
    for whole in (True, False):
        for source in wanted:
            if source.path in packed or room < LEAST_OTHER or (whole and _counted(source.text, room, count) > room):
                continue
            snapshot = fresh(_task_of(task, source), room, count)
            if snapshot.seen <= room:
                packed[source.path] = Other(source.path, source.why, snapshot)
                room -= snapshot.seen
    return tuple(packed.values())


def _task_of(task: Task, source: Source) -> Task:
    return Task(task.cache, task.who, source.path, "", "", source.text, "")


def fresh(task: Task, room: int, count: Count = estimate) -> Snapshot:
    """The task's file as it is now within ``room`` tokens: all of it, or the lines around the region and the outline of the others."""
    text = whole_text(task)
    lines = text.split("\n")
    of = len(lines)
    tokens = _counted(text, room, count)
    if tokens <= room:
        return Snapshot(text, tokens, (0, of), of, text, text, (0, of))
    share = min(OUTLINE_MOST, room // OUTLINE_SHARE)
    span, shown, tokens = _window(task, lines, room - share, count)
    left_out = outline(task.path, text, span, min(share, room - tokens), count)
    return Snapshot(shown, tokens, span, of, text, text, span, outline=left_out)


def _counted(text: str, room: int, count: Count) -> int:
    """Its tokens, or any number above ``room``: no tokeniser makes tokens so long of any text that people write."""
    return count(text) if len(text) < 12 * room else room + 1


def _window(task: Task, lines: list[str], room: int, count: Count) -> tuple[tuple[int, int], str, int]:
    """Lines around the region within ``room`` tokens, twice as many characters before it as after it."""
    first, last = region_lines(task)
    sample = task.before[-SAMPLE // 2 :] + task.region[:SAMPLE] + task.after[: SAMPLE // 2]
    characters = int(room * max(1.0, len(sample) / max(1, count(sample))))
    while True:
        start, end, left = first, last + 1, characters - len(task.region)
        behind = min(left // 3, len(task.after))
        ahead = left - behind
        while start > 0 and ahead > len(lines[start - 1]):
            ahead -= len(lines[start - 1]) + 1
            start -= 1
        behind += max(0, ahead)
        while end < len(lines) and behind > len(lines[end]):
            behind -= len(lines[end]) + 1
            end += 1
        shown = "\n".join(lines[start:end])
        tokens = count(shown)
        if tokens <= room or (start, end) == (first, last + 1):
            return (start, end), shown, tokens
        characters = int(characters * min(0.9, room / tokens))


def whole_text(task: Task) -> str:
    return task.before + task.region + task.after


def region_lines(task: Task) -> tuple[int, int]:
    """The region's first and last line, counted from 0."""
    first = task.before.count("\n")
    return first, first + task.region.count("\n")


def difference(old: str, new: str) -> list[Edit]:
    """The edits that make ``new`` of ``old``, by lines, each in terms of the text that the ones before it have left.

    Where the texts differ in one place, it takes as long as splitting them into lines.
    """
    a, b = old.split("\n"), new.split("\n")
    start = common_start(a, b)
    if start == len(a) == len(b):
        return []
    tail = min(common_end(a, b), min(len(a), len(b)) - start)
    a_rest, b_rest = a[start : len(a) - tail], b[start : len(b) - tail]
    blocks = [(0, len(a_rest), 0, len(b_rest))]
    if 2 < len(a_rest) + len(b_rest) <= DIFF_LINES:
        blocks = [block[1:] for block in SequenceMatcher(None, a_rest, b_rest).get_opcodes() if block[0] != "equal"]
    out: list[Edit] = []
    for i1, i2, j1, j2 in blocks:
        at = start + j1
        out.append(Edit(at, tuple(a_rest[i1:i2]), tuple(b_rest[j1:j2]), b[at - 1] if at else None))
    return out


def _log_limit(held: Snapshot) -> int:
    return max(LOG_LEAST, min(LOG_MOST, held.tokens // 4))


def _fresh_cost(followed: Snapshot) -> int:
    """About how many tokens a fresh snapshot of the same lines would have evaluated anew."""
    start = common_start(followed.base, followed.now)
    share = max(0, len(followed.now) - start) / max(1, len(followed.now))
    return int(followed.tokens * share) if followed.whole else followed.tokens
