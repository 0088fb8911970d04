"""Tables that training cannot take: each is refused before anything is trained, with place, rule and way out.

Each case stands for a kind of trouble that users of such systems have reported; ``test_training.py`` has what is read.
"""

from __future__ import annotations

import gzip
import io
import json
import re
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from infolens.contract import Task
from tests.field.tables import CP1252, CSV, FRAME, ROWS, SPLIT
from training.cli import main
from training.data.policy import RowPolicy
from training.data.tables import load_splits
from training.errors import DataError, SettingError, TrainingError
from training.metrics.baseline import fit_baseline, out_of_fold
from training.recipes.settings import parse_columns

HEADER = "title,text,label\n"


def _called_text(content: bytes) -> bytes:
    """A parquet file of a writer that calls bytes of any kind a text."""
    file = io.BytesIO()
    pq.write_table(pa.table({"text": pa.array([content], pa.binary()).view(pa.string()), "label": ["x"]}), file)
    return file.getvalue()


REFUSED: list[tuple[str, str, str, bytes, str]] = [
    # id, what is done, the file's name, its bytes, what is said
    (
        "T6",
        "a column twice in CSV",
        "t.csv",
        CSV.replace("title", "text", 1).encode(),
        r"columns are called 'text'.* give each a name of its own",
    ),
    (
        "T6",
        "a column twice in an object",
        "t.jsonl",
        b'{"text": "a", "text": "b", "label": "c"}\n' * 2,
        r"an object has 'text' twice",
    ),
    (
        "T6",
        "more cells than columns",
        "t.csv",
        f"{HEADER}a,b,Travel,d\n".encode(),
        r"Expected 3 fields in line 2, saw 4\. Every row has as many cells as the first line",
    ),
    (
        "T8",
        "an ending that no reader has",
        "t.xlsx",
        b"PK\x03\x04",
        r"the kind of file is told by its ending: \.parquet, \.csv, .*also with \.gz",
    ),
    (
        "T8",
        "a workbook that is called CSV",
        "t.csv",
        b"PK\x03\x04" + bytes(99),
        r"is a zip archive, as Excel's workbooks are: .*save the table as CSV",
    ),
    ("T8", "half a gzip file", "t.csv.gz", gzip.compress(CSV.encode())[:-20], r"cannot be read as csv: "),
    ("T8", "parquet within gzip", "t.parquet.gz", gzip.compress(b"PAR1"), r"unpack it with gunzip"),
    (
        "T9",
        "columns in an object",
        "t.json",
        json.dumps(FRAME.to_dict("list")).encode(),
        r"one object with columns: 'title', 'text', 'label'; rows are objects: one a line, ",
    ),
    (
        "T9",
        "several arrays in an object",
        "t.json",
        json.dumps({"train": ROWS, "test": ROWS}).encode(),
        r"one object with several arrays of rows: 'train', 'test'; rows are",
    ),
    (
        "T9",
        "an array of arrays",
        "t.json",
        json.dumps(FRAME.to_numpy().tolist()).encode(),
        r"entry 1 of the array is no object: \['Note 0'.* rows are objects",
    ),
    ("T9", "lines that are no objects", "t.jsonl", b'{"text": "a"}\n["b"]\n', r"line 2: is no object: '\[\"b\"\]"),
    ("T9", "a text alone", "t.json", b'"hello"', r"it is no table but 'hello'; rows are objects"),
    ("T9", "nested without end", "t.json", b"[" * 100_000, r"cannot be read as json: .*rows are objects"),
    (
        "T10",
        "CSV in cp1252",
        "t.csv",
        CP1252,
        rf"line 2, byte {CP1252.index(0x93)}: 0x93 is no text in utf-8\. .* --encoding: cp1252 reads that place as .*“",
    ),
    (
        "T10",
        "JSON lines in Shift JIS",
        "t.jsonl",
        '{"text": "港"}\n'.encode("shift_jis") * 2,
        r"line 1, byte 10: 0x8d is no text in utf-8\. .* --encoding, such as cp1252",
    ),
    (
        "T11",
        "labels 0 and 1",
        "t.jsonl",
        FRAME.assign(label=[i % 2 for i in range(60)]).to_json(orient="records", lines=True).encode(),
        r"labels are names \(category usually has Business, .* --labels 0=Business,1=Politics",
    ),
    (
        "T11",
        "labels true and false",
        "t.jsonl",
        FRAME.assign(label=[not i % 2 for i in range(60)]).to_json(orient="records", lines=True).encode(),
        r"the labels are false, true; .* --labels false=",
    ),
    (
        "T12",
        "one class only",
        "t.csv",
        FRAME.assign(label="Sports").to_csv(index=False).encode(),
        r"there is no label but Sports, and a classifier tells at least two",
    ),
    (
        "T12",
        "a class in the test split only",
        "t.csv",
        SPLIT.assign(label=[row.label if row.split == "test" else "Sports" for row in SPLIT.itertuples()])
        .to_csv(index=False)
        .encode(),
        r"no article of the training split has the label 'Travel' \(5 test\); 'Wellness' \(5 test\): give such",
    ),
    (
        "T5",
        "a label with half a character",
        "t.jsonl",
        b'{"text": "a", "label": "\\ud800"}\n' * 2,
        r"column 'label', 2 rows: must be text that UTF-8 can carry",
    ),
    (
        "T5",
        "a text with half a character",
        "t.jsonl",
        b'{"text": "a \\udc00 b", "label": "x"}\n' * 2,
        r"column 'text', 2 rows: must be text that UTF-8 can carry",
    ),
    (
        "T5",
        "cp1252 in parquet that calls it text",
        "t.parquet",
        _called_text("café".encode("cp1252")),
        r"cannot be read as parquet: .*UTF-?8",
    ),
    (
        "T5",
        "a list for a title",
        "t.jsonl",
        b'{"title": ["a"], "text": "b", "label": "x"}\n' * 2,
        r"column 'title', 2 rows: must be text or nothing, not \['a'\] \(rows 1, 2\)",
    ),
    (
        "T5",
        "an article for a column's name",
        "t.csv",
        ("Title " * 99 + ",body\na,b\n").encode(),
        r"column 'text' is missing; it has: .{,2000}$",
    ),
]


@pytest.mark.parametrize(
    ("name", "content", "said"), [case[2:] for case in REFUSED], ids=[f"{c[0]}: {c[1]}" for c in REFUSED]
)
@pytest.mark.parametrize("command", ["fit", "check", "prepare"])
def test_it_is_refused_with_the_reason_and_the_way_out(
    command: str, name: str, content: bytes, said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file, out = tmp_path / name, tmp_path / "out.parquet"
    file.write_bytes(content)
    arguments = {
        "fit": ["fit", "category", "--tracking-uri", "none", "--out", str(out)],
        "check": ["data", "check", "category"],
        "prepare": ["data", "prepare", "category", "--out", str(out)],
    }[command]
    assert main([*arguments, "--data", str(file)]) != 0
    printed = capsys.readouterr()
    told = " ".join((printed.err + printed.out).split())
    assert re.search(said, told), told
    assert "Traceback" not in told
    # Nothing is left behind that a next run would take for work to go on with.
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_t6_columns_are_named_once_each() -> None:
    for text in ("text=a,text=b", "text=body,label=body"):
        with pytest.raises(SettingError, match=r"names each column of ours and of the data once, not twice as in '"):
            parse_columns(text)


def test_t12_the_baseline_stands_beside_any_articles() -> None:
    """Few articles, or none with a word of two letters: the run had ended with a traceback after its training."""
    fitted = fit_baseline(["a", "1", "港", "b"], [0, 0, 0, 1])
    assert fitted.predict_proba(["the harbour"]).tolist() == [[0.75, 0.25]]
    few = out_of_fold(["sun one", "rain"], np.asarray([0, 1]), classes=2)
    assert few.tolist() == [[0.5, 0.5], [0.5, 0.5]]
    assert out_of_fold(["sun one", "sun two", "rain"], np.asarray([0, 0, 1]), classes=2).sum() == pytest.approx(3)


def test_every_refusal_is_one_of_the_projects_errors(tmp_path: Path) -> None:
    with pytest.raises(DataError):
        load_splits(str(tmp_path / ("x" * 5000 + ".csv")), Task.CATEGORY)
    (tmp_path / "t.csv").write_text(CSV)
    with pytest.raises(DataError, match=r"encoding is a name such as cp1252, .*, not 'nothing'"):
        load_splits(str(tmp_path / "t.csv"), Task.CATEGORY, RowPolicy(encoding="nothing"))
    assert issubclass(DataError, TrainingError)
