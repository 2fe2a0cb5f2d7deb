"""What stops the start says so in one line that names the way out."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from editor import outgoing, protocol
from project import config
from tests.conftest import ROOT, Server


def start(tmp_path: Path, **environment: str) -> str:
    """The one line that ``manage.py serve`` ends with."""
    variables = {**os.environ, "ENSEMBLE_DATA": str(tmp_path / "data"), "PORT": "0", **environment}
    result = subprocess.run([sys.executable, "manage.py", "serve"], cwd=ROOT, env=variables, capture_output=True, text=True, timeout=60, check=False)
    assert result.returncode not in (0, -11), result.stdout
    lines = (result.stdout + result.stderr).strip().splitlines()
    assert len(lines) == 1, lines
    return lines[0]


def test_a_taken_port(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert re.search(rf"Port {port} .* cannot be used.*PORT=", start(tmp_path, PORT=str(port)))


def test_a_data_folder_that_cannot_be(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    assert "Set ENSEMBLE_DATA" in start(tmp_path, ENSEMBLE_DATA=str(tmp_path / "file" / "below"))


@pytest.mark.parametrize("damage", ["missing", "text", "cut"])
def test_a_model_file_that_is_none(tmp_path: Path, damage: str) -> None:
    path = tmp_path / "model.gguf"
    if damage == "text":
        path.write_text("not a model")
    elif damage == "cut":
        path.write_bytes(config.EMBEDDED_MODEL.read_bytes()[:1_000_000])
    line = start(tmp_path, ENSEMBLE_MODEL=str(path))
    assert str(path) in line
    assert "Set ENSEMBLE_MODEL" in line


def test_a_database_that_cannot_be(tmp_path: Path) -> None:
    assert "DATABASE_URL" in start(tmp_path, DATABASE_URL="mysql://somewhere/x")
    assert "DATABASE_URL" in start(tmp_path, DATABASE_URL=f"sqlite:///{tmp_path}/no/such/folder/x.sqlite3")


@pytest.mark.parametrize(
    "url",
    [
        "sqlite://my.sqlite3",
        "sqlite://data/my.sqlite3",
        "sqlite:///",
        "sqlite:///:memory:",
        "postgres://u:geheim/w@h/db",
        "postgres://u:geheim@h:99999/d",
    ],
)
def test_an_address_of_a_database_that_means_nothing_is_refused_and_not_repeated(url: str, tmp_path: Path) -> None:
    with pytest.raises(config.BadSetting, match="DATABASE_URL") as refused:
        config.database(url, tmp_path)
    assert "geheim" not in str(refused.value)


def test_the_address_of_a_file_is_absolute_or_within_the_folder(tmp_path: Path) -> None:
    assert config.database("sqlite:////srv/a b.sqlite3", tmp_path)["NAME"] == "/srv/a b.sqlite3"
    assert config.database("sqlite:///sub/x.sqlite3", tmp_path)["NAME"] == str(ROOT / "sub" / "x.sqlite3")
    assert config.database("postgres://u:a%2Fb%23@h:5433/d", tmp_path)["PASSWORD"] == "a/b#"


@pytest.mark.parametrize("url", ["", "https://pair.example.org/", "http://10.0.0.5:8000", "https://[::1]:8443"])
def test_a_public_address_is_scheme_and_host(url: str) -> None:
    assert config.public_url(url) == url.rstrip("/")


def test_a_key_that_was_never_written_is_made(tmp_path: Path) -> None:
    def key() -> str:
        environment = {**os.environ, "ENSEMBLE_DATA": str(tmp_path)}
        asked = "from project import settings; print(settings.SECRET_KEY)"
        return subprocess.run([sys.executable, "-c", asked], cwd=ROOT, env=environment, capture_output=True, text=True, check=True).stdout.strip()

    (tmp_path / "secret.key").touch()
    made = key()
    assert len(made) > 40
    assert key() == made == (tmp_path / "secret.key").read_text()


def test_a_second_server_on_the_same_data_is_turned_away(tmp_path: Path) -> None:
    first = Server(tmp_path / "data")
    try:
        line = start(tmp_path)
        assert "Another server (process " in line and "ENSEMBLE_DATA" in line
    finally:
        first.kill()
    again = Server(tmp_path / "data")
    again.kill()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("PORT", "http"),
        ("PORT", "99999"),
        ("ENSEMBLE_MAX_RUNS", "-1"),
        ("ENSEMBLE_DEBUG", "perhaps"),
        ("PORT", "1.5"),
        ("ENSEMBLE_IDLE_DAYS", "0"),
        ("ENSEMBLE_IDLE_DAYS", "9999999"),
        ("HOST", "no-such-host.invalid"),
        *(
            ("ENSEMBLE_PUBLIC_URL", url)
            for url in ("pair.example.org", "https://[x", "https://a.org/pair", "ftp://a.org", "https://me@a.org", "http://a:b")
        ),
    ],
)
def test_a_bad_setting(tmp_path: Path, name: str, value: str) -> None:
    line = start(tmp_path, **{name: value})
    assert value in line
    assert name in line or "Port" in line


def test_every_limit_is_a_setting_with_help() -> None:
    for setting in config.SETTINGS:
        assert setting.help.endswith("."), setting.name
        assert config.read({setting.name: ""})[setting.name] == setting.default


@pytest.mark.parametrize(
    "message",
    [
        None,
        [],
        {"type": 1},
        {"type": "hello"},
        {"type": "hello", "version": "1"},
        {"type": "hello", "version": True},
        {"type": "hello", "version": 1, "name": "x" * 500},
        {"type": "run.start", "instruction": "\ud800", "file": "f"},
        {"type": "run.start", "instruction": "x", "file": "f", "mode": "dance"},
        {"type": "run.start", "instruction": "x", "file": "f", "selection": {"anchor": 1}},
        {"type": "run.start", "instruction": "😀" * 2001, "file": "f"},
    ],
)
def test_a_bad_message_is_refused_in_words(message: object) -> None:
    with pytest.raises(protocol.ProtocolError) as caught:
        protocol.check(message)
    assert caught.value.code == "bad_message"
    assert caught.value.message.endswith(".")


def test_a_good_message_comes_through_without_what_is_unknown() -> None:
    message = {"type": "run.start", "instruction": "x", "file": "f", "selection": {"anchor": 1, "head": 2, "x": 3}, "extra": 1, "mode": None}
    assert protocol.check(message) == {"type": "run.start", "instruction": "x", "file": "f", "selection": {"anchor": 1, "head": 2}}


def test_every_message_that_the_code_sends_is_in_the_list() -> None:
    for source in (ROOT / "editor").glob("*.py"):
        for kind in re.findall(r'(?:announce|tell)\(\s*(?:member, |self\._member, )?"([\w.]+)"', source.read_text()):
            assert kind in outgoing.TO_CLIENT, (source.name, kind)
