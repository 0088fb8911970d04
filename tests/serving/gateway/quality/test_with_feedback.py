"""Quality of what callers said of answers: through the door, its keeper and a database."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from shutil import copytree, ignore_patterns
from typing import Any

import pytest

from reading.reference import Counts
from serving.feedback.options import FeedbackOptions
from serving.gateway.quality import computing
from serving.keys.records import Role
from tests.serving.gateway.access.keyed import has, made
from tests.serving.gateway.api.conftest import make_fake
from tests.serving.gateway.http.running import REPOSITORY, RunningDoor, fake_door

TEXT = "The council voted on the budget. A secret zeppelin flew over the harbour."


def until(condition: Callable[[], Any]) -> Any:
    end = time.monotonic() + 30
    while not (found := condition()):
        assert time.monotonic() < end
    return found


def keeps(folder: Path, **more: Any) -> FeedbackOptions:
    return FeedbackOptions(
        keeps=True, url=f"sqlite:///{folder / 'feedback.sqlite3'}", spool=str(folder / "spool"), **more
    )


def models(door: RunningDoor) -> dict[str, Any]:
    return {one["task"]: one for one in door.ask("GET", "/v1/quality").json["models"]}


def test_what_callers_say_of_answers_is_the_quality(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(computing, "FRESH_S", 0)
    with fake_door(tmp_path, make_fake(), feedback=keeps(tmp_path, batch=2)) as door:
        for stars, right in ((5, True), (4, True), (1, False)):
            answer = door.ask("POST", "/v1/analyze", json.dumps({"text": TEXT}))
            ratings = {"summary": {"stars": stars}, "category": {"right": right}}
            said = {"prediction": answer.json["prediction"], "ratings": ratings}
            kept = door.ask("POST", "/v1/feedback", json.dumps(said))
            assert (kept.status, kept.json["kept"]) == (200, "database")
        found = until(lambda: (seen := models(door))["summary"]["predictions"] == 3 and seen)
        assert found["summary"]["satisfaction"]["stars"] == [1, 0, 0, 1, 1]
        assert [one["ratings"] for one in found["summary"]["batches"]] == [2, 1]
        assert found["category"]["accuracy"]["value"] == pytest.approx(2 / 3, abs=1e-4)
        assert found["category"]["shown"]["coverage"]["answers"] == 3
        assert found["veracity"]["accuracy"] is None
        assert "zeppelin" not in json.dumps(found)
    assert door.records == []


def test_articles_are_counted_against_the_reference(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(computing, "FRESH_S", 0)
    monkeypatch.setattr("serving.quality.document.MIN_ARTICLES", 3)
    monkeypatch.setattr("serving.quality.document._LEAST", {})
    repository = tmp_path / "repository"
    copytree(REPOSITORY, repository, ignore=ignore_patterns("*.onnx", "*.png", "reference.json"))
    with fake_door(tmp_path, make_fake(), feedback=keeps(tmp_path)) as door:
        (served,) = (one for one in door.ask("GET", "/v1/models").json["models"] if one["task"] == "category")
    counts = Counts()
    counts.add("words of another kind " * 100, "", served["labels"][1])
    reference = repository / served["model"] / served["version"] / "reference.json"
    reference.write_text(counts.to_json())
    with fake_door(tmp_path, make_fake(), feedback=keeps(tmp_path), repository=repository) as door:
        rows = "".join(json.dumps({"text": f"{TEXT} {index}"}) + "\n" for index in range(20))
        assert door.ask("POST", "/v1/analyze/batch", rows).status == 200

        def drift() -> Any:
            found = models(door)["category"]["drift"]
            return found if found and found["label"]["seen"] == 20 else None

        seen = until(drift)
        assert {name: one["state"] for name, one in seen.items()} == dict.fromkeys(
            ("label", "words", "vocabulary"), "moved"
        )
        assert "zeppelin" not in json.dumps(seen), "no rare word of an article is kept"
        assert "has no reference.json" in models(door)["summary"]["drift_why"]


def test_who_may_see_quality_where_callers_need_keys(tmp_path: Path) -> None:
    store, url = made(tmp_path)
    keys = {role: store.create(role.value, role)[0] for role in Role}
    with fake_door(tmp_path, make_fake(), feedback=keeps(tmp_path), keys=True, keys_url=url) as door:
        assert door.ask("GET", "/v1/quality").status == 401
        for role, key in keys.items():
            assert door.ask("GET", "/v1/quality", headers=has(key)).status == 200, role
