"""How good a model is: exact match per transform on code and wordings it has not seen, the requests by hand, and what wrong answers do.

The model runs through llama.cpp as in the product, greedily, from the product's own prompts and reader.
"""

from __future__ import annotations

import json
import random
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

from inference import native
from inference.certainty import CERTAINTY, HELD_TOKENS, probability
from inference.marks import MARKS
from inference.prompts import Segment
from inference.replies import DECLINE, Malformed
from inference.training import encoding, examples, requests, rules
from inference.training.corpus import Source
from inference.training.requests import Request
from inference.training.scene import TRANSFORMS, Example

LONGEST_REPLY = 400
CONTEXT = 2048
KNOWN, HELD_OUT, BY_HAND, SECOND = "known wordings", "held-out wordings", "by hand", "second, by hand"


@dataclass(frozen=True)
class Answer:
    """``result`` None: it declined, or broke the form (``malformed``). ``tokens`` of the reply, ``seconds`` with the prompt.

    ``least``: the probability of the least likely of its first tokens.
    """

    result: str | None
    malformed: bool = False
    declined: bool = False
    tokens: int = 0
    seconds: float = 0.0
    least: float = 1.0


Model = Callable[[Example], Answer]


class LlamaModel:
    """A GGUF in the patch form, through llama.cpp. Not thread-safe."""

    def __init__(self, path: Path, threads: int = 1) -> None:
        self.context = native.Context(path, context=CONTEXT, sequences=1, batch=CONTEXT, threads=threads, extra_buffers=True)
        self.certainty = self.context.number(CERTAINTY)
        self._marks = int(self.context.number(MARKS))

    def tokens(self, segments: Sequence[Segment]) -> list[int]:
        return [token for segment in segments for token in self.context.tokenize(segment.text, segment.control)]

    def reply(self, prompt: Sequence[int], most: int = LONGEST_REPLY) -> tuple[list[int], float]:
        """Greedy, without the end token, and as in ``Answer.least``."""
        self.context.truncate(0, 0)
        out: list[int] = []
        least = 1.0
        entries = [(0, position, token, position == len(prompt) - 1) for position, token in enumerate(prompt)]
        while len(out) < most and len(prompt) + len(out) + 1 < CONTEXT:
            if self.context.decode(entries) != native.OK:
                raise RuntimeError("llama.cpp failed")
            logits = self.context.logits(len(entries) - 1)
            best = int(logits.argmax())
            if len(out) < HELD_TOKENS:
                least = min(least, probability(logits, best))
            if self.context.piece(best).end:
                break
            out.append(best)
            entries = [(0, len(prompt) + len(out) - 1, best, True)]
        return out, least

    def segments(self, reply: Sequence[int]) -> list[Segment]:
        out: list[Segment] = []
        pending = b""
        for token in [*reply, None]:
            control = token is None or self.context.piece(token).control
            if control and pending:
                out.append(Segment(pending.decode(errors="replace")))
                pending = b""
            if token is not None and control:
                out.append(Segment(self.context.piece(token).text.decode(), True))
            elif token is not None:
                pending += self.context.piece(token).text
        return [*out, Segment(encoding.END, True)]

    def __call__(self, example: Example) -> Answer:
        begun = time.perf_counter()
        reply, least = self.reply(self.tokens(encoding.prompt(example, self._marks)))
        seconds = time.perf_counter() - begun
        if least < self.certainty:
            return Answer(None, declined=True, tokens=len(reply), seconds=seconds, least=least)
        segments = self.segments(reply)
        try:
            result = encoding.applied(example.region, segments, example.path)
        except Malformed:
            return Answer(None, malformed=True, tokens=len(reply), seconds=seconds, least=least)
        declined = segments[0].text == DECLINE or result == example.region
        return Answer(None if declined else result, declined=declined, tokens=len(reply), seconds=seconds, least=least)


def by_rules(example: Example) -> Answer:
    result = rules.answer(example)
    return Answer(result, declined=result is None)


@dataclass
class Tally:
    """Counts of one group of requests. ``edits`` should change something, ``refusals`` should not.

    Of the edits: ``right``; ``unchanged`` (declined, no change, or a malformed reply, which changes nothing); ``damaging`` (a line is
    gone that every right answer keeps); the rest are wrong in the right lines. Of the refusals: ``refused``; the rest were edited.
    """

    edits: int = 0
    right: int = 0
    unchanged: int = 0
    damaging: int = 0
    malformed: int = 0
    refusals: int = 0
    refused: int = 0

    def add(self, other: Tally) -> None:
        for key, value in asdict(other).items():
            setattr(self, key, getattr(self, key) + value)


@dataclass
class Report:
    """Groups (known wordings, held-out wordings, by hand) -> transform -> Tally; speed; what went wrong by hand."""

    model: str
    groups: dict[str, dict[str, Tally]] = field(default_factory=dict)
    tokens: int = 0
    seconds: float = 0.0
    answers: int = 0
    wrong_by_hand: list[dict[str, str]] = field(default_factory=list)

    def of(self, group: str, label: str) -> Tally:
        return self.groups.setdefault(group, {}).setdefault(label, Tally())

    def total(self, group: str) -> Tally:
        out = Tally()
        for tally in self.groups[group].values():
            out.add(tally)
        return out

    def save(self, path: Path) -> None:
        path.write_text(json.dumps(asdict(self), indent=1), encoding="utf-8")

    @classmethod
    def load(cls, path: Path) -> Report:
        raw = json.loads(path.read_text(encoding="utf-8"))
        groups = raw.pop("groups")
        report = cls(**raw)
        for group, tallies in groups.items():
            for name, tally in tallies.items():
                report.of(group, name).add(Tally(**tally))
        return report


def lost(old: str, new: str) -> Counter[str]:
    """Lines of the old region that the new one has no more."""
    return Counter(old.split("\n")) - Counter(new.split("\n"))


def judge(request: Request, answer: Answer) -> Tally:
    region = request.example.region
    if request.right[0] is None and (answer.result is None or not request.is_right(answer.result)):
        return Tally(refusals=1, refused=int(answer.result is None and not answer.malformed), malformed=int(answer.malformed))
    tally = Tally(edits=1, malformed=int(answer.malformed))
    if request.is_right(answer.result) and not answer.malformed:
        tally.right = 1
    elif answer.result is None:
        tally.unchanged = 1
    else:
        allowed = Counter[str]()
        for right in request.right:
            allowed |= lost(region, right) if right is not None else Counter()
        tally.damaging = int(bool(lost(region, answer.result) - allowed))
    return tally


def generated(supply: examples.Supply, each: int, seed: int) -> list[Request]:
    """``each`` requests of every transform, the same for the same seed."""
    out: list[Request] = []
    for transform in [*TRANSFORMS, "several"]:
        dice, made = random.Random(f"{seed} {transform}"), 0
        for _ in range(each * 60):
            if made == each:
                break
            example = examples.draw(supply, dice, transform) if transform != "several" else draw_several(supply, dice)
            if example:
                out.append(Request(example, (example.result,)))
                made += 1
    return out


def draw_several(supply: examples.Supply, dice: random.Random) -> Example | None:
    language = dice.choices(list(examples.SHARES), list(examples.SHARES.values()))[0]
    where = examples.place(supply, language, dice, empty=False)
    return examples.several(supply, where) if where else None


def evaluate(model: Model, name: str, groups: dict[str, list[Request]]) -> Report:
    report = Report(name)
    for group, asked in groups.items():
        for request in asked:
            answer = model(request.example)
            tally = judge(request, answer)
            label = request.example.language if group in (BY_HAND, SECOND) else request.example.transform
            report.of(group, label).add(tally)
            report.tokens += answer.tokens
            report.seconds += answer.seconds
            report.answers += 1
            if group == BY_HAND and not tally.right and not tally.refused:
                report.wrong_by_hand.append(
                    {
                        "path": request.example.path,
                        "ask": request.example.instruction,
                        "got": answer.result or ("malformed" if answer.malformed else "unchanged"),
                    }
                )
    return report


def certainty(model: Model, asked: Sequence[Request], damage: float) -> float:
    """The least certainty with which at most this share of the edits damages something; in steps of a twentieth, at most 0.95."""
    answers = [(answer, judge(request, answer)) for request in asked for answer in [model(request.example)]]
    edits = sum(tally.edits for _, tally in answers)
    for step in range(20):
        if sum(tally.damaging for answer, tally in answers if answer.least >= step / 20) <= damage * edits:
            break
    return step / 20


def cases(sources: Sequence[Source], each: int, seed: int = 1) -> dict[str, list[Request]]:
    """Code and words are held out in all of them; the wordings as the group says."""
    groups = {}
    for group, wordings_held_out in ((KNOWN, False), (HELD_OUT, True)):
        supply = examples.Supply.of(sources, held_out=True, wordings_held_out=wordings_held_out)
        groups[group] = generated(supply, each, seed)
    return {**groups, BY_HAND: requests.read(), SECOND: requests.read(requests.SECOND_FILE)}


def share(part: int, whole: int) -> str:
    return f"{100 * part / whole:.0f} %" if whole else "–"


def summary(report: Report) -> str:
    lines = [f"{'':20s} {'edits':>6s} {'right':>6s} {'unchanged':>9s} {'damaging':>8s} {'refusals':>8s} {'refused':>7s}"]
    for group in report.groups:
        t = report.total(group)
        lines.append(
            f"{group:20s} {t.edits:6d} {share(t.right, t.edits):>6s} {share(t.unchanged, t.edits):>9s} {share(t.damaging, t.edits):>8s} "
            f"{t.refusals:8d} {share(t.refused, t.refusals):>7s}"
        )
    if report.seconds:
        lines.append(f"{report.tokens / report.answers:.0f} tokens and {1000 * report.seconds / report.answers:.0f} ms an answer")
    return "\n".join(lines)
