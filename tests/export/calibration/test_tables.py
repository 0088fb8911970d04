"""The tables that a classifier is calibrated on."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from export.calibration.tables import Columns, Row, read_rows
from export.errors import TableError

FRAME = pd.DataFrame(
    {
        "text": ["One.", "Two.", " ", "One.", None, "Six."],
        "title": ["T", None, "x", "again", "x", " "],
        "label": ["real", "fake", "real", "fake", "real", "fake"],
        "source": ["a", "b", "a", "b", "a", "b"],
    }
)
LABELS = ("real", "fake")


def write(folder: Path, ending: str, frame: pd.DataFrame = FRAME) -> Path:
    path = folder / f"table{ending}"
    if ending == ".parquet":
        frame.to_parquet(path)
    elif ending == ".csv":
        frame.to_csv(path, index=False)
    else:
        frame.to_json(path, orient="records", lines=ending == ".jsonl")
    return path


@pytest.mark.parametrize("ending", [".parquet", ".csv", ".jsonl", ".json"])
def test_rows_with_text_and_label_are_read_once_from_every_kind_of_table(tmp_path: Path, ending: str) -> None:
    assert read_rows([write(tmp_path, ending)], LABELS, columns=Columns()) == (
        Row(text="One.", title="T", label="real", source="a"),
        Row(text="Two.", title=None, label="fake", source="b"),
        Row(text="Six.", title=None, label="fake", source="b"),
    )


def test_columns_may_have_other_names_and_the_file_is_the_collection_where_none_is_named(tmp_path: Path) -> None:
    frame = FRAME.rename(columns={"text": "body", "label": "verdict"}).drop(columns=["source", "title"])
    rows = read_rows([write(tmp_path, ".csv", frame)], LABELS, columns=Columns(text="body", label="verdict"))
    assert [(row.text, row.title, row.source) for row in rows] == [
        ("One.", None, "table"),
        ("Two.", None, "table"),
        ("Six.", None, "table"),
    ]


def test_some_collections_may_be_taken(tmp_path: Path) -> None:
    path = write(tmp_path, ".parquet")
    assert {row.source for row in read_rows([path], LABELS, columns=Columns(), sources=["b"])} == {"b"}
    with pytest.raises(TableError, match="collection 'c': the tables have a, b"):
        read_rows([path], LABELS, columns=Columns(), sources=["b", "c"])


def test_rows_of_a_split_may_be_taken_and_collections_left_out(tmp_path: Path) -> None:
    path = write(tmp_path, ".csv", FRAME.assign(split=["train", "test", "test", "test", "test", "train"]))
    taken = read_rows([path], LABELS, columns=Columns(), split="test")
    assert [(row.text, row.source) for row in taken] == [("Two.", "b"), ("One.", "b")]
    assert [row.text for row in read_rows([path], LABELS, columns=Columns(), without=["b"])] == ["One."]
    with pytest.raises(TableError, match=r"every article is of a collection that is left out here \(a, b\): give"):
        read_rows([path], LABELS, columns=Columns(), without=["a", "b"])
    with pytest.raises(TableError, match="no row among those of the split 'dev' has both a text and a label"):
        read_rows([path], LABELS, columns=Columns(), split="dev")
    with pytest.raises(TableError, match="no column 'split', by which the rows 'test' were to be taken"):
        read_rows([write(tmp_path, ".json")], LABELS, columns=Columns(), split="test")


def test_what_is_wrong_with_a_table_is_said(tmp_path: Path) -> None:
    path = write(tmp_path, ".csv")
    with pytest.raises(TableError, match=r"labels that the model does not tell: fake; it tells real, satire"):
        read_rows([path], ("real", "satire"), columns=Columns())
    assert read_rows([path], None, columns=Columns())
    with pytest.raises(TableError, match=r"no column 'body'; it has text, title, label, source: see --text-column"):
        read_rows([path], LABELS, columns=Columns(text="body"))
    with pytest.raises(TableError, match=r"ends in \.parquet, \.csv"):
        read_rows([tmp_path / "table.xlsx"], LABELS, columns=Columns())
    with pytest.raises(TableError, match="cannot be read as a table"):
        read_rows([tmp_path / "missing.parquet"], LABELS, columns=Columns())
    (tmp_path / "broken.parquet").write_bytes(b"PAR1")
    with pytest.raises(TableError, match="cannot be read as a table"):
        read_rows([tmp_path / "broken.parquet"], LABELS, columns=Columns())
    with pytest.raises(TableError, match="no row has both"):
        read_rows([write(tmp_path, ".csv", FRAME[4:5])], LABELS, columns=Columns())


def test_a_text_belongs_to_the_same_half_in_every_table() -> None:
    rows = [Row(text=f"Text {index}.", title=None, label="real", source="a") for index in range(400)]
    again = [Row(text=row.text, title="T", label="fake", source="b") for row in rows]
    assert [row.fits for row in rows] == [row.fits for row in again]
    assert 150 < sum(row.fits for row in rows) < 250


@pytest.mark.parametrize("ending", [".parquet", ".csv"])
def test_the_file_is_the_collection_of_rows_that_name_none_and_blanks_make_no_other_one(
    tmp_path: Path, ending: str
) -> None:
    frame = pd.DataFrame({"text": list("abcde"), "label": [" real", "fake", "real ", "fake", "real"]})
    path = write(tmp_path, ending, frame.assign(source=["the  north", " ", None, "the north ", "south"]))
    rows = read_rows([path], LABELS, columns=Columns())
    assert [(row.label, row.source) for row in rows] == [
        ("real", "the north"),
        ("fake", "table"),
        ("real", "table"),
        ("fake", "the north"),
        ("real", "south"),
    ]
    assert [row.text for row in read_rows([path], LABELS, columns=Columns(), sources=["the  north"])] == ["a", "d"]
    categories = frame.assign(source=pd.Categorical(["a", None, "a", "a", "a"]))
    assert read_rows([write(tmp_path, ".parquet", categories)], LABELS, columns=Columns())[1].source == "table"


def test_a_row_with_a_blank_label_has_none(tmp_path: Path) -> None:
    path = write(tmp_path, ".csv", FRAME.assign(label=["real", " ", "real", "real", "real", "fake"]))
    assert [row.text for row in read_rows([path], LABELS, columns=Columns())] == ["One.", "Six."]


def test_files_of_the_same_name_are_collections_of_their_own(tmp_path: Path) -> None:
    for folder, text in (("north", "One."), ("south", "Two.")):
        (tmp_path / folder).mkdir()
        write(tmp_path / folder, ".csv", pd.DataFrame({"text": [text], "label": ["real"]}))
    north, south = (tmp_path / folder / "table.csv" for folder in ("north", "south"))
    assert [row.source for row in read_rows([north, south], LABELS, columns=Columns())] == [str(north), str(south)]
    assert [row.source for row in read_rows([north, north], LABELS, columns=Columns())] == ["table"]


def test_a_text_that_another_collection_has_too_is_taken_where_that_one_is_not(tmp_path: Path) -> None:
    frame = pd.DataFrame({"text": ["One.", "One."], "label": ["real", "real"], "source": ["a", "b"]})
    path = write(tmp_path, ".csv", frame)
    assert [row.source for row in read_rows([path], LABELS, columns=Columns())] == ["a"]
    assert [row.source for row in read_rows([path], LABELS, columns=Columns(), sources=["b"])] == ["b"]
