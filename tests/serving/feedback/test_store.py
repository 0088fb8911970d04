"""The store of feedback, in a file of SQLite and in a real PostgreSQL alike."""

from __future__ import annotations

import dataclasses

import pytest

from serving.feedback.database import reading
from serving.feedback.keeping import Outcome
from serving.feedback.records import Answered, Erasure, Prediction, Rating
from serving.feedback.store import FeedbackStore
from tests.serving.feedback.said import (
    DAY_S,
    START_S,
    Clock,
    counted,
    labelled,
    outcomes,
    predicted,
    right,
    said,
    stars,
)


def without_tallies(prediction: Prediction) -> Prediction:

    return dataclasses.replace(prediction, tallies=())


def test_what_was_written_is_given_back(store: FeedbackStore) -> None:
    assert store.prediction("p") is None
    assert store.submissions("p") == ()
    made = predicted("p", title="Die Brücke", text="Sie schließt.", audit=True)
    one = said("s", "p", stars(4, "Besser."), right(is_right=False), note="Naja.", consent=True)
    other = said("t", "p", labelled("Politics"), rater="desk-8")
    assert outcomes(store, made, one, other) == ["kept"] * 3
    assert store.prediction("p") == without_tallies(made)
    assert store.submissions("p") == [one, other]
    assert store.prediction("q") is None


def test_an_entry_that_comes_again_counts_once(store: FeedbackStore) -> None:
    entries = (predicted("p"), said("s", "p", stars(4)))
    for again in range(2):
        written = store.write(entries)
        assert [one.outcome for one in written] == [[Outcome.KEPT, Outcome.REPEATED][again]] * 2
    assert outcomes(store, predicted("q"), predicted("q")) == ["kept", "repeated"]
    (again_with_another_id,) = store.write([said("z", "p", stars(4), token="token-s", digest="digest-s")])
    assert (again_with_another_id.outcome, again_with_another_id.id) == (Outcome.REPEATED, "s")
    assert outcomes(store, said("y", "p", stars(1), token="token-s")) == ["conflict"]
    assert outcomes(store, said("x", "p", stars(1), token="token-s", key="desk")) == ["kept"], "another caller's token"
    assert [one.predictions for one in store.populations(since_day=0)] == [2, 2, 2]
    assert {(one.bucket, one.count) for one in store.tallies(since_day=0)} == {("Sports", 2), ("the", 14)}
    assert [one.id for one in store.submissions("p")] == ["s", "x"]


def test_of_very_much_the_latest_is_told_and_the_audit(store: FeedbackStore) -> None:
    store.write([predicted("p", audit=True), said("audit", "p", Rating(task="category", label="Sports"), audit=True)])
    store.write([said(f"s{number}", "p", stars(4), rater=f"r{number}") for number in range(reading.MAX_SAID + 5)])
    assert [one.id for one in store.submissions("p")] == ["audit", *(f"s{n}" for n in range(6, reading.MAX_SAID + 5))]


def test_a_submission_waits_a_day_for_its_prediction(store: FeedbackStore, clock: Clock) -> None:
    assert outcomes(store, said("a", "p", stars(4)), said("b", "p", stars(5), rater="x")) == ["unknown"] * 2
    assert outcomes(store, said("a", "p", stars(4))) == ["repeated"]
    assert not counted(store)
    clock.now_s += DAY_S - 1
    assert outcomes(store, predicted("p")) == ["kept"]
    assert [(one.stars, one.count) for one in counted(store)] == [(4, 1), (5, 1)]
    assert [one.id for one in store.submissions("p")] == ["a", "b"]
    store.write([said("c", "q", stars(1)), said("d", "r", audit=True), said("e", "r", audit=True)])
    assert [one.id for one in store.submissions("r")] == ["d"], "the second answer to an audit does not wait"
    clock.now_s += DAY_S
    store.write([predicted("q")])
    assert sum(one.count for one in counted(store)) == 2
    store.forget(9)
    assert store.submissions("r") == []


def test_what_is_erased_does_not_come_back(store: FeedbackStore) -> None:
    store.write([predicted("p"), predicted("q"), said("a", "p", stars(4)), said("b", "q", stars(2))])
    order = Erasure(prediction="p", made_us=1)
    assert outcomes(store, order, order) == ["kept", "repeated"]
    assert store.prediction("p") is None
    assert store.submissions("p") == []
    assert [(one.stars, one.count) for one in counted(store)] == [(2, 1)]
    assert outcomes(store, predicted("p"), said("c", "p", stars(1))) == ["repeated", "unknown"]
    assert store.prediction("p") is None
    assert [one.predictions for one in store.populations(since_day=0)] == [2, 2, 2], "counts stay, and count once"
    # An order that comes before what it is about, which another server's spool still holds.
    assert outcomes(store, Erasure(prediction="z", made_us=1), predicted("z")) == ["unknown", "repeated"]
    assert store.prediction("z") is None


def test_old_predictions_are_forgotten(store: FeedbackStore, clock: Clock) -> None:
    old, new = START_S * 1_000_000, (START_S + 5 * DAY_S) * 1_000_000
    store.write([predicted(f"old{number}", made_us=old) for number in range(700)])
    store.write([predicted("new", made_us=new), said("a", "old1", stars(1)), said("b", "new", stars(5))])
    clock.now_s += 8 * DAY_S
    assert store.forget(7) == 700
    assert store.forget(7) == 0
    assert store.prediction("old1") is None
    assert store.prediction("new") is not None
    assert [one.stars for one in counted(store)] == [5]
    assert sum(one.predictions for one in store.populations(since_day=0)) == 3 * 701
    clock.now_s += 500 * DAY_S
    assert store.forget(1000) == 0
    assert store.forget(7) == 1
    assert not store.populations(since_day=0)


def test_texts_that_a_database_cannot_hold_are_mended(store: FeedbackStore) -> None:
    """One such text in a spool would otherwise keep all that comes after it out for ever."""
    bad = "a\0b\ud800"
    answer = Answered(task="summary", model="bart", version=bad, revision="s1", output={"text": bad})
    assert (
        outcomes(
            store,
            predicted("p", title=bad, text=bad, key="k" * 500, answers=(answer,)),
            said("s", "p", Rating(task="summary", stars=3, better=bad), note=bad, rater=bad),
        )
        == ["kept"] * 2
    )
    found = store.prediction("p")
    assert found is not None
    assert found.text == "a\ufffdb?"
    assert store.submissions("p")[0].note == "a\ufffdb?"


def test_a_failure_in_the_middle_keeps_nothing(store: FeedbackStore) -> None:
    store.write([predicted("first")])
    with pytest.raises(TypeError):
        store.write([predicted("p"), said("s", "p", stars(1)), object()])  # type: ignore[list-item]
    assert store.prediction("p") is None
    assert sum(one.predictions for one in store.populations(since_day=0)) == 3


def test_rows_have_the_columns_of_an_export(store: FeedbackStore, monkeypatch: pytest.MonkeyPatch) -> None:
    store.write([predicted("p", title="T", text="X"), said("s", "p", stars(4, "Besser."), note="N", consent=True)])
    (row,) = store.rows()
    assert row == {
        "prediction": "p",
        "made": "2027-01-15T08:00:00.000+00:00",
        "task": "summary",
        "model": "bart",
        "version": "2",
        "revision": "s1",
        "label": None,
        "signal": None,
        "probability": None,
        "output_text": "Die Brücke schließt.",
        "stars": 4,
        "better": "Besser.",
        "right": None,
        "right_label": None,
        "rater": "desk-7",
        "note": "N",
        "consent": True,
        "audit": False,
        "rated": "2027-01-15T08:00:00.000+00:00",
        "key": "newsroom",
        "words": 120,
        "text_sha256": "ab" * 32,
        "title": "T",
        "text": "X",
    }
    monkeypatch.setattr(reading, "_PAGE", 20)
    store.write([predicted(f"n{number}") for number in range(30)])
    store.write([said(f"t{number}", f"n{number}", stars(1), right(is_right=True)) for number in range(30)])
    names = [(one["prediction"], one["task"]) for one in store.rows()]
    assert len(names) == len(set(names)) == 61


def test_the_salt_is_the_store_s_own(store: FeedbackStore) -> None:
    salt = store.salt
    assert len(salt) >= 20
    assert store.salt == salt
