"""The commands behind the Makefile: run, test, check, bench, model, prepare, lock, llama-source."""

import fcntl
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NoReturn

from project.bootstrap import browser, kernels, llama, llama_server, node, python_env, steps, training
from project.bootstrap.steps import CACHE, ROOT, Problem, say, warn

# Of the whole suite: files of tests in two processes, one for each core that it counts on. The short ones are the last, so that both end together.
SIDE_BY_SIDE = ["-n", "2", "--dist", "loadfile", "--no-loadscope-reorder"]


@contextmanager
def alone() -> Iterator[None]:
    """Two set-ups in one folder would undo each other's work: the second waits."""
    CACHE.mkdir(exist_ok=True)
    with (CACHE / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say("Another set-up is at work in this folder; this one goes on when that one is done.")
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def prepare(*, dev: bool) -> None:
    with alone():
        llama.check_compiler()
        python_env.prepare(dev=dev)
        llama.prepare()
        kernels.prepare()
        node.prepare()


def call(*command: str | Path) -> int:
    """A command in the foreground; Ctrl-C reaches it by itself, as it is in our process group."""
    process = None
    try:
        with steps.stops_later():
            process = subprocess.Popen([str(word) for word in command], cwd=ROOT)
        return process.wait()
    except BaseException:
        if process:
            with steps.stops_later():
                process.terminate()
                process.wait()
        raise


def run(arguments: list[str]) -> NoReturn:
    prepare(dev=False)
    os.chdir(ROOT)
    sys.stdout.flush()
    os.execv(python_env.PYTHON, [str(python_env.PYTHON), "manage.py", "serve", *arguments])


def test(arguments: list[str]) -> int:
    prepare(dev=True)
    with alone():
        if not _without_browser(arguments):
            browser.prepare()
        try:
            llama_server.prepare(llama_server.SERVER)
        except Problem as problem:
            warn(f"{problem} What needs a llama-server is not tested.")
    node.put_on_path()  # stock clients run in it
    return call(python_env.PYTHON, "-m", "pytest", *(arguments or SIDE_BY_SIDE)) or check([])


def _without_browser(arguments: list[str]) -> bool:
    """Whether pytest is asked to leave out the tests that need one, or for others only."""
    ignored = "--ignore tests/browser" in " ".join(arguments).replace("--ignore=", "--ignore ")
    paths = [word for word in arguments if word.startswith("tests") and "-" not in word]
    return ignored or (bool(paths) and not any(word.startswith("tests/browser") or word.strip("/") == "tests" for word in paths))


def check(_: list[str]) -> int:
    prepare(dev=True)
    node.put_on_path()
    bin_ = python_env.VENV / "bin"
    commands: dict[str, list[str | Path]] = {
        "ruff check": [bin_ / "ruff", "check"],
        "ruff format": [bin_ / "ruff", "format", "--check"],
        "mypy": [bin_ / "mypy"],
        "import-linter": [bin_ / "lint-imports"],
        "typecheck": ["npm", "run", "--silent", "typecheck"],
        "lint": ["npm", "run", "--silent", "lint"],
    }
    failed = []
    for name, command in commands.items():
        say(f"== {name}")
        if call(*command):
            failed.append(name)
    if failed:
        warn(f"Failed: {', '.join(failed)}.")
    return 1 if failed else 0


def bench(arguments: list[str]) -> int:
    prepare(dev=True)
    return call(python_env.PYTHON, "-m", "benchmarks", *arguments)


def model(arguments: list[str]) -> int:
    """All steps of the recipe, going on where the last sitting stopped."""
    prepare(dev=True)
    with alone():
        training.prepare()
    return call(training.PYTHON, "-m", "inference.training", "all", *arguments)


def set_up(_: list[str]) -> int:
    prepare(dev=True)
    return 0


def lock(_: list[str]) -> int:
    """Pin anew what pyproject.toml asks for; versions that are locked and still allowed stay."""
    prepare(dev=True)
    uv: list[str | Path] = [python_env.VENV / "bin" / "uv", "pip", "compile", "--quiet", "--python-version", "3.11"]
    uv += ["--no-header", "--no-annotate", "--no-emit-index-url"]
    runtime, dev = "requirements.txt", "requirements-dev.txt"
    return call(*uv, "pyproject.toml", "-o", runtime) or call(*uv, "--group", "dev", "-c", runtime, "-o", dev)


def llama_source(_: list[str]) -> int:
    if not llama.source().is_dir():
        raise Problem("The source of llama.cpp is not here yet. 'make run' or 'make test' fetches it.")
    say(str(llama.source()))
    return 0


COMMANDS = {
    "run": run,
    "test": test,
    "check": check,
    "bench": bench,
    "model": model,
    "prepare": set_up,
    "lock": lock,
    "llama-source": llama_source,
}


def main(arguments: list[str]) -> int:
    if sys.version_info[:2] != (3, 11):
        warn(f"Ensemble needs Python 3.11; this is {sys.version.split()[0]}. Install python3.11 and run 'make run' again.")
        return 1
    if not arguments or arguments[0] not in COMMANDS:
        warn(f"Say which: python3.11 -m project.bootstrap {'|'.join(COMMANDS)}")
        return 2
    # A shell starts what it puts in the background with Ctrl-C ignored, and Python leaves it so.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    for stop in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(stop) == signal.SIG_DFL:  # nohup has it ignored
            signal.signal(stop, lambda number, frame: sys.exit(128 + number))
    try:
        return COMMANDS[arguments[0]](arguments[1:])
    except Problem as problem:
        warn(str(problem))
    except KeyboardInterrupt:
        warn("Stopped. The same command goes on from here.")
        return 130
    except OSError as error:
        warn(f"Setting up failed: {steps.explain(str(error)) or error}.")
    return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
