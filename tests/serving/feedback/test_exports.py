"""Ratings as files: what is in them, and that a file is whole or not there."""

from __future__ import annotations

import builtins
import csv
import json
import sqlite3
import stat
import tracemalloc
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pyarrow import parquet

from serving.errors import FeedbackError
from serving.feedback.exports.columns import COLUMNS
from serving.feedback.exports.exporting import FORMATS, export, format_of
from tests.serving.feedback.said import Clock, labelled, predicted, said, stars, store_in

ROW = {
    **dict.fromkeys(COLUMNS),
    "prediction": "p",
    "made": "2027-01-15T08:00:00.000+00:00",
    "task": "summary",
    "model": "bart",
    "version": "1",
    "revision": "s1",
    "probability": 0.25,
    "output_text": '=cmd|"calc"!A1',
    "stars": 4,
    "better": 'Zwei\nZeilen, "hier"',
    "right": False,
    "rater": "",
    "consent": True,
    "audit": False,
    "words": 120,
    "title": "+49 30",
    "text": "Die Brücke 🌉",
}


def untold(_: str) -> None:
    pass


def rows(number: int) -> Iterator[dict[str, Any]]:
    return ({**ROW, "prediction": f"p{one // 2}", "rater": f"r{one % 2}"} for one in range(number))


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "ratings"


def read(form: str, file: Path) -> list[dict[str, Any]]:
    if form == "csv":
        with file.open(encoding="utf-8", newline="") as text:
            return list(csv.DictReader(text))
    if form == "jsonl":
        return [json.loads(line) for line in file.read_text("utf-8").splitlines()]
    if form == "parquet":
        found: list[dict[str, Any]] = parquet.read_table(file).to_pylist()
        return found
    connection = sqlite3.connect(file)
    connection.row_factory = sqlite3.Row
    table = [dict(one) for one in connection.execute("SELECT * FROM feedback ORDER BY prediction, rater")]
    connection.close()
    return table


@pytest.mark.parametrize("form", ["jsonl", "parquet", "sqlite"])
def test_programs_get_every_value_as_it_is(form: str, out: Path) -> None:
    assert export([ROW], form, out, untold) == 1
    (found,) = read(form, out)
    assert list(found) == list(COLUMNS)
    assert found == ROW
    assert stat.S_IMODE(out.stat().st_mode) == 0o600


def test_a_spreadsheet_takes_no_cell_for_a_formula(out: Path) -> None:
    export([ROW], "csv", out, untold)
    (found,) = read("csv", out)
    assert found == {
        **{name: "" if value is None else str(value) for name, value in ROW.items()},
        "output_text": '\'=cmd|"calc"!A1',
        "title": "'+49 30",
        "better": 'Zwei\nZeilen, "hier"',
        "consent": "true",
        "audit": "false",
        "right": "false",
    }
    assert out.read_bytes().startswith(b"prediction,made,task")


def test_a_file_of_sqlite_has_tables_with_types_and_keys(out: Path) -> None:
    export(rows(4), "sqlite", out, untold)
    connection = sqlite3.connect(out)
    tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    assert tables - {"sqlite_stat1"} == {"models", "predictions", "ratings"}
    counts = [connection.execute(f"SELECT count(*) FROM {name}").fetchone()[0] for name in ("predictions", "ratings")]
    assert counts == [2, 4]
    keys = {(row[2], row[3], row[4]) for row in connection.execute("PRAGMA foreign_key_list(ratings)")}
    assert keys == {("predictions", "prediction", "id"), ("models", "model", "id")}
    types = {row[1]: row[2] for row in connection.execute("PRAGMA table_info(ratings)")}
    assert (types["stars"], types["probability"], types["better"]) == ("INTEGER", "REAL", "TEXT")
    assert connection.execute("PRAGMA foreign_key_check").fetchall() == []
    connection.close()


@pytest.mark.parametrize("form", list(FORMATS))
def test_a_file_is_whole_or_as_it_was(form: str, out: Path) -> None:
    out.write_text("before")

    def broken() -> Iterator[dict[str, Any]]:
        yield from rows(2500)
        raise FeedbackError("the database has gone")

    with pytest.raises(FeedbackError, match="has gone"):
        export(broken(), form, out, untold)
    assert out.read_text() == "before"
    assert list(out.parent.iterdir()) == [out]
    with out.open() as reads_the_old_one:
        assert export(rows(3), form, out, untold) == 3
        assert reads_the_old_one.read() == "before"
    assert len(read(form, out)) == 3
    with pytest.raises(FeedbackError, match=r"cannot be written .*name another file with --out"):
        export(rows(1), form, out.parent / "none" / "file", untold)


@pytest.mark.parametrize("form", list(FORMATS))
def test_memory_does_not_grow_with_the_rows(form: str, out: Path) -> None:
    """20 MB of rows pass; what stays of them is a group of parquet's, or less."""
    many = ({**ROW, "text": f"{number:06}" * 700} for number in range(5000))
    export(rows(1), form, out, untold)  # what is loaded at first is not counted
    tracemalloc.start()
    try:
        assert export(many, form, out, untold) == 5000
        assert tracemalloc.get_traced_memory()[1] < 15 * 2**20
    finally:
        tracemalloc.stop()


def test_without_pyarrow_it_says_how_to_get_it(out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def without(name: str, *more: Any) -> Any:
        if name.startswith("pyarrow"):
            raise ImportError(name)
        return real(name, *more)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(FeedbackError, match=r"pip install pyarrow; or export with --format jsonl"):
        export([ROW], "parquet", out, untold)
    assert export([ROW], "jsonl", out, untold) == 1


def test_the_name_of_a_file_says_its_format() -> None:
    names = {"a.csv": "csv", "a.JSONL": "jsonl", "a.parquet": "parquet", "a.db": "sqlite", "a.sqlite": "sqlite"}
    assert {name: format_of(Path(name)) for name in names} == names
    assert format_of(Path("a.txt")) is None


def test_what_the_store_has_passes_through_every_format(tmp_path: Path) -> None:
    store = store_in(tmp_path / "feedback.sqlite3", Clock())
    store.write([predicted("p", title="T", text="=X"), predicted("q")])
    store.write([said("a", "p", stars(4, "Besser."), labelled("Politics"), consent=True), said("b", "q", stars(1))])
    expected = list(store.rows())
    assert [list(row) for row in expected] == [list(COLUMNS)] * 3
    for form in ("jsonl", "parquet", "sqlite"):
        export(store.rows(), form, tmp_path / form, untold)
        found = read(form, tmp_path / form)
        assert sorted(found, key=str) == sorted(expected, key=str) if form != "sqlite" else len(found) == 3
    store.close()
