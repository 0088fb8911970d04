"""The store of reports in a file of SQLite."""

from __future__ import annotations

import sqlite3
import stat
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, event, make_url

from serving.errors import ReportsAwayError, ReportsError, ReportsLimitError
from serving.reports import records
from serving.reports.records import MAX_DOCUMENT_BYTES, is_id
from serving.reports.store import ReportStore
from tests.serving.reports.kept import DAY_S, DOCUMENT, Clock, changed, contents, store_in


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "reports" / "reports.sqlite3"


@pytest.fixture
def store(file: Path, clock: Clock) -> Iterator[ReportStore]:
    store = store_in(file, clock)
    yield store
    store.close()


def test_a_report_is_given_back_until_its_time_is_up(store: ReportStore, clock: Clock, file: Path) -> None:
    made = store.keep(DOCUMENT, key="newsroom", days=2)
    assert is_id(made.id)
    assert made.id not in repr(made)
    assert (made.made_s, made.until_s) == (1_800_000_000, 1_800_000_000 + 2 * DAY_S)
    assert store.find(made.id) == made
    other = store.keep(DOCUMENT, key="", days=9)
    assert other.id != made.id
    clock.now_s = made.until_s - 0.5
    assert store.find(made.id) == made
    clock.now_s = made.until_s
    assert store.find(made.id) is None, "gone at once, although it was not swept"
    assert made.id.encode() in file.read_bytes()
    assert store.sweep()
    assert not store.sweep()
    assert made.id.encode() not in file.read_bytes()
    assert store.find(other.id) == other


def test_a_store_that_nobody_has_used_is_empty_and_not_made_by_a_look(store: ReportStore, file: Path) -> None:
    assert store.find("A" * 22) is None
    assert not store.delete("A" * 22)
    assert not store.sweep()
    assert not file.exists()


def test_what_is_deleted_is_overwritten(store: ReportStore, file: Path, clock: Clock) -> None:
    """A report without compression to speak of, so that its bytes would be found."""
    large = {"article": {"title": "".join(chr(0x4E00 + number * 37 % 20_000) for number in range(4000))}}
    made = store.keep(large, key="", days=1)
    connection = sqlite3.connect(file)
    (row,) = connection.execute("SELECT document FROM infolens_reports").fetchone()
    connection.close()
    assert row[2000:2100] in file.read_bytes()
    assert store.delete(made.id)
    assert row[2000:2100] not in file.read_bytes()
    assert made.id.encode() not in file.read_bytes()
    assert not store.delete(made.id)
    assert store.find(made.id) is None


def test_the_file_is_for_this_user_alone(store: ReportStore, file: Path) -> None:
    store.keep(DOCUMENT, key="", days=1)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700


def test_documents_are_compressed_and_whole(store: ReportStore, file: Path) -> None:
    long = {"article": {"title": "Über die Brücke. " * 30_000}}
    made = store.keep(long, key="", days=1)
    assert file.stat().st_size < 100_000
    assert "Über die Brücke.".encode() in contents(file)
    found = store.find(made.id)
    assert found is not None
    assert found.document == long


def test_a_report_that_is_too_large_is_refused(store: ReportStore, file: Path) -> None:
    about = len('{"a":""}')
    assert store.keep({"a": "x" * (MAX_DOCUMENT_BYTES - about)}, key="", days=1)
    with pytest.raises(ReportsLimitError, match=r"at most 1,048,576 bytes as JSON, and this one has 1,048,577"):
        store.keep({"a": "x" * (MAX_DOCUMENT_BYTES - about + 1)}, key="", days=1)


def test_no_more_are_kept_than_may_but_those_whose_time_is_up_make_room(file: Path, clock: Clock) -> None:
    store = store_in(file, clock, max_reports=3)
    first = store.keep(DOCUMENT, key="a", days=1)
    for _ in range(2):
        store.keep(DOCUMENT, key="b", days=2)
    with pytest.raises(ReportsLimitError, match=r"at most 3 reports, and has 3: delete some"):
        store.keep(DOCUMENT, key="c", days=1)
    clock.now_s = first.until_s
    assert store.keep(DOCUMENT, key="c", days=1)
    with pytest.raises(ReportsLimitError):
        store.keep(DOCUMENT, key="c", days=1)
    store.close()


def test_a_store_of_another_version_is_left_alone(store: ReportStore, file: Path) -> None:
    made = store.keep(DOCUMENT, key="", days=1)
    changed(file, "UPDATE infolens_reports_about SET version = 9")
    for use in (lambda: store.keep(DOCUMENT, key="", days=1), lambda: store.find(made.id), store.sweep):
        with pytest.raises(ReportsError, match="version 9, and this server knows version 1"):
            use()


def test_a_broken_report_is_said(store: ReportStore, file: Path) -> None:
    made = store.keep(DOCUMENT, key="", days=1)
    changed(file, "UPDATE infolens_reports SET document = x'00'")
    with pytest.raises(ReportsError, match="is broken: see to the database"):
        store.find(made.id)


def test_what_cannot_be_used_is_said(tmp_path: Path, clock: Clock) -> None:
    garbage = tmp_path / "garbage.sqlite3"
    garbage.write_bytes(b"this is no database, whatever its name says" * 100)
    (tmp_path / "file").touch()
    for path, words in (
        (garbage, r"the reports in .*\(file is not a database\).*--reports-url"),
        (tmp_path / "file" / "reports" / "reports.sqlite3", "Not a directory"),
    ):
        with pytest.raises(ReportsError, match=words):
            store_in(path, clock).keep(DOCUMENT, key="", days=1)


def test_a_store_that_somebody_holds_is_away(store: ReportStore, file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = store.keep(DOCUMENT, key="", days=1)
    monkeypatch.setattr("serving.storage.location._TIMEOUT_S", 0)
    holder = sqlite3.connect(file)
    holder.execute("BEGIN EXCLUSIVE")
    try:
        for use in (partial(store.keep, DOCUMENT, key="", days=1), partial(store.find, made.id)):
            with pytest.raises(ReportsAwayError, match=r"cannot be had now \(database is locked\)"):
                use()
    finally:
        holder.close()
    assert store.find(made.id) == made


def test_a_full_disk_is_said_and_keeps_what_was_there(store: ReportStore, file: Path) -> None:
    """SQLite says of a file that may grow no further what it says of a full disk."""
    made = store.keep(DOCUMENT, key="", days=1)

    def grow_no_more(connection: Any, _: Any) -> None:
        connection.execute("PRAGMA max_page_count = 1")

    large = {"article": {"title": "".join(chr(0x4E00 + number * 37 % 20_000) for number in range(40_000))}}
    event.listen(Engine, "connect", grow_no_more)
    try:
        with pytest.raises(ReportsError, match="database or disk is full"):
            store.keep(large, key="", days=1)
    finally:
        event.remove(Engine, "connect", grow_no_more)
    assert store.find(made.id) == made


def test_ids_are_random_and_have_one_form() -> None:
    made = {records.make_id() for _ in range(1000)}
    assert len(made) == 1000
    assert all(is_id(one) for one in made)
    for text in ("", "A" * 21, "A" * 23, "A" * 21 + "/", "Ä" * 22, "A" * 22 + "\n"):
        assert not is_id(text)


def test_a_url_with_a_database_that_is_away_says_no_password() -> None:
    store = ReportStore(make_url("postgresql+psycopg://infolens:sesame@127.0.0.1:9/reports"))
    with pytest.raises(ReportsAwayError, match=r"127\.0\.0\.1:9/reports cannot be had now") as caught:
        store.keep(DOCUMENT, key="", days=1)
    assert "sesame" not in str(caught.value)
    store.close()
