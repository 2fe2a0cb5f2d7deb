"""``manage.py model`` as an operator uses it, against a hub of the test's own."""

from __future__ import annotations

import errno
import hashlib
import os
import re
import shutil
import signal
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest
from django.core.management.base import CommandError

from inference import download
from inference.catalogue import Folder, catalogue
from project import models
from project.management.commands.model import Command
from project.models import Status
from tests.conftest import ROOT, wait_until
from tests.hub import Hub

NAME = "qwen2.5-coder-0.5b"
MIB = 2**20


Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def model(tmp_path: Path, hub: Hub) -> Run:
    """``manage.py model ...`` in a data folder of the test's own."""

    def run(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        variables = {
            **os.environ,
            "ENSEMBLE_DATA": str(tmp_path),
            "ENSEMBLE_MODEL": "",
            "HF_ENDPOINT": hub.url,
            "HF_HUB_DOWNLOAD_TIMEOUT": "1",
            "HF_TOKEN": "hf_secret",
            **environment,
        }
        return subprocess.run(
            [sys.executable, "manage.py", "model", *arguments], cwd=ROOT, env=variables, capture_output=True, text=True, check=False
        )

    return run


def ok(result: subprocess.CompletedProcess[str]) -> str:
    assert result.returncode == 0, result.stderr
    return result.stdout


def refused(result: subprocess.CompletedProcess[str]) -> str:
    """The one sentence that it ends with."""
    assert result.returncode not in (0, -11), result.stdout
    assert "Traceback" not in result.stderr, result.stderr
    lines = result.stderr.strip().splitlines()
    assert len(lines) == 1, lines
    return lines[0]


def test_a_model_is_fetched_used_and_removed(model: Run, hub: Hub, tmp_path: Path) -> None:
    assert re.search(rf"^ +{NAME} ", ok(model("list")), re.MULTILINE)
    told = ok(model("pull", NAME))
    assert "fetching" in told and "is installed" in told
    installed = tmp_path / "models" / f"{NAME}.gguf"
    assert installed.read_bytes() == hub.content
    assert list(installed.parent.iterdir()) == [installed]
    assert "installed already" in ok(model("pull", NAME))
    assert "used from the next start on" in ok(model("use", NAME))
    assert re.search(rf"^\* +{NAME} +installed ", ok(model("list")), re.MULTILINE)
    assert "in use" in refused(model("remove", NAME))
    ok(model("use", "built-in"))
    assert "are free again" in ok(model("remove", NAME))
    assert not installed.exists()
    # The hub is asked for what anybody may have, with no token of the operator's, and for nothing else.
    assert set(hub.tokens) == {""}
    assert all("/resolve/" in path or path.startswith("/cdn/") for path in hub.asked)


def test_a_broken_download_goes_on_where_it_was(model: Run, hub: Hub, tmp_path: Path) -> None:
    hub.trouble = [("break", 2 * MIB + 100), ("break", MIB + 100), ("refuse", 503)]
    assert "error 503" in refused(model("pull", NAME))
    assert "broken off" in ok(model("list"))
    ok(model("pull", NAME))
    # A piece of a MiB that was not whole is fetched again.
    assert hub.ranges == [0, 2 * MIB, 3 * MIB]
    assert (tmp_path / "models" / f"{NAME}.gguf").read_bytes() == hub.content


def test_a_server_that_gives_the_whole_again_does_no_harm(model: Run, hub: Hub, tmp_path: Path) -> None:
    hub.trouble = [("break", 2 * MIB), ("whole", 0)]
    ok(model("pull", NAME))
    assert (tmp_path / "models" / f"{NAME}.gguf").read_bytes() == hub.content


def test_a_stalled_download_goes_on(model: Run, hub: Hub, tmp_path: Path) -> None:
    hub.trouble = [("stall", 3 * MIB)]
    ok(model("pull", NAME))
    assert len(hub.ranges) == 2 and hub.ranges[1] > 0
    assert (tmp_path / "models" / f"{NAME}.gguf").read_bytes() == hub.content


def test_a_damaged_download_is_not_kept(model: Run, hub: Hub, tmp_path: Path) -> None:
    good = hub.content
    hub.content = good[:1000] + b"damage" + good[1006:]
    assert "damaged on its way" in refused(model("pull", NAME))
    assert not (tmp_path / "models" / f"{NAME}.gguf").exists()
    hub.content = good
    ok(model("pull", NAME))
    assert (tmp_path / "models" / f"{NAME}.gguf").read_bytes() == good


def test_a_newer_version_begins_anew(model: Run, hub: Hub, tmp_path: Path) -> None:
    hub.trouble = [("break", 2 * MIB), ("refuse", 500)]
    refused(model("pull", NAME))
    hub.content = hub.content + bytes(1000)
    hub.digest = hub.says_digest = hashlib.sha256(hub.content).hexdigest()
    ok(model("pull", NAME))
    assert hub.ranges[-1] == 0
    assert [file.name for file in (tmp_path / "models").iterdir()] == [f"{NAME}.gguf"]


@pytest.mark.parametrize(
    ("status", "code", "words"),
    [
        (404, "RepoNotFound", "does not have"),
        (404, "EntryNotFound", "does not have"),
        (403, "GatedRepo", "asks for an agreement"),
        (503, "", "error 503"),
    ],
)
def test_what_the_hub_refuses_is_one_sentence(model: Run, hub: Hub, status: int, code: str, words: str) -> None:
    hub.status, hub.error_code = status, code
    assert words in refused(model("pull", NAME))


def test_without_a_network_it_is_said_what_still_works(model: Run, hub: Hub) -> None:
    said = refused(model("pull", NAME, HF_ENDPOINT="http://127.0.0.1:9"))
    assert "cannot be reached" in said and "built-in" in said and "model use FILE" in said
    assert "HF_HUB_OFFLINE" in refused(model("pull", NAME, HF_HUB_OFFLINE="1"))


def test_what_is_no_hub_is_said(model: Run, hub: Hub) -> None:
    hub.headers_of_hub = False
    said = refused(model("pull", NAME))
    assert "checksum" in said and "HF_ENDPOINT" in said


def test_files_and_folders_of_ones_own(model: Run, hub: Hub, tmp_path: Path) -> None:
    own = tmp_path / "own"
    own.mkdir()
    assert "no GGUF file" in refused(model("use", str(own)))
    (own / "one.gguf").write_bytes(hub.content)
    assert "one is chosen" in ok(model("use", str(own)))
    assert re.search(r"^\* .*one\.gguf ", ok(model("list")), re.MULTILINE)
    (own / "two.gguf").write_bytes(b"GGUF and no more")
    assert "name one of them" in refused(model("use", str(own)))
    assert "damaged" in refused(model("use", str(own / "two.gguf")))
    assert "does not exist" in refused(model("use", str(own / "three.gguf")))
    assert "32768 tokens" in ok(model("info", str(own / "one.gguf")))
    # A folder that is shared with other programs: its files have names.
    listed = ok(model("list", ENSEMBLE_MODELS=str(own)))
    assert re.search(r"^\* +one +installed ", listed, re.MULTILINE)
    assert "pull" in refused(model("use", NAME, ENSEMBLE_MODELS=str(own)))


def test_what_the_server_needs_is_not_removed_by_whatever_way_it_is_named(model: Run, hub: Hub, tmp_path: Path) -> None:
    real, link = tmp_path / "real", tmp_path / "link"
    real.mkdir()
    link.symlink_to(real)
    for name in ("mine", "large"):
        (real / f"{name}.gguf").write_bytes(hub.content)
    ok(model("use", str(link / "mine.gguf"), ENSEMBLE_MODELS=str(link)))
    assert re.search(r"^\* +mine +installed ", ok(model("list", ENSEMBLE_MODELS=str(link))), re.MULTILINE)
    assert "in use" in refused(model("remove", "mine", ENSEMBLE_MODELS=str(link)))
    for reference in ("large", str(real / "large.gguf")):
        assert "ENSEMBLE_DEEP_MODEL" in refused(model("remove", "large", ENSEMBLE_MODELS=str(link), ENSEMBLE_DEEP_MODEL=reference))
    ok(model("remove", "large", ENSEMBLE_MODELS=str(link), ENSEMBLE_DEEP_MODEL="http://127.0.0.1:1/v1"))
    assert (real / "mine.gguf").exists() and not (real / "large.gguf").exists()


def test_what_is_too_large_to_be_used_is_not_fetched_for_that(model: Run, hub: Hub, tmp_path: Path) -> None:
    assert "memory" in refused(model("pull", NAME, "--use", ENSEMBLE_MAX_CACHE_TOKENS=str(10**10)))
    assert not hub.asked
    assert not (tmp_path / "models").exists()


def test_a_measurement_is_kept_while_none_may_be_made(model: Run, tmp_path: Path) -> None:
    known = tmp_path / "tuning.json"
    known.write_text('{"x": 1}')
    assert "ENSEMBLE_TUNE" in refused(model("tune", "built-in", ENSEMBLE_TUNE="off"))
    assert known.read_text() == '{"x": 1}'


def test_whoever_waits_for_a_server_that_has_ended_hears_of_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(models, "data", lambda: tmp_path)
    mark = models.choose("mine")
    gone = subprocess.Popen(["true"])
    gone.wait()
    monkeypatch.setattr(models.os, "getpid", lambda: gone.pid)
    models.tell(Status(mark, "loading", "mine", progress=0.5))
    monkeypatch.undo()
    monkeypatch.setattr(models, "data", lambda: tmp_path)
    with pytest.raises(CommandError, match="server ended"):
        Command()._wait(mark, "mine")


def test_a_disk_that_cannot_be_written_is_said_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(name: str) -> int:
        raise OSError(errno.EROFS, "Read-only file system", "/models/mine")

    monkeypatch.setattr(models, "remove", full)
    with pytest.raises(CommandError, match="/models/mine: Read-only"):
        Command().handle(command="remove", model="mine")


def test_what_the_environment_says_wins_and_it_is_said(model: Run, hub: Hub, tmp_path: Path) -> None:
    file = tmp_path / "mine.gguf"
    file.write_bytes(hub.content)
    assert "wins" in ok(model("list", ENSEMBLE_MODEL=str(file)))
    assert "wins" in ok(model("use", "built-in", ENSEMBLE_MODEL=str(file)))


def test_a_model_without_a_template_or_weights_is_refused(model: Run, tmp_path: Path) -> None:
    from project.bootstrap import llama

    vocabulary = llama.source() / "models" / "ggml-vocab-llama-spm.gguf"
    assert "no weights" in refused(model("use", str(vocabulary)))


def test_what_was_interrupted_goes_on(tmp_path: Path, hub: Hub, model: Run) -> None:
    hub.trouble = [("stall", 2 * MIB + 100)]
    environment = {**os.environ, "ENSEMBLE_DATA": str(tmp_path), "ENSEMBLE_MODEL": "", "HF_ENDPOINT": hub.url}
    process = subprocess.Popen(
        [sys.executable, "manage.py", "model", "pull", NAME], cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    part = tmp_path / "models" / f"{NAME}.{hub.digest[:12]}.part"
    wait_until(lambda: hub.ranges, "the download has begun")
    wait_until(lambda: part.exists(), "something has come")
    # A second one keeps its hands off.
    assert "Another process" in refused(model("pull", NAME))
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=30)
    assert process.returncode == 130 and said.strip() == "CommandError: Stopped. The same command goes on from here."
    ok(model("pull", NAME, "--use"))
    assert hub.ranges == [0, 2 * MIB]
    assert re.search(rf"^\* +{NAME} ", ok(model("list")), re.MULTILINE)


def test_what_is_told_of_a_download_is_what_is_there(tmp_path: Path, hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also of a server that begins anew; and the disk has it before the name does."""
    monkeypatch.setattr(download, "hf_hub_url", lambda repo, file, revision="main": f"{hub.url}/{repo}/resolve/{revision}/{file}")
    synced: list[tuple[bool, bool]] = []
    entry, folder = catalogue()[NAME], Folder(tmp_path, tmp_path)
    place = folder.place(NAME)
    monkeypatch.setattr(os, "fsync", lambda number: synced.append((stat.S_ISDIR(os.fstat(number).st_mode), place.exists())))
    told: list[tuple[int, str]] = []
    (tmp_path / f"{NAME}.{hub.digest[:12]}.part").write_bytes(hub.content[: 2 * MIB])
    hub.trouble = [("whole", 0)]
    assert download.pull(entry, folder, lambda done, size, doing: told.append((done, doing))) == place
    assert place.read_bytes() == hub.content
    fetched = [done for done, doing in told if doing == "fetching"]
    assert fetched[:2] == [2 * MIB, MIB] and fetched[-1] == len(hub.content)
    assert synced == [(False, False), (True, True)]


def test_the_disk_is_looked_at_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=500 * 10**6))
    entry = next(iter(catalogue().values()))
    with pytest.raises(download.DownloadFailed, match=r"needs 944 MB on the disk of .* where 500 MB are free: .*ENSEMBLE_MODELS"):
        download._check_room(entry, tmp_path, 676 * 10**6, 0)
    # What has come already needs no room any more.
    download._check_room(entry, tmp_path, 676 * 10**6, 600 * 10**6)
