"""Ratings over HTTP: taken once, checked against the prediction, given back, removed, and never in an answer's way."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from serving.feedback.options import FeedbackOptions
from serving.feedback.records import is_id
from serving.keys.records import Role
from tests.serving.gateway.access.keyed import made
from tests.serving.gateway.api.conftest import make_fake
from tests.serving.gateway.api.test_schemathesis import run
from tests.serving.gateway.feedback.asking import (
    GONE,
    SECRET,
    TEXT,
    TITLE,
    Database,
    analyze,
    keeping,
    kept,
    rate,
    send,
)
from tests.serving.gateway.http.running import FakeTriton, RunningDoor, fake_door

BOTH = {"summary": {"stars": 2, "better": "Tankers wait."}, "category": {"right": False, "label": "Politics"}}


@pytest.fixture
def fake() -> FakeTriton:
    return make_fake()


def test_an_answer_is_rated_read_back_and_forgotten(tmp_path: Path, fake: FakeTriton) -> None:
    with keeping(tmp_path, fake) as door:
        answer = analyze(door)
        prediction = answer["prediction"]
        assert is_id(prediction)
        said = rate(door, prediction, ratings=BOTH, rater="desk-7", note="Too long.", consent=True).json
        assert (said["prediction"], said["kept"], said["repeated"]) == (prediction, "database", False)
        found = send(door, "GET", f"/v1/predictions/{prediction}")
        assert found.headers["Cache-Control"] == "private, no-store"
        document = found.json
        assert (document["id"], document["audit"], document["article"]["words"]) == (prediction, False, 15)
        assert document["article"]["text"] is document["article"]["title"] is None
        for task in ("summary", "category", "veracity"):
            one = document["answers"][task]
            assert answer[task].items() <= one.items()
            assert answer["models"][task].items() <= one.items()
            assert one["reading"] == answer["readings"][task]
        assert document["timings"] == answer["timings"]
        (one,) = document["feedback"]
        assert (one["id"], one["ratings"], one["rater"], one["note"]) == (said["id"], BOTH, "desk-7", "Too long.")
        assert (one["consent"], one["audit"]) == (True, False)
        gone = send(door, "DELETE", f"/v1/predictions/{prediction}").json
        assert gone == {"id": prediction, "deleted": True, "kept": "database"}
        for method in ("GET", "DELETE"):
            assert send(door, method, f"/v1/predictions/{prediction}").status == 404
        assert rate(door, prediction).status == 404
        told = door.ask("GET", "/v1/models").json["feedback"]
        assert told == {"keeps": True, "why_not": "", "texts": False, "days": 90, "audit_share": 0.0}
    assert prediction.encode() not in door.log.getvalue()


def test_a_request_that_comes_again_counts_once(tmp_path: Path, fake: FakeTriton) -> None:
    with keeping(tmp_path, fake) as door:
        one, other = analyze(door)["prediction"], analyze(door)["prediction"]
        first, again = (rate(door, one, token="t-1").json for _ in range(2))
        assert (first["repeated"], again["repeated"]) == (False, True)
        assert again["id"] == first["id"]
        for refused in (rate(door, one, token="t-1", note="new"), rate(door, other, token="t-1")):
            assert (refused.status, refused.json["type"]) == (409, "/v1/problems/conflict")
        assert rate(door, one, token="t-2").json["repeated"] is False
        assert rate(door, one).json["repeated"] is False
        assert len(kept(door, one)["feedback"]) == 3
        for wrong in ("x" * 65, "a b", ""):
            headers = {"Idempotency-Key": wrong}
            answer = door.ask("POST", "/v1/feedback", json.dumps({"prediction": one, "ratings": BOTH}), headers)
            assert (answer.status, "64 visible characters" in answer.json["detail"]) == (400, True)


@pytest.mark.parametrize(
    ("body", "pointer", "words"),
    [
        ({"ratings": {}}, "/ratings", "rate one task at least"),
        ({"ratings": {"summary": {}}}, "/ratings/summary/stars", "this field is needed"),
        ({"ratings": {"summary": {"stars": 6}}}, "/ratings/summary/stars", "a whole number from 1 to 5; it is 6"),
        ({"ratings": {"summary": {"stars": 4.5}}}, "/ratings/summary/stars", "a whole number from 1 to 5"),
        ({"ratings": {"summary": {"stars": 1, "better": ""}}}, "/ratings/summary/better", "1 to 4000 characters"),
        ({"ratings": {"summary": {"stars": 1, "right": True}}}, "/ratings/summary/right", "there are stars, better"),
        ({"ratings": {"category": {"stars": 3}}}, "/ratings/category/stars", "there are right, label"),
        ({"ratings": {"category": {}}}, "/ratings/category", "whether it is right, or which label is"),
        ({"ratings": {"category": {"label": "Gulls"}}}, "/ratings/category/label", "it has Business, Politics"),
        ({"ratings": {"category": {"right": True, "label": "Politics"}}}, "/ratings/category/label", "contradicts"),
        ({"ratings": {"category": {"right": False, "label": "Business"}}}, "/ratings/category/label", "contradicts"),
        ({"ratings": {"veracity": {"right": True}}}, "/ratings/veracity", "was not answered: summary, category"),
        ({"ratings": {"tone": {"right": True}}}, "/ratings/tone", "there are summary, category, veracity"),
        ({"rater": "a\nb"}, "/rater", "without line breaks"),
        ({"rater": "x" * 65}, "/rater", "1 to 64 characters"),
        ({"note": "a\0b"}, "/note", "none of them NUL"),
        ({"consent": "yes"}, "/consent", "true or false"),
        ({"stars": 5}, "/stars", "there are prediction, ratings, rater, note, consent"),
        ({"prediction": "x"}, "/prediction", "22 letters"),
    ],
)
def test_what_does_not_fit_is_refused_in_words(
    tmp_path: Path, fake: FakeTriton, body: dict[str, Any], pointer: str, words: str
) -> None:
    with keeping(tmp_path, fake) as door:
        prediction = analyze(door, tasks=["summary", "category"])["prediction"]
        given = {"prediction": prediction, "ratings": {"summary": {"stars": 4}}, **body}
        answer = send(door, "POST", "/v1/feedback", given)
        assert answer.status == 400
        (found,) = answer.json["errors"]
        assert found["pointer"] == pointer
        assert words in found["detail"]
        assert kept(door, prediction)["feedback"] == []


@pytest.mark.parametrize("texts", [False, True])
def test_the_text_is_kept_only_where_the_operator_wants_it(tmp_path: Path, fake: FakeTriton, texts: bool) -> None:
    with keeping(tmp_path, fake, feedback={"texts": texts}) as door:
        found = kept(door, analyze(door)["prediction"])
        inferred = door.infer("classify", _infer(TEXT)).headers["Infolens-Prediction"]
        assert kept(door, inferred)["article"] | {"title": None} == found["article"] | {"title": None}
    assert found["article"]["text"] == (TEXT if texts else None)
    assert found["article"]["title"] == (TITLE if texts else None)
    with closing(sqlite3.connect(tmp_path / "feedback.sqlite3")) as database:
        rows = database.execute("SELECT title, text FROM infolens_feedback_predictions").fetchall()
    assert {row[1] is None for row in rows} == {not texts}
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert texts or not any(SECRET.encode() in path.read_bytes() for path in files)


def test_who_may_rate_and_remove_where_callers_need_keys(tmp_path: Path, fake: FakeTriton) -> None:
    store, url = made(tmp_path)
    roles = {"maker": Role.READ, "reader": Role.FETCH, "desk": Role.FEEDBACK, "chief": Role.ADMIN}
    keys = {name: store.create(name, role)[0] for name, role in roles.items()}
    with keeping(tmp_path, fake) as door:
        before = analyze(door)["prediction"]  # while nobody needed a key
    with keeping(tmp_path, fake, keys=True, keys_url=url) as door:
        one, other = (analyze(door, keys["maker"])["prediction"] for _ in range(2))
        assert rate(door, one).status == 401
        assert {name: rate(door, one, key).status for name, key in keys.items()} == {
            "maker": 200, "reader": 403, "desk": 200, "chief": 200,
        }  # fmt: skip
        assert [rate(door, before, keys[name]).status for name in ("maker", "desk")] == [403, 200]
        # Each key has idempotency keys of its own.
        assert [rate(door, one, keys[name], "t").json["repeated"] for name in ("maker", "desk", "maker")] == [
            False, False, True,
        ]  # fmt: skip
        assert kept(door, one)["feedback"], "whoever has the id may read it"
        assert "maker" not in json.dumps(kept(door, one))
        path = f"/v1/predictions/{one}"
        assert [send(door, "DELETE", path, key=keys[name]).status for name in ("reader", "desk", "maker")] == [
            403, 403, 200,
        ]  # fmt: skip
        assert send(door, "DELETE", f"/v1/predictions/{other}", key=keys["chief"]).status == 200
        assert send(door, "DELETE", f"/v1/predictions/{before}", key=keys["maker"]).status == 403
    store.close()


def test_a_server_that_keeps_none_answers_and_says_so(tmp_path: Path, fake: FakeTriton) -> None:
    with fake_door(tmp_path, fake, feedback=FeedbackOptions(keeps=False, why_not="it has no place for it")) as door:
        assert analyze(door, audit=True)["prediction"] is None
        assert "Infolens-Prediction" not in door.infer("classify", _infer(TEXT)).headers
        for gone in (rate(door, GONE), send(door, "GET", f"/v1/predictions/{GONE}")):
            assert (gone.status, gone.json["detail"]) == (404, "this server keeps no feedback: it has no place for it")
        assert door.ask("GET", "/v1/models").json["feedback"]["keeps"] is False


@pytest.mark.parametrize("prediction", [GONE, "x", "A" * 21 + "%20", "..%2F..%2Fetc", "%F0%9F%92%A9"])
def test_what_is_no_prediction_is_not_found_in_words(tmp_path: Path, fake: FakeTriton, prediction: str) -> None:
    with keeping(tmp_path, fake) as door:
        for method in ("GET", "DELETE"):
            answer = send(door, method, f"/v1/predictions/{prediction}")
            assert (answer.status, "no such prediction here" in answer.json["detail"]) == (404, True)
        assert send(door, "POST", f"/v1/predictions/{prediction}/audit", {"labels": {}}).status == 404


def test_while_the_database_is_away_ratings_go_into_the_spool_and_count_once(
    tmp_path: Path, fake: FakeTriton, monkeypatch: pytest.MonkeyPatch
) -> None:
    database = Database(monkeypatch)
    with keeping(tmp_path, fake, wrong=True) as door:
        before = analyze(door)["prediction"]
        assert rate(door, before, ratings={"veracity": {"right": True}}).json["kept"] == "database"
        database.away = True
        after = analyze(door)["prediction"]
        for prediction in (before, after):
            answer = rate(door, prediction, token=f"of-{prediction}")
            assert (answer.status, answer.json["kept"]) == (200, "spool")
        assert rate(door, before, ratings={"category": {"label": "Gulls"}}).status == 400, "this door remembers it"
        assert send(door, "GET", f"/v1/predictions/{before}").status == 503
        database.away = False
        for prediction, ratings in ((before, 2), (after, 1)):
            _until_database(door, prediction)
            assert len(kept(door, prediction)["feedback"]) == ratings


def _until_database(door: RunningDoor, prediction: str) -> None:
    """Send a rating again until its answer tells that the database has it."""
    for _ in range(1000):
        answer = rate(door, prediction, token=f"of-{prediction}")
        if answer.json.get("kept") == "database":
            assert answer.json["repeated"]
            return
    raise AssertionError("the spool is never replayed")


def test_while_it_is_away_a_key_rates_what_it_asked_for_and_nothing_else(
    tmp_path: Path, fake: FakeTriton, monkeypatch: pytest.MonkeyPatch
) -> None:
    store, url = made(tmp_path)
    keys = {name: store.create(name, role)[0] for name, role in (("maker", Role.READ), ("desk", Role.FEEDBACK))}
    database = Database(monkeypatch)
    with keeping(tmp_path, fake, wrong=True, keys=True, keys_url=url) as door:
        own = analyze(door, keys["maker"])["prediction"]
        assert rate(door, own, keys["maker"]).json["kept"] == "database"
        database.away = True
        assert rate(door, own, keys["maker"]).status == 200
        assert rate(door, GONE, keys["maker"]).status == 503, "whose it is nobody can tell"
        assert rate(door, GONE, keys["desk"]).json["kept"] == "spool"
    store.close()


@pytest.mark.long
def test_it_answers_as_its_document_says(tmp_path: Path, fake: FakeTriton) -> None:
    with keeping(tmp_path, fake, feedback={"audit_share": 0.5}) as door:
        run(door.url, 10, tmp_path, "--include-path-regex", "^/v1/(feedback|predictions|analyze$)")


def _infer(text: str) -> str:
    given = {"name": "text", "shape": [1, 1], "datatype": "BYTES", "data": [text]}
    return json.dumps({"inputs": [given]})
