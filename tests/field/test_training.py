"""Tables as people bring them to training, and what becomes of them in ``fit``, ``data check`` and ``data prepare``.

Each case stands for a kind of trouble that users of such systems have reported. Every file here holds the same table,
written in another way, and is read as what it is. What is refused stands in ``test_training_refusals.py``.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from infolens.contract import Task
from tests.field.tables import ARRAY, BOM, CP1252, CSV, FRAME, LINES, ROWS
from tests.training.toys import small
from training.cli import main
from training.data.policy import RowPolicy
from training.data.statistics import gather
from training.data.tables import load_splits, unlabelled_pairs


def _parquet(path: Path, **columns: Any) -> None:
    """The table with other columns, as pyarrow makes them."""
    table = pa.table({name: columns.get(name, pa.array(FRAME[name].tolist())) for name in FRAME} | columns)
    pq.write_table(table, path)


def _dictionary(values: list[str | None]) -> pa.Array:
    return pa.array(values).dictionary_encode()


TITLES = [None, *FRAME["title"].tolist()[1:]]
READ: list[tuple[str, str, str, Callable[[Path], Any]]] = [
    # id, what is done, the file's name, how it is written
    ("T4", "JSON lines with a mark of UTF-8", "t.jsonl", lambda p: p.write_text(BOM + LINES, "utf-8")),
    ("T4", "CSV with a mark of UTF-8", "t.csv", lambda p: p.write_text(BOM + CSV, "utf-8")),
    ("T4", "a JSON array with a mark of UTF-8", "t.json", lambda p: p.write_text(BOM + ARRAY, "utf-8")),
    (
        "T4",
        "files with marks that were put together",
        "t.jsonl",
        lambda p: p.write_text("\n".join(BOM + line for line in LINES.splitlines()), "utf-8"),
    ),
    (
        "T5",
        "dictionary columns with a null",
        "t.parquet",
        lambda p: _parquet(
            p,
            title=_dictionary(TITLES),
            text=_dictionary(FRAME["text"].tolist()),
            label=_dictionary(FRAME["label"].tolist()),
        ),
    ),
    (
        "T5",
        "categories of pandas with a null",
        "t.parquet",
        lambda p: FRAME.assign(title=TITLES).astype("category").to_parquet(p),
    ),
    ("T5", "titles all missing", "t.parquet", lambda p: _parquet(p, title=pa.nulls(60))),
    ("T5", "titles are numbers, some missing", "t.parquet", lambda p: _parquet(p, title=pa.array([None, *range(59)]))),
    (
        "T5",
        "texts as bytes, as old writers leave them",
        "t.parquet",
        lambda p: _parquet(p, text=pa.array([text.encode() for text in FRAME["text"]])),
    ),
    (
        "T5",
        "large strings",
        "t.parquet",
        lambda p: _parquet(p, text=pa.array(FRAME["text"].tolist(), pa.large_string())),
    ),
    ("T5", "the text is the index of pandas", "t.parquet", lambda p: FRAME.set_index("text").to_parquet(p)),
    (
        "T5",
        "other columns: dates, categories, lists, missing numbers",
        "t.parquet",
        lambda p: _parquet(
            p,
            day=pa.array([None, *pd.date_range("2026-01-01", periods=59)]),
            tags=pa.array([["a", "b"]] * 60),
            desk=_dictionary([None, *["home"] * 59]),
            score=pa.array([None, *np.linspace(0, 1, 59)]),
            good=pa.array([None, *[True] * 59]),
        ),
    ),
    (
        "T5",
        "null titles in JSON lines",
        "t.jsonl",
        lambda p: FRAME.assign(title=None).to_json(p, orient="records", lines=True),
    ),
    ("T8", "an ending in capitals", "T.CSV", lambda p: p.write_text(CSV, "utf-8")),
    ("T8", "CSV with gzip", "t.csv.gz", lambda p: p.write_bytes(gzip.compress(CSV.encode()))),
    ("T8", "JSON lines with gzip", "t.jsonl.gz", lambda p: p.write_bytes(gzip.compress(LINES.encode()))),
    ("T8", "gzip under a name without .gz", "t.json", lambda p: p.write_bytes(gzip.compress(ARRAY.encode()))),
    ("T8", "tabs between columns", "t.tsv", lambda p: FRAME.to_csv(p, index=False, sep="\t")),
    ("T9", "an array in an object", "t.json", lambda p: p.write_text(json.dumps({"data": ROWS}))),
    (
        "T9",
        "the same, laid out for people",
        "t.json",
        lambda p: p.write_text(json.dumps({"version": 1, "rows": ROWS}, indent=2)),
    ),
    (
        "T9",
        "an array laid out for people, called .jsonl",
        "t.jsonl",
        lambda p: p.write_text(json.dumps(ROWS, indent=1)),
    ),
    ("T9", "a table of pandas", "t.json", lambda p: FRAME.to_json(p, orient="table")),
    (
        "T9",
        "semicolons, as Excel writes them in half of Europe",
        "t.csv",
        lambda p: FRAME.to_csv(p, index=False, sep=";"),
    ),
    (
        "T9",
        "Excel's own line that says what separates",
        "t.csv",
        lambda p: p.write_text("sep=;\n" + FRAME.to_csv(index=False, sep=";"), "utf-8"),
    ),
    ("T9", "bars between columns", "t.csv", lambda p: FRAME.to_csv(p, index=False, sep="|")),
    ("T10", "CSV in UTF-16 with its mark", "t.csv", lambda p: p.write_bytes(CSV.encode("utf-16"))),
    (
        "T10",
        "the same, the bytes the other way round",
        "t.csv",
        lambda p: p.write_bytes((BOM + CSV).encode("utf-16-be")),
    ),
    ("T10", "UTF-16 without its mark", "t.jsonl", lambda p: p.write_bytes(LINES.encode("utf-16-le"))),
    ("T10", "a JSON array in UTF-32", "t.json", lambda p: p.write_bytes(ARRAY.encode("utf-32"))),
    ("T10", "Unicode text of Excel", "t.csv", lambda p: FRAME.to_csv(p, index=False, sep="\t", encoding="utf-16")),
]


@pytest.mark.parametrize(("name", "write"), [case[2:] for case in READ], ids=[f"{c[0]}: {c[1]}" for c in READ])
def test_it_is_read(
    name: str, write: Callable[[Path], Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write(tmp_path / name)
    data, out = str(tmp_path / name), tmp_path / "out.parquet"
    whole = pd.concat(load_splits(data, Task.CATEGORY, RowPolicy(clean=False)).values()).sort_values("text")
    wanted = FRAME.sort_values("text")
    assert whole["text"].tolist() == wanted["text"].tolist()
    assert whole["label"].tolist() == wanted["label"].tolist()
    assert set(whole["title"]) <= {"", *FRAME["title"], *map(str, range(59))}
    assert main(["data", "check", "category", "--data", data]) == 0
    assert main(["data", "prepare", "category", "--data", data, "--out", str(out), "--keep-near-duplicates"]) == 0
    assert len(pd.read_parquet(out)) == len(FRAME)


def test_t10_an_encoding_that_is_named_is_read(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file, out = tmp_path / "t.csv", tmp_path / "out.parquet"
    file.write_bytes(CP1252)
    named = ["--data", str(file), "--encoding", "cp1252"]
    assert main(["data", "check", "category", *named]) == 0
    assert (
        main(["data", "prepare", "category", *named, "--out", str(out), "--keep-near-duplicates", "--no-cleaning"]) == 0
    )
    assert sorted(pd.read_parquet(out)["text"]) == sorted(FRAME["text"])
    assert unlabelled_pairs(str(file), "cp1252")[1][0].startswith("Number 1: the “harbour” of")
    assert small(encoding="cp1252").encoding == "cp1252"
    capsys.readouterr()
    for wrong in ("cp1253x", "base64", "\x00"):
        assert main(["data", "check", "category", "--data", str(file), "--encoding", wrong]) == 2
        assert "encoding is a name such as cp1252, latin-1, utf-16 or shift_jis, not" in capsys.readouterr().err
        with pytest.raises(ValueError, match=r"encoding is a name such as cp1252"):
            small(encoding=wrong)
    assert main(["data", "check", "category", "--data", str(file), "--encoding", "utf-16"]) == 2
    assert "Name the encoding of the file with --encoding, or leave it out" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("there", "cut"),
    [
        (("train", "test"), ["validation"]),
        (("train", "validation"), ["test"]),
        (("Train ", "TEST"), ["validation"]),
        (("train",), ["validation", "test"]),
        (("train", "validation", "test"), []),
    ],
)
def test_t7_a_split_that_is_missing_is_cut_from_the_training_rows_and_it_is_said(
    there: tuple[str, ...], cut: list[str], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    frame = FRAME.assign(split=[there[i % len(there)] for i in range(60)])
    frame.to_csv(tmp_path / "t.csv", index=False)
    splits = load_splits(str(tmp_path / "t.csv"), Task.CATEGORY, RowPolicy(clean=False))
    assert [
        name for name in ("validation", "test") if f"no row has the split '{name}', so 10 % of" in caplog.text
    ] == cut
    for name in there:
        kept = set(frame["text"][frame["split"] == name])
        if name.strip().lower() == "train":
            kept -= {text for other in cut for text in splits[other]["text"]}
        assert set(splits[name.strip().lower()]["text"]) == kept
    assert sum(map(len, splits.values())) == 60
    if "validation" in cut:  # the setting is heard
        more = load_splits(str(tmp_path / "t.csv"), Task.CATEGORY, RowPolicy(clean=False, validation=0.5))
        assert len(more["validation"]) > len(splits["validation"])
        out = tmp_path / "out.parquet"
        arguments = ["data", "prepare", "category", "--data", str(tmp_path / "t.csv"), "--out", str(out)]
        assert main([*arguments, "--no-cleaning", "--keep-near-duplicates", "--validation", "0.5"]) == 0
        prepared = pd.read_parquet(out)
        assert sorted(prepared["text"][prepared["split"] == "validation"]) == sorted(more["validation"]["text"])


def test_t7_and_so_it_is_in_a_folder_of_two_files(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    FRAME[:40].to_csv(tmp_path / "train.csv", index=False)
    FRAME[40:].to_csv(tmp_path / "test.csv", index=False)
    splits = load_splits(str(tmp_path), Task.CATEGORY)
    assert "no row has the split 'validation'" in caplog.text
    assert (len(splits["train"]) + len(splits["validation"]), len(splits["test"])) == (40, 20)


def test_t8_no_file_of_a_folder_is_left_out_without_a_word(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    FRAME[:20].to_csv(tmp_path / "train.csv", index=False)
    FRAME[20:30].to_csv(tmp_path / "train2.CSV", index=False)
    FRAME[30:40].to_csv(tmp_path / "train3.csv.gz", index=False)
    FRAME[40:50].to_json(tmp_path / "valid.jsonl.gz", orient="records", lines=True)
    FRAME[50:].to_parquet(tmp_path / "test-00000.PARQUET")
    (tmp_path / "._train.csv").write_bytes(b"\x00\x05\x16\x07")
    (tmp_path / "more.zip").write_bytes(b"PK")
    (tmp_path / "older.csv").mkdir()
    pairs = unlabelled_pairs(str(tmp_path))
    for read in (load_splits, gather):
        caplog.clear()
        read(str(tmp_path), Task.CATEGORY, RowPolicy())
        assert "not read, for tables end in .parquet, .csv" in caplog.text
        assert caplog.text.count("._train.csv, more.zip, older.csv") == 1
    splits = load_splits(str(tmp_path), Task.CATEGORY)
    assert {name: len(part) for name, part in splits.items()} == {"train": 40, "validation": 10, "test": 10}
    assert len(pairs) == 40


@pytest.mark.parametrize("name", ["t.csv", "t.tsv", "t.jsonl"])
def test_t11_a_label_may_be_called_none(name: str, tmp_path: Path) -> None:
    """What pandas takes for a missing value is a text like any other, whatever the format; an empty cell is missing."""
    path = tmp_path / name
    labels = ["None", "NA", "null", "nan"]
    rows = [{"text": f"{row['text']}", "label": labels[i % 4], "title": ""} for i, row in enumerate(ROWS)]
    frame = pd.DataFrame(rows)
    if name == "t.jsonl":
        frame.to_json(path, orient="records", lines=True)
    else:
        frame.to_csv(path, index=False, sep="\t" if name == "t.tsv" else ",")
    splits = load_splits(str(path), Task("category"), RowPolicy())
    assert {row for split in splits.values() for row in split["label"]} == set(labels)
