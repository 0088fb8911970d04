"""Tables of answers: what stands in them, and that none of it can run."""

from __future__ import annotations

import csv
import io
import json
import sys
from typing import Any

import openpyxl
import pytest

from infolens import InvalidSettingError, InvalidTableError, Quote, RequestRejectedError, Unsupported
from infolens.problems import to_problem
from infolens.tables import CAVEAT, COLUMNS, FORMATS, read_table, to_row, write_table
from infolens.testing import fake_report

PREDICTION = "q3nCk5mGSxuZ0dX2yQe9Tw"
ANSWER = {
    "id": "7",
    **fake_report(
        summary="He won, she said.",
        veracity="fake",
        probability=0.75,
        doubt="text too short",
        tokens=1000,
        truncated_tokens=250,
        sentences=[Quote(index=0, start=0, end=3)],
        unsupported=[
            Unsupported(start=0, end=2, text="He", kind="name"),
            Unsupported(start=3, end=6, text="won", kind="name"),
        ],
        prediction=PREDICTION,
    ).to_dict(),
}
ROW = {
    "id": "7",
    "title": "A title",
    "url": "https://a.example/",
    "summary": "He won, she said.",
    "summary_unsupported": "He; won",
    "category": "Business",
    "category_signal": "unsure",
    "category_doubt": "text too short",
    "category_probability": 0.75,
    "veracity": "fake",
    "veracity_signal": "no clear signal",
    "veracity_doubt": "text too short",
    "veracity_probability": 0.75,
    "read_share": 0.75,
    "error": None,
    "note": CAVEAT,
    "prediction": PREDICTION,
}


def rows_of_csv(data: bytes) -> list[list[str]]:
    return list(csv.reader(io.StringIO(data.decode(), newline=""), strict=True))


def sheet_of(data: bytes) -> Any:
    return openpyxl.load_workbook(io.BytesIO(data)).active


def test_an_answer_is_a_row() -> None:
    row = to_row(ANSWER, title="A title", url="https://a.example/")
    assert row == ROW
    assert tuple(row) == COLUMNS
    assert to_row({**ANSWER, "title": "A title", "url": "https://a.example/"}) == ROW
    assert to_row({**ANSWER, "article": {"title": "A title", "url": "https://a.example/", "text": "x"}}) == ROW


def test_an_error_is_a_row() -> None:
    expected = {**dict.fromkeys(COLUMNS), "id": "7", "error": "no, not this"}
    for error in (to_problem(RequestRejectedError("no, not this")), "no, not this"):
        assert to_row({"index": 3, "id": "7", "error": error}) == expected
    some = to_row(fake_report(failed={"summary": "too late"}).to_dict())
    assert (some["summary"], some["error"], some["category"]) == (None, "no summary: too late", "Business")


@pytest.mark.parametrize(
    "answer",
    [
        {},
        {"summary": 3, "category": [], "veracity": "fake", "readings": {"summary": None, "category": {"tokens": "x"}}},
        {"id": True, "title": ["x"], "url": {}, "error": [], "failed": [1], "article": "x"},
        {"summary": {"text": 1.0, "unsupported": [1, {"text": 3}]}, "veracity": {"probability": float("nan")}},
        {"readings": {"summary": {"tokens": 0, "truncated_tokens": 9}}, "category": {"probability": 10**400}},
        {"error": {"type": 3, "status": [], "detail": "\ud800", "errors": [{"pointer": 1}]}, "id": 10**400},
        {"error": {}},
    ],
)
def test_documents_of_strangers_make_rows_too(answer: dict[str, Any]) -> None:
    row = to_row(answer)
    assert tuple(row) == COLUMNS
    for name in FORMATS:
        assert write_table([row], name)


def test_a_row_of_nothing_reads_back() -> None:
    rows = [ROW, to_row({"id": "8", "error": "no"})]
    assert [json.loads(line) for line in write_table(rows, "jsonl").splitlines()] == rows
    assert json.loads(write_table(iter(rows), "json")) == rows
    as_text = [["" if value is None else str(value) for value in row.values()] for row in rows]
    data = write_table(rows, "csv")
    assert rows_of_csv(data) == [list(COLUMNS), *as_text]
    assert data.startswith(b"id,title,url,")
    assert data.count(b"\r\n") == data.count(b"\n") == 3
    sheet = sheet_of(write_table(rows, "xlsx"))
    assert [list(row) for row in sheet.iter_rows(values_only=True)] == [
        list(COLUMNS),
        *(list(r.values()) for r in rows),
    ]
    assert json.loads(write_table([], "json")) == []
    assert rows_of_csv(write_table([], "csv")) == [list(COLUMNS)]


FORMULAS = [
    "=1+1",
    "+1",
    "-2+3",
    "@SUM(A1)",
    "\t=1",
    "\rx",
    "\nx",
    "  =1+1",
    "\u00a0=1",
    "\u3000=1",
    "\ufeff=1",
    "\u200b\u200e=1",
    "\x00=1",
    "\uff1d1+1",
    "\uff0b1",
    "\uff0d1",
    "\uff20x",
    "\ufe66 1",
    "\u22121",
    "=cmd|' /C calc'!A0",
    '=HYPERLINK("http://127.0.0.1/"&A1)',
]


@pytest.mark.parametrize("text", FORMULAS, ids=ascii)
def test_no_cell_runs(text: str) -> None:
    row = {**dict.fromkeys(COLUMNS), "id": text, "title": text, "url": text, "summary": text, "error": text}
    for cell in rows_of_csv(write_table([row], "csv"))[1]:
        assert cell == "" or cell.startswith("'")
    for (cell,) in sheet_of(write_table([row], "xlsx")).iter_cols(min_row=2):
        if cell.value is not None:
            assert (cell.data_type, cell.hyperlink, cell.quotePrefix) == ("s", None, True)
    assert json.loads(write_table([row], "json"))[0]["summary"] == text


def test_no_cell_runs_where_a_list_is_written_with_semicolons() -> None:
    (_, row) = rows_of_csv(write_table([{"summary": "a;=1+1;\t+2; x"}], "csv"))
    assert row[3] == "a;'=1+1;\t'+2; x"


@pytest.mark.parametrize(
    "text", ["a=b", "5 - 3", "'=1", "#N/A", "#REF!", "2026-05-01", "TRUE", "1e5", "http://a.b/", "007"]
)
def test_texts_stay_texts(text: str) -> None:
    row = {"id": text, "summary": text}
    assert rows_of_csv(write_table([row], "csv"))[1][0] == text
    cell = sheet_of(write_table([row], "xlsx"))["D2"]
    assert (cell.value, cell.data_type, cell.hyperlink) == (text, "s", None)


def test_what_excel_cannot_hold() -> None:
    long, wide = "x" * 40_000, "\U0001f600" * 20_000
    row = {"id": long, "title": wide, "url": "a\x00\x0b\ufffe\ud800b\r\nc", "summary": "_x0041_"}
    data = write_table([row], "xlsx")
    sheet = sheet_of(data)
    assert sheet["A2"].value == "x" * 32_766 + "…"
    assert sheet["B2"].value == "\U0001f600" * 16_383 + "…"
    assert sheet["C2"].value == "a\ufffdb\nc"
    assert b"_x0041_" not in data
    assert rows_of_csv(write_table([row], "csv"))[1][0] == long
    assert json.loads(write_table([row], "json"))[0]["url"] == "a\x00\x0b\ufffe\ufffdb\r\nc"


def test_an_excel_file_is_easy_to_read() -> None:
    sheet = sheet_of(write_table([ROW], "xlsx"))
    assert sheet.freeze_panes == "A2"
    assert sheet["D1"].font.bold
    assert sheet["D2"].alignment.wrap_text
    assert sheet.column_dimensions["D"].width > 3 * sheet.column_dimensions["I"].width
    assert isinstance(sheet["M2"].value, float)


def test_it_is_written_without_a_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    def none(*_: Any, **__: Any) -> Any:
        raise OSError("there is no disk")

    write_table([ROW], "xlsx")
    monkeypatch.setattr("tempfile.NamedTemporaryFile", none)
    monkeypatch.setattr("openpyxl.worksheet._writer.create_temporary_file", none)
    monkeypatch.setattr("io.open", none)
    assert len(read_table(write_table([ROW], "xlsx")).rows) == 1


@pytest.mark.parametrize("ask", [lambda: write_table([], "xls"), lambda: write_table([{"text": "x"}], "csv")])
def test_what_is_no_table_of_answers(ask: Any) -> None:
    with pytest.raises(InvalidSettingError, match=r"one of csv, xlsx, jsonl, json|to_row makes one"):
        ask()


def test_without_the_library(monkeypatch: pytest.MonkeyPatch) -> None:
    data = write_table([ROW], "xlsx")
    monkeypatch.setitem(sys.modules, "openpyxl", None)
    for ask in (lambda: write_table([], "xlsx"), lambda: read_table(data)):
        with pytest.raises(InvalidTableError, match=r"pip install 'infolens\[tables\]'"):
            ask()
    assert write_table([ROW], "csv")
    assert read_table(write_table([ROW], "jsonl")).kind == "jsonl"
