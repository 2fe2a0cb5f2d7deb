"""What is refused and why: error codes, close codes, and the check of what comes in.

A leaf, with the catalogue of messages (``editor/messages.py``). ``docs/protocol.md`` is generated from the tables of both
(``manage.py documents``), and a test fails when the file and the tables differ.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from editor.messages import SAFE_INTEGER, TO_SERVER, Field, type_names


class ProtocolError(Exception):
    """A message that is refused. ``code`` is one of ERRORS; the text says what was wrong and what the limit is; ``run`` whom it concerned."""

    def __init__(self, code: str, message: str) -> None:
        assert code in ERRORS, code
        super().__init__(message)
        self.code = code
        self.message = message
        self.run: str | None = None


ERRORS: dict[str, str] = {
    "bad_message": "Not a JSON object with a known `type`, or a field is missing, of the wrong kind or too long.",
    "bad_frame": "A binary frame that is not a valid y-protocols message or not a valid update.",
    "too_large": "A frame, file or document above its limit.",
    "too_fast": "More frames in a second than allowed.",
    "forbidden": "The participant's role does not allow this.",
    "unauthorised": "No valid token or cookie: join the session first. HTTP only.",
    "not_found": "No such session, participant, file or run.",
    "exists": "It is there already. HTTP only.",
    "busy": "The limit of runs of a session or of a participant is reached.",
    "changed": "The lines that this was made for are others by now.",
    "unsupported": "Known, but this server or model cannot do it.",
    "model_unavailable": "The model is loading, or could not be loaded.",
    "unavailable": "The database cannot be reached just now; try again.",
    "unsupported_version": "The protocol version is not one that this server speaks.",
    "internal": "A fault of the server; the server's log has more.",
}


@dataclass(frozen=True)
class Close:
    code: int
    doc: str
    permanent: bool


# 4400-4499: final, a client must not reconnect by itself. 4500-4599: try again later.
BAD_FRAME = Close(4400, "Repeated malformed frames.", True)
UNAUTHORISED = Close(4401, "No valid token or cookie: join the session first.", True)
FORBIDDEN = Close(4403, "Refused: another origin, or removed from the session.", True)
NOT_FOUND = Close(4404, "No such session, or it has ended.", True)
OTHER_LINEAGE = Close(4409, "The document was replaced, by a restored backup say: this client's copy is of another lineage.", True)
LINK_ROTATED = Close(4410, "The link used to join was replaced; ask for the new one.", True)
TOO_LARGE = Close(4413, "A frame larger than the limit.", True)
ROOM_FULL = Close(4429, "The session has as many participants as the limit allows.", True)
TOO_MANY_TABS = Close(4430, "This participant has as many connections (tabs) as the limit allows.", True)
BEHIND = Close(4508, "This client reads too slowly; reconnect to catch up.", False)
CHANGED = Close(4509, "Links or roles have just changed; reconnect.", False)
UNAVAILABLE = Close(4503, "The session cannot be loaded just now; its text is safe.", False)
SHUTDOWN = Close(4500, "The server is stopping.", False)
CLOSES: tuple[Close, ...] = (
    BAD_FRAME,
    UNAUTHORISED,
    FORBIDDEN,
    NOT_FOUND,
    OTHER_LINEAGE,
    LINK_ROTATED,
    TOO_LARGE,
    ROOM_FULL,
    TOO_MANY_TABS,
    SHUTDOWN,
    UNAVAILABLE,
    BEHIND,
    CHANGED,
)


def utf16_length(text: str) -> int:
    """Length in UTF-16 code units, the unit of every position in the protocol."""
    return len(text) if text.isascii() else len(text.encode("utf-16-le", "surrogatepass")) // 2


def check(message: Any) -> dict[str, Any]:
    """A decoded JSON text frame, checked against TO_SERVER; unknown fields are left out.

    Raises ProtocolError ``bad_message`` with a sentence that names the field and its limit.
    """
    if not isinstance(message, dict) or not isinstance(message.get("type"), str):
        raise ProtocolError("bad_message", "A text frame must be a JSON object with a string `type`.")
    kind = message["type"]
    spec = TO_SERVER.get(kind)
    if spec is None:
        raise ProtocolError("bad_message", f"Unknown message type {kind[:40]!r}. Known: {', '.join(TO_SERVER)}.")
    out: dict[str, Any] = {"type": kind}
    for field in spec.fields:
        value = message.get(field.name)
        if value is None:
            if field.required:
                raise ProtocolError("bad_message", f"{kind}: the field `{field.name}` is missing.")
            continue
        out[field.name] = _check_field(kind, field, value)
    return out


def _check_field(kind: str, field: Field, value: Any) -> Any:
    where = f"{kind}: the field `{field.name}`"
    if not isinstance(value, field.kind) or (field.kind is int and isinstance(value, bool)):
        raise ProtocolError("bad_message", f"{where} must be of kind {type_names[field.kind]}.")
    if field.choices and value not in field.choices:
        raise ProtocolError("bad_message", f"{where} must be one of {', '.join(field.choices)}.")
    if isinstance(value, str):
        try:
            value.encode()
        except UnicodeEncodeError:
            raise ProtocolError("bad_message", f"{where} holds half of a surrogate pair.") from None
        if field.limit is not None and utf16_length(value) > field.limit:
            raise ProtocolError("bad_message", f"{where} is longer than the limit of {field.limit} characters.")
    if isinstance(value, int) and field.limit is not None and not 0 <= value <= field.limit:
        raise ProtocolError("bad_message", f"{where} must lie between 0 and {field.limit}.")
    if field.name == "selection" and isinstance(value, dict):
        return _check_selection(where, value)
    return value


def _check_selection(where: str, value: dict[str, Any]) -> dict[str, int]:
    out = {}
    for end in ("anchor", "head"):
        position = value.get(end)
        if isinstance(position, bool) or not isinstance(position, int) or not 0 <= position <= SAFE_INTEGER:
            raise ProtocolError("bad_message", f"{where} needs `{end}`: an integer from 0 on.")
        out[end] = position
    return out
