"""Writes the model card from the evaluation: what it can do, what it cannot, made of what. Nothing in it is typed by hand twice."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from inference.training import everyday
from inference.training.corpus import Source, packages
from inference.training.evaluate import BY_HAND, HELD_OUT, KNOWN, Report, Tally, share

FORM = """\
```
<|file|>{path}\\n{lines before the region}<|region|><|L1|>{line 1}\\n<|L2|>{line 2}\\n…<|after|>{lines after}<|task|>{instruction}<|patch|>
```

Behind a word of the instruction that stands in the region, or by which people call a line of it ("loop", "heading"), come the marks of its lines,
and behind the first of them `<|to|>` and the mark of the last line of the block that it opens (`inference/marks.py`; the file says `ensemble.marks` 2).
It was taught short, lower-case instructions: a sentence loses its capital and full stop, and "could you please", before it is asked (`inference/wording.py`).
Special tokens are single tokens, and people's text is tokenised with special tokens off. The reply is a list of hunks, then `<|end|>`:
`<|Ls|><|Le|>new lines` replaces lines s to e of the region (nothing after it deletes them); `<|Lk|><|ins|>new lines` inserts after line k,
`<|Lk|><|above|>new lines` before it; `<|Lk|><|sub|>old<|to|>new` replaces what stands in line k once; `<|sub|>old<|to|>new` alone renames a word
wherever it stands in the region. Whole lines end in `\\n`. `<|decline|>` alone is a refusal. Anything else is malformed and changes nothing.
At most 47 lines; an empty region is one empty line. It was trained with up to 8 lines before the region (400 characters) and 4 after it (240), and gets as much."""


@dataclass(frozen=True)
class Made:
    """How the file came to be. ``tokens`` of training, ``hours`` of it."""

    file: str
    megabytes: float
    parameters: int
    shape: str
    tokens: int
    hours: float
    where: str
    certainty: float
    begun: str


def row(label: str, tally: Tally) -> str:
    wrong = tally.edits - tally.right - tally.unchanged - tally.damaging
    shares = [share(part, tally.edits) for part in (tally.right, tally.unchanged, wrong, tally.damaging)]
    worth = share(tally.right, tally.edits - tally.unchanged)
    return f"| {label} | {tally.edits} | {' | '.join(shares)} | {worth} | {share(tally.refused, tally.refusals)} of {tally.refusals} |"


HEAD = (
    "| | edits asked for | right | file left unchanged | wrong, in the right lines | something else damaged | right, of those that changed the file "
    "| refused what it should |\n|---|---|---|---|---|---|---|---|"
)


def by_transform(report: Report) -> str:
    known, held = report.groups.get(KNOWN, {}), report.groups.get(HELD_OUT, {})

    def cell(tally: Tally | None) -> str:
        if tally is None:
            return "–"
        return share(tally.right, tally.edits) if tally.edits else f"{share(tally.refused, tally.refusals)} refused"

    ordered = sorted(known, key=lambda name: (-known[name].right / max(1, known[name].edits), name))
    lines = [f"| {name.replace('_', ' ')} | {cell(known[name])} | {cell(held.get(name))} |" for name in ordered]
    return "\n".join(["| kind of edit | known wordings | held-out wordings |", "|---|---|---|", *lines])


def limits(report: Report) -> str:
    """What it cannot do, in plain words, from the figures."""
    hand = report.total(BY_HAND)
    held = report.groups.get(HELD_OUT, {})
    weak = sorted((t.right / t.edits, name) for name, t in held.items() if t.edits and t.right / t.edits < 0.4)
    words = [
        "It understands nothing: it fixes no bug, explains nothing, and writes no logic of more than a few lines. It speaks English only.",
        f"Of plain requests written by hand, {share(hand.right, hand.edits)} come out right; {share(hand.damaging, hand.edits)} change a line that "
        "nobody asked it to change. Undo is one click away.",
    ]
    if weak:
        words.append("In words unlike its training's, it fails more often than not at: " + ", ".join(n.replace("_", " ") for _, n in weak[:20]) + ".")
    return "\n".join(words)


def sure(made: Made) -> str:
    if not made.certainty:
        return ""
    return (
        f"It would rather do nothing than harm: where one of the first tokens of its answer is less likely than {made.certainty:.0%}, it leaves the file\n"
        "unchanged and says so. What it would try then can be looked at as variants.\n\n"
    )


def card(made: Made, report: Report, others: Sequence[Report], sources: Sequence[Source]) -> str:
    compared = [f"\n{other.model}:\n\n{HEAD}\n" + "\n".join(row(group, other.total(group)) for group in other.groups) for other in others]
    used, written = packages(list(sources)), everyday.scenes()
    wordings = sum(len(asks) for scene in written for asks, _ in scene.asked)
    by_licence: dict[str, list[str]] = {}
    for name, (licence, held_out) in used.items():
        if not name.startswith("python/"):
            by_licence.setdefault(licence, []).append(f"{name} (held out)" if held_out else name)
    stdlib = sorted(name.removeprefix("python/") for name, (_, held_out) in used.items() if name.startswith("python/") and held_out)
    licences = "\n".join(f"- {licence}: {', '.join(sorted(names))}" for licence, names in sorted(by_licence.items()))
    return f"""# The embedded model: {made.file}

A model small enough to live in the repository: {made.parameters / 1e6:.1f}M parameters, Llama architecture ({made.shape}), Q8_0, {made.megabytes:.0f} MB.
Trained on {made.tokens / 1e6:.0f}M tokens of edits ({made.hours:.1f} hours, {made.where}; {made.begun}), by `inference/training/`.
This card is written by the same recipe (`python -m inference.training card`).

## What it can do

Code, names and wordings below were not seen in training, except that "known wordings" are drawn from the training's grammar.

{HEAD}
{chr(10).join(row(group, report.total(group)) for group in report.groups)}

{sure(made)}An answer takes {report.tokens / max(1, report.answers):.0f} tokens and {1000 * report.seconds / max(1, report.answers):.0f} ms with its prompt, on one thread of the machine that measured.

{by_transform(report)}

## What it cannot do

{limits(report)}

## Compared
{chr(10).join(compared)}

## Prompt and reply

{FORM}

## Made of

{len(written)} everyday files with requests about them, written for this model by coding assistants ({wordings} wordings; none was
written in sight of the requests that it is judged by), and edits generated from made-up files and from files that were installed on the training machine under permissive licences: the Python standard
library (PSF; held out: {", ".join(stdlib) or "nothing"}) and:

{licences}
"""
