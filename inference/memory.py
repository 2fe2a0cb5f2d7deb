"""How much memory a model takes, computed from its shape. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

# Tokens of one llama_decode; the context is made for as many.
BATCH = 512
MIB = 2**20
# What Python, Django and the rooms take beside the model.
SERVER_BYTES = 300 * MIB

# Cells beside one full context, for what others ask at the same time.
CELLS_BESIDE = 8192
LONG_CELLS = 40_960
# Bytes a number of the cache; q8_0 has a scale for each 32 of them.
NUMBER_BYTES = {"f16": 2.0, "q8_0": 34 / 32}

Fit = Literal["fits", "tight", "too large"]


@dataclass(frozen=True)
class Shape:
    """A pure-attention model's figures, named as GGUF names them. ``context``: tokens it was trained for."""

    layers: int
    heads: int
    kv_heads: int
    head_size: int
    width: int
    vocabulary: int
    context: int

    def cache_bytes(self, tokens: int, kv: str = "f16") -> int:
        """Keys and values of ``tokens`` cells."""
        return int(NUMBER_BYTES[kv] * 2 * self.layers * self.kv_heads * self.head_size * tokens)

    def work_bytes(self, tokens: int) -> int:
        """Buffers of one batch: its logits, or without flash attention its scores and mask, whichever is larger.

        As llama.cpp allocates them; a test compares this with what it reports.
        """
        batch = micro_batch(tokens)
        logits = batch * self.vocabulary * 4
        scores = (self.heads + 1) * batch * tokens * 4
        return max(logits, scores) + 5 * batch * self.width * 4

    def needed(self, file_bytes: int, tokens: int, held: int = 0, kv: str = "f16") -> int | None:
        """Bytes for the weights, a context of ``tokens`` and ``held`` cells (0: as many as ``cells`` says); None beyond what the model was trained for."""
        if tokens > self.context:
            return None
        held = max(held, tokens) if held else cells(tokens)
        return file_bytes + self.cache_bytes(held, kv) + self.work_bytes(held)


def micro_batch(held: int) -> int:
    """Tokens that the graph is made for: in a long context fewer, or the scores of one batch would take gigabytes."""
    return BATCH if held <= LONG_CELLS else BATCH // 4


def cells(context: int) -> int:
    """How many tokens all sequences together may hold, where nobody has said it."""
    return context + min(context, CELLS_BESIDE)


def fit(needed: int, total: int, free: int) -> Fit:
    """``tight``: the machine has the memory, but other programs hold some of it just now, or little would be left."""
    needed += SERVER_BYTES
    if needed > total:
        return "too large"
    return "fits" if needed <= min(free, total * 0.9) else "tight"


def human(size: int) -> str:
    """``4.7 GB``: decimal, as files and disks are counted."""
    if size >= 10**9:
        return f"{size / 10**9:.1f} GB"
    return f"{size / 10**6:.0f} MB" if size >= 10**6 else f"{size / 1000:.0f} kB"
