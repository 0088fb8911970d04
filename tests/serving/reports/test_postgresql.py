"""Reports in a real PostgreSQL: what several servers share, and answers while it is away."""

from __future__ import annotations

import asyncio
import threading
from io import BytesIO
from pathlib import Path

import pytest

from serving.errors import ReportsAwayError, ReportsLimitError
from serving.gateway.logs import open_log
from serving.reports.documents import with_report
from serving.reports.location import KEPT
from serving.reports.opening import open_reports
from serving.reports.options import ReportsOptions
from serving.reports.rule import check_reports
from serving.reports.store import ReportStore
from serving.storage.location import read_url
from tests.serving.keys.postgres import Postgres
from tests.serving.reports.kept import DOCUMENT, Clock

pytestmark = pytest.mark.system


@pytest.fixture
def database(postgresql: Postgres) -> Postgres:
    """The server without any reports."""
    postgresql.sql("DROP TABLE IF EXISTS infolens_reports, infolens_reports_about")
    return postgresql


def test_a_report_lives_as_in_a_file(database: Postgres, tmp_path: Path) -> None:
    clock = Clock()
    url = read_url(KEPT, database.url(), tmp_path)
    store, other = ReportStore(url, now=clock, max_reports=2), ReportStore(url, now=clock)
    assert store.find("A" * 22) is None
    assert not store.sweep()
    made = store.keep(DOCUMENT, key="newsroom", days=1)
    assert other.find(made.id) == made, "servers share them"
    store.keep(DOCUMENT, key="newsroom", days=2)
    with pytest.raises(ReportsLimitError):
        store.keep(DOCUMENT, key="newsroom", days=2)
    clock.now_s = made.until_s
    assert other.find(made.id) is None
    assert store.sweep()
    kept = store.keep(DOCUMENT, key="newsroom", days=2)
    assert other.delete(kept.id)
    assert not store.delete(kept.id)
    store.close()
    other.close()


def test_several_who_make_the_tables_at_once_all_keep(database: Postgres, tmp_path: Path) -> None:
    made, failed = [], []
    begin = threading.Barrier(4)

    def keep() -> None:
        store = ReportStore(read_url(KEPT, database.url(), tmp_path))
        begin.wait()
        try:
            made.append(store.keep(DOCUMENT, key="", days=1))
        except Exception as error:
            failed.append(error)
        finally:
            store.close()

    threads = [threading.Thread(target=keep) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (len({one.id for one in made}), failed) == (4, [])


async def test_answers_go_on_while_it_is_away(database: Postgres, tmp_path: Path) -> None:
    options = check_reports(ReportsOptions(url=database.url()), tmp_path)
    log = BytesIO()
    async with open_reports(options, open_log(log)) as keeper:
        made = await keeper.keep(DOCUMENT, key="")
        await asyncio.to_thread(database.stop)
        try:
            answer = await with_report(keeper, {"id": "a"}, text="One.", title=None, key="")
            assert (answer["id"], answer["report"]) == ("a", None)
            assert "could not be kept" in answer["report_problem"]
            with pytest.raises(ReportsAwayError):
                await keeper.find(made.id)
        finally:
            await asyncio.to_thread(database.start)
        assert await keeper.find(made.id) == made
    assert b"reports away" in log.getvalue()
    assert b"reports back" in log.getvalue()
