"""A program that keeps feedback and dies at a step, as if it were killed: `python -m ... FOLDER` tries every step.

A step is each write, sync, rename and removal of the spool, before, after and in the midst of it, and each commit of
the database, before and after it. For each number of steps a child lives for so many; it works in ``FOLDER/NUMBER``
and has the file ``acknowledged`` there, with a line for everything that it was told is kept. The last child comes to
its end. The database is SQLite's, and fails where the story says so. With a second word after the folder it rates for
ever, in the folder itself, and has these lines on stdout.
"""

from __future__ import annotations

import asyncio
import itertools
import os
import shutil
import sys
import threading
from collections.abc import Callable, Sequence
from io import BytesIO
from pathlib import Path
from typing import Any

from sqlalchemy import URL

from serving.errors import FeedbackAwayError
from serving.feedback.keeper import Keeper
from serving.feedback.keeping import Written
from serving.feedback.options import FeedbackOptions
from serving.feedback.records import Entry, Erasure
from serving.feedback.spool import disk
from serving.feedback.spool.spool import Spool
from serving.feedback.store import FeedbackStore
from serving.gateway.logs import open_log
from tests.serving.feedback.keeper.memory import QUICK, prediction, submission

DIED = 9
FILE = "feedback.sqlite3"


class Life:
    """Ends the process after a number of steps."""

    def __init__(self, steps: int) -> None:
        self._left = steps
        self._lock = threading.Lock()

    def step(self) -> None:
        with self._lock:
            self._left -= 1
            if self._left < 0:
                os._exit(DIED)

    def around(self, name: str, inside: Callable[..., Any]) -> Callable[..., Any]:
        """A function of the system with a step before it, and one after it; a write is also broken off in its midst."""

        def stepped(*given: Any) -> Any:
            self.step()
            if name == "write":
                with self._lock:
                    if self._left == 0:
                        inside(given[0], bytes(given[1])[: len(given[1]) * 2 // 3])
                self.step()
            found = inside(*given)
            self.step()
            return found

        return stepped


class Store(FeedbackStore):
    """Fails while it is told to."""

    def __init__(self, folder: Path, life: Life) -> None:
        super().__init__(URL.create("sqlite", database=str(folder / FILE)))
        self.away = False
        self._life = life

    def write(self, entries: Sequence[Entry]) -> Sequence[Written]:
        if self.away:
            raise FeedbackAwayError("away")
        self._life.step()
        written = super().write(entries)
        self._life.step()
        return written


async def live(folder: Path, life: Life) -> None:
    """Two times the database goes away; what comes meanwhile is brought over, and then left for the next."""
    file = (folder / "acknowledged").open("a")
    store, log = Store(folder, life), open_log(BytesIO())

    def said(*words: str) -> None:
        file.write(" ".join(words) + "\n")
        file.flush()

    def opens() -> Spool:
        spool = Spool(folder / "spool", 2**16, log)
        disk.os = _Stepped(life)  # type: ignore[assignment]  # from here on
        return spool

    keeper = Keeper(lambda: store, log, FeedbackOptions(keeps=True), opens_spool=opens, patience=QUICK)
    async with keeper.running():
        for away in (True, False, True):
            store.away = away
            while not away and keeper.standing().spooled_entries:  # noqa: ASYNC110
                await asyncio.sleep(0.001)
            made, gone = prediction(), prediction()
            await keeper.keep(made)
            said("prediction", made.id)
            await keeper.keep(gone)
            one = submission(made.id)
            await keeper.submit(one)
            said("submission", made.id, one.token)
            await keeper.erase(gone.id)
            said("erasure", gone.id)


class _Stepped:
    """The module ``os`` with steps around what changes the disk."""

    def __init__(self, life: Life) -> None:
        for name in ("write", "fsync", "ftruncate"):
            setattr(self, name, life.around(name, getattr(os, name)))

    def __getattr__(self, name: str) -> Any:
        return getattr(os, name)


async def rate(folder: Path) -> None:
    """Rate for ever; the database goes away and comes back all the time."""
    store, log = Store(folder, Life(sys.maxsize)), open_log(BytesIO())

    def opens() -> Spool:
        return Spool(folder / "spool", 2**20, log)

    async with Keeper(
        lambda: store, log, FeedbackOptions(keeps=True), opens_spool=opens, patience=QUICK
    ).running() as one:
        for number in itertools.count():
            store.away = number // 7 % 2 == 0
            made = prediction()
            one.note(made)
            said = submission(made.id)
            await one.submit(said)
            os.write(1, f"submission {made.id} {said.token}\n".encode())


def main() -> None:
    if len(sys.argv) == 3:
        asyncio.run(rate(Path(sys.argv[1])))
    folder, steps = Path(sys.argv[1]), 0
    empty = folder / "empty.sqlite3"
    FeedbackStore(URL.create("sqlite", database=str(empty))).write((Erasure(prediction="x" * 22, made_us=1),))
    while True:
        mine = folder / str(steps)
        mine.mkdir()
        shutil.copy(empty, mine / FILE)
        if (child := os.fork()) == 0:
            try:
                asyncio.run(live(mine, Life(steps)))
            except BaseException:
                os._exit(1)
            os._exit(0)
        status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        if status != DIED:
            sys.exit(status)
        steps += 1


if __name__ == "__main__":
    main()
