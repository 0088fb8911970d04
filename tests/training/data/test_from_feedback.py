"""What people said of answers, as a table to learn from."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from infolens.contract import Task
from tests.training.ratings import rating, write_export
from training.cli import main
from training.data.cleaning import split_of
from training.data.feedback.judging import Conflicts, Voices
from training.data.feedback.table import Learned, Splitting, learn
from training.data.policy import RowPolicy
from training.data.tables import load_splits
from training.errors import DataError
from training.runs.evaluation.rows import load_rows

ONE = "The beach hotel on the island has a view of the sea."
OTHER = "The striker scored a goal and the team won the match."
THIRD = "Ministers met to discuss the budget of the harbour."


def learned(rows: list[dict[str, Any]], folder: Path, task: Task = Task.CATEGORY, **how: Any) -> Learned:
    return learn([write_export(rows, folder / "export.jsonl")], task, Voices(**how), Splitting())


def by_text(result: Learned, body: str = "text") -> dict[str, dict[str, Any]]:
    return {row[body]: row for row in result.frame.to_dict("records")}


@pytest.mark.parametrize("ending", ["csv", "jsonl", "parquet", "sqlite"])
def test_all_formats_say_the_same(ending: str, tmp_path: Path) -> None:
    formula = "=SUM(A1) is what the sheet said;\t-2 was the answer. " + ONE
    rows = [
        rating(formula, right=True, title="+1 for travel"),
        rating(OTHER, right=False, right_label="Sports", audit=True, rater="Ann", key="desk"),
        rating(task="summary", label="", stars=5, output_text="A text."),
        rating(THIRD, right=True, consent=False),
    ]
    result = learn([write_export(rows, tmp_path / f"export.{ending}")], Task.CATEGORY, Voices(), Splitting())
    found = by_text(result)
    assert set(found) == {formula, OTHER}
    assert (found[formula]["label"], found[formula]["weight"], found[formula]["title"]) == (
        "Travel",
        1,
        "+1 for travel",
    )
    assert (found[OTHER]["label"], found[OTHER]["weight"]) == ("Sports", 2)
    assert found[OTHER]["source"] == "feedback: audit"
    assert (found[OTHER]["prediction"], found[OTHER]["date"]) == (rows[1]["prediction"], "2026-11-27")
    assert (result.counts["left out: without consent"], result.counts["left out: of another task"]) == (1, 1)
    assert "Ann" not in result.frame.to_csv()
    assert "desk" not in result.frame.to_csv()


def test_ratings_of_one_article_become_one_row(tmp_path: Path) -> None:
    """Voices add up, to a most; the split follows from the words, as in every other table."""
    rows = [rating(ONE, right=True), rating(ONE.upper(), right=True), rating(OTHER, right_label="Sports")]
    rows += [rating(OTHER, right_label="Sports") for _ in range(8)]
    result = learned(rows, tmp_path)
    found = {row["label"]: row for _, row in result.frame.iterrows()}
    assert {label: (row["weight"], row["voices"]) for label, row in found.items()} == {
        "Travel": (2, 2),
        "Sports": (5, 9),
    }
    for row in found.values():
        assert row["split"] == split_of(row["text"], validation=0.1, test=0.1)
    assert result.counts["merged: ratings of the same article"] == 1 + 8


def test_everybody_has_one_voice_about_an_article(tmp_path: Path) -> None:
    changed = [
        rating(ONE, right_label="Sports", rater="a", rated="2026-11-27T10:00:00.000+00:00"),
        rating(ONE, right=True, rater="a", rated="2026-11-27T11:00:00.000+00:00"),
        rating(OTHER, right=True, rater="b", audit=True, rated="2026-11-27T10:00:00.000+00:00"),
        rating(OTHER, right_label="Sports", rater="b", rated="2026-11-27T11:00:00.000+00:00"),
        rating(THIRD, right_label="Politics", rater="", rated="2026-11-27T10:00:00.000+00:00"),
        rating(THIRD, right_label="Business", rater="", rated="2026-11-27T11:00:00.000+00:00"),
    ]
    result = learned(changed, tmp_path)
    found = by_text(result)
    assert {text: (row["label"], row["voices"]) for text, row in found.items()} == {
        ONE: ("Travel", 1),  # the later one
        OTHER: ("Travel", 1),  # the blind one
        THIRD: ("Business", 1),  # who has no name may be one person
    }
    assert result.conflicts == []


@pytest.mark.parametrize("conflicts", list(Conflicts))
def test_where_people_disagree_the_majority_counts_or_nobody(conflicts: Conflicts, tmp_path: Path) -> None:
    rows = [
        *[rating(ONE, right=True) for _ in range(3)], rating(ONE, right_label="Sports"),
        rating(OTHER, right=True), rating(OTHER, right_label="Sports"),
        rating(THIRD, right_label="Politics", audit=True), rating(THIRD, right_label="Business"),
        rating("Something else altogether that all agree on.", right=True),
    ]  # fmt: skip
    result = learned(rows, tmp_path, conflicts=conflicts)
    labels = {row["text"]: (row["label"], row["weight"]) for _, row in result.frame.iterrows()}
    agreed = {"Something else altogether that all agree on.": ("Travel", 1)}
    majority = {ONE: ("Travel", 2), THIRD: ("Politics", 1)}
    assert labels == (agreed | majority if conflicts is Conflicts.MAJORITY else agreed)
    assert result.counts["left out: people disagree: a tie"] == 2
    assert result.counts["left out: people disagree"] == (0 if conflicts is Conflicts.MAJORITY else 6)
    assert [one.said for one in result.conflicts] == [
        {"Travel": 3, "Sports": 1}, {"Sports": 1, "Travel": 1}, {"Politics": 2, "Business": 1}
    ]  # fmt: skip
    assert set(result.conflicts[1].predictions) == {rows[4]["prediction"], rows[5]["prediction"]}


def test_what_was_called_wrong_only_is_the_other_of_two(tmp_path: Path) -> None:
    wrong = rating(ONE, task="veracity", label="fake", right=False)
    found = learned([wrong], tmp_path, Task.VERACITY)
    assert found.frame["label"].tolist() == ["real"]
    with pytest.raises(DataError, match=r"nothing to learn for category.*1 left out: called wrong, without the right"):
        learned([rating(ONE, right=False)], tmp_path)
    other = rating(OTHER, task="veracity", label="satire", right=True)
    result = learned([wrong, other], tmp_path, Task.VERACITY)
    assert result.frame["label"].tolist() == ["satire"], "the model tells more than two"


def test_better_texts_and_texts_with_five_stars_are_summaries(tmp_path: Path) -> None:
    def summary(text: str, **said: Any) -> dict[str, Any]:
        return rating(text, task="summary", label="", output_text="The model's own.", **said)

    rows = [
        summary(ONE, stars=5), summary(ONE, stars=5), summary(ONE, stars=2, better="A person's."),
        summary(ONE, stars=1, better="A person's"), summary(OTHER, stars=4), summary(THIRD, stars=5),
        summary(THIRD, stars=1),
    ]  # fmt: skip
    result = learned(rows, tmp_path, Task.SUMMARY)
    found = {row["summary"]: (row["article"], row["weight"], row["voices"]) for _, row in result.frame.iterrows()}
    assert found == {"A person's": (ONE, 4, 2)}, "two for the model's text, and two against it"
    assert "title" not in result.frame
    assert result.counts["left out: neither enough stars nor a better text"] == 1
    more = learned([*rows, summary(ONE, stars=5)], tmp_path, Task.SUMMARY, least_stars=4)
    texts = {(row["article"], row["summary"]): row["weight"] for _, row in more.frame.iterrows()}
    assert texts == {(ONE, "A person's"): 4, (ONE, "The model's own."): 1, (OTHER, "The model's own."): 1}
    assert more.frame[more.frame["article"] == ONE]["split"].nunique() == 1


def test_an_export_of_later_has_the_ratings_of_before_again(tmp_path: Path) -> None:
    first, second = rating(ONE, right=True), rating(ONE, right=True)
    files = [
        write_export([first], tmp_path / "spring.csv"),
        write_export([first, second], tmp_path / "summer.parquet"),
    ]
    result = learn(files, Task.CATEGORY, Voices(), Splitting())
    assert result.frame["weight"].tolist() == [2]
    assert result.counts["left out: stands there twice"] == 1


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"stars": 6}, r"row 2: stars is a whole number from 1 to 5 or empty, not 6"),
        ({"right": "perhaps"}, r"row 2: right is true, false or empty, not 'perhaps'"),
        ({"text": ""}, r"1 left out: without the article's text.*\(--feedback-texts\)"),
    ],
)
def test_what_is_no_export_is_refused(change: dict[str, Any], words: str, tmp_path: Path) -> None:
    rows = [rating(consent=False), rating(right=True) | change]
    with pytest.raises(DataError, match=words):
        learned(rows, tmp_path)
    pd.DataFrame({"text": ["a"]}).to_csv(tmp_path / "other.csv")
    with pytest.raises(DataError, match=r"no column 'prediction'.*python -m serving feedback export"):
        learn([tmp_path / "other.csv"], Task.CATEGORY, Voices(), Splitting())


def test_the_command_writes_a_table_that_fit_reads_with_one_of_before(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = [rating(f"{OTHER} {number}", right_label="Sports", audit=number % 2 == 0) for number in range(40)]
    rows += [rating(ONE, right=True), rating(ONE, right_label="Sports")]
    export = str(write_export(rows, tmp_path / "export.jsonl"))
    folder, told = tmp_path / "tables", tmp_path / "told.json"
    command = ["data", "from-feedback", export, "--task", "category", "--out", str(folder / "feedback.parquet")]
    command.append("--keep-near-duplicates")
    assert main([*command, "--json", str(told)]) == 0
    out = capsys.readouterr().out
    assert "        42  read\n" in out
    assert f"disagreement about {rows[-2]['prediction']}, {rows[-1]['prediction']}: Sports 1, Travel 1" in out
    assert json.loads(told.read_text())["counts"]["written"] == 40
    assert "striker" not in told.read_text()
    assert main(command) != 0
    assert "is there already" in capsys.readouterr().err
    asked = load_rows([str(folder / "feedback.parquet")], Task.CATEGORY, RowPolicy())
    assert set(asked.frame["split"]) == {"test"}, "'evaluate' asks about the same rows as 'fit' measures on"
    before = pd.DataFrame({"text": [f"{ONE} {i}" for i in range(8)], "label": "Travel", "split": "train"})
    before.to_csv(folder / "before.csv", index=False)
    train = load_splits(str(folder), Task.CATEGORY, RowPolicy())["train"]
    weights = train.groupby("label")["weight"].agg(lambda column: sorted(set(column.fillna(1.0))))
    assert weights.to_dict() == {"Sports": [1.0, 2.0], "Travel": [1.0]}


def test_a_weight_that_is_none_is_refused_and_data_prepare_keeps_weights(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    table = pd.DataFrame({"text": [f"{ONE} {i}" for i in range(30)], "label": ["a", "b"] * 15, "weight": "2"})
    table.loc[3, "weight"] = "heavy"
    table.to_csv(tmp_path / "raw.csv", index=False)
    command = ["data", "prepare", "category", "--data", str(tmp_path / "raw.csv"), "--out", str(tmp_path / "t.parquet")]
    command.append("--keep-near-duplicates")
    assert main(command) != 0
    assert "must be a number above 0 or nothing" in capsys.readouterr().err
    assert main([*command, "--skip-bad-rows"]) == 0
    assert pd.read_parquet(tmp_path / "t.parquet")["weight"].tolist() == [2.0] * 29
