"""How a local model is run, and where a remote one is. A leaf: whoever only passes it on need not load llama.cpp or an HTTP client."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit


@dataclass(frozen=True)
class Options:
    """``context``: most tokens that a prompt and its reply may take together; ``cells``: KV cells that all sequences share, 0: as
    ``inference.memory.cells`` says; ``idle_cells``: how many of them sequences may hold that nobody is using; ``parked_bytes``: what is kept
    of such sequences outside of the context. ``kv``: type of the cache's numbers. ``flash`` attention or plain; None: where it is our own.
    ``own_kernels``: our attention and products, where the set-up made them.

    ``threads`` decode, ``batch_threads`` evaluate prompts (0: as many), at the beginning; then as many of ``thread_counts`` as are fastest,
    empty: always those. ``costs``: ms of a step by the tokens it decodes, as pairs; empty: replies are not guessed at, and threads stay as they are.
    ``longest_guess`` in tokens. ``gpu_layers``: how many layers a library built for a GPU
    keeps there. ``other_tokens``: most that other files may take of a prompt. ``spin``: whether waiting threads keep their core, None as OpenMP likes.
    """

    path: Path
    name: str
    context: int = 8192
    cells: int = 0
    idle_cells: int = 4096
    parked_bytes: int = 512 * 2**20
    kv: Literal["f16", "q8_0"] = "f16"
    flash: bool | None = None
    own_kernels: bool = True
    threads: int = 2
    batch_threads: int = 0
    thread_counts: tuple[int, ...] = ()
    spin: bool | None = None
    costs: tuple[tuple[int, float], ...] = ()
    longest_guess: int = 32
    extra_buffers: bool = True
    gpu_layers: int = 0
    max_tokens: int = 2048
    other_tokens: int = 1500


def waiting(spin: bool | None) -> dict[str, str]:
    """What OpenMP must find in the environment when it is loaded: how its threads wait for each other. None leaves it as it is."""
    if spin is None:
        return {}
    # Long enough to bridge what lies between two steps. "active" is for ever: an idle server would keep its cores busy.
    return (
        {"GOMP_SPINCOUNT": "1000000", "KMP_BLOCKTIME": "20"} if spin else {"OMP_WAIT_POLICY": "passive", "GOMP_SPINCOUNT": "0", "KMP_BLOCKTIME": "0"}
    )


@dataclass(frozen=True)
class Endpoint:
    """``url`` ends where ``/chat/completions`` would begin. ``model``: its name there; empty where the endpoint has only one.

    ``setting``: the beginning of its settings' names, for messages. ``context``: most tokens of prompt and reply together.
    Seconds: to ``connect``; until the ``first`` token; of ``silence`` between two.
    """

    url: str
    model: str = ""
    key: str = field(default="", repr=False)
    setting: str = "ENSEMBLE_DEEP"
    context: int = 16384
    max_tokens: int = 2048
    connect: float = 10
    first: float = 120
    silence: float = 30

    @property
    def host(self) -> str:
        """For people: nothing that could be secret."""
        parts = urlsplit(self.url)
        return f"{parts.hostname}:{parts.port}" if parts.port else str(parts.hostname)
