"""What may go wrong with any reply, whatever its form: repetition without end, letters cut apart, thinking aloud,
most of the region gone. Pure, and in constant time for each token.
"""

from __future__ import annotations

import re
from typing import Literal

from inference.api import Event, Hunk, Note, Task, Text
from inference.replies import Reader, Unusable

# A cycle of up to CYCLE lines is endless when it has come so often (of one line, two, more); with no letters in it
# (tables, drawings) later, and where only numbers differ later still.
CYCLE, REPEATS, REPEATS_PLAIN, REPEATS_COUNTING = 12, (32, 24, 20), 120, 300
BLANK_LINES = 1200
# Within a line: so many characters that repeat a piece of at most PIECE.
PIECE, STRETCH, STRETCH_PLAIN = 80, 800, 3000
# A region that is shorter is read at a glance.
LEAST_LINES = 6

SHORTENS = re.compile(
    r"delet|remov|clear|drop|strip|simplif|short|reduc|empt|condens|compact|concis|minif|merge|inline|dedup|duplicat|extract|move|cut|clean|trim|prune|"
    r"get rid|without|no longer|only|one.?line|rid of|erase|wipe|replace (all|everything|the whole)|rewrite (all|everything|from scratch)|start over|summar|"
    r"lösch|entfern|kürz|leer|vereinfach|supprim|enlev|enlèv|retir|simplifi|borr|elimin|quita|apag|remov|rimuov|cancell|удал|убер|сократ|删|移除|清空|简化|削除|消|삭제",
    re.IGNORECASE,
)
THOUGHTS = {"<think>": "</think>", "<thinking>": "</thinking>", "<thought>": "</thought>", "[THINK]": "[/THINK]", "<seed:think>": "</seed:think>"}
CHANNEL = ("<|channel|>", "<|start|>")
UNPRINTABLE = re.compile(r"[\x00-\x08\x0b\x0e-\x1f\x7f\ud800-\udfff\ufffd\ufffe\uffff]")


class Repetition:
    """Whether a text goes round in circles. ``known`` (the region) may hold as many repetitions itself, and "add 200 rows" allows as many."""

    def __init__(self, known: str, asked: str) -> None:
        self._wanted = 2 * max((int(number) for number in re.findall(r"\d{1,6}", asked)), default=0)
        self._known = known
        self._most = [0] * (CYCLE + 1)
        self._most_counting = 0
        self._restart()
        for line in known.split("\n"):
            self._count(line)
            self._most = [max(pair) for pair in zip(self._most, self._same, strict=True)]
            self._most_counting = max(self._most_counting, self._counting)
        self._restart()

    def _restart(self) -> None:
        self._lines: list[str] = []
        self._same = [0] * (CYCLE + 1)  # for each length of a cycle: how many lines were the same as one cycle before
        self._counting = 0
        self._line = ""
        self._checked = 0

    def cut(self) -> None:
        """What follows is no part of the line before it: replacements within lines have no ends of lines."""
        self._line, self._checked = "", 0

    def found(self, piece: str) -> bool:
        *ended, rest = piece.split("\n")
        for end in ended:
            line, self._line, self._checked = self._line + end, "", 0
            if self._in_lines(line.rstrip()):
                return True
        self._line += rest
        if len(self._line) - self._checked >= STRETCH // 4:
            self._checked = len(self._line)
            return self._in_line()
        return False

    def _in_lines(self, line: str) -> bool:
        self._count(line)
        if not line and self._same[1] < BLANK_LINES:
            return False  # the reader ends where only blank lines follow
        plain = not re.search(r"[^\W\d_]", "".join(self._lines[-CYCLE:]))
        for cycle in range(1, CYCLE + 1):
            limit = REPEATS_PLAIN if plain else REPEATS[min(cycle, len(REPEATS)) - 1]
            if self._same[cycle] >= max(cycle * max(limit, self._wanted), 2 * self._most[cycle]):
                return True
        return self._counting >= max(REPEATS_COUNTING, self._wanted, 2 * self._most_counting)

    def _count(self, line: str) -> None:
        lines = self._lines
        for cycle in range(1, CYCLE + 1):
            self._same[cycle] = self._same[cycle] + 1 if len(lines) >= cycle and lines[-cycle] == line else 0
        like = bool(line.strip() and lines) and re.sub(r"\d+", "0", line) == re.sub(r"\d+", "0", lines[-1])
        self._counting = self._counting + 1 if like else 0
        lines.append(line)
        del lines[:-CYCLE]

    def _in_line(self) -> bool:
        for stretch, letters in ((STRETCH, True), (STRETCH_PLAIN, False)):
            end = self._line[-stretch:]
            if len(end) < stretch:
                break
            piece = next((n for n in range(1, PIECE + 1) if end[n:] == end[:-n]), 0)
            enough = piece > 2 and bool(re.search(r"[^\W\d_]", end[:piece])) if letters else bool(piece)
            if enough and stretch >= piece * self._wanted and end not in self._known:
                return True
        return False


class Thoughts:
    """Leaves out what a model thinks aloud before its answer: between tags, in plain letters or as tokens, or in channels of its own."""

    def __init__(self, reader: Reader, known: str = "") -> None:
        self.complete = False
        self._reader = reader
        # A file about such tags is no thought.
        self._pairs = {} if any(tag in known for pair in THOUGHTS.items() for tag in pair) else THOUGHTS
        self._state: Literal["before", "thought", "header", "answer"] = "before"
        self._end = ""  # what ends the thought
        self._held = ""
        self._said = False

    def feed(self, piece: str, control: bool) -> list[Event]:
        if self._state == "answer" and not (control and piece in CHANNEL):
            return self._pass(piece, control)
        if control and piece in CHANNEL:
            # gpt-oss names a channel before each message: "analysis" is a thought, "final" the answer.
            self._state, self._held = "header", ""
            return []
        if control and piece == "<|message|>" and self._state == "header":
            if "final" in self._held:
                self._state = "answer"
                return []
            return self._think("<|end|>", "")
        if self._state == "header":
            self._held += piece
            return []
        self._held += piece
        if self._state == "thought":
            return self._thinking()
        text = self._held.lstrip()
        opened = next((tag for tag in self._pairs if text.startswith(tag)), "")
        if opened:
            return self._think(self._pairs[opened], text[len(opened) :])
        if any(tag.startswith(text) for tag in self._pairs):
            return []
        self._state = "answer"
        return self._pass(self._held, control)

    def _think(self, end: str, text: str) -> list[Event]:
        self._state, self._end, self._held = "thought", end, text
        said, self._said = self._said, True
        return [*([] if said else [Note("The model thinks before it answers; its thoughts are left out.")]), *self._thinking()]

    def _thinking(self) -> list[Event]:
        _, ended, rest = self._held.partition(self._end)
        if not ended:
            self._held = self._held[-len(self._end) :]
            return []
        self._state, self._held = "before", ""
        return self.feed(rest, False) if rest else []

    def _pass(self, piece: str, control: bool) -> list[Event]:
        out = self._reader.feed(piece, control)
        self.complete = self._reader.complete
        return out

    def finish(self) -> list[Event]:
        if self._state == "thought" or (self._state == "before" and self._said and not self._held.strip()):
            raise Unusable("The model thought aloud and ended without an answer; nothing was changed.")
        out = self._reader.feed(self._held, False) if self._state == "before" and self._held else []
        self.complete = True
        return out + self._reader.finish()


class Guard:
    """Around a reader: broken letters are left out, endless repetition and the loss of most of the region end the run."""

    def __init__(self, reader: Reader, task: Task) -> None:
        self.complete = False
        self._reader = reader
        self._task = task
        asked = " ".join((*task.earlier, task.instruction))
        self._known_letters = set(UNPRINTABLE.findall(task.region + task.instruction))
        self._repetition = Repetition(task.region, asked)
        self._shortens = bool(SHORTENS.search(asked))
        self._broken = False
        self._covered = 0  # old lines that are not blank, in hunks
        self._new: list[str] = []
        self._old = task.region.split("\n")

    def feed(self, piece: str, control: bool) -> list[Event]:
        out: list[Event] = []
        if control:
            self._repetition.cut()
        else:
            clean = UNPRINTABLE.sub(lambda found: found[0] if found[0] in self._known_letters else "", piece)
            if clean != piece and not self._broken:
                self._broken = True
                out.append(Note("Letters that the model wrote broken were left out."))
            piece = clean
            if not piece:
                return out
            if self._repetition.found(piece):
                raise Unusable(
                    "The model began to repeat itself without end and was stopped" + ("." if self._task.mode == "ask" else "; nothing was changed.")
                )
        out += self._reader.feed(piece, control)
        self._look(out)
        if self._reader.complete:
            self._end()
        return out

    def finish(self) -> list[Event]:
        out = self._reader.finish()
        self._look(out)
        self._end()
        return out

    def _look(self, events: list[Event]) -> None:
        for event in events:
            if isinstance(event, Hunk):
                self._covered += sum(bool(line.strip()) for line in self._old[event.first - 1 : event.last])
            elif isinstance(event, Text):
                self._new.append(event.text)

    def _end(self) -> None:
        """Raises Unusable where most of the region would be gone and nobody asked for it."""
        self.complete = True
        if self._task.mode == "ask" or self._shortens:
            return
        old = sum(bool(line.strip()) for line in self._old)
        written = [line for line in "".join(self._new).split("\n") if line.strip()]
        left = old - self._covered + len(written)
        known = set(self._old)
        copied = sum(line in known for line in written) * 2 > len(written) or not written
        if old >= LEAST_LINES and (left * 6 < old or (left * 2 < old and copied)):
            raise Unusable(
                f"The model's answer would have removed {old - left} of the region's {old} lines though nobody asked for that; nothing was changed. "
                "If that is what you want, say “remove” or “shorten”."
            )
