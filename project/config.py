"""Every setting: one table of name, type, default and help, read from the environment once.

``docs/operations.md`` holds the same table, and a test fails when they differ. A bad value stops the start with one line.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

BASE = Path(__file__).resolve().parent.parent
EMBEDDED_MODEL = BASE / "inference" / "models" / "ensemble-edit-q8_0.gguf"


class BadSetting(Exception):
    """The text names the setting, its value and what it may be."""


@dataclass(frozen=True)
class Setting:
    """``choices``: all that a text may be; ``least`` and ``most``: of a number."""

    name: str
    kind: type
    default: Any
    help: str
    choices: tuple[str, ...] = ()
    least: int = 0
    most: int = 2**53


SETTINGS: tuple[Setting, ...] = (
    Setting("HOST", str, "127.0.0.1", "Address to listen on; `0.0.0.0` lets other machines in."),
    Setting("PORT", int, 8000, "Port to listen on; 0 takes a free one.", most=65_535),
    Setting(
        "DATABASE_URL",
        str,
        "",
        "`sqlite:////path` (three strokes for a path within this folder) or `postgres://user:password@host:port/name`, with `?host=/run/postgresql` "
        "for a socket and `?sslmode=require` and the like as libpq has them; `/`, `@`, `#` and `%` in a password as `%2F` and so on; "
        "default: a SQLite file in the data folder.",
    ),
    Setting("ENSEMBLE_DATA", str, "data", "Folder for the database, the secret key and installed models."),
    Setting(
        "ENSEMBLE_MODEL",
        str,
        "",
        "Path of a GGUF file, name of an installed model, or the `https://…/v1` of an OpenAI-compatible server; "
        "default: what `./manage.py model use` has chosen, else the embedded model.",
    ),
    Setting("ENSEMBLE_MODEL_NAME", str, "", "Where `ENSEMBLE_MODEL` is an address: which model there; needed where it has several."),
    Setting("ENSEMBLE_MODEL_KEY", str, "", "Where `ENSEMBLE_MODEL` is an address: the key that it wants. Shown nowhere."),
    Setting(
        "ENSEMBLE_DEEP_MODEL",
        str,
        "",
        "A second, larger model for the button **Deeper**: a file, an installed model or an address, as with `ENSEMBLE_MODEL`. "
        "A file is loaded when it is first asked for.",
    ),
    Setting("ENSEMBLE_DEEP_NAME", str, "", "As `ENSEMBLE_MODEL_NAME`."),
    Setting("ENSEMBLE_DEEP_KEY", str, "", "As `ENSEMBLE_MODEL_KEY`."),
    Setting("ENSEMBLE_MODELS", str, "", "Folder of GGUF files, to install into and to choose from; default: `models` in the data folder."),
    Setting(
        "ENSEMBLE_HOSTS_CHOOSE_MODEL",
        bool,
        False,
        "Lets the host of any session choose the model of the whole server, fetch those of the catalogue and remove them.",
    ),
    Setting(
        "ENSEMBLE_TUNE",
        str,
        "auto",
        "`auto` measures once what suits each model on this machine (`./manage.py model info` shows it); `off` takes plain choices.",
        ("auto", "off"),
    ),
    Setting(
        "ENSEMBLE_THREADS",
        int,
        0,
        "Threads that the model decodes with; 0: as many as are fastest just now, or where nothing was measured one for small models and all cores for others.",
    ),
    Setting(
        "ENSEMBLE_BATCH_THREADS",
        int,
        0,
        "Threads that prompts are evaluated with; 0: as many as are fastest just now, or as decode. Where one of the two is set neither is chosen anew.",
    ),
    Setting(
        "ENSEMBLE_KERNELS",
        str,
        "auto",
        "`auto`: attention and products of our own, where the set-up has compiled and tried them for this processor; `off`: llama.cpp's alone.",
        ("auto", "off"),
    ),
    Setting(
        "ENSEMBLE_FLASH_ATTENTION",
        str,
        "auto",
        "`on`, `off`, or `auto`: as measured, else on where the set-up compiled our own for this processor.",
        ("auto", "on", "off"),
    ),
    Setting(
        "ENSEMBLE_SPIN",
        str,
        "auto",
        "Whether the model's threads keep their cores while they wait: `on`, `off`, or `auto`: as measured.",
        ("auto", "on", "off"),
    ),
    Setting(
        "ENSEMBLE_GPU_LAYERS",
        int,
        999,
        "Layers of the model on the GPU, where llama.cpp was built for one (`ENSEMBLE_CMAKE_ARGS`); else without effect.",
    ),
    Setting(
        "ENSEMBLE_KV_TYPE",
        str,
        "f16",
        "Numbers of the model's memory: `f16`, or `q8_0`, which takes half of the space and up to a tenth more time"
        " (several times the time on a CPU that the set-up found no attention of our own for).",
        ("f16", "q8_0"),
    ),
    Setting("ENSEMBLE_SECRET_KEY", str, "", "Key that links and cookies are made with; default: one made at the first start, in the data folder."),
    Setting(
        "ENSEMBLE_PUBLIC_URL", str, "", "Where people reach the server, for links, such as `https://pair.example.org`; default: as the browser asked."
    ),
    Setting(
        "ENSEMBLE_ALLOWED_HOSTS",
        str,
        "",
        "Host names that are answered, separated by commas; default: the public URL's and this machine's own, or all without a public URL.",
    ),
    Setting("ENSEMBLE_PROXIES", int, 0, "Proxies of yours in front: that many of the last addresses in `X-Forwarded-For` are theirs to write."),
    Setting(
        "ENSEMBLE_IDLE_DAYS",
        int,
        30,
        "A session that nobody has opened for this many days ends, and its data is deleted; 36500 at most.",
        least=1,
        most=36_500,
    ),
    Setting("ENSEMBLE_DEBUG", bool, False, "Django's debug pages. Never on a network."),
    Setting("ENSEMBLE_MAX_DOCUMENT_BYTES", int, 16 * 2**20, "A session's text with its editing history."),
    Setting("ENSEMBLE_MAX_LOG_UPDATES", int, 2000, "Entries of a live session's update log before a snapshot takes them in."),
    Setting("ENSEMBLE_MAX_HISTORY_BYTES", int, 64 * 2**20, "A session's history in the database; beyond it, the oldest part goes."),
    Setting("ENSEMBLE_MAX_FILES", int, 200, "Files of a session."),
    Setting("ENSEMBLE_MAX_FILE_BYTES", int, 2**20, "One file of a new session."),
    Setting("ENSEMBLE_MAX_FRAME_BYTES", int, 2 * 2**20, "One WebSocket frame."),
    Setting("ENSEMBLE_MAX_FRAMES_PER_SECOND", int, 200, "Frames of one connection; one that sends more is read more slowly."),
    Setting("ENSEMBLE_MAX_PARTICIPANTS", int, 200, "Participants of a session at one time."),
    Setting("ENSEMBLE_MAX_CONNECTIONS", int, 16, "Connections (tabs) of one participant at one time."),
    Setting("ENSEMBLE_MAX_SESSIONS_PER_HOUR", int, 120, "New sessions of one address in an hour."),
    Setting("ENSEMBLE_MAX_NAME_LENGTH", int, 40, "Characters of a participant's name."),
    Setting("ENSEMBLE_MAX_AWARENESS_BYTES", int, 4096, "One awareness state (caret and selection)."),
    Setting(
        "ENSEMBLE_MAX_OUTBOX_BYTES",
        int,
        2**20,
        "Messages that may wait for one slow connection before it is closed to come back; text never waits, it is sent anew.",
    ),
    Setting("ENSEMBLE_MAX_RUNS", int, 16, "Runs of a session under way or waiting."),
    Setting("ENSEMBLE_MAX_RUNS_PER_PERSON", int, 8, "Runs of one participant under way or waiting."),
    Setting("ENSEMBLE_MAX_PARALLEL_RUNS", int, 4, "Runs of a session that stream at the same time."),
    Setting("ENSEMBLE_MAX_DRAFTS", int, 4, "Drafts of a session that are made or shown at the same time."),
    Setting(
        "ENSEMBLE_MAX_DRAFT_MS", int, 300, "Milliseconds from a keystroke to its draft, in the middle of the last twenty; above it, drafts pause."
    ),
    Setting("ENSEMBLE_MAX_PARALLEL_RUNS_PER_PERSON", int, 3, "Runs of one participant that stream at the same time."),
    Setting(
        "ENSEMBLE_MAX_STREAMING_RUNS", int, 12, "Runs of all sessions that stream at the same time; beyond it, sessions and their people take turns."
    ),
    Setting("ENSEMBLE_MAX_VARIANTS", int, 4, "Variants of one instruction, made at once to choose from."),
    Setting("ENSEMBLE_MAX_WINDOWS", int, 64, "Places of a file that one run rewrites, where an instruction concerns many."),
    Setting("ENSEMBLE_MAX_PARALLEL_WINDOWS", int, 4, "Places that one run rewrites at the same time."),
    Setting("ENSEMBLE_MAX_OTHER_FILES", int, 6, "Other files of the session that a chat model is shown beside the one it edits."),
    Setting("ENSEMBLE_MAX_OTHER_TOKENS", int, 1500, "Tokens of them all in one prompt; each costs time before the first token where it is not warm."),
    Setting("ENSEMBLE_MAX_RUN_TOKENS", int, 2048, "Tokens of one answer."),
    Setting(
        "ENSEMBLE_MAX_REMOTE_CONTEXT_TOKENS", int, 32768, "Tokens of a prompt and its answer at an address; less where it says that it holds less."
    ),
    Setting("ENSEMBLE_MAX_REMOTE_CONNECT_SECONDS", int, 10, "Seconds to reach an address; 0: as long as it takes, as with the next two."),
    Setting("ENSEMBLE_MAX_REMOTE_FIRST_SECONDS", int, 120, "Seconds from a request to an address until the first token."),
    Setting("ENSEMBLE_MAX_REMOTE_SILENCE_SECONDS", int, 30, "Seconds between two tokens of an address."),
    Setting(
        "ENSEMBLE_MAX_CONTEXT_TOKENS", int, 8192, "Tokens of one prompt and its answer together; a model that was trained for fewer takes fewer."
    ),
    Setting(
        "ENSEMBLE_MAX_CACHE_TOKENS",
        int,
        0,
        "Tokens that the model holds for all prompts and answers together; 0: one context and up to 8192 beside it.",
    ),
    Setting(
        "ENSEMBLE_MAX_PARKED_MB",
        int,
        512,
        "Memory for what the model knows of sessions that nobody uses just now; without it they are evaluated anew.",
    ),
    Setting(
        "ENSEMBLE_MAX_GUESSED_TOKENS",
        int,
        32,
        "Tokens of an answer that are guessed from the old text and checked in one step; 0: none. As many as pay, as measured.",
    ),
    Setting("ENSEMBLE_MAX_RESTARTS", int, 5, "How often in a row the model's process is started again by itself after a crash."),
    Setting(
        "ENSEMBLE_MAX_STEP_SECONDS",
        int,
        120,
        "Seconds that the model's process may say nothing while it works, before it is ended and started again; 0: as long as it likes.",
    ),
    Setting("ENSEMBLE_MAX_LOAD_SECONDS", int, 900, "The same while it loads the model."),
)


def read(environment: Mapping[str, str]) -> dict[str, Any]:
    """Name -> value. Raises BadSetting."""
    return {setting.name: _value(setting, environment.get(setting.name, "")) for setting in SETTINGS}


def _value(setting: Setting, text: str) -> Any:
    if not text:
        return setting.default
    if setting.kind is bool:
        if text.lower() in ("1", "true", "yes", "on"):
            return True
        if text.lower() in ("0", "false", "no", "off"):
            return False
        raise BadSetting(f"{setting.name} is {text!r}; it must be 1 or 0.")
    if setting.kind is int:
        try:
            number = int(text)
        except ValueError:
            raise BadSetting(f"{setting.name} is {text!r}; it must be a whole number.") from None
        if number < setting.least:
            raise BadSetting(f"{setting.name} is {number}; it must be at least {setting.least}.")
        if number > setting.most:
            raise BadSetting(f"{setting.name} is {number}; it must be at most {setting.most}.")
        return number
    if setting.choices and text not in setting.choices:
        raise BadSetting(f"{setting.name} is {text!r}; it must be one of {', '.join(setting.choices)}.")
    return text


def public_url(text: str) -> str:
    """Scheme and host alone, without a stroke at the end. Raises BadSetting."""
    url = text.rstrip("/")
    try:
        parts = urlsplit(url)
        good = not url or (
            parts.scheme in ("http", "https") and bool(parts.hostname) and url == f"{parts.scheme}://{parts.netloc}" and parts.port != 0
        )
    except ValueError:
        good = False
    if not good or "@" in url:
        raise BadSetting(f"ENSEMBLE_PUBLIC_URL is {text!r}; it must be like https://pair.example.org, without a path.")
    return url


def allowed_hosts(names: str, public_url: str) -> list[str]:
    """Django's ALLOWED_HOSTS."""
    given = [name.strip() for name in names.split(",") if name.strip()]
    public = urlsplit(public_url).hostname
    return given or ([public, "localhost", "127.0.0.1", "[::1]"] if public else ["*"])


def database(url: str, data: Path) -> dict[str, Any]:
    """Django's DATABASES entry. Raises BadSetting, which repeats nothing that may hold a password."""
    if not url:
        return _sqlite(str(data / "ensemble.sqlite3"))
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise BadSetting(
            "DATABASE_URL cannot be read: /, @, # and % in a user's name or password are written as %2F, %40, %23 and %25, and a port is a number."
        ) from None
    if parts.scheme == "sqlite":
        path = unquote(parts.path.removeprefix("/"))
        if parts.netloc or not path or path == ":memory:":
            raise BadSetting("DATABASE_URL names no file: it must be like sqlite:////srv/ensemble.sqlite3, or sqlite:///name for one in this folder.")
        return _sqlite(str(BASE / path))
    if parts.scheme in ("postgres", "postgresql"):
        # As libpq has it: `?host=/run/postgresql` for a socket's folder, `?sslmode=require` and the like.
        options = dict(parse_qsl(parts.query))
        return {
            "ENGINE": "django.db.backends.postgresql",
            "NAME": unquote(parts.path.lstrip("/")),
            "USER": unquote(parts.username or ""),
            "PASSWORD": unquote(parts.password or ""),
            "HOST": options.pop("host", unquote(parts.hostname or "")),
            "PORT": str(port or ""),
            "OPTIONS": options,
            "CONN_MAX_AGE": 60,
            "CONN_HEALTH_CHECKS": True,
        }
    raise BadSetting(f"DATABASE_URL begins with {parts.scheme!r}; it must be sqlite:////path or postgres://user:password@host/name.")


def _sqlite(name: str) -> dict[str, Any]:
    return {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": name,
        "OPTIONS": {
            # FULL: what was shown as saved outlives a power cut too. Group commit pays for it.
            "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA busy_timeout=10000;",
            "transaction_mode": "IMMEDIATE",
        },
        "TEST": {"NAME": name + ".test"},
    }


def data_folder(value: str) -> Path:
    path = Path(value).expanduser()
    return path if path.is_absolute() else BASE / path


try:
    values = read(os.environ)
except BadSetting as bad:
    sys.exit(str(bad))
