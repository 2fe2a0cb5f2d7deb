"""A PostgreSQL server of the tests' own: Debian's ``postgresql``, in a temporary folder, on a socket there."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

import psycopg


def programs() -> Path | None:
    """The folder of ``initdb`` and ``pg_ctl``; None where PostgreSQL is not installed. Debian keeps them out of PATH."""
    found = shutil.which("pg_ctl")
    folders = [Path(found).parent] if found else sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    return next((folder for folder in folders if (folder / "initdb").exists()), None)


class Postgres:
    def __init__(self) -> None:
        self._programs = programs()
        # Not pytest's folder: the server refuses to run as root, and nobody else may look in there.
        self._user = "nobody" if os.getuid() == 0 else None
        self.folder = Path(tempfile.mkdtemp(prefix="ensemble-postgres-"))
        if self._user:
            shutil.chown(self.folder, self._user)
        self._run("initdb", "--username=ensemble", "--auth=trust", "--encoding=UTF8", "--locale=C", "--no-sync")
        self.start()
        self._databases = 0

    def database(self) -> str:
        """A new, empty database's DATABASE_URL."""
        self._databases += 1
        name = f"test{self._databases}"
        with psycopg.connect(f"postgresql:///postgres?user=ensemble&host={self.folder}", autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name}")
        return f"postgres://ensemble@/{name}?host={self.folder}"

    def start(self) -> None:
        self._run("pg_ctl", "start", "--wait", f"--options=-k {self.folder} -c listen_addresses=''", f"--log={self.folder}/log")

    def stop(self, mode: str = "fast") -> None:
        """``immediate`` is the crash."""
        self._run("pg_ctl", "stop", "--wait", f"--mode={mode}")

    def remove(self) -> None:
        self.stop("immediate")
        shutil.rmtree(self.folder)

    def _run(self, program: str, *arguments: str, data: bool = True) -> None:
        assert self._programs
        where = [f"--pgdata={self.folder}/data"] if data else []
        done = subprocess.run(
            [self._programs / program, *where, *arguments],
            user=self._user,
            cwd=self.folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        assert done.returncode == 0, done.stdout
