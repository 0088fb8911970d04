"""A PostgreSQL of the tests' own: in a temporary folder, on a Unix socket, run by a user without rights."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest


@dataclass(frozen=True, kw_only=True)
class Postgres:
    """One server."""

    programs: Path
    folder: Path
    user: str | None
    """Who runs it, since it refuses root; None for who runs the tests."""

    def url(self, role: str = "infolens") -> str:
        return f"postgresql+psycopg://{role}@/postgres?host={self.folder}"

    def run(self, program: str, *words: str) -> None:
        """Run one of its programs."""
        # Its output goes into a file: the server that `pg_ctl` starts would keep a pipe open.
        with (self.folder / "output").open("ab") as output:
            done = subprocess.run(
                [self.programs / program, *words],
                stdout=output,
                stderr=output,
                stdin=subprocess.DEVNULL,
                cwd="/",
                user=self.user,
                timeout=120,
                check=False,
            )
        assert done.returncode == 0, (self.folder / "output").read_text()

    def sql(self, statement: str) -> None:
        self.run("psql", "-h", str(self.folder), "-U", "infolens", "-d", "postgres", "-q", "-c", statement)

    def start(self) -> None:
        words = f"-k {self.folder} -c listen_addresses='' -c fsync=off"
        self.run("pg_ctl", "-D", f"{self.folder}/data", "-o", words, "-l", f"{self.folder}/log", "-w", "start")

    def stop(self) -> None:
        self.run("pg_ctl", "-D", f"{self.folder}/data", "-m", "immediate", "-w", "stop")


@contextmanager
def postgres() -> Iterator[Postgres]:
    """A server that runs, with a role ``infolens`` for everything; skips the test where there is no PostgreSQL."""
    programs = [*sorted(Path("/usr/lib/postgresql").glob("*/bin")), *map(Path, os.environ["PATH"].split(os.pathsep))]
    found = next((one for one in programs if (one / "initdb").exists() and (one / "pg_ctl").exists()), None)
    if found is None:
        pytest.skip("PostgreSQL is not here: apt-get install postgresql")
    known = {one.pw_name for one in pwd.getpwall()}
    user = next((name for name in ("postgres", "nobody") if name in known), None) if os.geteuid() == 0 else None
    # Not pytest's own folder, which other users cannot enter, and short enough for the name of a socket.
    folder = Path(tempfile.mkdtemp(prefix="infolens-postgres-"))
    server = Postgres(programs=found, folder=folder, user=user)
    try:
        if user is not None:
            shutil.chown(folder, user)
        server.run("initdb", "-D", f"{folder}/data", "-U", "infolens", "-A", "trust", "-E", "UTF8", "--no-sync")
        server.start()
        yield server
    finally:
        if (folder / "data" / "postmaster.pid").exists():
            server.stop()
        shutil.rmtree(folder)
