"""The servers that the collaboration benchmark compares, each in a process of its own, and the load generator."""

from __future__ import annotations

import json
import os
import re
import shlex
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from project.bootstrap import node, steps

ROOT = Path(__file__).resolve().parent.parent
PEERS = ROOT / "benchmarks" / "peers"
START_S = 120
# Nothing of what is measured may run into a limit.
LIMITS = {
    "ENSEMBLE_MAX_SESSIONS_PER_HOUR": "1000000",
    "ENSEMBLE_MAX_PARTICIPANTS": "1000000",
    "ENSEMBLE_MAX_FRAMES_PER_SECOND": "1000000",
}
NODE = "exec node --expose-gc --import ./benchmarks/peers/collect.mjs"


def install() -> None:
    """The peers' packages as locked, at the first use."""
    node.put_on_path()
    inputs = [PEERS / "package.json", PEERS / "package-lock.json"]
    modules = PEERS / "node_modules"
    if not steps.is_fresh("peers", inputs, modules):
        steps.begin("peers")
        steps.say("Installing what is compared with from npm (a few seconds)")
        steps.run("peers", ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"], cwd=PEERS)
        steps.finish("peers", inputs)


@dataclass(frozen=True)
class Kind:
    """``command`` is a shell's, which ends in ``exec``; it prints its http address once it is open. ``protocol``: whose
    frames and rooms it has."""

    name: str
    command: str
    protocol: str

    @property
    def pinned(self) -> str:
        return f"{self.name} {_version(self.name)}" if self.protocol != "ensemble" else self.name


def _version(package: str) -> str:
    names = {"hocuspocus": "@hocuspocus/server", "y-websocket": "@y/websocket-server"}
    return str(json.loads((PEERS / "package.json").read_text())["dependencies"][names[package]])


OURS = Kind("ours", f"exec {shlex.quote(sys.executable)} manage.py serve", "ensemble")
HOCUSPOCUS = Kind("hocuspocus", f"{NODE} benchmarks/peers/hocuspocus.mjs", "hocuspocus")
Y_WEBSOCKET = Kind("y-websocket", f"{NODE} benchmarks/peers/node_modules/@y/websocket-server/src/server.js", "y-websocket")
KINDS = (OURS, HOCUSPOCUS, Y_WEBSOCKET)


@dataclass
class Server:
    """A server under load. Close it; it leaves nothing behind."""

    kind: Kind
    url: str = ""
    log: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._data = tempfile.TemporaryDirectory(prefix="ensemble-bench-")
        # The peers cannot be told to take a free port themselves.
        port = "0" if self.kind.protocol == "ensemble" else str(_free_port())
        environment = {**os.environ, **LIMITS, "HOST": "127.0.0.1", "PORT": port, "ENSEMBLE_DATA": self._data.name, "PYTHONUNBUFFERED": "1"}
        environment.pop("DATABASE_URL", None)
        self.process = subprocess.Popen(
            ["/bin/sh", "-c", self.kind.command],
            cwd=ROOT,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        opened = threading.Event()

        def read() -> None:
            assert self.process.stdout
            for line in self.process.stdout:
                self.log.append(line.rstrip())
                if "running at" in line or line.startswith("Ensemble is open at "):
                    found = re.search(r"http://[\d.]+:\d+", line)
                    self.url = found[0] if found else f"http://127.0.0.1:{port}"
                    opened.set()

        threading.Thread(target=read, daemon=True).start()
        if not opened.wait(START_S):
            self.close()
            raise RuntimeError(f"{self.kind.name} did not start:\n" + "\n".join(self.log))
        while self.kind.protocol == "ensemble" and httpx.get(self.url + "/readyz").status_code != 200:
            time.sleep(0.05)

    def rooms(self, count: int, prefix: str = "room") -> list[dict[str, str]]:
        """Names, and where the server has them, tokens to come in with."""
        if self.kind.protocol != "ensemble":
            return [{"name": f"{prefix}-{number}"} for number in range(count)]
        # As long as the text that the load generator gives the peers.
        text = "".join(f"line {line}: some text as code has it\n" for line in range(100))

        with httpx.Client(base_url=self.url, timeout=60) as client, ThreadPoolExecutor(4) as pool:
            return list(pool.map(lambda _: self.room(text, client), range(count)))

    def room(self, text: str, client: httpx.Client | None = None) -> dict[str, str]:
        """One of ours, with this file."""
        post = client.post if client else httpx.post
        answer = post(f"{self.url}/api/sessions", json={"files": [{"path": "main.py", "content": text}]}, timeout=60)
        session = answer.raise_for_status().json()
        return {"name": session["id"], "token": session["tokens"]["edit"]}

    @property
    def socket_url(self) -> str:
        base = self.url.replace("http", "ws", 1)
        return base + "/ws" if self.kind.protocol == "ensemble" else base

    def resident(self) -> int:
        """Bytes of memory that the process holds, after its own collection of garbage."""
        for _ in range(2):
            if self.kind.protocol != "ensemble":
                self.process.send_signal(signal.SIGUSR2)
            time.sleep(0.7)
        pages = int(Path(f"/proc/{self.process.pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE")

    def close(self) -> None:
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        self._data.cleanup()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Load:
    """The load generator, in front of one server; see ``peers/load.mjs``."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._process = subprocess.Popen(
            ["node", str(PEERS / "load.mjs")], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, start_new_session=True
        )

    def _command(self, do: str, **fields: Any) -> dict[str, Any]:
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.write(json.dumps({"do": do, **fields}) + "\n")
        self._process.stdin.flush()
        answer = self._process.stdout.readline()
        if not answer:
            raise RuntimeError(f"{self._server.kind.name}: the load generator ended; the server's last words:\n" + "\n".join(self._server.log[-10:]))
        return dict(json.loads(answer))

    def open(self, rooms: list[dict[str, str]], *, members: int, typists: int, updates: int) -> float:
        """Returns the server's CPU seconds for it. Ours are said hello to, as its page does: they tell what is saved."""
        found = self._command(
            "open",
            url=self._server.socket_url,
            pid=self._server.process.pid,
            hocuspocus=self._server.kind.protocol == "hocuspocus",
            hello=self._server.kind.protocol == "ensemble",
            rooms=rooms,
            members=members,
            typists=typists,
            updates=updates,
        )
        return float(found["cpu"] or 0)

    def measure(self, seconds: float, rate: float) -> dict[str, Any]:
        return self._command("measure", seconds=seconds, rate=rate)

    @contextmanager
    def typing(self, seconds: float, rate: float) -> Iterator[None]:
        """As ``measure``, beside what is done meanwhile."""
        with ThreadPoolExecutor(1) as pool:
            measured = pool.submit(self.measure, seconds, rate)
            yield
            measured.result()

    def lost(self) -> int:
        """Updates that a client who comes now does not get."""
        return int(self._command("check")["lost"])

    def close(self) -> None:
        self._process.kill()
        self._process.wait()


def joining(server: Server, clients: int) -> dict[str, Any]:
    """Frames that stock clients get and send; see ``peers/joining.mjs``."""
    room = server.rooms(1, "joining")[0]
    command = ["node", str(PEERS / "joining.mjs"), server.socket_url, room["name"], room.get("token", ""), str(clients)]
    command.append("yes" if server.kind.protocol == "hocuspocus" else "no")
    return dict(json.loads(subprocess.run(command, stdout=subprocess.PIPE, timeout=60, check=True).stdout))
