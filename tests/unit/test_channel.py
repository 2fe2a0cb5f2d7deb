"""What the server reads of the model's process, however it is cut, and what it refuses."""

from __future__ import annotations

import os
import pickle
import struct
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inference.api import Figures, Finished, Hunk, ModelInfo, Progress, Seen, Started, Task, Text
from inference.channel import MAX_MESSAGE_BYTES, Garbled, Incoming, pack, read_told

MESSAGES = [
    (1.5, [("run", [Started(100, 90, "", (Seen("a.py", 5, 5, "open"),)), Hunk(1, 2), Text("é🙂\n"), Progress(1, 2.0, None)])]),
    (2.5, [("run", [Finished("done", 5, 1.0, None)]), (None, [ModelInfo("m", facts={"load_s": "1"}), Figures(steps=3)])]),
    (3.5, [("run", [Text("x" * 100_000)])]),
]
STREAM = b"".join(pack(message) for message in MESSAGES)


@given(st.lists(st.integers(0, len(STREAM)), max_size=12))
def test_messages_are_whole_however_the_stream_is_cut(cuts: list[int]) -> None:
    incoming = Incoming(read_told)
    edges = [0, *sorted(cuts), len(STREAM)]
    read = [message for start, end in pairwise(edges) for message in incoming.feed(STREAM[start:end])]
    assert read == MESSAGES


class Evil:
    def __reduce__(self) -> object:
        return (os.system, ("false",))


@pytest.mark.parametrize(
    "message", [Evil(), Task("room", "ada", "a.py", "", "", "", ""), os.getcwd, pickle.loads], ids=["call", "task", "function", "pickle"]
)
def test_nothing_but_what_an_engine_tells_is_read(message: object) -> None:
    with pytest.raises(Garbled):
        list(Incoming(read_told).feed(pack(message)))


def test_what_is_no_message_is_refused() -> None:
    for data in (b"", b"\x80\x05", b"nonsense", b"\x80\x05\x95\xff\xff\xff\xff\xff\xff\xff\x7f."):
        with pytest.raises(Garbled):
            read_told(data)
    with pytest.raises(Garbled, match="bytes"):
        Incoming(read_told).feed(struct.pack("<I", MAX_MESSAGE_BYTES + 1))
