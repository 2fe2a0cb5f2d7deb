"""The environment that makes the embedded model: torch and tokenizers beside the project's own packages, never among them."""

import sys
from pathlib import Path

from project.bootstrap import python_env, steps
from project.bootstrap.steps import CACHE, ROOT, say

VENV = CACHE / "training-venv"
PYTHON = VENV / "bin" / "python"
REQUIREMENTS = ROOT / "inference" / "training" / "requirements.txt"


def site_packages(venv: Path) -> Path:
    return venv / "lib" / f"python{sys.version_info[0]}.{sys.version_info[1]}" / "site-packages"


def prepare() -> None:
    inputs = [REQUIREMENTS, python_env.identity()]
    if steps.is_fresh("training", inputs, PYTHON):
        return
    steps.begin("training")
    say("Installing torch for the training (about 200 MB; a few minutes)")
    steps.run("training", [sys.executable, "-m", "venv", "--clear", "--without-pip", VENV])
    # llama.cpp and the rest are compiled and installed once, in .venv; here they are only seen.
    steps.write(site_packages(VENV) / "ensemble.pth", f"{site_packages(python_env.VENV)}\n")
    words: list[str | Path] = ["--disable-pip-version-check", "--no-input", "install", "--no-deps", "--only-binary", ":all:"]
    steps.run(
        "training",
        [PYTHON, "-m", "pip", *words, "--prefix", VENV, "--ignore-installed", "-r", REQUIREMENTS],
        progress=lambda line: line.split()[1] if line.startswith("Collecting ") else None,
    )
    steps.finish("training", inputs)
