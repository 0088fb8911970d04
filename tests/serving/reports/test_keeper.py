"""The keeper: no answer waits for the store for long, or fails with it."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest

from serving.errors import ReportsAwayError, ReportsError, ReportsLimitError
from serving.gateway.logs import open_log
from serving.reports.documents import given_document, kept_document, with_report
from serving.reports.keeper import Keeper, off
from serving.reports.opening import open_reports
from serving.reports.options import ReportsOptions
from serving.reports.records import KeptReport
from serving.reports.store import ReportStore
from serving.storage.asking import MAX_WAITING
from tests.serving.reports.kept import DOCUMENT, Clock, store_in

ID = "A" * 22
PATIENCE_S = 60.0


class Stub:
    """A store in memory that waits, or fails, as a test wants it."""

    def __init__(self) -> None:
        self.kept: dict[str, KeptReport] = {}
        self.begun, self.go_on = threading.Event(), threading.Event()
        self.go_on.set()
        self.failure: Exception | None = None
        self.closed = threading.Event()

    def keep(self, document: Mapping[str, Any], *, key: str, days: int) -> KeptReport:
        self._pass()
        found = KeptReport(id=ID, made_s=0, until_s=days, key=key, document=dict(document))
        self.kept[found.id] = found
        return found

    def find(self, report_id: str) -> KeptReport | None:
        self._pass()
        return self.kept.get(report_id)

    def delete(self, report_id: str) -> bool:
        return self.kept.pop(report_id, None) is not None

    def sweep(self) -> bool:
        self._pass()
        return False

    def close(self) -> None:
        self.closed.set()

    def _pass(self) -> None:
        self.begun.set()
        assert self.go_on.wait(PATIENCE_S)
        if self.failure is not None:
            raise self.failure


@pytest.fixture
def stub() -> Stub:
    return Stub()


@asynccontextmanager
async def keeping(stub: Stub, log: BytesIO | None = None, **more: Any) -> AsyncIterator[Keeper]:
    async with Keeper(lambda: stub, open_log(log or BytesIO()), days=3, **more).running() as keeper:
        yield keeper


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(0)


async def test_an_answer_says_its_report(stub: Stub) -> None:
    async with keeping(stub) as keeper:
        answer = await with_report(keeper, {"id": "a"}, text="One two.", title=None, key="newsroom")
        assert answer == {"id": "a", "report": {"id": ID, "until": "1970-01-01T00:00:03+00:00"}}
        found = await keeper.find(ID)
        assert found is not None
        assert found.key == "newsroom"
        assert found.document["answer"] == {"id": "a"}
        assert await keeper.delete(ID)
        assert await keeper.find(ID) is None
        assert not await keeper.delete(ID)
    assert stub.closed.wait(PATIENCE_S)


async def test_a_store_that_hangs_breaks_no_answer_and_keeps_nothing_that_nobody_was_told(stub: Stub) -> None:
    stub.go_on.clear()
    log = BytesIO()
    async with keeping(stub, log, patience_s=0.01) as keeper:
        answer = await with_report(keeper, {"id": "a"}, text="One.", title=None, key="")
        assert (answer["id"], answer["report"]) == ("a", None)
        assert "could not be kept" in answer["report_problem"]
        with pytest.raises(ReportsAwayError):
            await keeper.find(ID)
        stub.go_on.set()
    assert stub.closed.wait(PATIENCE_S)  # the threads have done all that came before
    assert stub.kept == {}
    assert log.getvalue().count(b"reports away") == 1


async def test_a_caller_who_leaves_has_nothing_kept(stub: Stub) -> None:
    stub.go_on.clear()
    async with keeping(stub) as keeper:
        asked = asyncio.create_task(keeper.keep(DOCUMENT, key=""))
        await asyncio.to_thread(stub.begun.wait, PATIENCE_S)
        asked.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asked
        stub.go_on.set()
    assert stub.closed.wait(PATIENCE_S)
    assert stub.kept == {}


@pytest.mark.parametrize(
    ("failure", "words"),
    [
        (ReportsError("the reports in /srv/secret cannot be used (disk full)"), "could not be kept"),
        (ReportsAwayError("the reports in /srv/secret cannot be had now"), "could not be kept"),
        (RuntimeError("/srv/secret"), "could not be kept"),
        (ReportsLimitError("this server keeps at most 3 reports"), "at most 3 reports"),
    ],
)
async def test_whatever_fails_breaks_no_answer(stub: Stub, failure: Exception, words: str) -> None:
    stub.failure = failure
    log = BytesIO()
    async with keeping(stub, log) as keeper:
        for _ in range(2):
            answer = await with_report(keeper, {"id": "a"}, text="One.", title=None, key="")
            assert answer["report"] is None
            assert words in answer["report_problem"]
            assert "/srv/secret" not in answer["report_problem"]
        stub.failure = None
        assert (await with_report(keeper, {}, text="One.", title=None, key=""))["report"]["id"] == ID
    limited = isinstance(failure, ReportsLimitError)
    assert log.getvalue().count(b"reports away") == (0 if limited else 1)
    assert log.getvalue().count(b"reports back") == (0 if limited else 1)


async def test_a_store_that_cannot_be_opened_is_tried_again(stub: Stub) -> None:
    failures = [ReportsError("no library")]

    def opens() -> Stub:
        if failures:
            raise failures.pop()
        return stub

    async with Keeper(opens, open_log(BytesIO()), days=3).running() as keeper:
        with pytest.raises(ReportsError, match="no library"):
            await keeper.keep(DOCUMENT, key="")
        assert (await keeper.keep(DOCUMENT, key="")).id == ID


async def test_without_time_nothing_is_kept(stub: Stub) -> None:
    async with keeping(stub) as keeper:
        answer = await with_report(keeper, {}, text="One.", title=None, key="", within_s=-0.1)
    assert answer["report"] is None
    assert not stub.begun.is_set()


async def test_no_more_wait_for_a_store_than_may(stub: Stub) -> None:
    stub.go_on.clear()
    async with keeping(stub) as keeper:
        asked = [asyncio.create_task(keeper.find(ID)) for _ in range(MAX_WAITING)]
        await asyncio.sleep(0)  # each has begun
        with pytest.raises(ReportsAwayError, match=f"{MAX_WAITING} calls"):
            await keeper.find(ID)
        stub.go_on.set()
        assert await asyncio.gather(*asked) == [None] * MAX_WAITING
        assert await keeper.find(ID) is None


async def test_what_is_no_id_is_not_looked_up(stub: Stub) -> None:
    async with keeping(stub) as keeper:
        for text in ("", "x", ID + "x", "../../../etc/passwd_12"):
            assert await keeper.find(text) is None
            assert not await keeper.delete(text)
    assert not stub.begun.is_set()


async def test_who_keeps_nothing_says_why() -> None:
    keeper = off("it was started with --no-reports")
    async with keeper.running():
        answer = await with_report(keeper, {"id": "a"}, text="One.", title=None, key="")
        assert answer == {
            "id": "a",
            "report": None,
            "report_problem": "this server keeps no reports: it was started with --no-reports",
        }
        assert await keeper.find(ID) is None


async def test_it_sweeps_now_and_then(tmp_path: Path) -> None:
    clock = Clock()
    store = store_in(tmp_path / "reports.sqlite3", clock)
    made = store.keep(DOCUMENT, key="", days=1)
    clock.now_s = made.until_s
    stub = Stub()
    stub.failure = ReportsError("away")
    stores: list[Stub | ReportStore] = [stub]
    for one in (stub, store):
        stores[0] = one
        async with Keeper(lambda: stores[0], open_log(BytesIO()), days=1, sweep_every_s=0.01).running():
            if isinstance(one, Stub):  # a sweep that fails is no end
                for _ in range(2):
                    one.begun.clear()
                    await asyncio.to_thread(one.begun.wait, PATIENCE_S)
            else:
                await until(lambda: made.id.encode() not in (tmp_path / "reports.sqlite3").read_bytes())


async def test_a_store_that_cannot_hold_anything_is_not_opened_to_be_swept(stub: Stub) -> None:
    looked = asyncio.Event()

    def has_some() -> bool:
        looked.set()
        return False

    async with keeping(stub, has_some=has_some, sweep_every_s=0.01):
        await asyncio.wait_for(looked.wait(), PATIENCE_S)
    assert not stub.begun.is_set()


async def test_a_door_keeps_what_its_options_say(tmp_path: Path) -> None:
    file = tmp_path / "reports" / "reports.sqlite3"
    options = ReportsOptions(keeps=True, url=f"sqlite:///{file}", days=7, texts=True)
    async with open_reports(options, open_log(BytesIO())) as keeper:
        assert (keeper.keeps, keeper.days, keeper.texts) == (True, 7, True)
        assert await keeper.find(ID) is None
        assert not file.exists()
        made = await keeper.keep(DOCUMENT, key="")
        assert made.until_s - made.made_s == 7 * 86_400
        assert await keeper.find(made.id) == made
    async with open_reports(ReportsOptions(keeps=False, why_not="for a reason"), None) as keeper:
        assert (keeper.keeps, keeper.why_not) == (False, "for a reason")
    async with open_reports(ReportsOptions(), None) as keeper:
        assert not keeper.keeps, "nobody has found out whether it can"


def test_what_is_kept_of_an_article() -> None:
    answer = {"id": "a", "article": {"url": "https://n.example/1", "title": "Page", "text": "Five words of a page.",
                                     "author": "A. B.", "date": "2026-01-02", "site": "N", "reviews": []}}  # fmt: skip
    found = kept_document(answer, text="", title="Mine")
    assert found["article"] == {
        "title": "Mine",
        "url": "https://n.example/1",
        "text": None,
        "text_sha256": "c6af79c91e10d6514605337a7f661270ea27e6e17360d3f800fb0b0eba44706c",
        "words": 5,
        "author": "A. B.",
        "date": "2026-01-02",
        "site": "N",
    }
    assert found["answer"]["article"]["text"] is None
    assert found["answer"]["article"]["title"] == "Page"
    assert answer["article"]["text"] == "Five words of a page."  # type: ignore[index]
    with_text = kept_document(answer, text="", with_text=True)
    assert with_text["article"]["text"] == "Five words of a page."
    assert (with_text["article"]["title"], with_text["answer"]) == ("Page", answer)
    sent = kept_document({"id": "a"}, text="One two.")
    assert (sent["article"]["title"], sent["article"]["url"], sent["article"]["words"]) == (None, None, 2)
    given = given_document(KeptReport(id=ID, made_s=0, until_s=60, key="newsroom", document=sent))
    assert list(given) == ["id", "made", "until", "article", "answer"]
    assert given["until"] == "1970-01-01T00:01:00+00:00"
