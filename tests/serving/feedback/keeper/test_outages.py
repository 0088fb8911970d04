"""A real PostgreSQL that is killed under load and comes back, and several doors before one."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from io import BytesIO
from pathlib import Path

import pytest

from serving.errors import FeedbackAwayError
from serving.feedback.keeper import Keeper
from serving.feedback.keeping import Outcome
from serving.feedback.location import KEPT
from serving.feedback.options import FeedbackOptions
from serving.feedback.records import make_id
from serving.feedback.spool.spool import Spool
from serving.feedback.store import FeedbackStore
from serving.feedback.writing.pipeline import Patience
from serving.gateway.logs import open_log
from serving.storage.location import read_url
from tests.serving.feedback.keeper.memory import PATIENCE_S, SPOOL_BYTES, prediction, submission, until
from tests.serving.keys.postgres import Postgres

pytestmark = pytest.mark.system
RATERS = 4
RATINGS_PER_S = 30
SOME = 30
"""Ratings in each state of the database."""
PATIENT = Patience(caller_s=PATIENCE_S, retry_s=(0.01, 0.1))


@pytest.fixture
def database(postgresql: Postgres) -> Postgres:
    """The server without any feedback."""
    postgresql.sql(
        "DO $$ DECLARE one text; BEGIN FOR one IN SELECT tablename FROM pg_tables WHERE tablename LIKE "
        "'infolens_feedback%' LOOP EXECUTE 'DROP TABLE ' || one || ' CASCADE'; END LOOP; END $$"
    )
    return postgresql


@asynccontextmanager
async def keeping(database: Postgres, folder: Path, patience: Patience = PATIENT) -> AsyncIterator[Keeper]:
    log = open_log(BytesIO())
    url = read_url(KEPT, database.url(), folder)
    keeper = Keeper(
        lambda: FeedbackStore(url),
        log,
        FeedbackOptions(keeps=True),
        opens_spool=lambda: Spool(folder, SPOOL_BYTES, log),
        patience=patience,
    )
    async with keeper.running():
        await until(lambda: keeper.salt)
        yield keeper


def kill(database: Postgres) -> None:
    """End the server as the kernel would that has no memory left."""
    number = int((database.folder / "data" / "postmaster.pid").read_text().splitlines()[0])
    os.kill(number, signal.SIGKILL)


def start(database: Postgres) -> None:
    """Start it as soon as what is left of the one before has gone."""
    for left in range(99, -1, -1):
        with contextlib.suppress(AssertionError if left else ()):
            database.start()
            return


class Raters:
    """Rate predictions, several at a time."""

    def __init__(self, keeper: Keeper) -> None:
        self.where: dict[str, str] = {}
        """Where what was acknowledged was kept then, by its token."""
        self.predictions: list[str] = []
        self._keeper = keeper

    async def rate(self, enough: Callable[[], bool]) -> None:
        async def one() -> None:
            while not enough():
                made = prediction()
                self._keeper.note(made)
                self.predictions.append(made.id)
                said = submission(made.id)
                receipt = await self._keeper.submit(said)
                self.where[said.token] = receipt.where
                if len(self.where) % 5 == 0:  # a caller who has not heard the answer
                    await self._keeper.submit(said)
                await asyncio.sleep(RATERS / RATINGS_PER_S)

        await asyncio.gather(*(one() for _ in range(RATERS)))


async def meanwhile(what: Awaitable[object], raters: Raters) -> None:
    """Go on rating until something is done, and some ratings more."""
    task = asyncio.ensure_future(what)
    least = len(raters.where) + SOME
    await raters.rate(lambda: task.done() and len(raters.where) >= least)
    await task


async def test_a_database_that_is_killed_under_load_loses_no_rating_and_doubles_none(
    database: Postgres, tmp_path: Path
) -> None:
    async with keeping(database, tmp_path) as keeper:
        raters = Raters(keeper)
        await raters.rate(lambda: len(raters.where) >= SOME)
        assert set(raters.where.values()) == {"database"}
        for _ in range(2):
            await meanwhile(asyncio.to_thread(kill, database), raters)
            assert keeper.standing().away
            before = len(raters.where)
            await meanwhile(asyncio.to_thread(start, database), raters)
            await until(lambda: not keeper.standing().spooled_entries)
            assert list(raters.where.values())[before] == "spool"
        await raters.rate(lambda: list(raters.where.values())[-1] == "database")
        standing = keeper.standing()
        assert (standing.dropped, standing.refused, standing.torn, standing.away) == (0, 0, 0, False)
        rows = await keeper.ask(lambda store: list(store.rows()), PATIENCE_S)
        counted = await keeper.ask(lambda store: store.aggregates(batch=100, since_day=0))
    assert {row["prediction"] for row in rows} == set(raters.predictions)
    assert len(rows) == len(raters.where) == sum(one.count for one in counted)
    assert len({"database", "spool"} & set(raters.where.values())) == 2


async def test_a_database_that_hangs_keeps_nobody_waiting(database: Postgres, tmp_path: Path) -> None:
    """Stopped, it takes what the kernel takes for it, and says nothing any more."""
    hasty = Patience(caller_s=PATIENCE_S, commit_s=0.5, retry_s=(0.01, 0.1))
    async with keeping(database, tmp_path, hasty) as keeper:
        made = prediction()
        await keeper.keep(made)
        stopped = await asyncio.to_thread(backends, database)
        send(stopped, signal.SIGSTOP)
        try:
            said = [submission(made.id, rater=str(number)) for number in range(5)]
            assert [(await keeper.submit(one)).where for one in said] == ["spool"] * 5
            with pytest.raises(FeedbackAwayError):
                await keeper.ask(lambda store: store.prediction(made.id), 0.05)
        finally:
            send(stopped, signal.SIGCONT)
        await until(lambda: not keeper.standing().spooled_entries)
        assert [one.token for one in await keeper.said(made.id)] == [one.token for one in said]


def send(processes: list[int], number: signal.Signals) -> None:
    for one in processes:
        with contextlib.suppress(ProcessLookupError):  # PostgreSQL has some that come and go
            os.kill(one, number)


def backends(database: Postgres) -> list[int]:
    """The processes of the server."""
    number = int((database.folder / "data" / "postmaster.pid").read_text().splitlines()[0])
    children = Path(f"/proc/{number}/task/{number}/children").read_text().split()
    return [number, *map(int, children)]


async def test_two_doors_share_one_database(database: Postgres, tmp_path: Path) -> None:
    async with keeping(database, tmp_path) as one, keeping(database, tmp_path) as other:
        assert one.salt == other.salt
        made = prediction()
        await one.keep(made)
        assert await other.find(made.id) == made
        said = submission(made.id)
        receipts = await asyncio.gather(*(keeper.submit(said) for keeper in (one, other) * 5))
        outcomes = [receipt.written.outcome for receipt in receipts if receipt.written is not None]
        assert sorted(outcomes) == [Outcome.KEPT, *[Outcome.REPEATED] * 9]
        assert [entry.token for entry in await one.said(made.id)] == [said.token]
        await other.erase(made.id)
        assert await one.find(made.id) is None


async def test_a_rating_whose_prediction_lies_in_the_spool_of_another_door_is_attached_when_it_comes(
    database: Postgres, tmp_path: Path
) -> None:
    made = prediction(id=make_id())
    slow = Patience(caller_s=PATIENCE_S, commit_s=0.0, retry_s=(PATIENCE_S, PATIENCE_S), end_s=0.0)
    async with keeping(database, tmp_path / "one", slow) as one, keeping(database, tmp_path / "other") as other:
        with contextlib.suppress(FeedbackAwayError):
            await one.keep(made)
        receipt = await other.submit(submission(made.id))
        assert receipt.written is not None
        assert receipt.written.outcome in (Outcome.UNKNOWN, Outcome.KEPT)
    async with keeping(database, tmp_path / "one") as one:
        await until(lambda: not one.standing().spooled_entries)
        rows = await one.ask(lambda store: list(store.rows()))
        assert [row["prediction"] for row in rows] == [made.id]
