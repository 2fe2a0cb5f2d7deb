"""Our own flash attention on the CPU: ``kernels/attention.cpp``, compiled by the set-up, taken into llama.cpp where this processor has a way for it.

Does not load llama.cpp itself: the server may ask whether there is one.
"""

from __future__ import annotations

import ctypes
import hashlib
import sys
from functools import cache
from importlib.util import find_spec
from pathlib import Path

SOURCE = Path(__file__).with_name("kernels") / "attention.cpp"
NAME = "libensemble-attention.dylib" if sys.platform == "darwin" else "libensemble-attention.so"


def library() -> Path:
    """Beside llama.cpp's libraries. The set-up leaves it there only where it has been tried."""
    found = find_spec("llama_cpp")
    return Path(found.origin if found and found.origin else SOURCE).parent / "lib" / NAME


def identity() -> str:
    """Changes with whatever changes its speed."""
    return hashlib.sha256(SOURCE.read_bytes()).hexdigest()[:12] if library().is_file() else "none"


@cache
def use() -> bool:
    """Whether llama.cpp's flash attention is ours from now on, in this process."""
    try:
        own = ctypes.CDLL(str(library()))
    except OSError:
        return False
    return bool(own.ensemble_attention(1))
