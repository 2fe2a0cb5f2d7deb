"""What a GGUF file says of itself: its shape, chat template and licence, read without loading it.

Format: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md (versions 2 and 3, little-endian).
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from inference.memory import Shape

# Type number -> struct format; 8 is a string, 9 an array.
SCALARS = {0: "<B", 1: "<b", 2: "<H", 3: "<h", 4: "<I", 5: "<i", 6: "<f", 7: "<?", 10: "<Q", 11: "<q", 12: "<d"}
STRING, ARRAY = 8, 9
# No honest file has more; a damaged one must not make us allocate what it likes.
MOST_KEYS, LONGEST_STRING, LONGEST_ARRAY = 10_000, 16 * 2**20, 16 * 2**20


class NotGguf(Exception):
    """The file is no GGUF model, or damaged; the text says so for people."""


@dataclass(frozen=True)
class Header:
    """``shape`` is None where the file does not tell it. ``pure``: attention only, over the whole context."""

    architecture: str
    name: str
    licence: str
    template: str
    shape: Shape | None
    pure: bool
    tensors: int


def read(path: Path) -> Header:
    """Raises NotGguf."""
    try:
        with path.open("rb") as file:
            values, tensors = _values(file)
        if not values.get("general.architecture"):
            raise ValueError
    except OSError as fault:
        raise NotGguf(f"{path} cannot be read: {fault.strerror}.") from None
    except (struct.error, ValueError, UnicodeDecodeError):
        raise NotGguf(f"{path} is not a GGUF model file, or it is damaged.") from None
    kind = str(values["general.architecture"])
    recurrent = any(".ssm." in key or ".wkv." in key or "recurrent" in key for key in values)
    window = values.get(f"{kind}.attention.sliding_window", 0)
    return Header(
        architecture=kind,
        name=str(values.get("general.name", "")),
        licence=str(values.get("general.license", "")),
        template=str(values.get("tokenizer.chat_template", "")),
        shape=_shape(kind, values),
        pure=not recurrent and not window,
        tensors=tensors,
    )


def _shape(kind: str, values: dict[str, Any]) -> Shape | None:
    def number(key: str, default: int = 0) -> int:
        # Some models have another number of heads in each layer: the most counts.
        value = values.get(f"{kind}.{key}", default)
        return int(max(value) if isinstance(value, list) and value else value)

    try:
        heads, width = number("attention.head_count"), number("embedding_length")
        return Shape(
            layers=number("block_count"),
            heads=heads,
            kv_heads=number("attention.head_count_kv", heads),
            head_size=number("attention.key_length", width // heads),
            width=width,
            vocabulary=int(values["tokenizer.ggml.tokens"]),
            context=number("context_length"),
        )
    except (KeyError, TypeError, ValueError, ArithmeticError):
        return None


def _values(file: BinaryIO) -> tuple[dict[str, Any], int]:
    """Every key's value, and how many tensors follow. Of an array of strings only the length is kept."""
    if file.read(4) != b"GGUF" or _scalar(file, 4) not in (2, 3):
        raise ValueError
    tensors, keys = _scalar(file, 10), _scalar(file, 10)
    if keys > MOST_KEYS:
        raise ValueError
    values = {}
    for _ in range(keys):
        key = _string(file)
        values[key] = _value(file, _scalar(file, 4))
    return values, tensors


def _value(file: BinaryIO, kind: int) -> Any:
    if kind == STRING:
        return _string(file)
    if kind != ARRAY:
        return _scalar(file, kind)
    element, length = _scalar(file, 4), _scalar(file, 10)
    if length > LONGEST_ARRAY:
        raise ValueError
    if element == STRING:
        for _ in range(length):
            file.read(_length(file))  # not seek: it would empty the buffer each time
        return length
    if element not in SCALARS:
        raise ValueError
    size = struct.calcsize(SCALARS[element])
    data = file.read(size * length)
    return list(struct.unpack(f"<{length}{SCALARS[element][1]}", data))


def _scalar(file: BinaryIO, kind: int) -> Any:
    if kind not in SCALARS:
        raise ValueError
    form = SCALARS[kind]
    return struct.unpack(form, file.read(struct.calcsize(form)))[0]


def _length(file: BinaryIO) -> int:
    length = int(_scalar(file, 10))
    if length > LONGEST_STRING:
        raise ValueError
    return length


def _string(file: BinaryIO) -> str:
    length = _length(file)
    data = file.read(length)
    if len(data) != length:
        raise ValueError
    return data.decode(errors="replace")
