"""A Chromium for the browser tests: the machine's own, else the distribution's, else Playwright's."""

import os
import shutil
import subprocess
from pathlib import Path

from project.bootstrap import python_env, steps
from project.bootstrap.steps import CACHE, Problem, say

CHOSEN = CACHE / "chromium"
VARIABLE = "ENSEMBLE_CHROMIUM"
NAMES = ("/usr/bin/chromium", "chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


def prepare() -> None:
    """Sets $ENSEMBLE_CHROMIUM for what is started from here, and writes it to .cache/chromium for tests started by hand."""
    if given := os.environ.get(VARIABLE):
        if not _works(given):
            raise Problem(f"{VARIABLE} names {given}, which does not start. Correct or unset it.")
        chosen: str | None = given
    else:
        chosen = _remembered() or _of_the_machine() or _from_apt() or _from_playwright()
    if not chosen:
        raise Problem(
            "The browser tests need Chromium, and it could not be installed from here. Install it ('sudo apt install chromium' on Debian, "
            f"Google Chrome elsewhere) or name one in {VARIABLE}; or run the other tests: make test ARGS='--ignore tests/browser'."
        )
    steps.write(CHOSEN, chosen)
    os.environ[VARIABLE] = chosen


def _works(path: str) -> bool:
    """Whether it starts: some distributions put a stub there that only says what to install."""
    try:
        return subprocess.run([path, "--version"], capture_output=True, timeout=60).returncode == 0
    except (OSError, subprocess.TimeoutExpired):
        return False


def _remembered() -> str | None:
    path = CHOSEN.read_text().strip() if CHOSEN.is_file() else ""
    return path if path and os.access(path, os.X_OK) else None


def _of_the_machine() -> str | None:
    found = (shutil.which(name) for name in NAMES)
    return next((path for path in found if path and _works(path)), None)


def _from_apt() -> str | None:
    if not shutil.which("apt-get"):
        return None
    if os.geteuid() == 0:
        sudo = []
    elif shutil.which("sudo") and subprocess.run(["sudo", "-n", "true"], capture_output=True).returncode == 0:
        sudo = ["sudo", "-n"]
    else:
        return None
    say("Installing Chromium with apt-get, for the browser tests (about a minute)")
    apt = [*sudo, "env", "DEBIAN_FRONTEND=noninteractive", "apt-get"]
    try:
        steps.run("chromium", [*apt, "update"], progress=_short)
        steps.run("chromium", [*apt, "install", "-y", "--no-install-recommends", "chromium"], progress=_short)
    except Problem as problem:
        say(f"{problem} Trying Playwright's own Chromium instead.")
        return None
    return _of_the_machine()


def _from_playwright() -> str | None:
    say("Downloading Playwright's Chromium, for the browser tests (180 MB)")
    try:
        steps.run("chromium", [python_env.PYTHON, "-m", "playwright", "install", "chromium"], progress=_short)
    except Problem as problem:
        say(str(problem))
        return None
    asked = subprocess.run(
        [
            python_env.PYTHON,
            "-c",
            "from playwright.sync_api import sync_playwright as s\nwith s() as p: print(p.chromium.executable_path)",
        ],
        capture_output=True,
        text=True,
    )
    path = asked.stdout.strip()
    return path if path and Path(path).is_file() and _works(path) else None


def _short(line: str) -> str | None:
    return line[:60] or None
