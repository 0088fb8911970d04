"""What the quality of models is computed from: which ratings count, in which batch, and what is tallied.

All of it in a file of SQLite and in a real PostgreSQL alike.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from sqlalchemy import Engine, event

from serving.feedback.keeping import Outcome
from serving.feedback.records import Answered, Tally
from serving.feedback.store import FeedbackStore
from tests.serving.feedback.said import (
    CATEGORY,
    DAY_S,
    DAY_US,
    START_DAY,
    START_S,
    SUMMARY,
    counted,
    labelled,
    outcomes,
    predicted,
    right,
    said,
    stars,
)


def test_of_one_rater_the_latest_rating_counts(store: FeedbackStore) -> None:
    at_us = START_S * 1_000_000
    store.write([predicted("p"), said("a", "p", stars(1), right(is_right=False), made_us=at_us)])
    store.write([said("b", "p", stars(5), made_us=at_us + 2), said("c", "p", stars(3), rater="desk-8")])
    store.write([said("late", "p", stars(2), made_us=at_us + 1)])  # it comes out of a spool after a later one
    summary = [(one.stars, one.count) for one in counted(store) if one.task == "summary"]
    assert summary == [(3, 1), (5, 1)]
    assert [(one.right, one.shown) for one in counted(store) if one.task == "category"] == [(False, True)]
    assert [one.id for one in store.submissions("p")] == ["a", "b", "c", "late"], "all that was said is still told"
    rows = {(row["rater"], row["task"]): row for row in store.rows()}
    assert {key: row["stars"] for key, row in rows.items()} == {
        ("desk-7", "summary"): 5,
        ("desk-8", "summary"): 3,
        ("desk-7", "category"): None,
    }


def test_a_rating_costs_the_same_however_many_others_there_are(store: FeedbackStore) -> None:
    """One writer serves all: whoever rates one answer under ever new names must not hold it up for everybody."""
    costs: list[int] = []

    def executed(*_: Any) -> None:
        costs[-1] += 1

    store.write([predicted("p")])
    event.listen(Engine, "before_cursor_execute", executed)
    try:
        for count in range(20):
            costs.append(0)
            store.write([said(str(count), "p", stars(3), rater=f"desk-{count}")])
    finally:
        event.remove(Engine, "before_cursor_execute", executed)
    assert costs[-1] <= costs[1]
    assert len(store.judgments(since_day=0, limit=100)) == 20


def test_a_label_means_what_it_is_beside_the_answer(store: FeedbackStore) -> None:
    ratings = {
        "same": (labelled("Sports"), True, "Sports"),
        "other": (labelled("Politics"), False, "Politics"),
        "right": (right(is_right=True), True, "Sports"),
        "wrong": (right(is_right=False), False, None),
    }
    store.write([predicted(name) for name in ratings])
    store.write([said(name, name, rating) for name, (rating, _, _) in ratings.items()])
    rows = {row["prediction"]: (row["right"], row["right_label"]) for row in store.rows()}
    assert rows == {name: (is_right, label) for name, (_, is_right, label) in ratings.items()}
    store.write([said("v", "same", right(is_right=True, task="veracity"), right(is_right=True, task="tone"))])
    (doubt,) = [one for one in counted(store) if one.task == "veracity"]
    assert (doubt.right, doubt.shown, doubt.count) == (True, False, 1)
    assert not [one for one in counted(store) if one.task == "tone"], "it was not answered"


def test_batches_are_cut_in_the_order_of_the_ratings(store: FeedbackStore) -> None:
    for number in range(7):
        made_us = (START_S + number * DAY_S) * 1_000_000
        store.write([predicted(f"p{number}"), said(f"s{number}", f"p{number}", stars(1 + number % 5), made_us=made_us)])
    store.write([said("again", "p0", stars(5), made_us=(START_S + DAY_S) * 1_000_000)])
    found = counted(store, batch=3)
    assert Counter(one.batch for one in found) == {0: 3, 1: 3, 2: 1}
    assert {(one.stars, one.day - START_DAY) for one in found if one.batch == 0} == {(5, 1), (2, 1), (3, 2)}
    later = counted(store, batch=3, since_day=START_DAY + 4)
    assert [(one.batch, one.count) for one in later] == [(1, 1), (1, 1), (2, 1)], "their batches stay the same"
    with pytest.raises(ValueError, match="at least one rating"):
        store.aggregates(batch=0, since_day=0)


def test_revisions_and_audits_are_counted_apart(store: FeedbackStore) -> None:
    newer = Answered(task="summary", model="bart", version="3", revision="s2", output={"text": "Neu."})
    store.write([predicted("p"), predicted("q", answers=(newer, CATEGORY))])
    store.write([said("a", "p", stars(2)), said("b", "q", stars(4)), said("c", "q", labelled("Sports"), audit=True)])
    found = {(one.task, one.revision, one.audit, one.stars, one.right, one.batch) for one in counted(store)}
    assert found == {
        ("summary", "s1", False, 2, None, 0),
        ("summary", "s2", False, 4, None, 0),
        ("category", "c1", True, None, True, 0),
    }


def test_an_audit_is_answered_once(store: FeedbackStore) -> None:
    withheld = Answered(
        **{**{name: getattr(CATEGORY, name) for name in CATEGORY.__slots__}, "output": {"withheld": True}}
    )
    audit = predicted("p", audit=True, answers=(withheld, SUMMARY))
    first = said("a", "p", labelled("Politics"), audit=True)
    assert outcomes(store, audit, first, first) == ["kept", "kept", "repeated"]
    (second,) = store.write([said("b", "p", labelled("Sports"), audit=True)])
    assert (second.outcome, second.id) == (Outcome.ANSWERED, "a")
    assert outcomes(store, said("c", "p", right(is_right=True))) == ["kept"]
    found = [(one.audit, one.right, one.count) for one in counted(store) if one.task == "category"]
    assert found == [(False, True, 1), (True, False, 1)], "what was said after it does not replace it"


def test_an_audit_that_somebody_passes_is_counted_as_one(store: FeedbackStore) -> None:
    store.write([predicted("p", audit=True), predicted("q", audit=True)])
    store.write([said("a", "p", audit=True), said("b", "q", labelled("Real", "veracity"), audit=True)])
    passed = [one for one in counted(store) if one.right is None]
    assert [(one.task, one.audit, one.stars, one.batch, one.count) for one in passed] == [
        ("category", True, None, -1, 2),
        ("veracity", True, None, -1, 1),
    ]
    assert [one.ratings for one in (*store.submissions("p"), *store.submissions("q"))] == [
        (),
        (labelled("Real", "veracity"),),
    ]
    assert [row["prediction"] for row in store.rows()] == ["q"]


def test_those_who_judge_the_same_answer_are_found(store: FeedbackStore) -> None:
    store.write([predicted("p"), predicted("q")])
    store.write([said("a", "p", stars(2), right(is_right=False)), said("b", "p", stars(5), rater="x")])
    store.write([said("c", "q", stars(1)), said("d", "p", labelled("Politics"), key="other")])
    store.write([said("e", "p", labelled("Sports"), audit=True)])  # the first one, once more
    found = [(one.prediction, one.task, one.rater, one.value) for one in store.judgments(since_day=0, limit=9)]
    assert sorted(found) == [
        ("p", "category", "newsroom:desk-7", "Sports"),
        ("p", "category", "other:desk-7", "Politics"),
        ("p", "summary", "newsroom:desk-7", "2"),
        ("p", "summary", "newsroom:x", "5"),
    ]
    assert len(store.judgments(since_day=0, limit=2)) == 2
    assert not store.judgments(since_day=START_DAY + 1, limit=9)


def test_a_label_that_was_only_called_wrong_is_told_as_such(store: FeedbackStore) -> None:
    store.write([predicted("p"), said("a", "p", right(is_right=False)), said("b", "p", labelled("Sports"), rater="x")])
    assert {one.value for one in store.judgments(since_day=0, limit=9)} == {"not Sports", "Sports"}


def test_tallies_are_summed_from_a_day_on(store: FeedbackStore) -> None:
    tally = Tally(task="category", model="classify", revision="c1", what="label", bucket="Sports", count=2)
    for day in range(3):
        made_us = START_S * 1_000_000 + day * DAY_US
        store.write([predicted(f"p{day}{number}", made_us=made_us, tallies=(tally,)) for number in range(2)])
    assert [(one.day - START_DAY, one.count) for one in store.tallies(since_day=0)] == [(2, 12)]
    assert [one.count for one in store.tallies(since_day=START_DAY + 1)] == [8]
    assert not store.tallies(since_day=START_DAY + 3)
