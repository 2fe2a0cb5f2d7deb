"""What all steps share: plain errors, stamps, and commands with a log and live progress."""

import hashlib
import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

ROOT = Path(__file__).resolve().parents[2]
CACHE = ROOT / ".cache"

SECONDS_BETWEEN_LINES = 10  # without a terminal: how often a long step says that it is alive
TAIL_LINES = 25
STOPS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

# What a failed command's log says -> what it means and what to do. The first match counts.
CAUSES = (
    (
        r"No space left on device|ENOSPC|Disk quota exceeded",
        "the disk is full. Free about 2 GB and run the same command again",
    ),
    (
        r"CERTIFICATE_VERIFY_FAILED|SELF_SIGNED_CERT|UNABLE_TO_(VERIFY|GET_ISSUER)",
        "the registry's certificate is not trusted here. Behind a company proxy, set PIP_CERT and NODE_EXTRA_CA_CERTS to its certificate",
    ),
    (
        r"name resolution|Name or service not known|nodename nor servname|NewConnectionError|ConnectTimeout|Connection refused"
        r"|Network is unreachable|ENOTFOUND|EAI_AGAIN|ECONNREFUSED|ETIMEDOUT|ENETUNREACH|ECONNRESET|ReadTimeout|ProxyError"
        r"|Temporary failure resolving",
        "the package registry cannot be reached. Check the network (or set HTTPS_PROXY) and run the same command again",
    ),
    (
        r"Killed signal terminated program|cc1plus.*[Kk]illed|out of memory|Cannot allocate memory|\bENOMEM\b",
        "there was not enough memory. Close other programs, or set ENSEMBLE_JOBS=1 to compile one file at a time",
    ),
    (
        r"No matching distribution found for (\S+)",
        "PyPI has no ready-made package {0} for this machine. Ensemble is tested on 64-bit Linux (x86-64 and ARM) and macOS",
    ),
    (
        r"npm ci. can only install packages when",
        "package-lock.json does not fit package.json. Run 'npm install' and commit package-lock.json",
    ),
    (
        r"EACCES|Permission denied",
        "a file here may not be written. Run as the user who owns this folder",
    ),
)


class Problem(Exception):
    """Something a person can put right: one plain line that says what is wrong and the way out."""


class Passing(Problem):
    """One whose cause lies outside of the step, which may work the next time."""


def say(text: str) -> None:
    print(text, flush=True)


def warn(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


# Stamps


def digest(inputs: object) -> str:
    """`inputs`: anything JSON can hold, or a Path, which counts with its content."""

    def plain(value: object) -> str:
        if isinstance(value, Path):
            return hashlib.sha256(value.read_bytes()).hexdigest() if value.is_file() else "missing"
        raise TypeError(f"cannot stamp {value!r}")

    return hashlib.sha256(json.dumps(inputs, sort_keys=True, default=plain).encode()).hexdigest()


def _stamp(step: str) -> Path:
    return CACHE / "stamps" / step


def is_fresh(step: str, inputs: object, *outputs: Path) -> bool:
    """Whether `step` was finished with exactly these inputs and what it made is still there."""
    stamp = _stamp(step)
    return stamp.is_file() and stamp.read_text() == digest(inputs) and all(path.exists() for path in outputs)


def begin(step: str) -> None:
    """From here until `finish` the step counts as not done, whatever interrupts it."""
    _stamp(step).unlink(missing_ok=True)


def finish(step: str, inputs: object) -> None:
    write(_stamp(step), digest(inputs))


def write(path: Path, text: str) -> None:
    """Whole or not at all: a file cut off half-way would be trusted by the next start."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(path.name + ".new")
    temporary.write_text(text, encoding="utf-8")
    temporary.replace(path)


# Commands


def explain(log: str) -> str | None:
    """The likeliest cause of a failure, from the command's own words."""
    for pattern, meaning in CAUSES:
        if found := re.search(pattern, log):
            return meaning.format(*found.groups())
    return None


def run(
    step: str,
    command: Sequence[str | Path],
    *,
    progress: Callable[[str], str | None] = lambda line: None,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
) -> None:
    """Run one command of `step`: output into .cache/log/<step>.log, `progress` makes a few words from a line of it.

    Raises Problem with the likeliest cause, Passing where one is known. The command and its children are gone when this returns or raises.
    """
    words = [str(word) for word in command]
    log = CACHE / "log" / f"{step}.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("a", encoding="utf-8") as output:
        output.write(f"$ {shlex.join(words)}\n")
        beginning = output.tell()
        latest = ""

        def read() -> None:
            nonlocal latest
            assert process is not None
            assert process.stdout is not None
            for line in process.stdout:
                output.write(line)
                latest = progress(line.rstrip()) or latest

        process = None
        reader = threading.Thread(target=read, daemon=True)
        try:
            with stops_later():
                # A session of its own, so that one signal reaches the compilers below ninja too.
                process = subprocess.Popen(
                    words,
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.STDOUT,
                    text=True,
                    errors="replace",
                    cwd=cwd or ROOT,
                    env={**os.environ, **(env or {})},
                    start_new_session=True,
                )
                reader.start()
            _watch(process, lambda: latest)
            reader.join()
        finally:
            if process:
                with stops_later():
                    _end(process)
                    if reader.ident:
                        reader.join(timeout=5)
    if process.returncode:
        _failed(step, log, beginning)


@contextmanager
def stops_later() -> Iterator[None]:
    """Whoever stops us in here is heard at its end: a process whose start is broken off has nobody who knows of it and could end it."""
    came: dict[int, FrameType | None] = {}
    usual = {number: handler for number in STOPS if callable(handler := signal.getsignal(number))}
    try:
        for number in usual:
            signal.signal(number, came.__setitem__)
        yield
    finally:
        for number, handler in usual.items():
            signal.signal(number, handler)
        for stop, frame in came.items():
            usual[signal.Signals(stop)](stop, frame)


def _watch(process: "subprocess.Popen[str]", latest: Callable[[], str]) -> None:
    started = time.monotonic()
    terminal = sys.stdout.isatty()
    said = started
    shown = False
    try:
        while True:
            try:
                process.wait(0.25)
                return
            except subprocess.TimeoutExpired:
                pass
            now = time.monotonic()
            line = f"  {int(now - started) // 60}:{int(now - started) % 60:02d}  {latest()}"
            if terminal and now - started > 1:
                print("\r\033[K" + line[: max(20, shutil.get_terminal_size().columns - 1)], end="", flush=True)
                shown = True
            elif not terminal and now - said >= SECONDS_BETWEEN_LINES:
                say(line)
                said = now
    finally:
        if shown:
            print("\r\033[K", end="", flush=True)


def _end(process: "subprocess.Popen[str]") -> None:
    if process.poll() is None:
        try:
            os.killpg(process.pid, signal.SIGTERM)
            process.wait(5)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        except ProcessLookupError:
            process.wait()


def _failed(step: str, log: Path, beginning: int) -> None:
    with log.open("rb") as file:
        file.seek(beginning)
        text = file.read().decode(errors="replace")
    for line in text.splitlines()[-TAIL_LINES:]:
        warn(f"  | {line}")
    cause = explain(text)
    kind = Passing if cause else Problem
    raise kind(f"Setting up failed at '{step}': {cause or 'the lines above are the end of its log'}. (Whole log: {log.relative_to(ROOT)})")
