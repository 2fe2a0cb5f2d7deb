"""Where something lies in a file's text: from the document's bytes and a client's UTF-16 units to characters, and back for people. Pure."""

from __future__ import annotations

from typing import Protocol

from editor.document import utf16_to_bytes
from editor.protocol import utf16_length
from editor.regions import Region


class Lying(Protocol):
    """Whatever has its lines somewhere in the text: bytes, of whole characters."""

    @property
    def start(self) -> int: ...

    @property
    def end(self) -> int: ...


def where(text: str, lying: Lying) -> Region:
    """Where it lies in the file's text now."""
    data = text.encode()
    start, end = len(data[: lying.start].decode()), len(data[: lying.end].decode())
    return Region(start, end, text.count("\n", 0, start) + 1, text.count("\n", 0, end) + 1)


def place(text: str, region: Region) -> dict[str, int]:
    """A region of the text in the protocol's terms."""
    start, end = utf16_length(text[: region.start]), utf16_length(text[: region.end])
    return {"from": start, "to": end, "first_line": region.first, "last_line": region.last}


def marked(text: str, selection: dict[str, int] | None) -> tuple[int, int] | None:
    """(anchor, head) of a client's selection, in characters, cut to the text."""
    if selection is None:
        return None
    if text.isascii():
        return utf16_to_bytes(text, selection["anchor"]), utf16_to_bytes(text, selection["head"])
    data = text.encode()
    anchor, head = (len(data[: utf16_to_bytes(text, selection[end])].decode()) for end in ("anchor", "head"))
    return anchor, head
