"""A request as the embedded model knows requests: short and lower-case, as people type them. Pure.

Phones begin with a capital, and in a meeting people write whole sentences. Asked so, the model is right a tenth less often; what is
meant is the same, so it is asked in the way that it was taught.
"""

from __future__ import annotations

import re

from inference.marks import TEXT

ASKED = re.compile(r"(?:can|could|would|will) (?:you|we) (?:please )?", re.IGNORECASE)
PLEASE = re.compile(r",? please(?=\??$)", re.IGNORECASE)
CAPITAL = re.compile(r"[A-Z][a-z]*(?=\s)")
# What ends a sentence, and is no path, operator or ellipsis.
STOP = re.compile(r"(?<=[\w)\]\"'`])[.?]$")
# Longer ones are no plain requests, and looking through them takes time.
MOST = 500


def plain(instruction: str, region: str) -> str:
    """Without "could you please", the capital of a sentence and what ends it. Names of the region, and texts to be written, stay as they are."""
    instruction = instruction.strip()
    if len(instruction) > MOST:
        return instruction
    said = ASKED.sub("", instruction, count=1) if ASKED.match(instruction) else instruction
    asked = said != instruction
    text = TEXT.search(said)
    if asked and not text:
        said = PLEASE.sub("", said)
    first = CAPITAL.match(said)
    sentence = first is not None and first[0] != "I" and not re.search(rf"\b{first[0]}\b", region)
    if sentence:
        said = said[0].lower() + said[1:]
    return STOP.sub("", said) if (sentence or asked) and not text else said
