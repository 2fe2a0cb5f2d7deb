"""The model's process with a teacher: random weights compute everything, and what is taken of each step is the next token of a given text.

So a model that knows nothing writes what a good one would, at the speed at which it computes. Nothing else differs from
``inference.child``: the logits are looked through for the likeliest, guesses are checked against what the teacher says.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator

from inference import child
from inference.api import Task
from inference.process import ProcessEngine
from inference.worker import Worker

# An instruction that begins so changes one line; one that names a length is answered in so many tokens, any other without end.
REWRITE = "rewrite: "
LENGTH = re.compile(r"in (\d+) tokens")
FILLER = 4000


def changed(region: str) -> str:
    """The region with one line changed, in the middle."""
    lines = region.split("\n")
    middle = len(lines) // 2
    lines[middle] += "  # this line is new"
    return "\n".join(lines)


def filler(number: int) -> str:
    """No line is like the one before: what repeats itself would be stopped."""
    name = "".join(chr(97 + number * 7**place % 26) for place in range(1, 6))
    return f"{name}_{number} = compute({number * 7 % 101}, scale={name[:2]})\n"


class TaughtWorker(Worker):
    def _do_start(self, run: str, task: Task, asked: float) -> None:
        super()._do_start(run, task, asked)
        stream = self._streams.get(run)
        if stream is None:
            return
        lesson = self._lesson(task)
        choose = stream.choose
        # Held back as ever, and sure of everything.
        stream.least = min(stream.least, 1e-9)

        def taught(logits, ahead=0):  # type: ignore[no-untyped-def]
            return None if choose(logits, ahead) is None else next(lesson)

        stream.choose = taught  # type: ignore[method-assign]

    def _lesson(self, task: Task) -> Iterator[int]:
        patch = self._format.name == "patch"
        tokens = self._context.tokenize
        if task.instruction.startswith(REWRITE):
            new = changed(task.region)
            if patch:
                middle = task.region.count("\n") + 1
                middle //= 2
                yield from tokens(f"<|L{middle + 1}|><|L{middle + 1}|>", True)
                yield from tokens(new.split("\n")[middle] + "\n", False)
            else:
                yield from tokens(new + "\n", False)
            yield self._last()
        reply = self._filler(patch)
        if length := LENGTH.search(task.instruction):
            yield from itertools.islice(reply, int(length[1]) - 1)
            yield self._last()
        yield from reply

    def _filler(self, patch: bool) -> Iterator[int]:
        if patch:
            yield from self._context.tokenize("<|L1|><|ins|>", True)
        for number in range(FILLER):
            yield from self._context.tokenize(filler(number), False)

    def _last(self) -> int:
        """What ends a reply."""
        _, end = self._context.bos_eos()
        return self._context.tokenize(end, True)[0] if self._end is None else self._end


class TaughtEngine(ProcessEngine):
    """``inference.api.Engine`` over the taught process."""

    child = "benchmarks.taught"


if __name__ == "__main__":
    child.Worker = TaughtWorker  # type: ignore[misc]
    child.main()
