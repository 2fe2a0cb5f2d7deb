"""What the server and the model's process say to each other: pickles with their length before them, over a pair of sockets.

A leaf. The server may say anything. What comes back is read by a list of what it can be made of: the model's process parses
files from elsewhere in native code, and a crafted one must not gain the server as well.
"""

from __future__ import annotations

import io
import pickle
import struct
from collections.abc import Callable, Iterator
from typing import Any

from inference import api

LOG_FORMAT = "%(asctime)s %(levelname)s %(name)s: %(message)s"
# Of one read; a message may be longer.
READ_BYTES = 256 * 1024
MAX_MESSAGE_BYTES = 256 * 2**20

_LENGTH = struct.Struct("<I")
_TOLD = {
    kind.__name__: kind for kind in (api.Started, api.Seen, api.Hunk, api.Text, api.Note, api.Progress, api.Finished, api.ModelInfo, api.Figures)
}


class Garbled(Exception):
    """What came cannot have been sent by our own code."""


def pack(message: object) -> bytes:
    data = pickle.dumps(message, protocol=5)
    return _LENGTH.pack(len(data)) + data


class Incoming:
    """Cuts what was read into messages. ``read``: ``pickle.loads``, or ``read_told`` on the server's side."""

    def __init__(self, read: Callable[[bytes], Any]) -> None:
        self._read = read
        self._buffer = bytearray()

    def feed(self, data: bytes) -> Iterator[Any]:
        """Raises Garbled."""
        buffer = self._buffer
        buffer += data
        position, messages = 0, []
        while len(buffer) - position >= _LENGTH.size:
            (length,) = _LENGTH.unpack_from(buffer, position)
            if length > MAX_MESSAGE_BYTES:
                raise Garbled(f"a message of {length} bytes")
            start = position + _LENGTH.size
            if len(buffer) < start + length:
                break
            messages.append(bytes(buffer[start : start + length]))
            position = start + length
        del buffer[:position]
        return map(self._read, messages)


class _Told(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        if module != api.__name__ or name not in _TOLD:
            raise Garbled(f"{module}.{name}")
        return _TOLD[name]


def read_told(data: bytes) -> Any:
    """Events, ModelInfo and Figures, in tuples and lists. Raises Garbled."""
    try:
        return _Told(io.BytesIO(data)).load()
    except Garbled:
        raise
    except Exception as fault:
        raise Garbled(str(fault)) from None
