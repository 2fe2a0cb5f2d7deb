"""What somebody has marked, while their request waits for its turn: it stays with the text that was marked."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from editor.document import Delta, Document, utf16_to_bytes
from editor.edits import size
from editor.live import LiveRegion
from editor.places import place, where

if TYPE_CHECKING:
    from editor.run import Request


class Held:
    """Owner of a request that waits. Raises KeyError where its file is gone."""

    def __init__(self, document: Document, request: Request) -> None:
        self._document, self._request = document, request
        text = document.text(request.file)
        selection = request.selection or {"anchor": 0, "head": 0}
        start, end = sorted(utf16_to_bytes(text, selection[which]) for which in ("anchor", "head"))
        self._live = LiveRegion(start, end - start)
        self.drop = document.watch(request.file, self._watched)

    def _watched(self, changes: list[Delta], origin: Any) -> None:
        for change in changes:
            self._live.people_changed(change.position, change.deleted, size(change.inserted))

    def now(self) -> Request:
        """The same, of the text as it is now."""
        selection = self._request.selection
        if selection is None:
            return self._request
        lies = place(text := self._document.text(self._request.file), where(text, self._live))
        ends = ("to", "from") if selection["anchor"] > selection["head"] else ("from", "to")
        return replace(self._request, selection={"anchor": lies[ends[0]], "head": lies[ends[1]]})
