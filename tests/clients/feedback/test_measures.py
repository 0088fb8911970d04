"""What is kept of a prediction, and how good the models are, as values."""

from __future__ import annotations

import copy
from datetime import UTC, date, datetime
from typing import Any

import pytest

from infolens import Agreement, Estimate, KeptAnswer, KeptArticle, PredictionNotFoundError, UnexpectedResponseError
from tests.clients.feedback.server import ID, KEPT, QUALITY, Desk
from tests.clients.feedback.test_rating import both, call


@both
def test_what_is_kept(kind: str) -> None:
    desk = Desk()
    with desk.listening() as url:
        kept = call(kind, url, "prediction", ID)
    assert (kept.id, kept.audit, dict(kept.timings)) == (ID, False, {"total": 35.5})
    assert (kept.made, kept.until) == (datetime(2026, 11, 27, 12, tzinfo=UTC), datetime(2027, 2, 25, 12, tzinfo=UTC))
    assert kept.article == KeptArticle(text_sha256="ab" * 32, words=367)
    answer = kept.answers["category"]
    assert (answer.model, answer.version, answer.revision) == ("distilbert", "1", "0f3c")
    assert isinstance(answer, KeptAnswer)
    assert dict(answer.answer) == {"label": "Sports", "signal": "unsure", "probability": 0.5}
    assert [dict(one) for one in kept.feedback] == KEPT["feedback"]
    assert ID not in repr(kept)


@both
@pytest.mark.parametrize("kept", ["database", "spool"])
def test_what_is_forgotten(kind: str, kept: str) -> None:
    desk = Desk(kept=kept)
    with desk.listening() as url:
        assert call(kind, url, "forget", ID).done is (kept == "database")
    assert [(method, path) for method, path, _ in desk.asked] == [("DELETE", f"/v1/predictions/{ID}")]


@both
def test_what_was_forgotten_without_an_answer_is_forgotten(kind: str) -> None:
    desk = Desk(breaks=1)
    with desk.listening() as url:
        assert call(kind, url, "forget", ID).done
        with pytest.raises(PredictionNotFoundError):
            call(kind, url, "forget", ID)
    assert len(desk.asked) == 3


@both
def test_quality(kind: str) -> None:
    desk = Desk()
    with desk.listening() as url:
        quality = call(kind, url, "quality", 7)
    assert desk.asked[0][1] == "/v1/quality?days=7"
    assert (quality.days, quality.batch, quality.trust_bar, quality.stale_s) == (30, 100, 0.75, None)
    assert dict(quality.document) == QUALITY
    summary, category = quality.models
    assert quality.of_task("summary") is summary
    assert quality.of_task("category") is None
    assert summary.satisfaction == Estimate(value=3.86, low=3.61, high=4.1, count=212)
    assert (summary.stars, summary.accuracy, summary.trusted) == ((10, 20, 40, 62, 80), None, None)
    assert [(one.number, one.first_day, one.estimate.count) for one in summary.batches] == [
        (0, date(2026, 11, 1), 100),
        (1, date(2026, 11, 9), 100),
        (2, date(2026, 11, 20), 19),
    ]
    assert [(one.day, one.predictions, one.estimate) for one in summary.days] == [(date(2026, 11, 27), 40, None)]
    assert (summary.drift["words"].state, summary.drift["words"].psi) == ("moved", 0.31)
    assert summary.agreement == Agreement(answers=30, raters=4, same=0.8, alpha=0.62)
    assert (category.audit, category.audit_passed) == (Estimate(value=0.81, low=0.74, high=0.87, count=140), 12)
    assert category.coverage == Estimate(value=0.9, low=0.8, high=0.95, count=1200)
    assert [*category.drift] == ["label"]
    assert category.drift["label"].buckets[0].seen == 0.2


def test_quality_that_is_stale_says_how_old_it_is() -> None:
    with Desk(answers=lambda _: {**QUALITY, "stale_s": 90}).listening() as url:
        assert call("blocking", url, "quality").stale_s == 90


@pytest.mark.parametrize(
    ("place", "value"),
    [
        (["made"], "yesterday"),
        (["models"], None),
        (["models", 0, "task"], 7),
        (["models", 0, "satisfaction"], {"value": 3.8}),
        (["models", 0, "batches", 0, "value"], None),
        (["models", 1, "drift", "label", "seen"], None),
    ],
)
def test_what_is_no_quality_is_refused(place: list[Any], value: Any) -> None:
    document = copy.deepcopy(QUALITY)
    inner: Any = document
    for part in place[:-1]:
        inner = inner[part]
    inner[place[-1]] = value
    with (
        Desk(answers=lambda _: document).listening() as url,
        pytest.raises(UnexpectedResponseError, match="its answer is another"),
    ):
        call("blocking", url, "quality")
