"""What the server says of itself in JSON: models, problems, health, its page and its OpenAPI document."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from urllib.parse import urljoin

import pytest
from openapi_spec_validator import validate

from infolens.contract import CATEGORIES, MAX_ARTICLE_BYTES, Task
from infolens.problems import KINDS
from serving.gateway.api.answers import AnalyzeAnswer
from serving.gateway.api.examples import ANALYZED
from serving.gateway.api.openapi import OPERATIONS, document
from serving.gateway.api.readiness import Readiness
from serving.gateway.feedback.operations import OPERATIONS as FEEDBACK
from serving.gateway.files import FILE_OPERATIONS
from serving.gateway.http.problems import ADVICE
from serving.gateway.quality.routes import OPERATIONS as QUALITY
from serving.gateway.refusals import CODES, Refusal, RefusedError
from serving.gateway.reports.routes import OPERATIONS as REPORTS
from tests.serving.gateway.http.running import FakeTriton, RunningDoor, fake_door
from tests.serving.gateway.scripted import write_state


def test_models_are_described(door: RunningDoor) -> None:
    found = door.ask("GET", "/v1/models").json
    models = {one["task"]: one for one in found["models"]}
    assert list(models) == [str(task) for task in Task]
    assert models["category"]["labels"] == list(CATEGORIES)
    assert models["summary"]["labels"] is None
    assert (models["category"]["name"], models["category"]["model"]) == ("classify", "distilbert")
    assert models["veracity"]["max_tokens"] == 512
    assert "fact check" in models["veracity"]["is_not"]
    assert models["summary"]["accuracy"] is None
    # The committed models' own.
    assert models["veracity"]["accuracy"] == {
        "in_domain": 0.8451, "unseen": 0.6724, "unseen_answered": 0.7671, "answered": 0.309,
    }  # fmt: skip
    assert found["keeps"] == {"reports": False, "texts": False, "days": 0, "where": "in a database of this server"}
    assert found["limits"]["max_article_bytes"] == MAX_ARTICLE_BYTES
    assert [one["name"] for one in found["limits"]["settings"]][:2] == ["min_length", "max_length"]
    limits = {one["name"]: one for one in found["limits"]["settings"]}
    assert limits["max_length"] == {
        "name": "max_length", "minimum": 4, "maximum": 256, "default": 112, "choices": None,
        "left_out": "the model's own, 112",
    }  # fmt: skip
    assert limits["style"]["choices"] == ["free", "extractive"]
    assert (limits["style"]["minimum"], limits["seed"]["default"]) == (None, None)
    # The committed model's own.
    assert (limits["style"]["default"], limits["num_beams"]["default"]) == ("extractive", 1)
    assert limits["style"]["left_out"] == "the model's own, extractive"


def test_each_model_has_its_card(door: RunningDoor) -> None:
    for one in door.ask("GET", "/v1/models").json["models"]:
        card = door.ask("GET", urljoin("/v1/models", one["card"]))
        assert (card.status, card.headers["Content-Type"]) == (200, "text/markdown; charset=utf-8")
        assert card.body.startswith(f"# {one['model']}".encode())


@pytest.mark.parametrize("task", ["mood", "..%2F..%2Fbart", "summary%00"])
def test_there_is_no_card_of_what_is_no_task(door: RunningDoor, task: str) -> None:
    answer = door.ask("GET", f"/v1/models/{task}/card")
    assert answer.status == 404
    assert "summary, category, veracity" in answer.json["detail"]


def test_every_problem_is_explained(door: RunningDoor) -> None:
    assert set(ADVICE) == set(CODES) == set(Refusal)
    assert {name: kind.status for name, kind in KINDS.items()} == {one.value: CODES[one].http for one in Refusal}
    for kind in Refusal:
        found = door.ask("GET", f"/v1/problems/{kind.value}").json
        assert found["status"] == CODES[kind].http
    assert door.ask("GET", "/v1/problems/unknown").json["type"] == "/v1/problems/not_found"


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [("GET", "/v1/analyze", 405), ("POST", "/v1/models", 405), ("GET", "/v1/nothing", 404), ("GET", "/v1", 404)],
)
def test_paths_that_are_not_there_are_problems(door: RunningDoor, method: str, path: str, status: int) -> None:
    answer = door.ask(method, path)
    assert (answer.status, answer.json["status"]) == (status, status)
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert ("Allow" in answer.headers) == (status == 405)


def test_the_process_is_alive_whatever_the_models_do(tmp_path: Path, fake: FakeTriton) -> None:
    write_state(tmp_path / "state.json", ready=False)
    with fake_door(tmp_path, fake) as door:
        assert door.ask("GET", "/healthz").json == {"status": "ok"}
        answer = door.ask("GET", "/readyz")
    assert (answer.status, answer.json["ready"], answer.json["reason"]) == (503, False, "Triton is being started again")
    assert fake.requests == []


def test_ready_asks_a_real_question_now_and_then(door: RunningDoor, fake: FakeTriton) -> None:
    for _ in range(3):
        answer = door.ask("GET", "/readyz")
        assert (answer.status, answer.json["ready"]) == (200, True)
    assert [one.model_name for one in fake.requests] == ["info_lens"]


@pytest.mark.parametrize(
    ("kind", "ready"), [(Refusal.AWAY, False), (Refusal.FAILED, False), (Refusal.BUSY, True), (Refusal.LATE, True)]
)
async def test_a_busy_server_is_ready_and_one_that_fails_is_not(door: RunningDoor, kind: Refusal, ready: bool) -> None:
    clock = [0.0]
    asked = []

    class Failing:
        failure: RefusedError | None = RefusedError(kind, "for a reason")

        async def infer(self, request: bytes, timeout_s: float) -> bytes:
            asked.append(request)
            if self.failure is not None:
                raise self.failure
            return b""

    failing = Failing()
    parts: Any = type("Parts", (), {"verdicts": door.parts.verdicts, "catalogue": door.parts.catalogue})()
    parts.upstream = failing
    readiness = Readiness(parts, now=lambda: clock[0])
    assert (await readiness.read())["ready"] is ready
    failing.failure = None
    clock[0] = 1.9
    found = await readiness.read()
    assert (found["ready"], len(asked)) == (ready, 1)
    assert ready or "for a reason" in found["reason"]
    clock[0] = 2.1
    assert ((await readiness.read())["ready"], len(asked)) == (True, 2)


def test_the_openapi_document_is_one(door: RunningDoor) -> None:
    found = door.ask("GET", "/openapi.json").json
    validate(found)
    assert found == json.loads(json.dumps(document(also=(*FILE_OPERATIONS, *REPORTS, *FEEDBACK, *QUALITY))))
    asked = found["paths"]["/v1/analyze"]["post"]["requestBody"]["content"]["application/json"]["examples"]
    for one in asked.values():
        assert door.ask("POST", "/v1/analyze", json.dumps(one["value"])).status == 200
    AnalyzeAnswer.model_validate(ANALYZED)
    routes = {(one.path, one.method) for one in (*OPERATIONS, *FILE_OPERATIONS, *REPORTS, *FEEDBACK, *QUALITY)}
    assert routes == {(path, method) for path, methods in found["paths"].items() for method in methods}
