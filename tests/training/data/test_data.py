import json
from pathlib import Path

import pandas as pd
import pytest
from datasets import ClassLabel, Dataset, Features, Value

from infolens.contract import Task
from training.data.policy import RowPolicy
from training.data.reading import read_table, with_class_names
from training.data.tables import load_splits, unlabelled_pairs
from training.errors import DataError


def _rows(count: int = 60) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "text": [f"Article number {i} tells of the river and the town." for i in range(count)],
            "label": ["real" if i % 2 else "fake" for i in range(count)],
            "split": [("train", "validation", "test")[i % 3] for i in range(count)],
        }
    )


def _write(frame: pd.DataFrame, path: Path) -> str:
    if path.suffix == ".parquet":
        frame.to_parquet(path)
    elif path.suffix == ".csv":
        frame.to_csv(path, index=False)
    elif path.suffix == ".jsonl":
        frame.to_json(path, orient="records", lines=True)
    else:
        path.write_text(json.dumps(frame.to_dict(orient="records")))
    return str(path)


@pytest.mark.parametrize("ending", ["parquet", "csv", "jsonl", "json"])
def test_every_kind_of_file_gives_the_same_splits(tmp_path: Path, ending: str) -> None:
    splits = load_splits(_write(_rows(), tmp_path / f"data.{ending}"), Task.VERACITY)
    assert {name: len(part) for name, part in splits.items()} == {"train": 20, "validation": 20, "test": 20}
    first = splits["train"].iloc[0]
    assert first["text"] == "Article number 0 tells of the river and the town."
    assert (first["label"], first["title"], first["source"]) == ("fake", "", "")


def test_json_lines_may_be_named_json(tmp_path: Path) -> None:
    path = tmp_path / "data.json"
    _rows().to_json(path, orient="records", lines=True)
    assert len(read_table(str(path))) == 60


def test_a_folder_names_its_splits_by_its_files(tmp_path: Path) -> None:
    for name, part in _rows().groupby("split"):
        _write(part.drop(columns="split"), tmp_path / f"{name}-00000.csv")
    splits = load_splits(str(tmp_path), Task.VERACITY)
    assert {name: len(part) for name, part in splits.items()} == {"train": 20, "validation": 20, "test": 20}


def test_rows_with_and_without_a_split_are_refused(tmp_path: Path) -> None:
    part = _rows().drop(columns="split")
    for name in ("train", "test", "more"):
        _write(part, tmp_path / f"{name}.csv")
    with pytest.raises(DataError, match=r"test\.csv: some rows say their split, .* and some not.*data prepare"):
        load_splits(str(tmp_path), Task.VERACITY)


def test_a_table_without_rows_is_refused(tmp_path: Path) -> None:
    for ending in ("csv", "parquet", "jsonl"):
        with pytest.raises(DataError, match=rf"empty\.{ending}: has no rows"):
            load_splits(_write(_rows(0), tmp_path / f"empty.{ending}"), Task.VERACITY)


def test_columns_are_mapped_and_the_source_is_kept(tmp_path: Path) -> None:
    frame = _rows().rename(columns={"text": "body", "label": "verdict"})
    frame["text"] = "not this one"
    path = _write(frame, tmp_path / "data.csv")
    splits = load_splits(path, Task.VERACITY, RowPolicy(columns={"text": "body", "label": "verdict"}))
    assert splits["train"]["text"].str.startswith("Article number").all()


def test_without_a_split_column_a_hash_of_the_text_decides(tmp_path: Path) -> None:
    path = _write(_rows(300).drop(columns="split"), tmp_path / "data.csv")
    one = load_splits(path, Task.VERACITY, RowPolicy(validation=0.2, test=0.2))
    two = load_splits(path, Task.VERACITY, RowPolicy(validation=0.2, test=0.2))
    assert {name: part["text"].tolist() for name, part in one.items()} == {
        name: part["text"].tolist() for name, part in two.items()
    }
    assert len(one["train"]) > len(one["test"]) > 0


def test_the_same_text_never_stands_in_two_splits_and_train_loses(tmp_path: Path) -> None:
    frame = _rows()
    frame.loc[0, "text"] = "  The SAME words, in other clothes! "  # train
    frame.loc[1, "text"] = "the same words in other clothes"  # validation
    frame.loc[2, "text"] = "The same words in other clothes"  # test
    splits = load_splits(_write(frame, tmp_path / "data.csv"), Task.VERACITY)
    found = {name: part["text"].str.contains("(?i)the same words").sum() for name, part in splits.items()}
    assert found == {"train": 0, "validation": 0, "test": 1}


def test_an_article_may_have_two_summaries_in_one_split(tmp_path: Path) -> None:
    frame = _rows().rename(columns={"text": "article", "label": "summary"})
    frame["summary"] = [f"Summary {i}." for i in range(60)]
    frame.loc[3, "article"] = frame.loc[0, "article"]  # both train
    frame.loc[4, "article"] = frame.loc[2, "article"]  # validation and test
    splits = load_splits(_write(frame, tmp_path / "data.csv"), Task.SUMMARY)
    assert {name: len(part) for name, part in splits.items()} == {"train": 20, "validation": 19, "test": 20}


def test_held_out_sources_are_measured_apart(tmp_path: Path) -> None:
    frame = _rows()
    frame["source"] = ["a" if i < 50 else "b" for i in range(60)]
    path = _write(frame, tmp_path / "data.csv")
    splits = load_splits(path, Task.VERACITY, RowPolicy(hold_out=("b",)))
    assert len(splits["out_of_domain"]) == 10
    assert "b" not in {source for name in ("train", "validation", "test") for source in splits[name]["source"]}
    with pytest.raises(DataError, match=r"never says 'c', so it cannot be held out; it says: a, b"):
        load_splits(path, Task.VERACITY, RowPolicy(hold_out=("c",)))


def test_cleaning_can_be_left_out(tmp_path: Path) -> None:
    frame = _rows()
    frame.loc[0, "text"] = "PARIS (Reuters) - It rained."
    path = _write(frame, tmp_path / "data.csv")
    assert load_splits(path, Task.VERACITY)["train"]["text"].iloc[0] == "It rained."
    assert (
        load_splits(path, Task.VERACITY, RowPolicy(clean=False))["train"]["text"].iloc[0]
        == "PARIS (Reuters) - It rained."
    )


@pytest.mark.parametrize(
    ("column", "row", "value", "message"),
    [
        ("label", 16, "maybe", r"column 'label', row 17: 'maybe' is not one of: real, fake\. Mend such rows, or"),
        ("label", 16, "faked", r"column 'label', row 17: 'faked' is not one of: real, fake \(is 'fake' meant\?\)"),
        ("label", 16, " ", r"column 'label', row 17: must be text that is not blank, not ' '"),
        ("text", 4, "  ", r"column 'text', row 5: must be text that is not blank, not '  '"),
        ("split", 2, "tomorrow", r"column 'split', row 3: 'tomorrow' is not one of: train, validation, test"),
    ],
)
def test_a_bad_row_is_named(tmp_path: Path, column: str, row: int, value: str, message: str) -> None:
    frame = _rows()
    frame.loc[row, column] = value
    path = _write(frame, tmp_path / "news.jsonl")
    with pytest.raises(DataError, match=r"news\.jsonl: " + message):
        load_splits(path, Task.VERACITY, RowPolicy(labels=("real", "fake")))


def test_a_missing_value_is_named(tmp_path: Path) -> None:
    frame = _rows()
    frame.loc[7, "label"] = None
    with pytest.raises(DataError, match=r"column 'label', row 8: must be text"):
        load_splits(_write(frame, tmp_path / "data.parquet"), Task.VERACITY)


def test_a_missing_column_tells_the_way_out(tmp_path: Path) -> None:
    path = _write(_rows().rename(columns={"text": "body"}), tmp_path / "data.csv")
    with pytest.raises(DataError, match=r"column 'text' is missing; it has: body, label, split\. .* --columns text="):
        load_splits(path, Task.VERACITY)
    with pytest.raises(DataError, match=r"no column 'story' to read as 'text'; it has: body, label, split"):
        load_splits(path, Task.VERACITY, RowPolicy(columns={"text": "story"}))


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    (tmp_path / "broken.parquet").write_bytes(b"not parquet")
    (tmp_path / "notes.txt").write_text("hello")
    for name, message in [
        ("broken.parquet", r"broken\.parquet: cannot be read as parquet"),
        ("notes.txt", r"notes\.txt: the kind of file is told by its ending"),
        ("absent.csv", r"absent\.csv: no such file or folder"),
    ]:
        with pytest.raises(DataError, match=message):
            read_table(str(tmp_path / name))
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match=r"the folder holds no \.parquet"):
        read_table(str(tmp_path / "empty"))


def test_a_hub_data_set_says_the_names_of_its_classes() -> None:
    features = Features(text=Value("string"), label=ClassLabel(names=["World", "Sports"]))
    frame = with_class_names(Dataset.from_dict({"text": ["a", "b", "c"], "label": [1, 0, -1]}, features=features))
    assert frame["label"].tolist()[:2] == ["Sports", "World"]
    assert pd.isna(frame["label"][2])
    frame = with_class_names(Dataset.from_dict({"text": ["a", "b"], "label": [1, None]}, features=features))
    assert frame["label"][0] == "Sports"
    assert pd.isna(frame["label"][1])


def test_an_empty_split_is_refused(tmp_path: Path) -> None:
    frame = _rows()
    frame["split"] = "train"
    path = _write(frame, tmp_path / "data.csv")
    with pytest.raises(DataError, match=r"the validation split has no rows; .* --set validation=0\.2"):
        load_splits(path, Task.VERACITY, RowPolicy(validation=0.0))
    frame["split"] = ["test", "validation"] * 30
    with pytest.raises(DataError, match=r"the train split has no rows; give rows whose split is train"):
        load_splits(_write(frame, tmp_path / "data.csv"), Task.VERACITY)


def test_unlabelled_articles_leave_test_text_alone(tmp_path: Path) -> None:
    frame = pd.DataFrame(
        {
            "article": ["PARIS (Reuters) - It rained.", "Held back.", "It snowed."],
            "title": ["WATCH: Rain", "No", None],
            "split": ["train", "test", "train"],
        }
    )
    pairs = unlabelled_pairs(_write(frame, tmp_path / "more.csv"))
    assert pairs == [("It rained.", "Rain"), ("It snowed.", "")]
