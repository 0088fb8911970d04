"""``data check`` and ``data prepare``: bad rows, leaks, copies, drift, and tables that are read part by part."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import pandas as pd
import pytest

from infolens.contract import Task
from training.cli import main
from training.data.drift import jensen_shannon, kolmogorov_smirnov, measure_drift, total_variation
from training.data.files import formats
from training.data.leakage import LeakageCounter
from training.data.policy import CopyFilter, RowPolicy
from training.data.reading import read_parts
from training.data.schema import schema_of
from training.data.statistics import gather, quantiles
from training.data.tables import load_splits
from training.errors import DataError

STORY = (
    "The town council met on Tuesday to discuss the new bridge over the river, which has been closed to lorries since "
    "the spring floods, and heard from engineers that repairs would take until the end of next year at the earliest."
)


def _rows(count: int = 60) -> list[dict[str, str]]:
    nouns = ["harbour", "school", "market", "station", "museum", "library"]
    return [
        {
            "text": f"Report {i}: the {nouns[i % 6]} of district {i * 7} opens in week {i * 3} after {i} days of work.",
            "label": "real" if i % 3 else "fake",
            "source": "daily" if i % 3 else "rumour",
            "split": ("train", "train", "train", "validation", "test")[i % 5],
        }
        for i in range(count)
    ]


def test_a_table_in_parts_is_the_table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(formats, "PART_ROWS", 7)
    frame = pd.DataFrame(_rows())
    frame.loc[3, "text"] = 'a "quoted",\nbroken line'
    frame.to_csv(tmp_path / "t.csv", index=False)
    frame.to_parquet(tmp_path / "t.parquet", index=False)
    frame.to_json(tmp_path / "t.jsonl", orient="records", lines=True)
    frame.to_json(tmp_path / "t.json", orient="records")
    for name in ("t.csv", "t.parquet", "t.jsonl", "t.json"):
        parts = list(read_parts(str(tmp_path / name), {"body": "text"}))
        assert len(parts) > 1 or name == "t.json"
        whole = pd.concat(parts)
        assert whole.index.tolist() == list(range(60))
        assert whole["body"].tolist() == frame["text"].tolist(), name
    (tmp_path / "t.jsonl").write_text('{"text": "x"}\n{"text": oops}\n')
    with pytest.raises(DataError, match=r"t.jsonl: cannot be read as jsonl: line 2: "):
        list(read_parts(str(tmp_path / "t.jsonl")))
    (tmp_path / "t.parquet").write_bytes(b"PAR1 and then nothing")
    with pytest.raises(DataError, match=r"t.parquet: cannot be read as parquet"):
        list(read_parts(str(tmp_path / "t.parquet")))
    with pytest.raises(DataError, match=r"no column 'story' to read as 'text'; it has: text, label"):
        list(read_parts(str(tmp_path / "t.csv"), {"text": "story"}))


def test_check_names_what_does_not_fit_and_what_leaks(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = _rows()
    rows[4]["label"] = "doubtful"
    rows[10]["text"] = "  "
    rows += [{"text": STORY, "label": "real", "source": "daily", "split": "train"}]
    rows += [{"text": STORY.replace("Tuesday", "Wednesday"), "label": "real", "source": "daily", "split": "test"}]
    rows += [{"text": STORY, "label": "real", "source": "daily", "split": "train"}]
    file, report = tmp_path / "t.csv", tmp_path / "report.json"
    pd.DataFrame(rows).to_csv(file, index=False)
    check = ["data", "check", "veracity", "--data", str(file), "--json", str(report)]
    assert main([*check, "--labels", "real,fake"]) == 1
    text = capsys.readouterr().out
    assert "63 rows for veracity" in text
    assert "! 2 rows do not fit" in text
    assert "column 'label', row 5: 'doubtful' is not one of: real, fake" in text
    assert "column 'text', row 11: must be text that is not blank" in text
    assert "! column 'source' alone (2 values) is right in 100%" in text
    assert "! 1 rows repeat an article of their own split" in text
    assert "! 1 articles: train repeats test, word for word or nearly" in text
    found = json.loads(report.read_text())
    assert found["splits"] == {"train": 37, "validation": 12, "test": 12}
    assert found["problems"] == 2
    # Without --labels each that occurs is one; this one cannot be learned.
    assert main(check) == 1
    text = capsys.readouterr().out
    assert "! 1 row does not fit" in text
    assert "! training refuses them: no article of the training split has the label 'doubtful' (1 test)" in text
    assert json.loads(report.read_text())["labels"]["doubtful"] == 1


def test_words_that_give_the_label_away_are_found() -> None:
    counter = LeakageCounter(schema_of(Task.VERACITY))
    texts = [f"{'LONDON (Agency) ' if i % 2 else ''}Report {i} of the {i % 7} towns ends here" for i in range(200)]
    counter.add(pd.DataFrame({"text": texts, "label": ["real" if i % 2 else "fake" for i in range(200)]}))
    words = counter.words_found()
    assert {finding.word.strip("^$").lower() for finding in words} == {"london", "agency"}
    assert all(finding.label == "real" and finding.purity == 1 and finding.articles == 100 for finding in words)


CHANGED = STORY.replace("Tuesday", "Wednesday")
SHOUTED = STORY.upper().replace(",", "")


@pytest.mark.parametrize(
    ("rows", "dropped", "without_near"),
    [
        ([("train", STORY), ("test", SHOUTED)], {0: "copy of an article in test"}, {0}),
        ([("test", STORY), ("validation", SHOUTED)], {1: "copy of an article in test"}, {1}),
        ([("out_of_domain", STORY), ("test", STORY)], {1: "copy of an article in out_of_domain"}, {1}),
        ([("train", STORY), ("train", SHOUTED)], {1: "repeats an article of its split"}, {1}),
        ([("train", STORY), ("test", CHANGED)], {0: "near copy of an article in test"}, set()),
        ([("train", STORY), ("train", CHANGED)], {}, set()),
        (
            [("train", STORY), ("validation", STORY), ("test", CHANGED), ("train", STORY)],
            {
                0: "copy of an article in validation",
                1: "near copy of an article in test",
                3: "copy of an article in validation",
            },
            {0, 3},
        ),
    ],
)
def test_an_article_stands_in_one_split_and_test_keeps_it(
    rows: list[tuple[str, str]], dropped: dict[int, str], without_near: set[int]
) -> None:
    frame = pd.DataFrame(rows, columns=["split", "text"]).assign(label="real")
    near, exact = (CopyFilter(schema_of(Task.VERACITY), near=near) for near in (True, False))
    near.add(frame)
    assert {row: str(copy) for row, copy in near.dropped.items()} == dropped
    for row in range(len(frame)):  # part by part
        exact.add(frame[row : row + 1])
    assert set(exact.dropped) == without_near


def test_fit_check_and_prepare_agree_on_what_is_kept(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = [
        {"article": f"{row['text']} {STORY[:40]}", "summary": row["text"], "split": row["split"]} for row in _rows()
    ]
    rows += [{**rows[0], "summary": "Another summary."}, dict(rows[1])]  # a second summary; a repeated row
    rows += [{**rows[2], "split": "test"}, {**rows[3], "article": f"(Reuters) - {rows[3]['article']}", "split": "test"}]
    file, out, report = tmp_path / "t.csv", tmp_path / "clean.parquet", tmp_path / "report.json"
    pd.DataFrame(rows).to_csv(file, index=False)
    fitted = load_splits(str(file), Task.SUMMARY)
    assert main(["data", "check", "summary", "--data", str(file), "--keep-near-duplicates", "--json", str(report)]) == 0
    found = json.loads(report.read_text())
    assert found["duplicates_within_a_split"] == 1
    assert found["near_duplicates_across_splits"] == {"train repeats test": 1, "validation repeats test": 1}
    arguments = ["data", "prepare", "summary", "--data", str(file), "--out", str(out), "--keep-near-duplicates"]
    assert main(arguments) == 0
    assert "2  dropped: copy of an article in test" in (text := capsys.readouterr().out)
    assert "1  dropped: repeats an article of its split" in text
    prepared = load_splits(str(out), Task.SUMMARY)
    for split, frame in fitted.items():
        assert prepared[split][["article", "summary"]].equals(frame[["article", "summary"]]), split
    assert sum(map(len, fitted.values())) == len(rows) - 3


def test_prepare_writes_a_table_that_training_takes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = [{"story": row["text"], **row} for row in _rows()]
    rows[4]["label"] = "doubtful"
    rows += [{**rows[0], "story": STORY}, {**rows[0], "story": STORY, "split": "test"}, dict(rows[8])]
    file, out = tmp_path / "t.jsonl", tmp_path / "deep" / "clean.parquet"
    pd.DataFrame(rows).to_json(file, orient="records", lines=True)
    arguments = ["data", "prepare", "veracity", "--data", str(file), "--columns", "text=story", "--out", str(out)]
    assert main([*arguments, "--skip-bad-rows"]) == 2
    assert "no article of the training split has the label 'doubtful' (1 test): give such" in capsys.readouterr().err
    assert not out.exists()
    arguments += ["--labels", "real,fake"]
    assert main(arguments) == 2
    assert "row 5: 'doubtful' is not one of" in (said := capsys.readouterr().err)
    assert "--skip-bad-rows" in said
    assert not out.exists()
    assert main([*arguments, "--skip-bad-rows"]) == 0
    text = capsys.readouterr().out
    assert "63  read" in text
    assert "1  dropped: does not fit" in text
    assert "1  dropped: copy of an article in test" in text
    assert "1  dropped: repeats an article of its split" in text
    splits = load_splits(str(out), Task.VERACITY)
    assert sum(map(len, splits.values())) == 60
    assert STORY in set(splits["test"]["text"])
    assert [path.name for path in out.parent.iterdir()] == ["clean.parquet"]
    assert main([*arguments, "--skip-bad-rows"]) == 2
    assert "clean.parquet: is there already" in capsys.readouterr().err


def test_drift_between_collections(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pd.DataFrame(_rows()).to_csv(tmp_path / "old.csv", index=False)
    pd.DataFrame([{**row, "text": STORY * 2 + row["text"], "label": "fake"} for row in _rows()]).to_csv(
        tmp_path / "new.csv", index=False
    )
    old, new = (gather(str(tmp_path / name), Task.VERACITY, RowPolicy()) for name in ("old.csv", "new.csv"))
    assert measure_drift(old, old).verdict() == []
    drift = measure_drift(old, new)
    assert drift.labels == pytest.approx(2 / 3)
    assert drift.length == 1
    arguments = [
        "data",
        "check",
        "veracity",
        "--data",
        str(tmp_path / "new.csv"),
        "--against",
        str(tmp_path / "old.csv"),
    ]
    assert main(arguments) == 1
    text = capsys.readouterr().out
    assert "! the labels differ: 67% of the articles would have to change theirs" in text
    assert "! training refuses them: there is no label but fake, and a classifier tells at least two" in text


def test_distances_are_those_of_their_definitions() -> None:
    assert total_variation(Counter(a=1, b=1), Counter(a=1)) == 0.5
    assert kolmogorov_smirnov(Counter({1: 1, 2: 1}), Counter({2: 1, 3: 1})) == 0.5
    assert jensen_shannon(Counter(a=1), Counter(b=1)) == 1
    assert jensen_shannon(Counter(a=2, b=2), Counter(a=1, b=1)) == 0
    assert quantiles(Counter({1: 5, 10: 4, 100: 1}), [0.05, 0.5, 0.9, 1.0]) == [1, 1, 10, 100]
