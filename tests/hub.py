"""A small hub of the tests' own: answers as huggingface.co does, and misbehaves as asked."""

from __future__ import annotations

import hashlib
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

COMMIT = "0123456789abcdef0123456789abcdef01234567"


class Hub(ThreadingHTTPServer):
    """Serves ``content`` as the file of every repository.

    ``trouble``: what happens to the next downloads, one each: ``("break", bytes)`` closes the connection after so many,
    ``("stall", bytes)`` says nothing more after so many, ``("refuse", status)`` answers with an error,
    ``("whole", 0)`` takes no notice of the range asked for.
    """

    daemon_threads = True

    def __init__(self, content: bytes) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.content = content
        self.digest = hashlib.sha256(content).hexdigest()
        self.says_digest = self.digest
        self.status = 302
        self.error_code = ""
        self.headers_of_hub = True
        self.trouble: list[tuple[str, int]] = []
        self.ranges: list[int] = []
        self.tokens: list[str] = []
        self.asked: list[str] = []
        self.ended = threading.Event()
        threading.Thread(target=self.serve_forever, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def close(self) -> None:
        self.ended.set()
        self.shutdown()
        self.server_close()


class Handler(BaseHTTPRequestHandler):
    server: Hub
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: Any) -> None:
        pass

    def _answer(self, status: int, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in {"Content-Length": "0", **headers}.items():
            self.send_header(name, value)
        self.end_headers()

    def _resolve(self) -> None:
        hub = self.server
        if hub.status != 302:
            return self._answer(hub.status, {"X-Error-Code": hub.error_code} if hub.error_code else {})
        # The content comes from another host, as the hub's does.
        headers = {"Location": f"{hub.url.replace('127.0.0.1', 'localhost')}/cdn/{hub.digest}?signed=1", "ETag": '"pointer"'}
        if hub.headers_of_hub:
            headers |= {"X-Repo-Commit": COMMIT, "X-Linked-Etag": f'"{hub.says_digest}"', "X-Linked-Size": str(len(hub.content))}
        self._answer(302, headers)

    def do_HEAD(self) -> None:
        self.server.tokens.append(self.headers.get("Authorization", ""))
        self._resolve()

    def do_GET(self) -> None:
        self.server.tokens.append(self.headers.get("Authorization", ""))
        hub = self.server
        hub.asked.append(self.path)
        if not self.path.startswith("/cdn/"):
            return self._resolve()
        kind, number = hub.trouble.pop(0) if hub.trouble else ("", 0)
        if kind == "refuse":
            return self._answer(number, {})
        asked = self.headers.get("Range", "")
        start = int(asked.removeprefix("bytes=").partition("-")[0]) if asked and kind != "whole" else 0
        hub.ranges.append(start)
        rest = hub.content[start:]
        headers = {"Content-Length": str(len(rest)), "ETag": f'"{hub.digest}"'}
        if start:
            headers["Content-Range"] = f"bytes {start}-{len(hub.content) - 1}/{len(hub.content)}"
        self._answer(206 if start else 200, headers)
        try:
            self.wfile.write(rest[:number] if kind in ("break", "stall") else rest)
            self.wfile.flush()
            if kind == "stall":
                hub.ended.wait(60)
            if kind in ("break", "stall"):
                self.close_connection = True
                time.sleep(0.05)
        except OSError:
            pass
