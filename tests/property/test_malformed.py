"""Whatever is sent: an answer or a documented close, no long hold of the event loop, and a document that is as it was."""

from __future__ import annotations

import asyncio
import json
import os
import random
import subprocess
import time
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from pycrdt import Doc, Map, Text

from editor import messages, protocol, rooms, storage, updates, wire
from editor.consumers import Connection
from editor.document import Document, new_document
from editor.engines import Engines
from editor.index import Index
from editor.members import Person
from editor.models import Session
from editor.pace import Pace
from editor.queue import Queue
from editor.room import Room
from editor.rooms import LiveRoom, Rooms
from editor.runs import Runs
from editor.warming import Warming
from inference.api import ModelInfo
from project.wiring import limits
from tests.conftest import ROOT

# In all, over the three tests. More: ENSEMBLE_MUTATIONS=1000000 make test ARGS=tests/property/test_malformed.py
MUTATIONS = int(os.environ.get("ENSEMBLE_MUTATIONS", "100000"))
LOOP_S = 0.05
NUMBERS = (0, 1, 127, 128, 2**14, 2**31 - 1, 2**31, 2**32 - 1, 2**32, 2**53 - 1, 2**53, 2**63, 2**64)


class Nowhere:
    """Instead of the database: all is durable at once."""

    def append(self, session: str, data: bytes, done: Callable[[BaseException | None], None]) -> None:
        asyncio.get_running_loop().call_soon(done, None)

    def call(self, function: Callable[[], Any], *, kept: bool = False) -> Any:
        class Never:
            def add_done_callback(self, callback: Callable[[Any], None]) -> None: ...

        return Never()


class Silent:
    """An engine that takes everything and answers nothing."""

    info = ModelInfo("silent", "ready", region_lines=40)

    def __getattr__(self, name: str) -> Callable[..., None]:
        return lambda *arguments: None


class Wire:
    """A transport that keeps what the server says of faults, and whether it closed."""

    def __init__(self) -> None:
        self.errors: list[str] = []
        self.code: int | None = None

    def attach(self, receiver: object) -> None: ...

    def pause_reading(self) -> None: ...

    def resume_reading(self) -> None: ...

    def send(self, frame: bytes | str) -> None:
        if isinstance(frame, str):
            message = json.loads(frame)
            if message["type"] == "error":
                self.errors.append(message["code"])

    def close(self, code: int, reason: str) -> None:
        self.code = code


class Bench:
    """A room, and a connection in it that is opened anew whenever the server closes it."""

    def __init__(self, role: str) -> None:
        row = Session(id="fuzz", title="", lineage="1", expires_at=datetime.now(UTC))
        text = "".join(f"line {number} é😀\n" for number in range(40))
        document = new_document((("a.py", text), ("b.md", "# B\n")))
        self.room = Room(row, document, Index(updates.structs(document)), {}, limits())
        engines = Engines(Silent())  # type: ignore[arg-type]
        self.live = LiveRoom(self.room, Runs(self.room, engines, [], Pace(300), Queue(4)), Warming(self.room, engines.fast))
        self.room.on_broken = lambda: self.codes.update(("broken",))
        for file in self.room.document.files():
            self.room.document.watch(file, lambda changes, origin: None)  # as runs do
        self.person = Person("p", "Ada", "#123456", role, "edit")
        self.codes: Counter[str] = Counter()
        self.slowest = 0.0
        self.culprit: bytes | str = b""
        self._open()

    def _open(self) -> None:
        self.wire = Wire()
        self.connection = Connection(self.live, self.person, self.wire)  # type: ignore[arg-type]
        self.connection.open()
        self.connection.received('{"type":"hello","version":1}')

    def send(self, frame: bytes | str) -> bool:
        """Whether it was taken without a word."""
        self.connection._credit = 1e9  # the rate has a test of its own
        before = len(self.wire.errors)
        spent = self._receive(frame)
        if spent > LOOP_S:
            # The machine's hiccup, or the frame's doing: that would show again.
            spent = min(spent, self._receive(frame))
        if spent > self.slowest:
            self.slowest, self.culprit = spent, frame
        new = self.wire.errors[before:]
        self.codes.update(new)
        if self.wire.code is not None:
            assert self.wire.code in {close.code for close in protocol.CLOSES}
            self.connection.lost()
            self._open()
        return not new

    def _receive(self, frame: bytes | str) -> float:
        """CPU seconds that it took."""
        begun = time.thread_time()
        self.connection.received(frame)
        return time.thread_time() - begun

    def check(self) -> None:
        """Nothing failed that should have been refused; what others would load is whole."""
        assert not {"internal", "broken"} & set(self.codes)
        assert self.slowest < LOOP_S, (len(self.culprit), self.culprit[:200])
        copy = Document((self.room.document.diff(),), lambda update, origin: None)
        assert _characters(copy) == _characters(self.room.document)


def _characters(document: Document) -> dict[str, str]:
    """Of each file, sorted: where text stands that was put between two places the wrong way round is nobody's loss but its author's."""
    return {path: "".join(sorted(text)) for path, text in document.contents()}


@pytest.fixture
def nowhere(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(storage, "writer", Nowhere())
    registry = Rooms(limits(), lambda loop: Silent(), 30)  # type: ignore[arg-type, return-value]
    registry._engines = Engines(Silent())  # type: ignore[arg-type]
    monkeypatch.setattr(rooms, "_current", [registry])


def frames(bench: Bench) -> list[bytes]:
    """What a well-behaved client would send."""
    doc: Doc = Doc()
    files = doc.get("files", type=Map)
    doc.apply_update(bench.room.document.diff())
    made: list[bytes] = []
    subscription = doc.observe(lambda event: made.append(bytes(event.update)))
    text = next(entry["text"] for entry in files.values() if entry["path"] == "a.py")
    text.insert(3, "hello 😀")
    del text[0 : len(str(text)[:20].encode())]
    text.insert(0, "x" * 3000)
    text.format(0, 4, {"bold": True})
    files["new"] = Map({"path": "new.txt", "text": Text("new")})
    del files["new"]
    doc.unobserve(subscription)
    state = json.dumps({"user": {"name": "x"}, "file": "a", "cursor": {"anchor": {"item": {"client": 1, "clock": 2}}, "head": None}})
    return [
        wire.sync_step1(bytes(doc.get_state())),
        wire.sync_step2(bytes(doc.get_update())),
        *(wire.update(update) for update in made),
        wire.awareness([wire.AwarenessEntry(client, 3, state) for client in (doc.client_id, 77)]),
        bytes([wire.QUERY_AWARENESS]),
        bytes([wire.AUTH]) + wire.chunk(b"denied"),
    ]


def overlong(value: int, chance: random.Random) -> bytes:
    """The same number in more bytes than it needs, as lib0 accepts it; or another number altogether."""
    if chance.random() < 0.5:
        return wire.integer(chance.choice(NUMBERS))
    encoded = bytearray(wire.integer(value))
    encoded[-1] |= 0x80
    return bytes(encoded) + b"\x80" * chance.randint(0, 9) + b"\x00"


def mutate(frame: bytes, others: list[bytes], chance: random.Random) -> bytes:
    data = bytearray(frame)
    for _ in range(chance.choice((1, 1, 2, 4))):
        at = chance.randint(0, len(data)) if chance.random() < 0.5 else min(len(data), chance.randint(0, 12))
        kind = chance.randrange(8)
        if kind == 0 and data:
            data[at % len(data)] ^= 1 << chance.randrange(8)
        elif kind == 1:
            del data[at:]
        elif kind == 2:
            data[at:at] = chance.randbytes(chance.randint(1, 20))
        elif kind == 3 and data:
            at %= len(data)
            data[at : at + 1] = overlong(data[at] & 0x7F, chance)
        elif kind == 4:
            other = chance.choice(others)
            data[at:] = other[chance.randint(0, len(other)) :]
        elif kind == 5:
            end = chance.randint(at, len(data))
            data[at:at] = data[at:end] * chance.randint(1, 5)
        elif kind == 6:
            del data[at : at + chance.randint(1, 8)]
        elif data:
            data[at % len(data)] = chance.choice((0, 1, 0x7F, 0x80, 0xFF))
    return bytes(data)


@pytest.mark.timeout(600)
async def test_a_viewers_frames_change_nothing(nowhere: None) -> None:
    chance = random.Random(1)
    bench = Bench("viewer")
    before = bench.room.document.diff()
    good = frames(bench)
    for number in range(MUTATIONS * 4 // 10):
        bench.send(mutate(chance.choice(good), good, chance))
        if number % 1000 == 0:
            await asyncio.sleep(0)
    assert bench.room.document.diff() == before
    assert {"bad_frame", "forbidden"} <= set(bench.codes)
    bench.check()


@pytest.mark.timeout(600)
async def test_a_refused_frame_of_an_editor_leaves_the_document_as_it_was(nowhere: None) -> None:
    chance = random.Random(2)
    bench = Bench("editor")
    good = frames(bench)
    taken = 0
    for number in range(MUTATIONS * 4 // 10):
        if number % 400 == 0:
            # What mutated updates have made of the text by now is theirs to make; begin again before they fill it.
            bench.check()
            slowest, codes = bench.slowest, bench.codes
            bench = Bench("editor")
            bench.slowest, bench.codes = slowest, codes
            good = frames(bench)
            before = bench.room.document.diff()
            await asyncio.sleep(0)
        if bench.send(mutate(chance.choice(good), good, chance)):
            before = bench.room.document.diff()
            taken += 1
        else:
            assert bench.room.document.diff() == before
    assert bench.codes["bad_frame"] > 1000
    assert taken > 1000
    bench.check()


JSON_VALUES: tuple[Any, ...] = (
    None, True, -1, 0.5, 1e308, 2**53, -(2**70), float("nan"), float("inf"), "", "x" * 5000, "\ud800", "\u0000", "😀" * 2000,
    "y" * 70_000, [], {}, [[]], {"anchor": -1}, {"anchor": 0, "head": 2**60}, {"anchor": 5, "head": 0}, "__proto__", "a.py",
)  # fmt: skip


def message(chance: random.Random, file: str) -> str:
    spec = chance.choice(list(messages.TO_SERVER.values()))
    good = {"version": 1, "file": file, "instruction": "rename x to y", "text": "rena", "selection": {"anchor": 0, "head": 4}, "run": "r1"}
    out: dict[str, Any] = {"type": spec.type}
    for field in spec.fields:
        if chance.random() < 0.7:
            out[field.name] = good.get(field.name, "edit") if chance.random() < 0.6 else chance.choice(JSON_VALUES)
    if chance.random() < 0.1:
        out["type"] = chance.choice(JSON_VALUES)
    text = json.dumps(out)
    if chance.random() < 0.4:
        cut = chance.randint(0, len(text))
        text = (
            text[:cut]
            + chance.choice(("", '"', "}", "[" * 5000, '{"type":' * 300, "\\ud800", "1e999999", "9" * 5000, ","))
            + text[cut + chance.randint(0, 3) :]
        )
    return text


@pytest.mark.timeout(600)
async def test_no_message_breaks_anything(nowhere: None) -> None:
    chance = random.Random(3)
    bench = Bench("editor")
    before = bench.room.document.diff()
    file = next(file for file, path in bench.room.document.files().items() if path == "a.py")
    for number in range(MUTATIONS * 2 // 10):
        bench.send(message(chance, file))
        if number % 500 == 0:
            await asyncio.sleep(0)
    assert bench.room.document.diff() == before
    assert {"bad_message", "too_large", "not_found"} <= set(bench.codes)
    bench.check()


# The worst that each kind of frame can ask for within the limits.
LARGEST: dict[str, Callable[[int], bytes | str]] = {
    "awareness states": lambda size: bytes([wire.AWARENESS]) + wire.chunk(wire.integer(size // 4) + bytes((1, 1, 1, 0x7B)) * (size // 4)),
    "a state vector": lambda size: wire.sync_step1(wire.integer(size // 6) + b"".join(wire.integer(10**6 + n) + b"\x01" for n in range(size // 6))),
    "deletions": lambda size: wire.update(
        b"\x00\x01\x4d" + wire.integer(size // 6) + b"".join(wire.integer(2 * n) + b"\x01" for n in range(size // 6))
    ),
    "nested JSON": lambda size: "[" * (size // 2),
    "JSON numbers": lambda size: "[" + "1," * (size // 2 - 2) + "1]",
    "JSON keys": lambda size: "{" + ",".join(f'"{n}":1' for n in range(size // 12)) + "}",
    "one long string": lambda size: '{"type":"' + "\\u0041" * (size // 8) + '"}',
    "a number with many digits": lambda size: '{"type":' + "9" * (size - 20) + "}",
}


@pytest.mark.parametrize("kind", LARGEST)
async def test_the_largest_frame_of_a_kind_holds_nobody_up(nowhere: None, kind: str) -> None:
    bench = Bench("editor")
    frame = LARGEST[kind](limits().frame_bytes - 100)
    assert len(frame) <= limits().frame_bytes
    for _ in range(3):
        bench.send(frame)
    bench.check()


async def test_stock_yjs_reads_what_mutated_updates_have_left(nowhere: None) -> None:
    """What pycrdt takes, browsers must be able to take as well."""
    chance = random.Random(4)
    states = []
    for _ in range(40):
        bench = Bench("editor")
        good = frames(bench)
        for _ in range(100):
            bench.send(mutate(chance.choice(good), good, chance))
        states.append(bench.room.document.diff().hex())
    script = """
    const Y = require("yjs");
    const states = JSON.parse(require("fs").readFileSync(0, "utf8"));
    for (const state of states) {
      const doc = new Y.Doc();
      Y.applyUpdate(doc, Buffer.from(state, "hex"));
      for (const entry of doc.getMap("files").values()) if (entry instanceof Y.Map && entry.get("text") instanceof Y.Text) entry.get("text").toString();
      Y.encodeStateAsUpdate(doc);
    }
    """
    done = subprocess.run(["node", "-e", script], cwd=ROOT, input=json.dumps(states), capture_output=True, text=True)  # noqa: ASYNC221
    assert done.returncode == 0, done.stderr[-2000:]
