"""A door that keeps feedback, whose database a test can take away, and who asks it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from serving.errors import FeedbackAwayError
from serving.feedback import store
from serving.feedback.options import FeedbackOptions
from tests.serving.gateway.access.keyed import has
from tests.serving.gateway.http.running import Answer, FakeTriton, RunningDoor, fake_door

TITLE = "Tankers wait"
SECRET = "The harbour master counted forty grey gulls on the quay"
TEXT = f"Oil rises as tankers wait. {SECRET}."
GONE = "A" * 22


def kept_in(folder: Path, **more: Any) -> FeedbackOptions:
    """Feedback in a file, with a spool; nobody is asked blindly unless a test says so."""
    given = {"audit_share": 0.0, "spool": str(folder / "spool"), **more}
    return FeedbackOptions(keeps=True, url=f"sqlite:///{folder / 'feedback.sqlite3'}", **given)


@contextmanager
def keeping(folder: Path, fake: FakeTriton, *, wrong: bool = False, **more: Any) -> Iterator[RunningDoor]:
    """A door that keeps feedback in a file; ``wrong`` says whether something may be told of its store."""
    feedback = kept_in(folder, **more.pop("feedback", {}))
    with fake_door(folder, fake, feedback=feedback, **more) as door:
        yield door
    assert [record.getMessage() for record in door.records] == []
    assert (b"away" in door.log.getvalue()) == wrong
    assert SECRET.encode() not in door.log.getvalue()


class Database:
    """The store of a door, which a test can take away."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.away = False
        for name in ("write", "prediction", "submissions"):
            monkeypatch.setattr(store.FeedbackStore, name, self._guarded(getattr(store.FeedbackStore, name)))

    def _guarded(self, method: Any) -> Any:
        def ask(*args: Any) -> Any:
            if self.away:
                raise FeedbackAwayError("it was taken away")
            return method(*args)

        return ask


def send(door: RunningDoor, method: str, path: str, body: Any = None, key: str = "", token: str = "") -> Answer:
    headers = {**(has(key) if key else {}), **({"Idempotency-Key": token} if token else {})}
    return door.ask(method, path, None if body is None else json.dumps(body), headers)


def analyze(door: RunningDoor, key: str = "", **more: Any) -> Any:
    answer = send(door, "POST", "/v1/analyze", {"text": TEXT, "title": TITLE, **more}, key)
    assert answer.status == 200, answer.body
    assert answer.headers.get("Infolens-Prediction") == answer.json["prediction"]
    return answer.json


def rate(door: RunningDoor, prediction: str, key: str = "", token: str = "", **more: Any) -> Answer:
    ratings = more.pop("ratings", {"summary": {"stars": 4}})
    return send(door, "POST", "/v1/feedback", {"prediction": prediction, "ratings": ratings, **more}, key, token)


def kept(door: RunningDoor, prediction: str) -> Any:
    answer = send(door, "GET", f"/v1/predictions/{prediction}")
    assert answer.status == 200, answer.body
    return answer.json
