"""What PRIVACY.md says: which words of an article and of a person lie where, and that they are gone when it says so."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.exposition import generate_latest

from infolens import Client, PredictionNotFoundError, Rated
from serving.feedback.options import FeedbackOptions
from tests.serving.gateway.api.conftest import make_fake
from tests.serving.gateway.http.running import FakeTriton, RunningDoor, fake_door

TITLE = "Gulls-of-the-headline"
TEXT = "Oil rises as tankers wait. Gulls-of-the-article counted the harbour master."
NOTE, BETTER, RATER = "Gulls-of-the-note", "Gulls-of-the-better-summary", "Gulls-of-the-rater"
ARTICLE, PERSON = ("Gulls-of-the-headline", "Gulls-of-the-article"), (NOTE, BETTER, RATER)


class Place:
    """Where a server keeps feedback, and all bytes that lie there."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "kept"
        self.file = self.folder / "feedback.sqlite3"

    def options(self, **more: Any) -> FeedbackOptions:
        return FeedbackOptions(keeps=True, url=f"sqlite:///{self.file}", spool=str(self.folder / "spool"), **more)

    def found(self, *words: str) -> set[str]:
        """Those of some words that lie in any file."""
        held = b"\n".join(path.read_bytes() for path in self.folder.rglob("*") if path.is_file())
        return {word for word in words if word.encode() in held}

    def changed(self, statement: str) -> None:
        with closing(sqlite3.connect(self.file)) as connection, connection:
            connection.execute(statement)


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


@pytest.fixture
def fake() -> FakeTriton:
    """What it answers quotes nothing of an article."""
    return make_fake()


@contextmanager
def keeping(folder: Path, fake: FakeTriton, options: FeedbackOptions) -> Iterator[RunningDoor]:
    """A door whose log and metrics hold no word of an article or a person, nor the id of a prediction."""
    with fake_door(folder, fake, feedback=options) as door:
        seen: set[str] = set()
        door.seen = seen  # type: ignore[attr-defined]
        yield door
        metrics = generate_latest(door.parts.metrics.registry)
    told = door.log.getvalue() + metrics + b"\n".join(one.getMessage().encode() for one in door.records)
    assert {word for word in {*ARTICLE, *PERSON, *seen} if word.encode() in told} == set()


def asked(door: RunningDoor) -> list[str]:
    """The ids of predictions, of every way to ask."""
    body = {"text": TEXT, "title": TITLE}
    with Client(door.url) as client:
        rows = [*client.analyze_batch([TEXT])]
        reports = [client.analyze(TEXT, title=TITLE), client.analyze(TEXT, tasks="category"), rows[0].report]
    answer = door.ask("POST", "/v1/analyze", json.dumps(body)).json
    generated = door.ask("POST", "/v2/models/classify/generate", json.dumps(body)).headers["Infolens-Prediction"]
    ids = [*(report.prediction or "" for report in reports if report), answer["prediction"], generated]
    assert all(ids)
    door.seen.update(ids)  # type: ignore[attr-defined]
    return ids


def rated(door: RunningDoor, prediction: str) -> Rated:
    with Client(door.url) as client:
        return client.rate(prediction, stars=2, better=BETTER, note=NOTE, rater=RATER, consent=True)


@pytest.mark.parametrize("texts", [False, True])
def test_the_words_of_an_article_are_kept_only_where_the_operator_wants_it(
    tmp_path: Path, fake: FakeTriton, place: Place, texts: bool
) -> None:
    with keeping(tmp_path, fake, place.options(texts=texts)) as door:
        ids = asked(door)
        rated(door, ids[0])
        with Client(door.url) as client:
            assert client.prediction(ids[0]).article.text == (TEXT if texts else None)
    assert place.found(*ARTICLE) == (set(ARTICLE) if texts else set())
    assert place.found(*PERSON) == set(PERSON)


def test_what_is_forgotten_lies_in_no_file_any_more(tmp_path: Path, fake: FakeTriton, place: Place) -> None:
    with keeping(tmp_path, fake, place.options(texts=True)) as door, Client(door.url) as client:
        for prediction in asked(door):
            if "summary" in client.prediction(prediction).answers:
                rated(door, prediction)
            assert client.forget(prediction).done
            with pytest.raises(PredictionNotFoundError):
                client.prediction(prediction)
    assert place.found(*ARTICLE, *PERSON) == set()


def test_a_store_that_fails_tells_nobody_what_it_was_to_keep(tmp_path: Path, fake: FakeTriton, place: Place) -> None:
    with keeping(tmp_path, fake, place.options()) as door:
        prediction = asked(door)[0]
        with Client(door.url) as client:
            client.prediction(prediction)
        place.changed("DROP TABLE infolens_feedback_ratings")
        assert rated(door, prediction).kept == "spool"
        assert b"infolens_feedback_ratings" in door.log.getvalue()  # the failure is told
    files = [path for path in place.folder.rglob("*") if path.is_file()]
    assert [path for path in files if path.stat().st_mode & 0o077] == []
    assert {path.parent.parent.name for path in files if NOTE.encode() in path.read_bytes()} == {"spool"}


def test_nothing_is_kept_where_feedback_is_off(tmp_path: Path, fake: FakeTriton, place: Place) -> None:
    with keeping(tmp_path, fake, FeedbackOptions(keeps=False, why_not="so")) as door:
        answer = door.ask("POST", "/v1/analyze", json.dumps({"text": TEXT, "title": TITLE}))
        assert answer.json["prediction"] is None
        assert "Infolens-Prediction" not in answer.headers
        with Client(door.url) as client:
            assert client.analyze(TEXT).prediction is None
    assert not place.folder.exists()
