"""Who reads slowly is waited for; who reads nothing is not."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace

import pytest

from project import server
from project.server import Socket


class Slow(Socket):
    """With as many bytes before it as the test says."""

    _unsent = 9  # type: ignore[assignment]

    def __init__(self) -> None:
        self.aborted = asyncio.Event()
        self.transport = SimpleNamespace(abortConnection=self.aborted.set)


async def test_who_reads_nothing_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "STALLED_S", 0.01)
    reader = Slow()
    reader.pauseProducing()
    await asyncio.wait_for(reader.aborted.wait(), 10)


async def test_who_reads_a_little_is_waited_for() -> None:
    reader = Slow()
    reader.pauseProducing()
    for left in range(8, 3, -1):
        watched = reader._stalled
        reader.pauseProducing()  # the transport says so again at the next write
        assert reader._stalled is watched is not None
        watched.cancel()
        reader._unsent = left  # type: ignore[misc]
        reader._look_again(left + 1)
        assert reader._stalled is not watched
    assert not reader.aborted.is_set()
    reader.resumeProducing()
    assert reader._stalled is None
