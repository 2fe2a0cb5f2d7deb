"""Small files of the data folder: whole or not at all, whatever becomes of them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from project import kept


def test_what_was_written_is_read_and_nothing_else_is_left(tmp_path: Path) -> None:
    file = tmp_path / "new folder" / "kept.json"
    assert kept.read(file) == {}
    for content in ({"a": 1}, {"tuning": ["x" * 1000] * 300}):
        kept.write(file, content)
        assert kept.read(file) == content
    assert [path.name for path in file.parent.iterdir()] == ["kept.json"]


@pytest.mark.parametrize("content", [b"", b"[1]", b"{", b"\xff\xfe", b"[" * 100_000, json.dumps({"a": "x" * kept.LONGEST_FILE}).encode()])
def test_what_cannot_be_read_is_as_good_as_nothing(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "kept.json").write_bytes(content)
    assert kept.read(tmp_path / "kept.json") == {}


def test_a_write_that_fails_leaves_the_old_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "kept.json"
    kept.write(file, {"a": 1})

    def full(self: Path, text: str) -> int:
        with self.open("w") as half:
            half.write(text[:5])
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_text", full)
    with pytest.raises(OSError, match="No space"):
        kept.write(file, {"a": 2})
    assert kept.read(file) == {"a": 1}
