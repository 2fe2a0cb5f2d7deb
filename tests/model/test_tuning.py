"""What is measured of a model here, kept, and used; by hand it is overruled."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from inference.costs import Costs
from project import config, tuning, wiring
from tests.conftest import ROOT


def manage(data: Path, *words: str) -> str:
    environment = os.environ | {"ENSEMBLE_DATA": str(data), "ENSEMBLE_TUNE": "auto"}
    result = subprocess.run(
        [sys.executable, "manage.py", *words], cwd=ROOT, env=environment, capture_output=True, text=True, timeout=300, check=False
    )
    assert result.returncode == 0, result.stderr
    return result.stdout


def test_a_model_is_measured_once_shown_and_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "not yet" in manage(tmp_path, "model", "info", "built-in")
    assert "tokens/s" in manage(tmp_path, "model", "tune", "built-in")
    known = tuning.known(config.EMBEDDED_MODEL, tmp_path)
    assert known is not None
    shown = manage(tmp_path, "model", "info", "built-in")
    assert f"{known.tokens_per_s:.0f} tokens/s" in shown
    assert "beside other work" in shown
    # What is worked out from it can be used: steps are no shorter for holding more.
    assert [ms for _, ms in known.costs] == sorted(ms for _, ms in known.costs)
    assert Costs(dict(known.costs))(5) > 0

    monkeypatch.setitem(config.values, "ENSEMBLE_DATA", str(tmp_path))
    monkeypatch.setitem(config.values, "ENSEMBLE_TUNE", "auto")
    options = wiring.options(config.EMBEDDED_MODEL)
    assert (options.threads, options.flash, options.spin) == (known.threads, known.flash, known.spin)
    assert dict(options.costs) == dict(known.costs)
    assert options.thread_counts == tuple(known.thread_counts)
    for name, value in (("ENSEMBLE_THREADS", 7), ("ENSEMBLE_FLASH_ATTENTION", "on"), ("ENSEMBLE_SPIN", "off" if known.spin else "on")):
        monkeypatch.setitem(config.values, name, value)
    options = wiring.options(config.EMBEDDED_MODEL)
    assert (options.threads, options.batch_threads, options.flash, options.spin) == (7, 7, True, not known.spin)
    assert options.thread_counts == ()
    monkeypatch.setitem(config.values, "ENSEMBLE_TUNE", "off")
    assert wiring.options(config.EMBEDDED_MODEL).costs == ()


def test_another_file_or_machine_is_measured_anew(tmp_path: Path) -> None:
    model = tmp_path / "model.gguf"
    model.write_bytes(b"GGUF")
    tuning.file(tmp_path).write_text("not json")
    assert tuning.known(model, tmp_path) is None
    tuning.file(tmp_path).write_text(f'{{"{model.resolve()}": {{"of": "another machine", "tuning": {{}}}}}}')
    assert tuning.known(model, tmp_path) is None
    tuning.forget(model, tmp_path)
    assert tuning.file(tmp_path).read_text() == "{}"


def test_what_cannot_be_measured_leaves_plain_choices(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = tmp_path / "model.gguf"
    model.write_bytes(b"GGUF and no more")
    monkeypatch.setitem(config.values, "ENSEMBLE_TUNE", "auto")
    assert tuning.ensure(model, tmp_path, extra_buffers=True) is None
    assert tuning.known(model, tmp_path) is None
