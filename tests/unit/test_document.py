"""The document: bytes and UTF-16, and whatever clients may send."""

from __future__ import annotations

import json
import subprocess
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from editor import wire
from editor.document import BadUpdate, Document, new_document, utf16_to_bytes
from editor.live import LiveRegion
from editor.places import place, where
from tests.conftest import ROOT

LETTERS = st.text(alphabet="ab\né漢😀\u0301\u200d👩", max_size=40)


def document(*files: tuple[str, str]) -> tuple[Document, list[tuple[bytes, object]]]:
    told: list[tuple[bytes, object]] = []
    return Document([new_document(files)], lambda update, origin: told.append((update, origin))), told


@given(LETTERS)
def test_positions_convert_both_ways(text: str) -> None:
    for index in range(len(text) + 1):
        units = len(text[:index].encode("utf-16-le")) // 2
        at = len(text[:index].encode())
        assert utf16_to_bytes(text, units) == at
        assert place(text, where(text, LiveRegion(at, 0)))["from"] == units
    assert utf16_to_bytes(text, 10**6) == len(text.encode())


def test_a_position_inside_of_a_pair_is_its_beginning() -> None:
    assert utf16_to_bytes("a😀b", 2) == 1


@given(LETTERS, LETTERS, st.data())
def test_watchers_are_told_changes_that_lead_to_the_text(text: str, added: str, data: st.DataObject) -> None:
    doc, _ = document(("a", text))
    file = next(iter(doc.files()))
    mirror = text.encode()

    def watched(changes: list, origin: object) -> None:
        nonlocal mirror
        assert origin == "x"
        for change in changes:
            mirror = mirror[: change.position] + change.inserted.encode() + mirror[change.position + change.deleted :]

    stop = doc.watch(file, watched)
    for _ in range(3):
        now = doc.text(file)
        a = data.draw(st.integers(0, len(now)))
        b = data.draw(st.integers(a, len(now)))
        with doc.transaction("x"):
            start, length = len(now[:a].encode()), len(now[a:b].encode())
            if length:
                doc.delete(file, start, length)
            if added:
                doc.insert(file, start, added)
        assert mirror.decode() == doc.text(file)
    stop()


@given(st.binary(max_size=60), st.integers(0, 200), st.integers(0, 255))
def test_bad_updates_change_nothing(noise: bytes, place: int, value: int) -> None:
    doc, _ = document(("a.py", "x = 1"))
    file, before = next(iter(doc.files())), doc.diff()
    good = bytearray(before)
    good[place % len(good)] = value
    for update in (noise, bytes(good)[: len(good) // 2]):
        try:
            doc.apply(update, "x")
        except BadUpdate:
            assert doc.diff() == before
    assert doc.text(file).endswith("1") or doc.text(file) == ""


def test_files_that_are_none_are_not_seen() -> None:
    doc, _ = document(("a.py", ""))
    assert list(doc.files().values()) == ["a.py"]
    with pytest.raises(KeyError):
        doc.text("nowhere")


def test_the_models_caret_is_where_yjs_finds_it() -> None:
    """Behind text that is not ASCII, where pycrdt's own sticky index goes wrong."""
    doc, _ = document(("a", "漢😀é\nend"))
    file = next(iter(doc.files()))
    with doc.transaction("run"):
        doc.insert(file, len("漢😀é\n".encode()), "👩x漢")
    script = """
        const Y = require('yjs'); const [update, place, file] = process.argv.slice(1)
        const doc = new Y.Doc(); Y.applyUpdate(doc, Buffer.from(update, 'hex'))
        doc.getMap('files').get(file).get('text')
        const at = Y.createAbsolutePositionFromRelativePosition(Y.createRelativePositionFromJSON(JSON.parse(place)), doc)
        console.log(at.index)
    """
    command = ["node", "-e", script, doc.diff().hex(), json.dumps(doc.after_own_insertion()), file]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert int(result.stdout) == len("漢😀é\n👩x漢".encode("utf-16-le")) // 2


def test_wire_decides_on_values_and_is_linear() -> None:
    assert wire.decode(b"\x80\x00\x82\x80\x00\x02\x00\x00") == wire.Update(b"\x00\x00", False)
    entry = wire.AwarenessEntry(2**40, 7, '{"a": "é"}')
    assert wire.decode(wire.awareness([entry])) == wire.Awareness((entry,))
    assert wire.decode(wire.sync_step1(b"\x00")) == wire.SyncStep1(b"\x00")
    for bad in (b"", b"\xff" * 131_072, b"\x00\x09\x00", b"\x00\x02\xff\xff\xff\x7f", b"\x01\x02\x05\x01"):
        with pytest.raises(wire.WireError):
            wire.decode(bad)


@given(st.binary(max_size=80))
def test_any_frame_is_decoded_or_refused(data: bytes) -> None:
    with suppress(wire.WireError):
        wire.decode(data)
