"""Tables in and out of the command."""

from __future__ import annotations

import csv
import io
import json
import sys
from pathlib import Path
from typing import Any

import pytest

from infolens import Article, InfoLensError, Report, RequestRejectedError, ServerUnavailableError
from infolens.tables import COLUMNS, FORMATS, read_table, write_table
from infolens.testing import FakeTransport, fake_report
from tests.clients.tables.excel_files import workbook


def by_text(article: Article) -> Report | InfoLensError:
    if "reject" in article.text:
        return RequestRejectedError("not to the server's taste")
    return fake_report(summary=article.text, veracity="fake", tokens=100, truncated_tokens=10)


@pytest.fixture
def table(tmp_path: Path) -> Path:
    path = tmp_path / "in.csv"
    lines = ["key,headline,body", *(f'k{n},Title {n},"text {n}, whole"' for n in range(10))]
    path.write_text("\r\n".join(lines), encoding="utf-8")
    return path


def rows_of(path: Path) -> list[dict[str, Any]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


@pytest.mark.parametrize("ending", FORMATS)
def test_a_table_becomes_a_table(run: Any, use: Any, table: Path, tmp_path: Path, ending: str) -> None:
    fake = use(FakeTransport(by_text))
    out = tmp_path / f"out.{ending}"
    code, printed, err = run("analyze", "--in", str(table), "--out", str(out))
    assert (code, printed, err) == (0, "", f"infolens: {out}: 10 rows\n")
    assert fake.articles[3] == Article(text="text 3, whole", title="Title 3")
    assert {path.name for path in tmp_path.iterdir()} == {"in.csv", out.name}
    # What came in as the title comes out under it, and what is read again is the same table.
    again = read_table(out.read_bytes().replace(b"summary,", b"text,", 1) if ending == "csv" else out.read_bytes())
    assert [(row.id, row.title) for row in again.rows] == [(f"k{n}", f"Title {n}") for n in range(10)]


def test_the_columns(run: Any, use: Any, table: Path, tmp_path: Path) -> None:
    use(FakeTransport(by_text))
    out = tmp_path / "out.csv"
    assert run("analyze", "--in", str(table), "--out", str(out), "--task", "veracity")[0] == 0
    row = rows_of(out)[4]
    assert tuple(row) == COLUMNS
    filled = {name: value for name, value in row.items() if value}
    assert filled == {
        "id": "k4",
        "title": "Title 4",
        "veracity": "fake",
        "veracity_signal": "fake",
        "veracity_probability": "0.9",
        "read_share": "0.9",
        "note": "judged by wording, not checked",
    } | {"veracity_probability": filled["veracity_probability"]}
    assert float(filled["veracity_probability"]) == pytest.approx(0.9)


def test_rows_that_fail_have_their_reason(run: Any, use: Any, tmp_path: Path) -> None:
    use(FakeTransport(by_text))
    (tmp_path / "in.jsonl").write_text('{"text": "reject"}\n{"text": " "}\n{"text": "fine"}\nno json\n', "utf-8")
    out = tmp_path / "out.csv"
    code, _, err = run("analyze", "--in", str(tmp_path / "in.jsonl"), "--out", str(out))
    assert code == 1
    first, *_, last = err.splitlines()
    assert first == "infolens: 3 of 4 rows have no whole answer; their column error says why"
    assert last == f"infolens: {out}: 4 rows"
    rows = rows_of(out)
    assert [row["id"] for row in rows] == [*"1234"]
    assert "taste" in rows[0]["error"]
    assert "neither" in rows[1]["error"]
    assert (rows[2]["error"], rows[2]["summary"]) == ("", "fine")
    assert "line 4 is no JSON" in rows[3]["error"]


def test_files_become_a_table(run: Any, use: Any, tmp_path: Path) -> None:
    use(FakeTransport(by_text))
    (tmp_path / "a.txt").write_text("=Title\n\nThe body.", "utf-8")
    out = tmp_path / "out.csv"
    code, _, _ = run("analyze", str(tmp_path / "a.txt"), str(tmp_path / "none.txt"), "--out", str(out))
    assert code == 1
    one, other = rows_of(out)
    assert (one["id"], one["title"], one["summary"]) == (str(tmp_path / "a.txt"), "'=Title", "The body.")
    assert "No such file" in other["error"]


def test_tables_on_the_standard_streams(run: Any, use: Any, table: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    use(FakeTransport(by_text))
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(table.read_bytes())))
    code, out, err = run("analyze", "--in", "-", "--out", "-", "--format", "json")
    assert (code, err) == (0, "")
    assert [row["id"] for row in json.loads(out)] == [f"k{n}" for n in range(10)]


def test_a_table_may_be_printed(run: Any, use: Any, table: Path) -> None:
    use(FakeTransport(by_text))
    code, out, _ = run("analyze", "--in", str(table), "--json")
    assert code == 0
    lines = [json.loads(line) for line in out.splitlines()]
    assert [line["file"] for line in lines][:2] == ["row 1 (k0)", "row 2 (k1)"]


def test_notes_of_the_table_are_told(run: Any, use: Any, tmp_path: Path) -> None:
    use(FakeTransport(by_text))
    (tmp_path / "in.xlsx").write_bytes(workbook(A=[["x"]], B=[["id", "text"], [1, "a"]]))
    _, _, err = run("analyze", "--in", str(tmp_path / "in.xlsx"), "--out", str(tmp_path / "out.json"))
    assert f"infolens: {tmp_path}/in.xlsx: the sheet 'B' was read\n" in err


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ("--in {in} --out {dir}/x.docx", "ends with .csv, .xlsx, .jsonl, .json"),
        ("--in {in} --out {dir}/x", "or add --format"),
        ("--in {in} --out -", "--out - needs the format"),
        ("--in {in} --out {dir}/none/x.csv", "in a folder that can be written to"),
        ("--in {in} --out {in}", "would overwrite the table of --in"),
        ("--in {in} --out {dir}/x.csv --json", "no place for --json"),
        ("--in {in} --out {dir}/x.csv --evidence", "no place for --evidence"),
        ("--in {in} --format csv", "--format goes with --out"),
        ("--in {in} --resume", "--resume goes with --out"),
        ("--in {in} {dir}/a.txt --out {dir}/x.csv", "a FILE has no place beside it"),
        ("--in {in} --text x", "--text has no place beside it"),
        ("--in {in} --title x", "--title has no place beside it"),
        ("--in {dir}/none.csv --out {dir}/x.csv", "No such file"),
        ("--in {dir} --out {dir}/x.csv", "--in must name a table that can be read"),
        ("--in {dir}/empty --out {dir}/x.csv", "this file is empty"),
        ("--in {in} --out {dir}/x.csv --wait -1", "--wait is a number"),
        ("--in {in} --out {dir}/x.csv --in-flight 0", "in_flight"),
        ("--in {dir}/links.csv --out {dir}/x.csv --server grpc://127.0.0.1:1", "--server http://HOST:8000"),
    ],
)
def test_what_does_not_fit_is_refused_before_anything_is_asked(
    run: Any, use: Any, table: Path, tmp_path: Path, words: str, told: str
) -> None:
    fake = use(FakeTransport())
    (tmp_path / "empty").touch()
    (tmp_path / "links.csv").write_text("https://a.example/\n", "utf-8")
    before = {path.name for path in tmp_path.iterdir()}
    code, out, err = run(
        "analyze", *(word.replace("{in}", str(table)).replace("{dir}", str(tmp_path)) for word in words.split())
    )
    assert (code, out, fake.requests) == (2, "", [])
    assert told in err
    assert {path.name for path in tmp_path.iterdir()} == before


class Ends:
    """Answers until an article, which ends the run."""

    def __init__(self, text: str, error: BaseException) -> None:
        self._text = text
        self._error = error

    def __call__(self, article: Article) -> Report | InfoLensError:
        if self._text in article.text:
            raise self._error
        return by_text(article)


@pytest.mark.parametrize(
    ("error", "code", "words"),
    [(KeyboardInterrupt(), 130, "interrupted"), (ServerUnavailableError("gone"), 3, "gone")],
    ids=["Ctrl-C", "the server is gone"],
)
def test_what_a_run_has_is_kept_and_gone_on_with(
    run: Any, use: Any, table: Path, tmp_path: Path, error: BaseException, code: int, words: str
) -> None:
    table.write_text(table.read_text("utf-8").replace("text 2,", "reject 2,"), "utf-8")
    out, partial = tmp_path / "out.csv", tmp_path / "out.csv.partial"
    command = ("analyze", "--in", str(table), "--out", str(out), "--in-flight", "1", "--wait", "0")
    use(FakeTransport(Ends("text 6", error)))
    found, _, err = run(*command)
    assert found == code
    assert err.splitlines() == [
        f"infolens: {words}",
        f"infolens: of 10 articles 5 were answered, 1 failed, and 4 have no result; they are kept in {partial}: go on "
        "with the same command and --resume",
    ]
    assert (out.exists(), partial.exists()) == (False, True)
    with partial.open("a") as file:
        file.write('[6, {"id": "k6", "ti')  # as a run does that is killed

    again = use(FakeTransport(by_text))
    assert run(*command)[::2] == (
        2,
        f"infolens: {partial} has rows of a run that ended early; go on with --resume, or remove it to begin anew\n",
    )
    assert "belongs to others" in run(*command, "--resume", "--task", "summary")[2]
    assert (again.requests, partial.exists()) == ([], True)

    found, _, err = run(*command, "--resume")
    assert found == 1
    assert [article.title for article in again.articles] == [f"Title {n}" for n in (2, 6, 7, 8, 9)]
    assert [row["id"] for row in rows_of(out)] == [f"k{n}" for n in range(10)]
    assert [row["summary"] for row in rows_of(out)] == ["" if n == 2 else f"text {n}, whole" for n in range(10)]
    assert not partial.exists()


def test_a_run_without_a_single_row_leaves_nothing(run: Any, use: Any, table: Path, tmp_path: Path) -> None:
    use(FakeTransport(Ends("text 0", KeyboardInterrupt())))
    assert run("analyze", "--in", str(table), "--out", str(tmp_path / "out.csv"), "--in-flight", "1")[0] == 130
    assert {path.name for path in tmp_path.iterdir()} == {"in.csv"}


def test_another_file_is_not_gone_on_with(run: Any, use: Any, table: Path, tmp_path: Path) -> None:
    use(FakeTransport())
    (tmp_path / "out.csv.partial").write_text("something of mine", "utf-8")
    code, _, err = run("analyze", "--in", str(table), "--out", str(tmp_path / "out.csv"), "--resume")
    assert (code, "holds something else" in err) == (2, True)
    assert (tmp_path / "out.csv.partial").read_text("utf-8") == "something of mine"


def test_an_older_table_stays_until_the_new_one_is_whole(run: Any, use: Any, table: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.csv"
    out.write_bytes(write_table([{"id": "old"}], "csv"))
    use(FakeTransport(Ends("text 9", KeyboardInterrupt())))
    assert run("analyze", "--in", str(table), "--out", str(out))[0] == 130
    assert [row["id"] for row in rows_of(out)] == ["old"]


def test_a_table_instead_of_an_article_is_told_the_way(run: Any, use: Any, table: Path) -> None:
    use(FakeTransport())
    assert "infolens analyze --in FILE --out FILE" in run("analyze", str(table))[2]
