"""The page's reading of the history: each version as the log's replay has it, back to it, and back from there."""

from __future__ import annotations

import os
import subprocess

from tests.conftest import ROOT

SEED = int(os.environ.get("ENSEMBLE_SEED", "1"))
ROUNDS = int(os.environ.get("ENSEMBLE_ROUNDS", "100"))


def test_random_histories_read_as_they_were_written() -> None:
    command = ["node", str(ROOT / "tests" / "property" / "history.mjs"), str(SEED), str(ROUNDS)]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300, check=False)
    assert result.returncode == 0, result.stderr
