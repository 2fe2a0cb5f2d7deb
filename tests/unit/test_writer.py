"""The thread that writes: one at a time, and nothing that was given to it is left."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

import pytest
from django.db import DataError

from editor import history, storage
from editor.document import EMPTY_UPDATE
from editor.storage import Writer


@pytest.fixture
def writer(monkeypatch: pytest.MonkeyPatch) -> Writer:
    def run(function: Callable[[], Any]) -> Any:
        return function()

    monkeypatch.setattr(storage, "_in_transaction", run)
    return Writer()


def test_what_comes_while_it_closes_is_written_by_one_thread(writer: Writer) -> None:
    """As the cards of runs that a server's end has stopped."""
    at_work: list[int] = []
    most: list[int] = []

    def work() -> int:
        at_work.append(1)
        most.append(len(at_work))
        time.sleep(0.002)
        at_work.pop()
        return 1

    for _ in range(20):
        calls = [writer.call(work)]
        closing = threading.Thread(target=writer.close, daemon=True)
        closing.start()
        calls += [writer.call(work, kept=True) for _ in range(5)]
        closing.join(10)
        assert not closing.is_alive()
        writer.close()
        assert [call.result(10) for call in calls] == [1] * 6
    assert max(most) == 1


def test_who_asks_and_goes_holds_nobody_up(writer: Writer) -> None:
    """A request is cancelled when its browser leaves."""
    begun, go = threading.Event(), threading.Event()
    done: list[str] = []

    def first() -> None:
        begun.set()
        assert go.wait(10)
        done.append("first")

    running = writer.call(first)
    assert begun.wait(10)
    assert not running.cancel()
    gone = writer.call(lambda: done.append("gone"))
    assert gone.cancel()
    go.set()
    after = writer.call(lambda: done.append("after"))
    assert (running.result(10), after.result(10)) == (None, None)
    writer.close()
    assert done == ["first", "after"]


def test_text_waits_whatever_the_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    faults = [MemoryError(), RuntimeError("what nobody foresaw"), DataError("nor this")]
    failing: list[bool] = []
    told: list[BaseException | None] = []
    written = threading.Event()

    def run(function: Callable[[], Any]) -> None:
        if faults:
            raise faults.pop(0)

    monkeypatch.setattr(storage, "_in_transaction", run)
    monkeypatch.setattr(storage, "RETRY_S", (0.01,))
    writer = Writer()
    writer.on_failing = lambda now, message: failing.append(now)

    def done(fault: BaseException | None) -> None:
        told.append(fault)
        written.set()

    writer.append("session", b"text", done)
    assert written.wait(10)
    writer.close()
    assert (told, failing, faults) == ([None], [True, False], [])


def test_a_compaction_between_two_reads_leaves_no_hole(monkeypatch: pytest.MonkeyPatch) -> None:
    """A base is never newer than the log behind it, nor older than where that begins."""
    log = [(5, 0, b"five"), (6, 0, b"six")]
    snapshots: list[Any] = [None]

    class Snapshot:
        last, data = 6, b"five and six"

    class Objects:
        def filter(self, session: str) -> Objects:
            return self

        def first(self) -> Any:
            if log:
                log.clear()  # just now
                snapshots[0] = Snapshot
            return snapshots[0]

    class Rows:
        objects = Objects()

    monkeypatch.setattr(history, "DocumentSnapshot", Rows)
    monkeypatch.setattr(history, "log", lambda session: list(log))
    assert history._segment("s", history.LIVE) == (b"five and six", [])
    assert EMPTY_UPDATE not in history._segment("s", history.LIVE)
