"""The shared document of one room, and the only user of pycrdt.

pycrdt indexes text in UTF-8 bytes, and so does everything on this side; ``utf16_to_bytes`` and its
inverse are the one place where the protocol's UTF-16 positions are converted.
Touch a Document on the event loop only: it has no lock.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from pycrdt import Doc, Map, Text, merge_updates

from editor import updates
from editor.index import Index

EMPTY_UPDATE = b"\x00\x00"


class BadUpdate(Exception):
    """The bytes are not an update that Yjs could have made."""


class Broken(Exception):
    """The library failed in the middle of a change: this copy in memory must not be used any more."""


@dataclass(frozen=True)
class Delta:
    """One change of a text, at a byte position of the text as it is when the change before it has been applied."""

    position: int
    deleted: int
    inserted: str


class Document:
    """``on_update(update, origin)`` is told of every change, in the bytes of the document's own observer.

    ``index`` is that of the first updates; it is needed where clients' updates are applied. Raises BadUpdate where
    the first updates cannot be read.
    """

    def __init__(self, first: Iterable[bytes], on_update: Callable[[bytes, Any], None], index: Index | None = None) -> None:
        self._doc: Doc[Any] = Doc()
        self._files = self._doc.get("files", type=Map)
        for update in first:
            try:
                self._doc.apply_update(update)
            except ValueError as fault:
                raise BadUpdate(str(fault)) from None
        self.index = index or Index(updates.Structs())
        self._on_update = on_update
        self._origin: Any = None
        self._newest = EMPTY_UPDATE
        # The inner document's: pycrdt's own wrapper around an observer costs as much as applying a keystroke.
        self._subscription = self._doc._doc.observe(self._observe)

    def _observe(self, event: Any) -> None:
        update: bytes = event.update
        if update != EMPTY_UPDATE:
            self._newest = update
            self.index.add(updates.structs(update))
            self._on_update(update, self._origin)

    @contextmanager
    def transaction(self, origin: Any) -> Iterator[None]:
        """Changes made inside reach everybody as one update with this origin."""
        self._origin = origin
        try:
            with self._doc.transaction(origin=origin):
                yield
        finally:
            self._origin = None

    def apply(self, update: bytes, origin: Any) -> None:
        """A client's update. Raises BadUpdate and leaves the document as it was; or Broken."""
        self._origin = origin
        try:
            with self._doc.transaction() as transaction:
                assert transaction._txn
                self._doc._doc.apply_update(transaction._txn, update)
        except ValueError as fault:
            raise BadUpdate(str(fault)) from None
        except BaseException as fault:
            # The library stopped in the middle, with an error of its own or with a panic, which pyo3 makes no Exception of; or what it
            # says that it has taken in cannot be.
            if isinstance(fault, RuntimeError | updates.Malformed) or type(fault).__name__ == "PanicException":
                raise Broken(str(fault)) from None
            raise
        finally:
            self._origin = None

    def keys(self) -> set[str]:
        """Of the map of files, whatever is behind them."""
        return set(self._files)

    def remove_files(self, files: Iterable[str], origin: Any = None) -> None:
        with self.transaction(origin):
            for file in files:
                self._files.pop(file, None)

    def state_vector(self) -> bytes:
        return bytes(self._doc.get_state())

    def diff(self, state_vector: bytes | None = None) -> bytes:
        """What a replica with this state vector lacks. Raises BadUpdate on a malformed one."""
        try:
            return bytes(self._doc.get_update(state_vector))
        except ValueError as fault:
            raise BadUpdate(str(fault)) from None

    def deletions(self) -> bytes:
        """An update of everything that has been deleted, and of nothing else."""
        return self.diff(self.state_vector())

    # Files. Clients may write anything into the map: what is not a file is not seen here.

    def files(self) -> dict[str, str]:
        """File id -> path."""
        found = {}
        for key in list(self._files):
            entry = self._files.get(key)
            if isinstance(entry, Map) and isinstance(entry.get("path"), str) and isinstance(entry.get("text"), Text):
                found[key] = entry["path"]
        return found

    def contents(self) -> list[tuple[str, str]]:
        """(path, text) of each file."""
        return [(path, self.text(file)) for file, path in self.files().items()]

    def _text(self, file: str) -> Text:
        entry = self._files.get(file)
        text = entry.get("text") if isinstance(entry, Map) else None
        if not isinstance(text, Text):
            raise KeyError(file)
        return text

    def path(self, file: str) -> str:
        """Raises KeyError where there is no such file."""
        self._text(file)
        path = self._files[file].get("path")
        return path if isinstance(path, str) else file

    def text(self, file: str) -> str:
        """Raises KeyError where there is no such file."""
        return str(self._text(file))

    def add_file(self, path: str, text: str, origin: Any = None) -> str:
        """Returns the new file's id."""
        file = uuid.uuid4().hex[:12]
        with self.transaction(origin):
            self._files[file] = Map({"path": path, "text": Text(text)})
        return file

    def insert(self, file: str, position: int, text: str) -> None:
        """At a byte position; inside of ``transaction``."""
        self._text(file).insert(position, text)

    def delete(self, file: str, position: int, length: int) -> None:
        """Of bytes; inside of ``transaction``."""
        del self._text(file)[position : position + length]

    def splice(self, file: str, position: int, deleted: int, text: str, origin: Any) -> bytes:
        """Bytes go at a byte position and text comes there, in a transaction of its own. Returns the change as an update."""
        self._newest = EMPTY_UPDATE
        with self.transaction(origin):
            if deleted:
                self.delete(file, position, deleted)
            if text:
                self.insert(file, position, text)
        return self._newest

    def watch(self, file: str, callback: Callable[[list[Delta], Any], None]) -> Callable[[], None]:
        """Tells of every change of a file's text with its origin, in order. Returns what ends it."""
        text = self._text(file)

        def observed(event: Any) -> None:
            callback(deltas(event.delta), self._origin)

        subscription = text.observe(observed)
        return lambda: text.unobserve(subscription)

    def own_clock(self) -> tuple[int, int]:
        """This side's client id, and the clock of what it will write next."""
        client = int(self._doc.client_id)
        return client, self.index.clocks.get(client, 0)

    def after_own_insertion(self) -> dict[str, Any]:
        """The place right behind what this side inserted last, as the JSON that Yjs calls a relative position.

        Not by pycrdt's sticky index: it takes bytes for clocks, and is wrong behind the first character
        that is not ASCII (docs/decisions). Yjs clocks count UTF-16 units; our own last one is known.
        """
        client, clock = self.own_clock()
        return {"item": {"client": client, "clock": clock - 1}, "assoc": -1}


def deltas(events: list[dict[str, Any]]) -> list[Delta]:
    """pycrdt's delta (retain, insert, delete; in bytes) with the positions worked out."""
    out = []
    position = 0
    for part in events:
        if "retain" in part:
            position += part["retain"]
        elif "delete" in part:
            out.append(Delta(position, part["delete"], ""))
        else:
            inserted = part["insert"] if isinstance(part["insert"], str) else ""
            out.append(Delta(position, 0, inserted))
            position += len(inserted.encode())
    return out


def merged(parts: list[bytes]) -> bytes:
    return parts[0] if len(parts) == 1 else bytes(merge_updates(*parts))


def new_document(files: Iterable[tuple[str, str]]) -> bytes:
    """The first update of a new session: these (path, text) files."""
    made: list[bytes] = []
    document = Document((), lambda update, origin: made.append(update))
    for path, text in files:
        document.add_file(path, text)
    return merged(made) if made else EMPTY_UPDATE


def utf16_to_bytes(text: str, position: int) -> int:
    """A UTF-16 position as a byte position, cut to the text; inside of a surrogate pair it is the pair's start."""
    if text.isascii():
        return max(0, min(position, len(text)))
    units = text.encode("utf-16-le")[: 2 * max(0, position)]
    return len(units.decode("utf-16-le", "ignore").encode())
