"""The virtual environment `.venv` and the pinned Python packages in it."""

import hashlib
import importlib.util
import os
import re
import sys
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable
from pathlib import Path

from project.bootstrap import steps
from project.bootstrap.steps import CACHE, ROOT, Problem, say

VENV = ROOT / ".venv"
PYTHON = VENV / "bin" / "python"
REQUIREMENTS = ROOT / "requirements.txt"
REQUIREMENTS_DEV = ROOT / "requirements-dev.txt"

# Steps whose work lies in the environment, and goes with it.
WITHIN = ("python-packages", "test-packages", "node", "llama")
COMPILED = "llama-cpp-python"  # the one package that PyPI has no wheel of: see llama.py
# For a Python without ensurepip only; every other takes the pip that came with it.
PIP_WHEEL = "pip-26.3-py3-none-any.whl"
PIP_SHA256 = "f3b60b20ffaadd4415ed7957212a38ac63fa4c5fa375bd0f4a797777940fad13"


def identity() -> list[str]:
    """What ties the environment to this place: scripts in it hold absolute paths. A base Python that was removed shows by itself."""
    return [f"python{sys.version_info[0]}.{sys.version_info[1]}", os.uname().machine, str(ROOT)]


def prepare(*, dev: bool) -> None:
    _create()
    _install("python-packages", REQUIREMENTS, "Python packages")
    if dev:
        _install("test-packages", REQUIREMENTS_DEV, "the packages that tests need")


def pins(path: Path) -> dict[str, str]:
    """Package -> version, as locked."""
    lines = [line.strip() for line in path.read_text().splitlines()]
    return dict(line.split("==", 1) for line in lines if line and not line.startswith("#"))


def _create() -> None:
    if steps.is_fresh("venv", identity(), PYTHON):
        return
    for step in ("venv", *WITHIN):
        steps.begin(step)
    say("Making the Python environment .venv (a few seconds)")
    has_pip = importlib.util.find_spec("ensurepip") is not None
    steps.run("venv", [sys.executable, "-m", "venv", "--clear", *([] if has_pip else ["--without-pip"]), VENV])
    if not has_pip:  # Debian and Ubuntu keep ensurepip in a package of its own
        wheel = _fetch_pip()
        steps.run("venv", [PYTHON, wheel / "pip", "install", "--no-index", wheel])
    steps.finish("venv", identity())


def _fetch_pip() -> Path:
    """pip's wheel straight from PyPI, checked against the hash above."""
    index = "https://pypi.org/simple/pip/"
    try:
        with urllib.request.urlopen(index, timeout=60) as reply:
            link = re.search(rf'href="([^"#]*/{re.escape(PIP_WHEEL)})[#"]', reply.read().decode())
        if link is None:
            raise urllib.error.URLError(f"{PIP_WHEEL} is not listed there")
        with urllib.request.urlopen(urllib.parse.urljoin(index, link[1]), timeout=60) as reply:
            content = reply.read()
    except (urllib.error.URLError, TimeoutError) as error:
        raise Problem(
            f"This Python has no pip, and it could not be fetched from PyPI ({error}). "
            "Check the network, or install pip with 'sudo apt install python3.11-venv', and run the same command again."
        ) from error
    if hashlib.sha256(content).hexdigest() != PIP_SHA256:
        raise Problem("What PyPI sent as pip is not what was expected: damaged on its way, most likely. Run the same command again.")
    path = CACHE / PIP_WHEEL
    path.write_bytes(content)
    return path


def _install(step: str, locked: Path, what: str) -> None:
    inputs = [locked, identity()]
    if steps.is_fresh(step, inputs):
        return
    steps.begin(step)
    wanted = [f"{name}=={version}" for name, version in pins(locked).items() if name != COMPILED]
    say(f"Installing {what} from PyPI ({len(wanted)} packages, about half a minute)")
    # The lock names every package, so pip has nothing to resolve; and a wheel never runs foreign code to install itself.
    pip(step, "install", "--no-deps", "--only-binary", ":all:", *wanted, progress=_counter(len(wanted)))
    steps.finish(step, inputs)


def pip(step: str, *arguments: str | Path, progress: Callable[[str], str | None], env: dict[str, str] | None = None) -> None:
    words = ["--disable-pip-version-check", "--no-input", arguments[0], "--progress-bar", "off", *arguments[1:]]
    steps.run(step, [PYTHON, "-m", "pip", *words], progress=progress, env=env)


def _counter(total: int) -> Callable[[str], str | None]:
    seen = 0

    def progress(line: str) -> str | None:
        nonlocal seen
        if line.startswith(("Collecting ", "Requirement already satisfied: ")):
            seen += 1
            return f"[{min(seen, total)}/{total}] {line.split(': ')[-1].split()[-1 if line.startswith('C') else 0]}"
        return "unpacking" if line.startswith("Installing collected") else None

    return progress
