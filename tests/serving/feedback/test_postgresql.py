"""What several servers do at once with feedback in one real PostgreSQL, and what happens when it goes away."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from serving.errors import FeedbackAwayError
from serving.feedback.database import reading
from serving.feedback.keeping import Outcome
from serving.feedback.location import KEPT
from serving.feedback.records import Erasure
from serving.feedback.store import FeedbackStore
from serving.storage.location import read_url
from tests.serving.feedback.said import predicted, said, stars
from tests.serving.keys.postgres import Postgres

pytestmark = pytest.mark.system
SERVERS = 4


@pytest.fixture
def stores(postgresql: Postgres, tmp_path: Path) -> Iterator[list[FeedbackStore]]:
    """Those of several servers, with no tables yet."""
    stores = [FeedbackStore(read_url(KEPT, postgresql.url(), tmp_path)) for _ in range(SERVERS)]
    stores[0].migrate("base")
    yield stores
    for store in stores:
        store.close()


def at_once(stores: list[FeedbackStore], work: Callable[[FeedbackStore, int], None]) -> None:
    failed, begin = [], threading.Barrier(len(stores))

    def run(store: FeedbackStore, number: int) -> None:
        begin.wait()
        try:
            work(store, number)
        except Exception as error:
            failed.append(error)

    threads = [threading.Thread(target=run, args=[store, number]) for number, store in enumerate(stores)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []


def test_of_several_who_write_the_same_at_once_one_keeps_it(stores: list[FeedbackStore]) -> None:
    """They make the tables at once too, and one of them has its prediction later than what was said of it."""
    kept: list[Outcome] = []

    def write(store: FeedbackStore, number: int) -> None:
        kept.extend(one.outcome for one in store.write([predicted("p"), said(f"s{number}", "p", stars(3), token="t")]))
        for round_ in range(20):
            store.write([said(f"a{number}.{round_}", f"q{round_}", stars(4), rater=f"r{number}")])
            store.write([predicted(f"q{round_}")])

    at_once(stores, write)
    # The four submissions of one token have different digests: the second to come is told so.
    assert Counter(kept) == {Outcome.KEPT: 2, Outcome.REPEATED: SERVERS - 1, Outcome.CONFLICT: SERVERS - 1}
    assert stores[0].salt == stores[1].salt
    assert {one.predictions for one in stores[0].populations(since_day=0)} == {21}
    found = stores[0].aggregates(batch=9, since_day=0)
    assert sum(one.count for one in found) == 20 * SERVERS + 1
    places: Counter[int] = Counter()
    for one in found:
        places[one.batch] += one.count
    assert places == dict.fromkeys(range(9), 9), "no place is given twice, and none is left out"
    assert len(stores[0].judgments(since_day=0, limit=1000)) == 20 * SERVERS


def test_a_token_that_two_send_at_once_counts_once(stores: list[FeedbackStore]) -> None:
    stores[0].write([predicted("p")])
    kept: list[Outcome] = []

    def write(store: FeedbackStore, number: int) -> None:
        for round_ in range(20):
            same = said(f"s{round_}", "p", stars(3), rater=f"r{round_}", token=f"t{round_}")
            kept.extend(one.outcome for one in store.write([same]))

    at_once(stores, write)
    assert Counter(kept) == {Outcome.KEPT: 20, Outcome.REPEATED: 20 * (SERVERS - 1)}
    assert sum(one.count for one in stores[1].aggregates(batch=100, since_day=0)) == 20


def test_it_is_away_and_comes_back(stores: list[FeedbackStore], postgresql: Postgres) -> None:
    store = stores[0]
    store.write([predicted("p")])
    postgresql.stop()
    try:
        for use in (lambda: store.write([predicted("q")]), lambda: store.prediction("p"), lambda: store.forget(1)):
            with pytest.raises(FeedbackAwayError, match="cannot be had now"):
                use()
    finally:
        postgresql.start()
    assert store.prediction("p") is not None
    assert [one.outcome for one in store.write([predicted("q"), Erasure(prediction="p", made_us=1)])] == [
        Outcome.KEPT,
        Outcome.KEPT,
    ]


def test_an_export_reads_one_moment(stores: list[FeedbackStore], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "_PAGE", 20)
    first, other = stores[:2]
    first.write([predicted(f"p{number}") for number in range(50)])
    first.write([said(f"s{number}", f"p{number}", stars(3)) for number in range(50)])
    rows = first.rows()
    read = [next(rows)]
    other.write([predicted("late"), said("late", "late", stars(1)), Erasure(prediction="p40", made_us=1)])
    read += rows
    assert [row["prediction"] for row in read] == [f"p{number}" for number in range(50)]
    assert len(list(first.rows())) == 50
