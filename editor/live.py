"""A run's region inside of a document that people go on editing. Pure: byte offsets only.

Keeps, piece by piece, how the run's shadow (see ``editor/edits.py``) lies over the document:
text both have, text that only the document has (people typed it: no operation of the run touches it), and
text that only the shadow has (people deleted it: operations on it do nothing).
"""

from __future__ import annotations

from dataclasses import dataclass

from editor.edits import Delete, Insert, Operation, size


@dataclass
class Piece:
    """``shadow`` and ``document`` are lengths in bytes: equal, or one of them is 0."""

    shadow: int
    document: int


@dataclass(frozen=True)
class Splice:
    """A change of the document: ``deleted`` bytes at ``position`` go, which were ``old`` unless they were the run's own;
    ``text`` comes there."""

    position: int
    deleted: int
    text: str
    old: str = ""


class LiveRegion:
    """Owner: the run. ``start`` is the region's byte position in the document as it is now."""

    def __init__(self, start: int, length: int) -> None:
        self.start = start
        self._pieces = [Piece(length, length)] if length else []
        self.typed = 0  # bytes that people typed inside since the run began

    @property
    def end(self) -> int:
        return self.start + sum(piece.document for piece in self._pieces)

    def people_changed(self, position: int, deleted: int, inserted: int) -> None:
        """Somebody else changed the document: bytes deleted at a position, then bytes inserted there."""
        if deleted:
            self._people_deleted(position, deleted)
        if inserted:
            self._people_inserted(position, inserted)

    def _people_inserted(self, position: int, length: int) -> None:
        end = self.end
        if position > end:
            return
        if position <= self.start:
            # At the very beginning a person writes before the region. An empty region has no inside.
            self.start += length
            return
        self.typed += length
        offset = position - self.start
        for index, piece in enumerate(self._pieces):
            if offset <= piece.document:
                if offset == piece.document or not piece.shadow:
                    self._pieces.insert(index + 1, Piece(0, length))
                else:
                    rest = piece.document - offset
                    self._pieces[index : index + 1] = [Piece(offset, offset), Piece(0, length), Piece(rest, rest)]
                break
            offset -= piece.document
        self._merge()

    def _people_deleted(self, position: int, length: int) -> None:
        before = min(length, max(0, self.start - position))
        offset = max(0, position - self.start)
        length -= before
        self.start -= before
        pieces: list[Piece] = []
        for piece in self._pieces:
            skipped = min(offset, piece.document)
            gone = min(length, piece.document - skipped)
            offset -= skipped
            length -= gone
            kept = piece.document - skipped - gone
            if not piece.shadow:
                pieces.append(Piece(0, skipped + kept))
            elif not piece.document:
                pieces.append(piece)
            else:
                pieces += [Piece(skipped, skipped), Piece(gone, 0), Piece(kept, kept)]
        self._pieces = pieces
        self._merge()

    def carry(self, operation: Operation) -> list[Splice]:
        """An operation of the run as changes of the document, to be applied in order. People's text stays."""
        if isinstance(operation, Insert):
            return [self._insert(operation)]
        return self._delete(operation)

    def _insert(self, operation: Insert) -> Splice:
        at, index, position = operation.at, 0, self.start
        while at > 0:
            piece = self._pieces[index]
            if piece.shadow > at:
                # Only text that both have, or that is gone, can be split: people's own has no shadow.
                rest = piece.shadow - at
                there = bool(piece.document)
                self._pieces[index : index + 1] = [Piece(at, at * there), Piece(rest, rest * there)]
                piece = self._pieces[index]
            at -= piece.shadow
            position += piece.document
            index += 1
        if operation.text.startswith("\n"):
            # A new line comes after what people added to the end of the line before it.
            while index < len(self._pieces) and not self._pieces[index].shadow:
                position += self._pieces[index].document
                index += 1
        length = size(operation.text)
        self._pieces.insert(index, Piece(length, length))
        self._merge()
        return Splice(position, 0, operation.text)

    def _delete(self, operation: Delete) -> list[Splice]:
        begin, end = operation.at, operation.at + operation.length
        pieces: list[Piece] = []
        gone: list[tuple[int, int, int]] = []  # document position, bytes, and where they are in the operation's range
        typed_inside = False
        # The newline of a line that goes: it stays where somebody typed into the line, whose characters
        # keep a line of their own.
        newline = end - 1 if operation.newline > 0 else begin
        newline_stood: tuple[int, int] | None = None  # its document position, and its place among the pieces
        shadow, position = 0, self.start
        for piece in self._pieces:
            if not piece.shadow:
                typed_inside = typed_inside or begin < shadow < end
                pieces.append(piece)
            else:
                there = bool(piece.document)
                kept = min(max(begin - shadow, 0), piece.shadow)
                taken = min(max(end - shadow, 0), piece.shadow) - kept
                rest = piece.shadow - kept - taken
                pieces.append(Piece(kept, kept * there))
                if taken > 0 and there:
                    gone.append((position + kept, taken, shadow + kept - begin))
                    if shadow <= newline < shadow + piece.shadow:
                        newline_stood = (position + newline - shadow, len(pieces))
                pieces.append(Piece(rest, rest * there))
                shadow += piece.shadow
            position += piece.document
        if typed_inside and operation.newline and newline_stood:
            place, index = newline_stood
            pieces.insert(index, Piece(0, 1))
            gone = [part for at, taken, within in gone for part in _without(at, taken, within, place)]
        self._pieces = pieces
        self._merge()
        out, shift = [], 0
        old = operation.old.encode()
        for at, taken, within in gone:
            out.append(Splice(at - shift, taken, "", old[within : within + taken].decode()))
            shift += taken
        return out

    def _merge(self) -> None:
        merged: list[Piece] = []
        for piece in self._pieces:
            if not piece.shadow and not piece.document:
                continue
            last = merged[-1] if merged else None
            if last and bool(last.shadow) == bool(piece.shadow) and bool(last.document) == bool(piece.document):
                last.shadow += piece.shadow
                last.document += piece.document
            else:
                merged.append(Piece(piece.shadow, piece.document))
        self._pieces = merged


def _without(at: int, length: int, within: int, place: int) -> list[tuple[int, int, int]]:
    """The range without one byte of it, which is at its beginning or end."""
    if not at <= place < at + length:
        return [(at, length, within)]
    rest = (at + 1, length - 1, within + 1) if place == at else (at, length - 1, within)
    return [rest] if rest[1] else []
