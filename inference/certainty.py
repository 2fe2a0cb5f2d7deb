"""How sure a model is of what it writes, and how sure it has to be. Pure.

A small model is often wrong, and mostly knows it: of what it writes, right or wrong, the least likely token tells. One whose file
says so (``CERTAINTY``, set by the evaluation of ``inference.training``) writes nothing at all rather than what it is not sure of.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

# Key in a GGUF: the least probability that each token must have, 0 to 1.
CERTAINTY = "ensemble.least_certainty"
# What is looked at before the first of it is written: nearly all of a small edit, and so little that nobody waits for it.
HELD_TOKENS = 16
UNSURE = "The model was not sure enough of what is meant, so it changed nothing."


def probability(logits: npt.NDArray[np.floating[Any]], token: int) -> float:
    """Of one token, among all of the vocabulary."""
    return float(1.0 / np.exp(logits - logits[token]).sum())
