"""llama-server and llama-bench, from the source that our own library is compiled from, and around that very library."""

from __future__ import annotations

import asyncio
import json
import re
import subprocess
import threading
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path

import httpx2

from inference.sse import Events
from project.bootstrap import llama_server

START_S = 120


def raw(model: Path, depth: int, tokens: int, threads: list[int]) -> dict[str, float]:
    """Tokens a second of bare decoding after ``depth`` tokens, by setting. llama-bench alternates nothing: whatever else runs is in its figures."""
    command = [str(llama_server.path(llama_server.BENCH)), "-m", str(model), "-p", "0", "-n", str(tokens), "-d", str(depth), "-r", "2", "-o", "json"]
    command += ["-t", ",".join(map(str, threads)), "-fa", "0,1"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"llama-bench: {done.stderr[-500:]}")
    return {f"{each['n_threads']} threads, flash {each['flash_attn']}": max(each["samples_ts"]) for each in json.loads(done.stdout)}


@dataclass
class Answer:
    """``times``: seconds at which each token came, from the request on; ``rate``: tokens a second, as the server says; ``begun``: the first has come."""

    times: list[float] = field(default_factory=list)
    rate: float = 0.0
    begun: asyncio.Event = field(default_factory=asyncio.Event)


class LlamaServer:
    """A running llama-server; its own choices but for what is given."""

    def __init__(self, model: Path, *options: str) -> None:
        command = [str(llama_server.path(llama_server.SERVER)), "-m", str(model), "--host", "127.0.0.1", "--port", "0", *options]
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace")
        self._log: list[str] = []
        self._url = ""
        listening = threading.Event()

        def read() -> None:
            assert self._process.stdout
            for line in self._process.stdout:
                self._log.append(line)
                if found := re.search(r"listening on (http://\S+)", line):
                    self._url = found[1]
                    listening.set()
            listening.set()

        threading.Thread(target=read, daemon=True).start()
        if not listening.wait(START_S) or not self._url:
            self.close()
            raise RuntimeError(f"llama-server did not start: {''.join(self._log[-20:])}")
        end = time.monotonic() + START_S
        while httpx2.get(self._url + "/health").status_code != 200:
            if time.monotonic() > end:
                raise RuntimeError("llama-server does not get ready")
            time.sleep(0.1)
        self.client = httpx2.AsyncClient(base_url=self._url, timeout=None, limits=httpx2.Limits(max_connections=None))

    def close(self) -> None:
        self._process.kill()
        self._process.wait()

    async def tokens(self, prompt: str, most: int, answer: Answer) -> AsyncIterator[int]:
        """How many tokens have come, at each; ``answer`` is filled meanwhile."""
        body = {"prompt": prompt, "n_predict": most, "stream": True, "cache_prompt": True, "temperature": 0, "ignore_eos": True}
        begun = time.perf_counter()
        events = Events()
        async with self.client.stream("POST", "/completion", json=body) as response:
            response.raise_for_status()
            async for chunk in response.aiter_bytes():
                for data in events.feed(chunk):
                    event = json.loads(data)
                    if event.get("stop"):
                        answer.rate = event["timings"]["predicted_per_second"]
                    else:
                        answer.times.append(time.perf_counter() - begun)
                        answer.begun.set()
                        yield len(answer.times)

    async def ask(self, prompt: str, most: int) -> Answer:
        answer = Answer()
        async for _ in self.tokens(prompt, most, answer):
            pass
        return answer
