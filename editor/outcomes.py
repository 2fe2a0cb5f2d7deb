"""How a run has ended, in words for people, from how its parts have."""

from __future__ import annotations

from editor.part import Part
from editor.run import Run

LARGER_MODEL = "The built-in model does small, plain edits. For more, whoever runs this server installs a larger one: `./manage.py model list`."
DEEPER = "The built-in model does small, plain edits. “Deeper” asks the larger one."
# What people are told of a run whose tries they are shown, and of one whose tries they may ask for.
TRIES = "What it would have tried was offered to {}."
ASK_FOR_TRIES = "Three variants (Ctrl+Enter) show what it would try."
# Failed places that are named one by one.
NAMED = 3


def outcome_of(run: Run, deeper: bool, offered: bool) -> tuple[str, str]:
    """The outcome as it is announced, and its reason. ``deeper``: there is a second model. ``offered``: of what it was not sure of,
    people are shown tries. All parts have finished.

    Of several, those that fail or decline take nothing from the others: what was done stands, and the reason says the rest.
    """
    ended = [(part, *_part(part)) for part in run.parts]
    done = [part for part, outcome, _ in ended if outcome == "done"]
    failed = [(part, reason) for part, outcome, reason in ended if outcome != "done" and outcome != "declined"]
    outcome, reason = ended[0][1:]
    if len(ended) > 1:
        outcome = "done" if done else failed[0][0].finished.outcome if failed and failed[0][0].finished else "declined"
        reason = f"{len(done)} of {len(ended)} places changed."
        unsure = sum(part.finished.unsure for part in run.parts if part.finished)
        if left := len(ended) - len(done) - len(failed) - unsure:
            reason += f" In {left} the model found nothing to change." if left < len(ended) else " The model found nothing to change in any."
        if unsure:
            reason += f" In {unsure} the model was not sure enough of what is meant."
        reason += "".join(f" Line {part.first}: {why}" for part, why in failed[:NAMED])
        if len(failed) > NAMED:
            reason += f" And {len(failed) - NAMED} more failed."
    if run.unsure:
        reason = f"{reason} {TRIES.format(run.request.by.name) if offered else ASK_FOR_TRIES}"
    if outcome == "declined" and run.engine.info.format == "patch":
        reason = f"{reason} {DEEPER if deeper else LARGER_MODEL}"
    return outcome, reason


def _part(part: Part) -> tuple[str, str]:
    assert part.finished
    if part.finished.outcome == "done" and not part.diff.changed:
        return "declined", "The model found nothing to change."
    return part.finished.outcome, part.finished.reason
