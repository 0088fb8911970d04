"""The store of feedback as a file of SQLite: who reads it, what is left in it, and what happens around it."""

from __future__ import annotations

import sqlite3
import stat
import threading
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, event, make_url

from serving.errors import FeedbackAwayError
from serving.feedback.keeping import FeedbackStorage, Outcome
from serving.feedback.records import Erasure
from serving.feedback.store import FeedbackStore
from tests.serving.feedback.said import Clock, kept_in, predicted, said, stars, store_in


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "feedback" / "feedback.sqlite3"


@pytest.fixture
def store(file: Path, clock: Clock) -> Iterator[FeedbackStore]:
    store = store_in(file, clock)
    yield store
    store.close()


def test_it_is_what_the_keeper_asks_for(store: FeedbackStore) -> None:
    storage: FeedbackStorage = store
    assert storage.write(()) == ()


def test_a_look_makes_nothing(store: FeedbackStore, file: Path) -> None:
    assert store.prediction("p") is None
    assert store.submissions("p") == ()
    assert store.aggregates(batch=1, since_day=0) == ()
    assert store.judgments(since_day=0, limit=1) == ()
    assert store.tallies(since_day=0) == ()
    assert store.populations(since_day=0) == ()
    assert list(store.rows()) == []
    assert store.forget(1) == 0
    assert store.version() == "base"
    assert not file.exists()


def test_the_file_is_for_this_user_alone_and_a_commit_is_on_the_disk(store: FeedbackStore, file: Path) -> None:
    store.write([predicted("p")])
    files = list(file.parent.iterdir())
    assert {one.suffix for one in files} == {".sqlite3", ".sqlite3-wal", ".sqlite3-shm"}
    assert {stat.S_IMODE(one.stat().st_mode) for one in files} == {0o600}
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700
    with store._opened.reading() as connection:
        assert connection is not None
        pragma = {
            name: connection.exec_driver_sql(f"PRAGMA {name}").scalar()
            for name in ("synchronous", "foreign_keys", "secure_delete")
        }
    assert pragma == {"synchronous": 2, "foreign_keys": 1, "secure_delete": 1}


def test_nothing_of_what_is_erased_or_forgotten_is_left(store: FeedbackStore, file: Path, clock: Clock) -> None:
    marks = [f"mark-{number}-{'x' * 40}" for number in range(6)]
    title, text, note, better, rater, old = marks
    store.write([predicted("p", title=title, text=text * 200), predicted("old-one", text=old)])
    store.write([said("s", "p", stars(2, better), note=note, rater=rater)])
    assert all(one.encode() in kept_in(file) for one in marks)
    store.write([Erasure(prediction="p", made_us=1)])
    assert [one for one in marks if one.encode() in kept_in(file)] == [old]
    clock.now_s += 2 * 86_400
    store.forget(1)
    assert old.encode() not in kept_in(file)


def test_reading_goes_on_while_somebody_writes(
    store: FeedbackStore, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.write([predicted("p")])
    monkeypatch.setattr("serving.storage.location._TIMEOUT_S", 0)
    other = store_in(file, Clock())
    holder = sqlite3.connect(file, isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    try:
        assert other.prediction("p") is not None
        with pytest.raises(FeedbackAwayError, match=r"the ratings in .* cannot be had now \(database is locked\)"):
            other.write([predicted("q")])
    finally:
        holder.close()
    assert [one.outcome for one in other.write([predicted("q")])] == [Outcome.KEPT]
    other.close()


def test_a_file_that_was_taken_away_is_made_anew(store: FeedbackStore, file: Path) -> None:
    """Connections stay open: what is written must not go into a file that nobody sees any more."""
    store.write([predicted("p")])
    for one in list(file.parent.iterdir()):
        one.unlink()
    assert store.prediction("p") is None
    assert [one.outcome for one in store.write([predicted("p")])] == [Outcome.KEPT]
    kept = sqlite3.connect(file)
    assert kept.execute("SELECT count(*) FROM infolens_feedback_predictions").fetchone() == (1,)
    kept.close()


def test_many_who_begin_at_once_make_it_once(file: Path, clock: Clock) -> None:
    salts, kept, failed = set(), [], []
    begin = threading.Barrier(6)

    def keep(number: int) -> None:
        store = store_in(file, clock)
        begin.wait()
        try:
            while True:
                try:
                    kept.extend(store.write([predicted(f"p{number}"), predicted("same"), said("s", "same", stars(3))]))
                    salts.add(store.salt)
                    return
                except FeedbackAwayError:  # another one holds the file for seconds, on a machine with much to do
                    continue
        except Exception as error:
            failed.append(error)
        finally:
            store.close()

    threads = [threading.Thread(target=keep, args=[number]) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []
    assert len(salts) == 1
    assert sum(one.outcome is Outcome.KEPT for one in kept) == 8
    store = store_in(file, clock)
    assert [one.predictions for one in store.populations(since_day=0)] == [7, 7, 7]
    store.close()


def test_a_full_disk_is_said_and_keeps_what_was_there(store: FeedbackStore, file: Path, clock: Clock) -> None:
    """SQLite says of a file that may grow no further what it says of a full disk; no entry is at fault."""
    store.write([predicted("p")])

    def grow_no_more(connection: Any, _: Any) -> None:
        connection.execute("PRAGMA max_page_count = 1").close()

    event.listen(Engine, "connect", grow_no_more)
    try:
        other = store_in(file, clock)
        with pytest.raises(FeedbackAwayError, match="database or disk is full"):
            other.write([predicted("q", text="x" * 100_000)])
        other.close()
    finally:
        event.remove(Engine, "connect", grow_no_more)
    assert store.prediction("p") is not None
    assert store.prediction("q") is None


def test_what_cannot_be_used_is_said(tmp_path: Path, clock: Clock) -> None:
    garbage = tmp_path / "garbage.sqlite3"
    garbage.write_bytes(b"this is no database, whatever its name says" * 100)
    (tmp_path / "file").touch()
    for path, words in (
        (garbage, r"the ratings in .*\(file is not a database\).*--feedback-url"),
        (tmp_path / "file" / "feedback" / "feedback.sqlite3", "Not a directory"),
    ):
        store = store_in(path, clock)
        with pytest.raises(FeedbackAwayError, match=words):  # the place is at fault, and no entry
            store.write([predicted("p")])
        store.close()


def test_a_database_that_is_away_is_said_without_its_password() -> None:
    store = FeedbackStore(make_url("postgresql+psycopg://infolens:sesame@127.0.0.1:9/feedback"))
    uses: tuple[Any, ...] = (
        partial(store.write, [predicted("p")]),
        partial(store.prediction, "p"),
        partial(store.forget, 1),
    )
    for use in uses:
        with pytest.raises(FeedbackAwayError, match=r"127\.0\.0\.1:9/feedback cannot be had now") as caught:
            use()
        assert "sesame" not in str(caught.value)
    store.close()
