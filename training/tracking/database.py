"""The SQLite file that holds the runs where no server does; ``python -m training.tracking.database FILE`` makes one."""

from __future__ import annotations

import fcntl
import os
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Final

SQLITE: Final = "sqlite:///"


def check_file(uri: str) -> None:
    """Open a SQLite file for writing: where that fails, MLflow would try again for a hundred seconds.

    Raises:
        OSError: Its folder cannot be made.
        sqlite3.Error: It cannot be written, or is no database.
    """
    path = uri.removeprefix(SQLITE).partition("?")[0]
    if not uri.startswith(SQLITE) or path in ("", ":memory:"):
        return
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    with closing(sqlite3.connect(path, timeout=20.0, isolation_level=None)) as database:
        database.execute("BEGIN IMMEDIATE")
        database.execute("ROLLBACK")


def make_whole(file: Path) -> None:
    """Make the tables of a new SQLite file beside it, and rename that: MLflow takes seconds, and opens no half.

    Args:
        file: What `check_file` has passed. Whoever comes while another process makes it waits for that.
    """
    if file.stat().st_size:
        return
    import mlflow

    with file.open("rb") as place:
        fcntl.flock(place, fcntl.LOCK_EX)  # two first runs at once
        if file.stat().st_size:
            return
        with tempfile.TemporaryDirectory(dir=file.parent, prefix=f"{file.name}.") as beside:
            partial = Path(beside) / file.name
            mlflow.MlflowClient(f"{SQLITE}{partial}").search_experiments(max_results=1)
            partial.replace(file)


@contextmanager
def made_beside(file: Path | None) -> Iterator[None]:
    """A block in which another process makes a new SQLite file whole, while this one loads its libraries.

    Args:
        file: Whole, or not there, or none at all: then nothing is done, as on a machine of one core. What the other
            process cannot do, `make_whole` does here, and says.
    """
    if file is None or len(os.sched_getaffinity(0)) < 2 or (file.exists() and file.stat().st_size):
        yield
        return
    # A session of its own: Ctrl-C in the terminal is for us, and a database that is whole harms nobody.
    with subprocess.Popen(  # noqa: S603 - our own module
        [sys.executable, "-m", __name__, str(file)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
    ):  # fmt: skip
        yield


if __name__ == "__main__":
    new = Path(sys.argv[1])
    check_file(f"{SQLITE}{new}")
    make_whole(new)
