"""What the server's own command exports is what ``data from-feedback`` reads, in every format."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from infolens.contract import Task
from serving.cli import main as serving
from serving.feedback.location import KEPT
from serving.feedback.records import Prediction, Rating, Submission
from tests.serving.feedback.said import Clock, predicted, said, store_in
from training.data.feedback.judging import Voices
from training.data.feedback.reading import COLUMNS
from training.data.feedback.table import Splitting, learn

GOAL = '=1+1 is how the "coach" counted;\t-2, he said.\nThe striker scored a goal, and the team won the match.'
SEA = "The beach hotel on the island has a view of the sea."


def of(name: str, text: str, **fields: Any) -> Prediction:
    return predicted(name, text=text, title="A title", text_sha256=hashlib.sha256(text.encode()).hexdigest(), **fields)


def entry(name: str, prediction: str, *ratings: Rating, **fields: Any) -> Submission:
    return said(name, prediction, *ratings, consent=True, **fields)


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    folder = tmp_path / "cache"
    store = store_in(KEPT.file_in(folder), Clock())
    store.write([of("p", GOAL), of("q", SEA), of("r", SEA), of("s", GOAL, audit=True), predicted("t")])
    right, wrong = Rating(task="category", right=True), Rating(task="category", right=False, label="Travel")
    store.write(
        [
            entry("1", "p", right, Rating(task="summary", stars=5), rater="a"),
            entry("2", "q", wrong, Rating(task="summary", stars=2, better="+A better text."), rater="a"),
            entry("3", "r", right, rater="b"),
            entry("4", "s", Rating(task="category", label="Sports"), rater="c", audit=True),
            entry("5", "t", right, rater="d"),
            said("6", "r", Rating(task="category", label="Business"), rater="e"),
        ]
    )
    store.close()
    return folder


@pytest.mark.parametrize("ending", ["csv", "jsonl", "parquet", "sqlite"])
def test_ratings_come_through_as_they_were_given(ending: str, cache: Path, tmp_path: Path) -> None:
    out = tmp_path / f"ratings.{ending}"
    assert serving(["feedback", "export", "--out", str(out), "--cache", str(cache)]) == 0
    category = learn([out], Task.CATEGORY, Voices(), Splitting())
    (row,) = category.frame.to_dict("records")
    assert (row["text"], row["label"], row["weight"], row["voices"]) == (GOAL, "Sports", 3, 2)
    assert (row["prediction"], row["source"], row["revision"]) == ("s", "feedback: audit", "c1")
    (conflict,) = category.conflicts
    assert (set(conflict.predictions), conflict.said) == ({"q", "r"}, {"Sports": 1, "Travel": 1})
    assert category.counts["left out: without the article's text"] == 1
    assert category.counts["left out: without consent"] == 1
    summary = learn([out], Task.SUMMARY, Voices(), Splitting()).frame
    assert {(row["article"], row["summary"]): row["weight"] for _, row in summary.iterrows()} == {
        (GOAL, "Die Brücke schließt."): 1,
        (SEA, "+A better text."): 2,
    }
    if ending == "parquet":
        assert set(COLUMNS) <= set(pd.read_parquet(out))
