"""The document says of each revision what people said of it, honestly where that is little or nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from serving.feedback.keeping import Judgment
from serving.gateway.quality.answers import QualityAnswer
from serving.quality.document import MIN_ARTICLES, Serving, Terms, make_document, trust
from serving.quality.figures import MAX_BATCHES
from serving.quality.intervals import share
from serving.quality.references import References
from tests.serving.quality.said import CATEGORY, NOW_S, SUMMARY, TODAY, Read, came, counted, rated, write_reference


def made(read: Read, repository: Path, *serving: Serving, days: int = 30) -> dict[str, Any]:
    terms = Terms(days=days, batch=100, trust=0.75)
    document = make_document(read, terms, serving=serving, references=References(repository), now_s=NOW_S)
    told = QualityAnswer.model_validate(document, strict=True).model_dump(exclude_unset=True)
    assert told == document, "the schema of the API names all of it"
    return document


def the_only(document: dict[str, Any]) -> dict[str, Any]:
    (one,) = document["models"]
    assert isinstance(one, dict)
    return one


def test_a_server_that_nobody_has_rated_says_so(tmp_path: Path) -> None:
    document = made(Read(), tmp_path, SUMMARY, CATEGORY)
    assert [(one["task"], one["serving"], one["predictions"]) for one in document["models"]] == [
        ("summary", True, 0),
        ("category", True, 0),
    ]
    for one in document["models"]:
        assert one["satisfaction"] is one["accuracy"] is one["audit"] is one["agreement"] is one["trusted"] is None
        assert one["batches"] == one["by_day"] == []
        assert one["shown"] == {"accuracy": None, "coverage": None}
    assert document["models"][0]["trusted_why"] == "blind audits are of labels; of a text people say how they like it"
    assert document["models"][1]["trusted_why"] == "no blind audit was answered yet"
    assert document["made"] == "2024-10-04T01:00:00+00:00"


def test_stars_are_counted_by_batch_and_day(tmp_path: Path) -> None:
    ratings = [
        rated(SUMMARY, stars=5, count=70, day=TODAY - 1),
        rated(SUMMARY, stars=2, count=30, day=TODAY),
        rated(SUMMARY, stars=1, count=4, day=TODAY, batch=1),
        rated(SUMMARY, stars=1, count=1000, day=TODAY - 30),
    ]
    read = Read(ratings=ratings, came=[came(900, SUMMARY), came(80, SUMMARY, day=TODAY - 3)])
    one = the_only(made(read, tmp_path, SUMMARY))
    assert read.asked == [TODAY - 29], "thirty days with today"
    assert one["satisfaction"]["stars"] == [4, 30, 0, 0, 70]
    assert one["satisfaction"]["value"] == pytest.approx((4 + 60 + 350) / 104, abs=1e-4)
    assert one["predictions"] == 980
    first, second = one["batches"]
    assert (first["batch"], first["ratings"], first["value"]) == (0, 100, pytest.approx(4.1))
    assert (first["first_day"], first["last_day"]) == ("2024-10-03", "2024-10-04")
    assert (second["value"], second["ratings"]) == (1, 4)
    assert second["high"] > 1.5, "four ratings that are alike are not sure"
    assert [(day["day"], day["predictions"], day["ratings"]) for day in one["by_day"]] == [
        ("2024-10-01", 80, 0),
        ("2024-10-03", 0, 70),
        ("2024-10-04", 900, 34),
    ]
    assert one["by_day"][0]["value"] is None


def test_audits_stand_apart_from_what_people_volunteer(tmp_path: Path) -> None:
    ratings = [
        rated(right=True, count=30),
        rated(right=False, count=20),
        rated(right=False, shown=False, count=50),
        rated(right=True, audit=True, count=90),
        rated(right=False, audit=True, shown=False, count=10),
        rated(audit=True, count=7),
    ]
    one = the_only(made(Read(ratings=ratings), tmp_path, CATEGORY))
    assert (one["accuracy"]["value"], one["accuracy"]["ratings"]) == (0.3, 100)
    assert (one["shown"]["accuracy"]["value"], one["shown"]["accuracy"]["ratings"]) == (0.6, 50)
    assert (one["audit"]["value"], one["audit"]["ratings"], one["audit"]["passed"]) == (0.9, 100, 7)
    assert one["satisfaction"] is None
    assert (one["trusted"], one["trusted_why"]) == (
        True,
        "in blind audits it is right 83% to 94% of the time, from 100 of them: at least the 75% that are asked",
    )
    assert [(batch["audit"], batch["ratings"]) for batch in one["batches"]] == [(False, 100), (True, 100)]
    assert one["by_day"][0]["ratings"] == 100


def test_the_newest_batches_are_told(tmp_path: Path) -> None:
    ratings = [rated(right=True, count=100, batch=number) for number in range(200)]
    batches = the_only(made(Read(ratings=ratings), tmp_path, CATEGORY))["batches"]
    assert [one["batch"] for one in batches] == list(range(200 - MAX_BATCHES, 200))


@pytest.mark.parametrize(
    ("right", "count", "trusted"), [(90, 100, True), (60, 100, False), (3, 3, None), (80, 100, None), (0, 3, False)]
)
def test_a_model_is_trusted_only_where_that_is_sure(right: int, count: int, trusted: bool | None) -> None:
    assert trust(share(right, count), 0.75)[0] is trusted


def test_revisions_that_serve_no_more_are_told_after_the_one_that_does(tmp_path: Path) -> None:
    write_reference(tmp_path)
    ratings = [rated(right=True, revision="old", day=TODAY - 9), rated(right=True, revision="older", day=TODAY - 20)]
    read = Read(ratings=ratings, came=[came(5), came(5, revision="gone", day=TODAY - 25)])
    document = made(read, tmp_path, CATEGORY)
    assert [(one["revision"], one["serving"]) for one in document["models"]] == [
        ("aaa", True),
        ("old", False),
        ("older", False),
        ("gone", False),
    ]
    assert "this revision serves no more" in document["models"][1]["drift_why"]


def test_articles_are_held_against_those_of_the_training(tmp_path: Path) -> None:
    write_reference(tmp_path)
    alike = [
        *counted("label", {"Politics": 98, "Sports": 102}),
        *counted("shown", {"shown": 150, "doubt": 50}),
        *counted("words", {"25": 200}),
        *counted("vocabulary", {"the": 1600, "said": 800, "minister": 800, "that": 800, "other": 1000, "team": 800}),
    ]
    one = the_only(made(Read(counts=alike), tmp_path, CATEGORY))
    assert one["drift_why"] == ""
    assert one["drift"]["label"]["state"] == one["drift"]["words"]["state"] == "stable"
    assert one["drift"]["label"]["buckets"] == [
        {"bucket": "Politics", "expected": 0.5, "seen": 0.49},
        {"bucket": "Sports", "expected": 0.5, "seen": 0.51},
    ]
    assert (one["shown"]["coverage"]["value"], one["shown"]["coverage"]["answers"]) == (0.75, 200)
    other = [
        *counted("label", {"Politics": 0, "Sports": 190, "Tennis": 10}),
        *counted("words", {"400": 200}),
        *counted("vocabulary", {"other": 90_000}),
    ]
    moved = the_only(made(Read(counts=other), tmp_path, CATEGORY))["drift"]
    assert {name: found["state"] for name, found in moved.items()} == dict.fromkeys(
        ("label", "words", "vocabulary"), "moved"
    )
    assert moved["vocabulary"]["seen"] == 90_000


def test_why_no_drift_is_told(tmp_path: Path) -> None:
    few = Read(counts=counted("words", {"25": MIN_ARTICLES - 1}))
    enough = Read(counts=counted("words", {"25": MIN_ARTICLES}))

    def why(read: Read, one: Serving = CATEGORY) -> str:
        told = the_only(made(read, tmp_path, one))
        assert told["drift"] is None
        return str(told["drift_why"])

    assert "distilbert/1 has no reference.json: `python -m export reference distilbert --data FILE`" in why(enough)
    write_reference(tmp_path, text="{}")
    assert "cannot be read (it is no reference of schema 1)" in why(enough)
    write_reference(tmp_path)
    assert why(few) == "99 articles came in this time: drift is told from 100 on"
    write_reference(tmp_path, SUMMARY)
    read = Read(counts=(*counted("words", {"25": 500}, SUMMARY), *counted("vocabulary", {"the": 9_999}, SUMMARY)))
    assert set(the_only(made(read, tmp_path, SUMMARY))["drift"]) == {"words"}, "a text has no label, and few words"


def test_agreement_is_that_of_the_revisions_own_judgments(tmp_path: Path) -> None:
    judged = [
        Judgment(task=one.task, model=one.model, revision=one.revision, prediction=prediction, rater=rater, value=value)
        for one, prediction, rater, value in (
            (SUMMARY, "x", "a", "5"),
            (SUMMARY, "x", "b", "4"),
            (SUMMARY, "y", "a", "1"),
            (SUMMARY, "y", "b", "1"),
            (CATEGORY, "x", "a", "Politics"),
        )
    ]
    summary, category = made(Read(judged=judged), tmp_path, SUMMARY, CATEGORY)["models"]
    assert summary["agreement"]["answers"] == summary["agreement"]["raters"] == 2
    assert 0.8 < summary["agreement"]["alpha"] < 1
    assert category["agreement"] is None
