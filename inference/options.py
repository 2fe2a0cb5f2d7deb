"""How a local model is run. A leaf: whoever only passes it on need not load llama.cpp."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Options:
    """``context``: most tokens a prompt and its reply may take; ``cells``: KV cells shared by all sequences."""

    path: Path
    name: str
    context: int = 8192
    threads: int = 2
    extra_buffers: bool = True
    max_tokens: int = 2048
    idle_cells: int = 4096
