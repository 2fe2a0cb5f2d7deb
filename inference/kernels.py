"""Our own attention and products on the CPU: ``cpu/*.cpp``, compiled by the set-up and taken into llama.cpp where this processor has a way for them.

Does not load llama.cpp itself: the server may ask whether there are any.
"""

from __future__ import annotations

import ctypes
import hashlib
import sys
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

SOURCES = sorted(path for path in Path(__file__).with_name("cpu").iterdir() if path.suffix in {".cpp", ".h"} and path.name[0] != ".")
NAME = "libensemble-kernels.dylib" if sys.platform == "darwin" else "libensemble-kernels.so"


@dataclass(frozen=True)
class Own:
    """Which of llama.cpp's computations are ours, in this process: flash attention, and products of models that are loaded from now on."""

    attention: bool
    products: bool


def place() -> Path:
    """Beside llama.cpp's libraries. The set-up leaves it there only where it has been tried."""
    found = find_spec("llama_cpp")
    return Path(found.origin if found and found.origin else SOURCES[0]).parent / "lib" / NAME


def identity() -> str:
    """Changes with whatever changes their speed."""
    return hashlib.sha256(b"".join(source.read_bytes() for source in SOURCES)).hexdigest()[:12] if place().is_file() else "none"


def use(on: bool = True) -> Own:
    """Not beside a computation. llama.cpp looks but once, as the first model is loaded, where weights may be kept: this comes before that, on or off."""
    try:
        own = ctypes.CDLL(str(place()))
    except OSError:
        return Own(False, False)
    own.ensemble_products.restype = ctypes.c_void_p
    return Own(bool(own.ensemble_attention(int(on))) and on, bool(own.ensemble_products(int(on))) and on)
