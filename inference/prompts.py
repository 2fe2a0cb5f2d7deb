"""Task -> prompt segments, stable parts first, for each form of model. Pure: text in, text out.

A segment is text and whether it belongs to the format (``control``: special tokens are parsed) or to
people (never parsed: a file that holds ``<|im_end|>`` ends nothing). Segments are tokenised one by one,
so an instruction that grows leaves the tokens before it unchanged.
"""

from __future__ import annotations

from dataclasses import dataclass

from inference.api import Task
from inference.replies import PatchReader, Reader, RewriteReader, StopAt
from inference.templates import ChatTemplate


@dataclass(frozen=True)
class Segment:
    text: str
    control: bool = False


@dataclass(frozen=True)
class Prompt:
    """``segments`` up to and with the instruction; ``trigger`` is what asks for the reply and comes with Enter."""

    segments: tuple[Segment, ...]
    trigger: tuple[Segment, ...]
    left_out: str = ""


class Format:
    """How one kind of model is asked and read. ``region_lines``: the longest region it takes."""

    name: str
    region_lines: int

    def prompt(self, task: Task) -> Prompt:
        raise NotImplementedError

    def reader(self, task: Task) -> Reader:
        raise NotImplementedError


def region_line_count(region: str) -> int:
    return region.count("\n") + 1


class PatchFormat(Format):
    """The embedded model's own form, exactly as it was trained: see ``inference/models/README.md``."""

    name = "patch"
    region_lines = 47
    # The context of its training: more than this it has never seen.
    before_lines, before_chars, after_lines, after_chars = 8, 400, 4, 240

    def prompt(self, task: Task) -> Prompt:
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
            Segment(task.instruction.strip()),
        ]
        return Prompt(tuple(segments), (Segment("<|patch|>", True),))

    def reader(self, task: Task) -> Reader:
        return PatchReader(region_line_count(task.region))


SYSTEM = (
    "You edit source code together with several people. You get one file in which a region is marked with "
    "<region> and </region>, and an instruction. Answer with the new text of the region and nothing else: "
    "no explanation, no code fence, no tags. Keep its indentation, and keep every line that the instruction "
    "does not concern exactly as it is."
)


class ChatFormat(Format):
    """Any chat model, through the template that its GGUF carries.

    ``context``: tokens the model can hold. Text around the region is cut to a share of it, by an estimate of
    three characters a token; the region and the room for its rewrite come first.
    ``stop_text``: ends a reply where the model writes it in plain letters, as it does when its file lacks the token.
    """

    name = "chat"
    region_lines = 400

    def __init__(self, template: ChatTemplate, context: int, stop_text: str = "") -> None:
        self._template = template
        self._context = context
        self._stop_text = stop_text

    def prompt(self, task: Task) -> Prompt:
        room = max(0, self._context * 3 - 2 * len(task.region) - len(task.instruction) - 2000)
        before, after = task.before, task.after
        notes = []
        if len(before) + len(after) > room:
            keep_after = min(len(after), room // 3)
            keep_before = min(len(before), room - keep_after)
            cut_before, cut_after = len(before) - keep_before, len(after) - keep_after
            before = before[cut_before:].partition("\n")[2] if cut_before else before
            after = after[:keep_after].rpartition("\n")[0] if cut_after else after
            notes.append(
                f"The model did not see {cut_before} characters at the file's beginning and {cut_after} at its end: "
                f"they do not fit its context of {self._context} tokens."
            )
        earlier = "".join(f"Earlier instruction, already begun: {text}\n" for text in task.earlier)
        parts = (
            f"File: {task.path}\n\n{before}",
            f"<region>\n{task.region}\n</region>",
            f"{after}\n\n{earlier}Instruction: ",
            task.instruction.strip(),
        )
        segments = (Segment(self._template.head, True), *(Segment(part) for part in parts))
        return Prompt(segments, (Segment(self._template.tail, True),), " ".join(notes))

    def reader(self, task: Task) -> Reader:
        reader = RewriteReader(region_line_count(task.region), task.region)
        return StopAt(reader, self._stop_text) if self._stop_text else reader
