"""Task -> prompt segments, stable parts first, for each form of model. Pure: text in, text out.

A segment is text and whether it belongs to the format (``control``: special tokens are parsed) or to
people (never parsed: a file that holds ``<|im_end|>`` ends nothing). Segments are tokenised one by one,
so an instruction that grows leaves the tokens before it unchanged.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from inference.api import Seen, Task
from inference.guards import Guard, Thoughts
from inference.marks import block_end, marked
from inference.replies import WITH, AnswerReader, PatchReader, Reader, StopAt
from inference.rewrites import RewriteReader
from inference.snapshots import OTHER_TOKENS, Count, Group, Snapshot, estimate, fresh, pack, region_lines
from inference.templates import ChatTemplate
from inference.wording import plain


@dataclass(frozen=True)
class Segment:
    text: str
    control: bool = False


@dataclass(frozen=True)
class Prompt:
    """``segments`` up to and with the instruction; ``trigger`` is what asks for the reply and comes with Enter.

    ``stable``: so many of the segments depend on the file alone, not on the region or what is asked of it.
    """

    segments: tuple[Segment, ...]
    trigger: tuple[Segment, ...]
    left_out: str = ""
    stable: int = 0
    saw: tuple[Seen, ...] = ()


class Format:
    """How one kind of model is asked and read. ``region_lines``: the longest region it takes."""

    name: str
    region_lines: int
    answers = True  # questions, too

    def room(self, task: Task) -> int | None:
        """Most tokens that a snapshot may take beside the rest of the task; None: this form shows no snapshots."""
        return None

    def prompt(self, task: Task, snapshot: Snapshot | None = None) -> Prompt:
        """``snapshot``: what of the task's file is in the cache already, with the edits up to the task's text; None: nothing is."""
        raise NotImplementedError

    def reader(self, task: Task) -> Reader:
        raise NotImplementedError


class PatchFormat(Format):
    """The embedded model's own form, exactly as it was trained: see ``inference/models/README.md``."""

    name = "patch"
    region_lines = 47
    answers = False
    # The context of its training: more than this it has never seen.
    before_lines, before_chars, after_lines, after_chars = 8, 400, 4, 240

    def __init__(self, count: Count | None = None, marks: int = 0) -> None:
        """``count`` gives a text's tokens; without it prompts do not say how much they show.

        ``marks`` 1: requests say in which lines their words stand; 2: also where the block ends that the first of these lines opens.
        """
        self._count = count
        self._marks = marks

    def prompt(self, task: Task, snapshot: Snapshot | None = None) -> Prompt:
        before = "".join(task.before.splitlines(keepends=True)[-self.before_lines :])[-self.before_chars :]
        after = "".join(task.after.splitlines(keepends=True)[: self.after_lines + 1]).removesuffix("\n")[: self.after_chars]
        path = "/".join(task.path.split("/")[-3:])
        segments = [
            Segment("<|file|>", True),
            Segment(f"{path}\n{before}"),
            Segment("<|region|>", True),
        ]
        for number, line in enumerate(task.region.split("\n"), 1):
            segments += [Segment(f"<|L{number}|>", True), Segment(line + "\n")]
        segments += [
            Segment("<|after|>", True),
            Segment(after),
            Segment("<|task|>", True),
        ]
        lines = task.region.split("\n") if self._marks else ()
        for text, found in marked(plain(task.instruction, task.region), lines, self._marks > 1):
            segments.append(Segment(text))
            for number in found:
                segments.append(Segment(f"<|L{number}|>", True))
                if self._marks > 1 and number == found[0] and (end := block_end(lines, number)) > number:
                    segments += [Segment(WITH, True), Segment(f"<|L{end}|>", True)]
        saw: tuple[Seen, ...] = ()
        if self._count:
            shown = sum(map(self._count, (before, task.region, after)))
            letters = len(before) + len(task.region) + len(after)
            # The rest is not counted: that takes longer than the run.
            whole = len(task.before) + len(task.region) + len(task.after)
            saw = (Seen(task.path, shown, shown if letters + 1 >= whole else shown * whole // max(1, letters), "edited"),)
        return Prompt(tuple(segments), (Segment("<|patch|>", True),), saw=saw)

    def reader(self, task: Task) -> Reader:
        return Guard(PatchReader(task.region.split("\n"), task.path), task)


SYSTEM = (
    "You edit source code together with several people. You get one file or several, the edits made since, and an instruction or a question. "
    "To an instruction, which is about one region of the file between <region> and </region>, answer with the new text of the region "
    "and nothing else: no explanation, no code fence, no tags, no line from outside of the region. Keep its indentation, and keep every "
    "line that the instruction does not concern exactly as it is. Answer a question in a few plain sentences, and quote the lines that "
    "you speak of in `backticks`, exactly as they are."
)

# What the instruction, the template and the reply's growth may take beside the region.
RESERVE = 640
# With no more tokens around the region than this, the file is shown once, with the region marked in it.
INLINE = 64


class ChatFormat(Format):
    """Any chat model, through the template that its GGUF carries. What changes least comes first, so that the cache keeps it:

    the system's text, the file as it once was, other files, the edits to them since and to it, the region as it is now, the instruction.
    ``context``: tokens the model can hold; ``count`` gives a text's tokens.
    ``stop_text``: ends a reply where the model writes it in plain letters, as it does when its file lacks the token.
    """

    name = "chat"
    region_lines = 400

    def __init__(self, template: ChatTemplate, context: int, stop_text: str = "", count: Count = estimate, other_tokens: int = OTHER_TOKENS) -> None:
        self._template = template
        self._context = context
        self._stop_text = stop_text
        self._count = count
        self._other_tokens = other_tokens

    def room(self, task: Task) -> int:
        said = sum(map(self._count, (task.instruction, *task.earlier)))
        # The region comes twice: as it is, and in the reply.
        return max(0, self._context - RESERVE - 2 * self._count(task.region) - said)

    def prompt(self, task: Task, snapshot: Snapshot | None = None) -> Prompt:
        if snapshot is None:
            room = self.room(task)
            snapshot = fresh(task, room, self._count)
            snapshot = replace(snapshot, others=pack(task, min(room - snapshot.seen, self._other_tokens), self._count))
        first, last = region_lines(task)
        ask = task.mode == "ask"
        small = not ask and len(task.before) + len(task.after) < 6 * INLINE and self._count(task.before) + self._count(task.after) <= INLINE
        alone = not ask and snapshot.shown == (first, last + 1)
        stable = 1
        others = [part for other in snapshot.others for part in _file(other.path, other.snapshot)]
        if small or alone:
            before, after = (task.before, task.after) if small else ("", "")
            others = [*_outline(task.path, snapshot), *others, *_logs(snapshot)]
            stable += len(others)
            head = f'<file path="{task.path}"{_lines(snapshot)}>\n{before}'
            parts = [*others, head, f"<region>\n{task.region}\n</region>", f"{after}\n</file>\n\n"]
        else:
            parts = [*_file(task.path, snapshot), *others, *_logs(snapshot), *_log(task.path, snapshot.log)]
            stable += len(parts)
            if task.region.strip() or not ask:
                parts += [_place(task, first, last), f"<region>\n{task.region}\n</region>\n\n"]
        if ask:
            turns = zip(task.earlier[::2], task.earlier[1::2], strict=False)
            parts += [f"Question: {question}\n\nAnswer: {answer}\n\n" for question, answer in turns]
            parts += ["Question: ", task.instruction.strip()]
        else:
            parts += [*(f"Earlier instruction, already begun: {text}\n" for text in task.earlier), "Instruction: ", task.instruction.strip()]
        segments = (Segment(self._template.head, True), *(Segment(part) for part in parts))
        left_out = " ".join(filter(None, (self._unseen(task, snapshot), self._unshown(task, snapshot))))
        saw = [Seen(task.path, snapshot.seen, snapshot.whole_tokens, "asked about" if ask else "edited")]
        saw += [Seen(other.path, other.snapshot.seen, other.snapshot.whole_tokens, other.why) for other in snapshot.others]
        return Prompt(segments, (Segment(self._template.tail, True),), left_out, stable, tuple(saw))

    def _unseen(self, task: Task, snapshot: Snapshot) -> str:
        first, last = snapshot.shown
        of = task.before.count("\n") + task.region.count("\n") + task.after.count("\n") + 1
        unseen = [f"{start} to {end}" for start, end in ((1, first), (last + 1, of)) if end >= start]
        if not unseen:
            return ""
        unfit = f"The model did not see lines {' and '.join(unseen)} of {task.path}: they do not fit its context of {self._context} tokens."
        defined = len(snapshot.outline.lines)
        return unfit + (f" Of those lines it saw the outline ({defined} definition{'s' * (defined > 1)})." if defined else "")

    def _unshown(self, task: Task, snapshot: Snapshot) -> str:
        shown = {other.path: other.snapshot for other in snapshot.others}
        # By the letters of a token of what was counted: nothing is gained by counting what is not shown.
        per_token = max(1.0, len(snapshot.text) / max(1, snapshot.tokens))
        missing = [
            f"{source.path} (about {int(len(source.text) / per_token)} tokens)"
            for source in task.others
            if source.path not in shown and source.path != task.path and source.text.strip()
        ]
        cut = [
            f"{path} from line {part.shown[1] + 1} on{' but for its outline' * bool(part.outline.lines)}"
            for path, part in shown.items()
            if part.shown[1] < part.now.count("\n") + 1
        ]
        if not missing and not cut:
            return ""
        return f"Of other files that may help, the model did not see {', '.join(cut + missing)} (ENSEMBLE_MAX_OTHER_TOKENS)."

    def reader(self, task: Task) -> Reader:
        reader: Reader = AnswerReader() if task.mode == "ask" else RewriteReader(task)
        if self._stop_text:
            reader = StopAt(reader, self._stop_text)
        return Guard(Thoughts(reader, task.region), task)


def _lines(snapshot: Snapshot) -> str:
    return "" if snapshot.whole else f' lines="{snapshot.lines[0] + 1}-{snapshot.lines[1]}"'


def _file(path: str, snapshot: Snapshot) -> list[str]:
    return [f'<file path="{path}"{_lines(snapshot)}>\n', snapshot.text, "\n</file>\n\n", *_outline(path, snapshot)]


def _outline(path: str, snapshot: Snapshot) -> list[str]:
    return [f"What the other lines of {path} define, with their numbers:\n", snapshot.outline.text, "\n"] if snapshot.outline.lines else []


def _log(path: str, groups: tuple[Group, ...]) -> list[str]:
    return [f"Edits made to {path} since then, oldest first:\n", *(group.log for group in groups), "\n"] if groups else []


def _logs(snapshot: Snapshot) -> list[str]:
    return [part for other in snapshot.others for part in _log(other.path, other.snapshot.log)]


def _place(task: Task, first: int, last: int) -> str:
    """Where the region is, in words; with the lines around it where its own text does not tell."""
    lines = f"line {first + 1}" if first == last else f"lines {first + 1} to {last + 1}"
    what = "What the question is about" if task.mode == "ask" else "The region to rewrite"
    place = f"{what}, {lines} of {task.path} as it is now"
    if task.region.strip() and task.region not in task.before and task.region not in task.after:
        return place + ":\n"
    above, below = (_nearest(text) for text in (task.before.split("\n")[-2::-1], task.after.split("\n")[1:]))
    around = [f"{side} the line `{line}`" for side, line in (("after", above), ("before", below)) if line]
    return f"{place}{', ' * bool(around)}{' and '.join(around)}:\n"


def _nearest(lines: list[str]) -> str:
    return next((line.strip() for line in lines if line.strip()), "")
