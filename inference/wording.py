"""A request as the embedded model knows requests: short and lower-case, as people type them. Pure.

Phones begin with a capital, and in a meeting people write whole sentences. Asked so, the model is right a tenth less often; what is
meant is the same, so it is asked in the way that it was taught.
"""

from __future__ import annotations

import re

from inference.marks import TEXT

ASKED = re.compile(r"(?:can|could|would|will) (?:you|we) (?:please )?(?P<what>.+?)(?:,? please)?\??", re.IGNORECASE | re.DOTALL)
CAPITAL = re.compile(r"[A-Z][a-z]*(?=\s)")


def plain(instruction: str, region: str) -> str:
    """Without "could you please", the capital of a sentence and its full stop. Names of the region, and texts to be written, stay as they are."""
    instruction = instruction.strip()
    if asked := ASKED.fullmatch(instruction):
        # A question mark may belong to a text.
        return instruction[asked.start("what") :] if TEXT.search(asked["what"]) else asked["what"]
    first = CAPITAL.match(instruction)
    if not first or first[0] == "I" or re.search(rf"\b{first[0]}\b", region):
        return instruction
    sentence = instruction.endswith(".") and not TEXT.search(instruction)
    return instruction[0].lower() + (instruction[1:-1] if sentence else instruction[1:])
