"""Server-sent events, as chat completions stream them: bytes in, each event's data out. Pure.

Only ``data`` counts; comments (servers send them to keep the connection alive), names and ids are passed over.
"""

from __future__ import annotations

# One event is one token or a few; what is longer is no stream of tokens.
LONGEST_EVENT = 2**20


class Broken(Exception):
    """This is not a stream of events; the text says why."""


class Events:
    """Takes bytes as they come, cut anywhere, also within a character."""

    def __init__(self) -> None:
        self._rest = b""
        self._data: list[str] = []
        self._size = 0

    def feed(self, chunk: bytes) -> list[str]:
        """The data of each event that has ended. Raises Broken."""
        *lines, self._rest = (self._rest + chunk).replace(b"\r\n", b"\n").split(b"\n")
        out = []
        for line in lines:
            line = line.removesuffix(b"\r")
            if not line and self._data:
                out.append("\n".join(self._data))
                self._data, self._size = [], 0
            elif line.startswith(b"data:"):
                self._size += len(line)
                try:
                    self._data.append(line[5:].removeprefix(b" ").decode())
                except UnicodeDecodeError:
                    raise Broken("it is not UTF-8") from None
        if self._size + len(self._rest) > LONGEST_EVENT:
            raise Broken(f"an event of more than {LONGEST_EVENT} bytes")
        return out
