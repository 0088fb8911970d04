"""Routes and models that are there and not, what other failures look like, and what the log has of a request."""

from __future__ import annotations

import json
import threading
import time
from pathlib import Path

import pytest

from serving.gateway.calls.told import DEADLINE, TICKET
from serving.gateway.configuration import RoomLimits
from serving.gateway.refusals import Refusal, RefusedError
from tests.serving.gateway.http.running import FakeTriton, RunningDoor, fake_door, infer_body, write_state


@pytest.mark.parametrize(
    ("method", "path", "status", "words"),
    [
        ("POST", "/v2/models/nothing/infer", 404, "Request for unknown model: 'nothing' is not found"),
        ("POST", "/v2/models/bart/infer", 404, "Request for unknown model: 'bart' is not found"),
        ("POST", "/v2/models/classify/versions/7/infer", 404, "'classify' version 7 is not found"),
        ("GET", "/v2/models/bart", 404, "Request for unknown model: 'bart' is not found"),
        ("GET", "/v2/models/bart/versions/1/ready", 404, "Request for unknown model: 'bart' is not found"),
        ("GET", "/v2/models/nobody/ready", 404, "Request for unknown model: 'nobody' is not found"),
        ("GET", "/v2/models/..%2F..%2Fetc%2Fpasswd/ready", 404, "Request for unknown model"),
        ("GET", "/v2/models/" + "x" * 5000, 404, "x..."),
        ("POST", "/v2/models/classify/generate_stream", 404, "generate_stream is not offered"),
        ("POST", "/v2/repository/index", 404, "Not Found"),
        ("POST", "/v2/repository/models/classify/unload", 404, "Not Found"),
        ("GET", "/v2/systemsharedmemory/status", 404, "Not Found"),
        ("POST", "/v2/systemsharedmemory/region/a/register", 404, "Not Found"),
        ("GET", "/v2/cudasharedmemory/status", 404, "Not Found"),
        ("GET", "/v2/trace/setting", 404, "Not Found"),
        ("GET", "/v2/models/classify/trace/setting", 404, "Not Found"),
        ("GET", "/v2/logging", 404, "Not Found"),
        ("GET", "/metrics", 404, "Not Found"),
        ("GET", "/v3", 404, "Not Found"),
        ("GET", "/v2/models/classify/infer", 405, "this path takes POST"),
        ("DELETE", "/v2/models/classify", 405, "this path takes GET, HEAD"),
        ("OPTIONS", "/v2/models/classify/infer", 405, "this path takes POST"),
        ("POST", "/v2/health/ready", 405, "this path takes GET, HEAD"),
    ],
)
def test_what_is_not_there_is_not_found(door: RunningDoor, method: str, path: str, status: int, words: str) -> None:
    answer = door.ask(method, path, b"{}" if method == "POST" else None)
    assert (answer.status, words in answer.error) == (status, True), answer.error
    assert ("Allow" in answer.headers) == (status == 405)


def test_internal_models_are_there_when_they_are_exposed(tmp_path: Path, fake: FakeTriton) -> None:
    with fake_door(tmp_path, fake, expose_internal=True) as door:
        assert door.ask("GET", "/v2/models/bart").status == 200
        ids = {"name": "input_ids", "shape": [1, 8], "datatype": "INT32", "data": [[1] * 8]}
        answer = door.infer("distilbert", json.dumps({"inputs": [ids, ids | {"name": "attention_mask"}]}))
        assert answer.json["outputs"][0]["shape"] == [1, 10]


def test_a_head_request_has_no_body(door: RunningDoor) -> None:
    answer = door.ask("HEAD", "/v2/health/live")
    assert (answer.status, answer.body) == (200, b"")


@pytest.mark.parametrize(
    ("kind", "status"),
    [(Refusal.AWAY, 503), (Refusal.LATE, 504), (Refusal.FAILED, 503), (Refusal.INVALID, 400), (Refusal.BUSY, 429)],
)
def test_what_triton_says_comes_with_its_code(door: RunningDoor, fake: FakeTriton, kind: Refusal, status: int) -> None:
    assert door.infer("classify", infer_body()).status == 200
    fake.failure = RefusedError(kind, "in Triton's own words", retry_after_s=2.5 if kind is Refusal.BUSY else None)
    answer = door.infer("classify", infer_body())
    assert (answer.status, answer.error) == (status, "in Triton's own words")
    if kind is Refusal.BUSY:
        assert answer.headers["Retry-After"] == "3"
        assert answer.json["expected_wait_ms"] == 2500


def test_a_busy_server_says_when_to_come_again(tmp_path: Path, fake: FakeTriton) -> None:
    with fake_door(tmp_path, fake, room=RoomLimits(max_running=1, max_waiting=1)) as door:
        assert door.infer("classify", infer_body()).status == 200
        fake.answering.clear()
        fake.arrived.clear()
        threads = [threading.Thread(target=door.infer, args=("classify", infer_body())) for _ in range(2)]
        threads[0].start()
        assert fake.arrived.wait(30)
        threads[1].start()
        while door.parts.room.waiting < 1:
            threading.Event().wait(0.01)
        answer = door.infer("classify", infer_body())
        fake.answering.set()
        for thread in threads:
            thread.join()
    assert answer.status == 429
    assert "the server is busy" in answer.error
    assert int(answer.headers["Retry-After"]) >= 1
    assert answer.json["expected_wait_ms"] >= 0


def test_readiness_is_the_supervisors_verdict(door: RunningDoor) -> None:
    state = door.parts.options.state_file
    assert door.ask("GET", "/v2/health/ready").status == 200
    write_state(state, ready=False, models={"classify": False, "verify": True})
    for path, words in (
        ("health/ready", "Triton is being started again"),
        ("models/classify/ready", "its process died"),
    ):
        answer = door.ask("GET", f"/v2/{path}")
        assert (answer.status, words in answer.error) == (503, True)
    assert door.ask("GET", "/v2/models/verify/ready").status == 200
    assert door.ask("GET", "/v2/models/xlnet/ready").status == 503  # a step tells it too
    assert door.ask("GET", "/v2/models/summarize/ready").status == 503
    assert door.ask("GET", "/v2/health/live").status == 200


def test_a_fault_of_the_door_is_503_and_logs_no_text(tmp_path: Path, fake: FakeTriton) -> None:
    with fake_door(tmp_path, fake) as door:
        fake.failure = ValueError("a secret text")
        answer = door.infer("classify", infer_body("a secret text"))
    assert answer.status == 503
    assert b"secret" not in answer.body + door.log.getvalue()
    messages = [record.getMessage() for record in door.records]
    assert len(messages) == 1
    assert messages[0].startswith("unexpected ValueError at made_up.py:")


@pytest.mark.parametrize(("given", "kept"), [("abc-1", True), ("a b", False), ("x" * 500, False), ("", False)])
def test_a_request_has_an_id(door: RunningDoor, given: str, kept: bool) -> None:
    answer = door.infer("classify", infer_body("Something never logged."), {"X-Request-Id": given})
    identity = answer.headers["X-Request-Id"]
    assert (identity == given) is kept
    lines = [json.loads(line) for line in door.log.getvalue().splitlines()]
    assert lines[-1]["request_id"] == identity
    assert (lines[-1]["route"], lines[-1]["model"], lines[-1]["code"]) == ("infer", "classify", "200")
    assert b"never logged" not in door.log.getvalue()


def test_triton_gets_what_was_asked_and_the_time_that_is_left(door: RunningDoor, fake: FakeTriton) -> None:
    before_us = 1e6 * time.monotonic()
    parameters = {"partial": True, "timeout": 500_000, "priority": 3, "sequence_id": 0, "a": 1, "b": "c", "d": 0.5}
    wanted = [{"name": "category_probabilities", "parameters": {"classification": 2}}]
    assert door.infer("info_lens", infer_body(id="7", parameters=parameters, outputs=wanted)).status == 200
    asked = fake.requests[0]
    given = {name: getattr(one, one.WhichOneof("parameter_choice")) for name, one in asked.parameters.items()}
    assert 0 < given.pop("timeout") < 500_000
    assert before_us < given.pop(DEADLINE) < 1e6 * time.monotonic() + 500_000
    assert 0 < given.pop(TICKET) < 2**63
    assert given == {"partial": True, "a": 1, "b": "c", "d": 0.5}
    assert (asked.id, dict(asked.outputs[0].parameters)) == ("7", {})
    assert fake.times_s[0] is not None
    assert 0 < fake.times_s[0] <= 0.5
    door.infer("info_lens", infer_body())
    assert fake.times_s[1] is not None
    assert "timeout" not in fake.requests[1].parameters
