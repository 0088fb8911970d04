"""Blind audits: who is asked, what is withheld until then, and that each is answered once."""

from __future__ import annotations

import math
import threading
from pathlib import Path
from typing import Any

import pytest

from infolens.contract import CATEGORIES
from serving.errors import FeedbackError
from serving.feedback.keeper import Keeper, Receipt
from serving.feedback.records import Submission
from serving.gateway.recording.audits import Audited, is_drawn
from tests.serving.gateway.api.conftest import lines, make_fake
from tests.serving.gateway.feedback.asking import GONE, Database, analyze, keeping, kept, rate, send
from tests.serving.gateway.http.running import Answer, FakeTriton, RunningDoor

ALL = {"audit_share": 1.0}


@pytest.fixture
def fake() -> FakeTriton:
    return make_fake()


def reached(door: RunningDoor) -> None:
    """Have the store opened, which happens beside the requests."""
    rate(door, analyze(door, text="Another article.")["prediction"])


def answered(door: RunningDoor, prediction: str, token: str = "", **more: Any) -> Answer:
    return send(door, "POST", f"/v1/predictions/{prediction}/audit", {"labels": {}, **more}, token=token)


def test_a_label_is_shown_after_somebody_has_said_his_own(tmp_path: Path, fake: FakeTriton) -> None:
    with keeping(tmp_path, fake, feedback=ALL) as door:
        reached(door)
        plain = analyze(door)
        found = analyze(door, audit=True)
        prediction = found["prediction"]
        assert found["audit"]["tasks"] == {"category": list(CATEGORIES), "veracity": ["real", "fake"]}
        for name in ("readings", "models"):
            assert found[name].keys() == {"summary"}
        assert found.keys() & {"category", "veracity"} == set()
        assert found["summary"] == plain["summary"]
        assert kept(door, prediction)["audit"] is True
        assert kept(door, prediction)["answers"].keys() == {"summary"}
        early = rate(door, prediction, ratings={"category": {"right": True}})
        assert (early.status, "was not shown yet" in early.json["detail"]) == (409, True)
        assert rate(door, prediction).status == 200, "the summary was shown"
        shown = answered(door, prediction, labels={"category": "Politics"}, rater="desk-7").json
        for task in ("category", "veracity"):
            assert shown[task] == plain[task]
            assert (shown["readings"][task], shown["models"][task]) == (plain["readings"][task], plain["models"][task])
        assert kept(door, prediction)["answers"].keys() == {"summary", "category", "veracity"}
        said = kept(door, prediction)["feedback"][-1]
        assert (said["audit"], said["rater"]) == (True, "desk-7")
        assert said["ratings"] == {"category": {"label": "Politics"}, "veracity": {}}
        assert rate(door, prediction, ratings={"category": {"right": True}}).status == 200


def test_an_audit_is_answered_once(tmp_path: Path, fake: FakeTriton) -> None:
    with keeping(tmp_path, fake, feedback=ALL) as door:
        reached(door)
        prediction = analyze(door, audit=True)["prediction"]
        labels = {"category": "Politics"}
        first, again = (answered(door, prediction, "t", labels=labels) for _ in range(2))
        assert first.json == again.json
        for other in (answered(door, prediction, "t"), answered(door, prediction, "u", labels=labels)):
            assert (other.status, other.json["type"]) == (409, "/v1/problems/conflict")
        plain = answered(door, analyze(door)["prediction"])
        assert (plain.status, "nothing of this prediction was withheld" in plain.json["detail"]) == (409, True)
        assert answered(door, GONE).status == 404


@pytest.mark.parametrize(
    ("labels", "pointer", "words"),
    [
        ({"category": "Gulls"}, "/labels/category", "it has Business"),
        ({"summary": "x"}, "/labels/summary", "there are category, veracity"),
        ({"veracity": "real"}, "/labels/veracity", "it was category"),
        ({"category": 3}, "/labels/category", "one of the labels of the model"),
    ],
)
def test_labels_that_do_not_fit_leave_it_open(
    tmp_path: Path, fake: FakeTriton, labels: dict[str, Any], pointer: str, words: str
) -> None:
    with keeping(tmp_path, fake, feedback=ALL) as door:
        reached(door)
        prediction = analyze(door, audit=True, tasks=["category"])["prediction"]
        refused = answered(door, prediction, labels=labels)
        assert refused.status == 400
        (fault,) = refused.json["errors"]
        assert (fault["pointer"], words in fault["detail"]) == (pointer, True)
        assert answered(door, prediction).status == 200


def test_nobody_is_asked_where_that_would_tell_nothing(tmp_path: Path, fake: FakeTriton) -> None:
    with keeping(tmp_path, fake, feedback=ALL) as door:
        reached(door)
        others: tuple[dict[str, Any], ...] = ({"keep": True}, {"evidence": True}, {"tasks": ["summary"]})
        for more in others:
            assert "audit" not in analyze(door, audit=True, **more)
        assert "audit" not in analyze(door)
        assert "audit" in analyze(door, audit=True)
        assert "audit" not in analyze(door, audit=True), "this article was asked about"
        rows = door.ask("POST", "/v1/analyze/batch", '{"text": "Oil.", "audit": true}\n{"text": "Gold rises."}\n')
        refused, answer = lines(rows.body)
        assert refused["error"]["errors"][0]["pointer"] == "/audit"  # type: ignore[index]
        assert kept(door, str(answer["prediction"]))["audit"] is False
    with keeping(tmp_path, fake, feedback={"audit_share": 0.0}) as door:
        reached(door)
        assert "audit" not in analyze(door, audit=True)


def test_nobody_is_asked_while_the_database_is_away(
    tmp_path: Path, fake: FakeTriton, monkeypatch: pytest.MonkeyPatch
) -> None:
    database = Database(monkeypatch)
    with keeping(tmp_path, fake, wrong=True, feedback=ALL) as door:
        reached(door)
        open_one = analyze(door, audit=True, text="One.")["prediction"]
        database.away = True
        rate(door, open_one)
        assert "audit" not in analyze(door, audit=True, text="Two.")
        shown = answered(door, open_one, labels={"category": "Politics"})
        assert (shown.status, shown.json["kept"], shown.json["category"]["label"]) == (200, "spool", "Business")


def test_an_audit_that_cannot_be_kept_is_an_ordinary_answer(
    tmp_path: Path, fake: FakeTriton, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def refuse(*_: Any, **__: Any) -> Any:
        raise FeedbackError("not now")

    with keeping(tmp_path, fake, feedback=ALL) as door:
        reached(door)
        monkeypatch.setattr(door.parts.feedback, "keep", refuse)
        found = analyze(door, audit=True)
        assert ("audit" in found, found["category"]["label"]) == (False, "Business")
        monkeypatch.undo()
        assert "audit" in analyze(door, audit=True), "nobody was asked about it yet"


def test_the_share_is_drawn_by_the_text_and_nothing_else() -> None:
    digests = [f"{number:064x}" for number in range(20_000)]
    drawn = [one for one in digests if is_drawn("salt", "category", one, 0.05)]
    assert abs(len(drawn) - 1000) < 6 * math.sqrt(20_000 * 0.05 * 0.95)
    assert drawn == [one for one in digests if is_drawn("salt", "category", one, 0.05)]
    assert set(drawn) < {one for one in digests if is_drawn("salt", "category", one, 0.1)}
    others = {one for one in drawn if is_drawn("pepper", "category", one, 0.05)}
    assert len(others) < 200, "another store draws others"
    assert not any(is_drawn("salt", "category", one, 0.0) for one in digests)
    assert all(is_drawn("salt", "category", one, 1.0) for one in digests)


def test_the_articles_that_were_asked_about_are_bounded() -> None:
    known = Audited(at_most=2)
    assert [known.add(one) for one in ("a", "a", "b", "c", "a")] == [True, False, True, True, True]
    known.discard("a")
    assert known.add("a")


@pytest.mark.parametrize("audit", [False, True])
def test_what_is_said_of_a_prediction_that_is_removed_meanwhile_is_not_acknowledged(
    tmp_path: Path, fake: FakeTriton, monkeypatch: pytest.MonkeyPatch, audit: bool
) -> None:
    async def submit(keeper: Keeper, submission: Submission, **more: Any) -> Receipt:
        await keeper.erase(submission.prediction)
        return await given(keeper, submission, **more)

    given = Keeper.submit
    with keeping(tmp_path, fake, feedback=ALL) as door:
        reached(door)
        prediction = analyze(door, audit=audit)["prediction"]
        monkeypatch.setattr(Keeper, "submit", submit)
        answer = answered(door, prediction) if audit else rate(door, prediction)
        assert answer.status == 404, answer.body


def test_two_readers_of_one_article_at_once_are_not_both_asked(tmp_path: Path, fake: FakeTriton) -> None:
    found: list[Any] = []
    with keeping(tmp_path, fake, feedback=ALL) as door:
        reached(door)
        threads = [threading.Thread(target=lambda: found.append(analyze(door, audit=True))) for _ in range(6)]
        for one in threads:
            one.start()
        for one in threads:
            one.join()
    assert sum("audit" in one for one in found) == 1
