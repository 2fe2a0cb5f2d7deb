"""The documents that are made from tables: the protocol and the settings."""

from __future__ import annotations

from editor import messages, outgoing, protocol
from project import config

PROTOCOL = config.BASE / "docs" / "protocol.md"
OPERATIONS = config.BASE / "docs" / "operations.md"
BEGIN, END = "<!-- settings: made by `manage.py documents` -->", "<!-- end of settings -->"


def protocol_text() -> str:
    out = [
        "# Protocol, version 1",
        "",
        "Made by `manage.py documents` from `editor/messages.py`, `editor/outgoing.py` and `editor/protocol.py`; edit those.",
        "",
        "`ws(s)://host/ws/<session>`. Binary frames are y-protocols, exactly as the stock npm `y-websocket` client speaks them. "
        "Text frames are JSON objects with a `type`, and go only to a client that has said `hello`. "
        "Positions are UTF-16 code units in a file's text. The document is `doc.getMap('files')`: "
        '`file id -> Y.Map {"path": string, "text": Y.Text}`.',
        "",
        "A browser comes with the cookie that `POST /api/sessions/<id>/join` gave it, from the server's own origin. "
        "Any other client sends `Authorization: Bearer <token>`; each of its connections is a participant of its own. "
        "[http.md](http.md) has what is asked for over HTTP.",
        "",
        "A client that speaks says `hello` first, and sync step 1 then. It does not cut a character that takes two UTF-16 units in two: such an update is "
        "refused (`bad_frame`), and whoever goes on has another text than everybody else; so a client that compares texts compares whole characters, and one "
        "that has been refused so gives its copy up and reads the session anew. Shared types other than maps, arrays and texts are refused as well.",
        "",
        "An update that builds on, or deletes, what the server does not have is not taken. The server asks with sync step 1, and the answer is to hold both; "
        "a stock client gives it by itself. What is known already may come again.",
        "",
    ]
    for title, known in (("To the server", messages.TO_SERVER), ("To the client", outgoing.TO_CLIENT)):
        out += [f"## {title}", ""]
        for message in known.values():
            out += [f"### `{message.type}`", "", message.doc, ""]
            if message.fields:
                out += ["| field | kind | |", "|---|---|---|"]
                for field in message.fields:
                    kind = messages.type_names.get(field.kind, "number") + ("" if field.required else ", optional")
                    notes = [field.doc] if field.doc else []
                    if field.choices:
                        notes.append("one of " + ", ".join(f"`{choice}`" for choice in field.choices))
                    if field.limit is not None:
                        notes.append(f"at most {field.limit}")
                    out.append(f"| `{field.name}` | {kind} | {'; '.join(notes)} |")
                out.append("")
    out += ["## Error codes", "", "| code | |", "|---|---|"]
    out += [f"| `{code}` | {text} |" for code, text in protocol.ERRORS.items()]
    out += ["", "## Close codes", "", "| code | | reconnect |", "|---|---|---|"]
    out += [f"| {close.code} | {close.doc} | {'no' if close.permanent else 'yes'} |" for close in protocol.CLOSES]
    return "\n".join(out) + "\n"


def settings_table() -> str:
    rows = [f"| `{s.name}` | {'switch' if s.kind is bool else s.kind.__name__} | {_default(s)} | {s.help} |" for s in config.SETTINGS]
    return "\n".join([BEGIN, "| name | type | default | |", "|---|---|---|---|", *rows, END])


def _default(setting: config.Setting) -> str:
    return "" if setting.default == "" else f"`{int(setting.default) if setting.kind is bool else setting.default}`"


def operations_text(now: str) -> str:
    """The page with its table made anew."""
    before, _, rest = now.partition(BEGIN)
    _, _, after = rest.partition(END)
    return before + settings_table() + after
