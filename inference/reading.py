"""How texts become tokens while others wait for theirs: a long one is read piece by piece, between the steps. Pure: knows no llama.cpp.

A piece ends where no tokeniser joins what stands on both sides: between a letter and the space before the next word, and
between a line's end and a line that begins with a letter or digit. So the tokens are those of the whole text. A text without
such places, such as a long number, is one piece.
"""

from __future__ import annotations

import re
from array import array
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from typing import Any

from inference.api import Task

Command = tuple[Any, ...]

# Characters: the least of a piece, a millisecond or two of tokenising; what one command may have read at once; what is kept.
PIECE, AT_ONCE, KEPT = 2048, 4096, 16 * 2**20
# What a short text costs beside its characters.
OVERHEAD = 64
CUT = re.compile(r"(?<=[^\W\d_])(?= [^\W\d_])|(?<=\S\n)(?=[^\W_])")


def pieces(text: str) -> Iterator[str]:
    """Together the text; each but the last of at least PIECE characters, and no longer than it must be."""
    cuts = [0]
    while found := CUT.search(text, cuts[-1] + PIECE):
        cuts.append(found.start())
    return (text[start:end] for start, end in pairwise([*cuts, len(text)]))


class Unread(Exception):
    """``text`` must be ``read`` first: it would take so long that other people would notice."""

    def __init__(self, text: str) -> None:
        super().__init__(f"a text of {len(text)} characters")
        self.text = text


class Tokens:
    """Owner of what is known of texts' tokens. ``tokenize(text, control)``: control tokens that are written in the text are parsed, or not."""

    def __init__(self, tokenize: Callable[[str, bool], Sequence[int]], kept: int = KEPT) -> None:
        self._tokenize = tokenize
        self._kept = kept
        self._characters = 0
        self._left = AT_ONCE
        self._known: OrderedDict[tuple[str, bool], array[int]] = OrderedDict()

    def __call__(self, text: str, control: bool = False) -> list[int]:
        """Raises Unread."""
        return [token for part in self._parts(text, control) for token in part]

    def count(self, text: str) -> int:
        """Raises Unread."""
        return sum(map(len, self._parts(text, False)))

    def renew(self) -> None:
        """Another command begins, which may have AT_ONCE characters read."""
        self._left = AT_ONCE

    def read(self, text: str) -> Iterator[None]:
        """Stops after each piece that was not known."""
        for piece in pieces(text):
            if (piece, False) not in self._known:
                self._piece(piece, False)
                yield

    def _parts(self, text: str, control: bool) -> list[array[int]]:
        if control or len(text) <= PIECE:
            return [self._piece(text, control)]
        parts = list(pieces(text))
        unread = sum(len(part) for part in parts if (part, False) not in self._known)
        if unread > self._left:
            raise Unread(text)
        self._left -= unread
        return [self._piece(part, False) for part in parts]

    def _piece(self, text: str, control: bool) -> array[int]:
        key = (text, control)
        found = self._known.get(key)
        if found is not None:
            self._known.move_to_end(key)
            return found
        found = self._known[key] = array("i", self._tokenize(text, control))
        self._characters += len(text) + OVERHEAD
        while self._characters > self._kept and len(self._known) > 1:
            (old, _), _ = self._known.popitem(last=False)
            self._characters -= len(old) + OVERHEAD
        return found


class Waiting:
    """Owner of the commands about texts that are being read: ("warm", task) and ("start", run, task, asked), in order.

    Those of one room never overtake each other; those of other rooms need not wait."""

    def __init__(self) -> None:
        self.commands: list[Command] = []

    def about(self, cache: str) -> bool:
        """Whether a command of this room waits."""
        return any(_task(command).cache == cache for command in self.commands)

    def add(self, command: Command) -> None:
        """Of keystrokes of one person, or of one file, the newest counts; a run needs none of its person's."""
        task = _task(command)
        keys = {_typed(command)} if command[0] == "warm" else {(task.cache, task.who, "")}
        self.commands = [other for other in self.commands if other[0] != "warm" or _typed(other) not in keys]
        self.commands.append(command)

    def stop(self, run: str) -> bool:
        """Whether that run waited; it does no more."""
        before = len(self.commands)
        self.commands = [command for command in self.commands if command[:2] != ("start", run)]
        return len(self.commands) < before

    def runs(self) -> list[str]:
        return [command[1] for command in self.commands if command[0] == "start"]

    def forget(self, cache: str) -> None:
        """Nobody is in the room."""
        self.commands = [command for command in self.commands if command[0] != "warm" or _task(command).cache != cache]


def _task(command: Command) -> Task:
    task: Task = command[1] if command[0] == "warm" else command[2]
    return task


def _typed(command: Command) -> tuple[str, str, str]:
    task = _task(command)
    return task.cache, task.who, "" if task.who else task.path
