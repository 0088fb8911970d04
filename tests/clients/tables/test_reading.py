"""Tables of articles as people have them."""

from __future__ import annotations

import json
import random
from datetime import date

import pytest

from infolens import InvalidTableError
from infolens.tables import ArticleRow, Table, read_table
from tests.clients.tables.excel_files import workbook

TEXT = "The home side won."
LONG = "The harbour bridge will close in June, the city said; ferries will cross every ten minutes until autumn. "


def only(data: bytes | str, name: str = "") -> tuple[Table, ArticleRow]:
    table = read_table(data if isinstance(data, bytes) else data.encode(), name)
    (row,) = table.rows
    return table, row


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
@pytest.mark.parametrize("end", ["\r\n", "\n", "\r"])
def test_a_csv_file_of_any_kind(delimiter: str, end: str) -> None:
    head, body = ["Key", "Head_Line", "BODY", "other"], ["7", '"A ""B"""', f'"one{end}two{delimiter} three"', "x"]
    table, row = only(f"{delimiter.join(head)}{end}{end}{delimiter.join(body)}{end}")
    assert (table.kind, table.notes) == ("csv", ())
    assert table.columns == {"text": "BODY", "title": "Head_Line", "url": None, "id": "Key"}
    assert row == ArticleRow(id="7", title='A "B"', text=f"one{end}two{delimiter} three")


def test_what_excel_writes_before_a_table() -> None:
    table, row = only("\ufeffsep=;\r\ntext;title\r\na, b;c, d\r\n")
    assert (row.text, row.title) == ("a, b", "c, d")
    assert table.columns["text"] == "text"


@pytest.mark.parametrize(
    ("encoding", "note"),
    [("utf-8", ""), ("utf-8-sig", ""), ("utf-16", ""), ("utf-32", ""), ("cp1252", "read as Windows-1252")],
)
def test_encodings(encoding: str, note: str) -> None:
    text = "Zügig über die Brücke: “sehr” schön, für 5 €."
    table, row = only(f'text,id\r\n"{text}",ä\r\n'.encode(encoding))
    assert (row.text, row.id) == (text, "ä")
    assert [note in one for one in table.notes] == [True] * bool(note)


def test_a_few_damaged_bytes_are_told() -> None:
    table, row = only("text,id\r\nÜber die Brücke,ü".encode() + b"\xff\r\n")
    assert row.id == "ü\ufffd"
    assert table.notes == ("1 damaged characters are shown as \ufffd: the file is not whole UTF-8",)


def test_huge_cells() -> None:
    cell = "word " * 50_000
    table = read_table(f'text,id\r\n"{cell}",1\r\n"{cell}more text",2\r\n{TEXT},3\r\n'.encode())
    assert table.rows[0].text == cell
    assert [row.error is None for row in table.rows] == [True, True, True]
    huge = read_table(f"text,id\r\n{'word ' * 60_000},1\r\n{TEXT},2\r\n".encode())
    assert (huge.rows[0].text, huge.rows[1].text) == (None, TEXT)
    assert "at most 262,144 bytes" in (huge.rows[0].error or "")


def test_the_better_name_counts() -> None:
    table, row = only("story,Text,headline,name,uuid\nno,yes,h,n,u\n")
    assert (row.text, row.title, row.id) == ("yes", "h", "n")
    assert table.columns == {"text": "Text", "title": "headline", "url": None, "id": "name"}


@pytest.mark.parametrize(
    ("data", "texts"),
    [
        (f"{LONG}\n{LONG}two", [LONG.strip(), f"{LONG}two"]),
        ("text\nHello, world\n\nBye; all\n", ["Hello, world", "Bye; all"]),
        ('text\n"one ""quoted""\nand its second line"\ntwo', ['one "quoted"\nand its second line', "two"]),
        ('"We won," she said.\nThey lost, he said.', ['"We won," she said.', "They lost, he said."]),
        (f"Artikel\n{LONG}\n{LONG}", [LONG.strip(), LONG.strip()]),
        ('["one", "two"]', ["one", "two"]),
        ("one text alone", ["one text alone"]),
    ],
)
def test_a_single_column_holds_texts(data: str, texts: list[str]) -> None:
    table = read_table(data.encode())
    assert [(row.text or "").strip() for row in table.rows] == texts
    assert ("taken for the name" in " ".join(table.notes)) is data.startswith("Artikel")


@pytest.mark.parametrize("data", ["https://a.example/1\nhttps://b.example/2?x=1,2\n", "Seite\nhttp://a.example\n"])
def test_a_single_column_of_links(data: str) -> None:
    table = read_table(data.encode())
    assert all(row.url and row.text is None and row.error is None for row in table.rows)
    assert table.columns["url"] in ("1", "Seite")


def test_links_and_texts_side_by_side() -> None:
    table = read_table(b"url,text\nhttps://a.example/,\njavascript:alert(1),x\nftp://a,\n,\n  ,only\n")
    assert [(row.url, row.text) for row in table.rows] == [
        ("https://a.example/", None),
        (None, "x"),
        (None, None),
        (None, "only"),
    ]
    assert [row.error is None for row in table.rows] == [True, True, False, True]
    assert table.notes == ("1 row has a link that is no http or https link; it was left out",)


def test_rows_that_do_not_fit_the_head() -> None:
    table = read_table(b"id,text\n1,Hello, world\n2\n3,fine\n4,,\n")
    assert [row.id for row in table.rows] == [*"1234"]
    assert [row.text for row in table.rows] == [None, None, "fine", None]
    assert "2 columns, but this row has 3 cells" in (table.rows[0].error or "")
    assert "neither" in (table.rows[1].error or "")


def test_lines_above_the_names_of_the_columns() -> None:
    table, row = only("Articles of May,,\n,,\nid,text,x\n1,a text,\n")
    assert (row.id, row.text) == ("1", "a text")
    assert table.notes == ("what stands above the names of the columns was left out, rows: 1",)


def test_json_lines_and_arrays() -> None:
    rows = [{"ID": 7, "Title": "t", "text": "a\u2028b"}, {"url": "https://a.example/", "text": None}]
    lines = read_table("\n".join(json.dumps(row, ensure_ascii=False) for row in rows).encode())
    array = read_table(json.dumps(rows, indent=2).encode("utf-16"))
    assert (lines.kind, array.kind) == ("jsonl", "json")
    assert lines.rows == array.rows
    assert lines.rows == (ArticleRow(id="7", title="t", text="a\u2028b"), ArticleRow(url="https://a.example/"))
    whole, row = only('{\n "text": "x"\n}')
    assert (whole.kind, row.text) == ("json", "x")


def test_a_broken_line_spoils_no_other() -> None:
    table = read_table(b'{"text": "one"}\n{"text": \n\n["x"]\n{"text": ["no"]}\n{"text": "two"}\n{"id": 9}\n')
    assert [row.text for row in table.rows] == ["one", None, None, None, "two", None]
    errors = [row.error or "" for row in table.rows]
    assert "line 2 is no JSON" in errors[1]
    assert "this one is a list" in errors[2]
    assert "text: a cell holds text" in errors[3]
    assert (table.rows[5].id, "neither" in errors[5]) == ("9", True)


def test_excel() -> None:
    sheets = {
        "Notes": [["Nothing here"], ["to", "see"]],
        "Mai": [["May"], [], ["Uuid", "Content", "Link"], [17.0, "a\nb", None], [date(2026, 5, 1), None, "https://a/"]],
    }
    table = read_table(workbook(**sheets), "x.csv")
    assert table.kind == "xlsx"
    assert table.columns == {"text": "Content", "title": None, "url": "Link", "id": "Uuid"}
    assert table.rows == (ArticleRow(id="17", text="a\nb"), ArticleRow(id="2026-05-01 00:00:00", url="https://a/"))
    assert "the sheet 'Mai' was read" in table.notes


def test_excel_with_a_single_column() -> None:
    table = read_table(workbook(A=[[None, LONG], [], [None, LONG]]))
    assert [row.text for row in table.rows] == [LONG, LONG]


def test_what_is_beyond_the_limits_is_told() -> None:
    rows = [{"text": "x" * 100}] * 5
    for data in (json.dumps(rows).encode(), b"text,id\n" + b"x,1\n" * 5, workbook(A=[["id", "text"], *[[1, "x"]] * 5])):
        table = read_table(data, max_rows=3)
        assert len(table.rows) == 3
        assert table.notes == ("the table has more than 3 rows: only the first 3 were read",)
    letters = random.Random(7)
    long = read_table(
        workbook(A=[["id", "text"], *[[1, "".join(letters.choices("abcdefghij ", k=30_000))] for _ in range(60)]]),
        max_bytes=2**20,
    )
    assert len(long.rows) == 34
    assert "more than 1 MiB of text: only the first 34 rows" in long.notes[0]
    with pytest.raises(InvalidTableError, match="at most 100 bytes, but this one has 101"):
        read_table(b"x" * 101, max_bytes=100)


def test_a_long_id_is_cut() -> None:
    table, row = only(f"id,text\n{'i' * 200},t\n")
    assert row.id == "i" * 127 + "…"
    assert "1 row has an id of more than 128" in table.notes[0]


def test_as_json() -> None:
    table, _ = only("text,id\na,1\n")
    assert table.to_dict() == {
        "kind": "csv",
        "columns": {"text": "text", "title": None, "url": None, "id": "id"},
        "rows": [{"id": "1", "title": None, "text": "a", "url": None, "error": None}],
        "notes": [],
    }
