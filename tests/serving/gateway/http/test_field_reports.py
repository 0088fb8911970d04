"""What users of such servers met with, and what comes of it here."""

from __future__ import annotations

import json
from typing import Any

import pytest

from serving.launcher import TritonServer
from serving.runtime import ROOT
from tests.serving.gateway.http.running import Answer, RunningDoor, infer_body

pytestmark = pytest.mark.server

REPORTS = ROOT.parent / "shared" / "field-reports" / "http"


def report(name: str) -> bytes:
    path = REPORTS / name
    if not path.is_file():
        pytest.skip(f"there are no field reports beside this checkout: {path} is missing")
    return path.read_bytes()


def works(triton: TritonServer, front: RunningDoor) -> bool:
    assert triton.pid
    return front.infer("info_lens", infer_body()).status == 200


@pytest.mark.parametrize(
    ("model", "output"),
    [("classify", "category"), ("classify", "category_labels"), ("summarize", "summary"), ("verify", "veracity"),
     ("info_lens", "category"), ("info_lens", "summary"), ("info_lens", "failed")],
)  # fmt: skip
def test_ranking_an_output_of_strings_is_refused(
    triton: TritonServer, front: RunningDoor, model: str, output: str
) -> None:
    body = infer_body(outputs=[{"name": output, "parameters": {"classification": 1}}])
    answer = front.infer(model, body)
    assert answer.status == 400
    assert f"classification ranks numbers, but the output '{output}' is BYTES" in answer.error
    assert works(triton, front)


def test_ranking_an_output_of_strings_as_it_was_reported(triton: TritonServer, front: RunningDoor) -> None:
    answer = front.infer("classify", report("class_on_bytes.json"))
    assert (answer.status, "classification" in answer.error) == (400, True)
    assert works(triton, front)


@pytest.mark.parametrize(("model", "route"), [("classify", "infer"), ("verify", "infer"), ("classify", "generate")])
def test_a_title_alone_is_refused(front: RunningDoor, model: str, route: str) -> None:
    body: Any = {"title": "Oil"}
    if route == "infer":
        body = {"inputs": [{"name": "title", "shape": [1, 1], "datatype": "BYTES", "data": ["Oil"]}]}
    answer = front.ask("POST", f"/v2/models/{model}/{route}", json.dumps(body))
    assert answer.status == 400
    assert f"model '{model}' needs the input 'text', which the request lacks" in answer.error


@pytest.mark.parametrize("model", ["classify", "verify"])
def test_a_title_alone_as_it_was_reported(front: RunningDoor, model: str) -> None:
    answer = front.infer(model, report("title_only.json"))
    assert (answer.status, "'text'" in answer.error) == (400, True)


def test_ranked_numbers_have_their_labels_in_every_model(front: RunningDoor) -> None:
    body = infer_body(outputs=[{"name": "category_probabilities", "parameters": {"classification": 2}}])

    def ranked(answer: Answer) -> list[str]:
        data: list[str] = answer.json["outputs"][0]["data"]
        return data

    one, all_tasks = (ranked(front.infer(model, body)) for model in ("classify", "info_lens"))
    assert one == all_tasks
    assert all(label.count(":") == 2 for label in one)
    body = infer_body(outputs=[{"name": "veracity_probabilities", "parameters": {"classification": 9}}])
    assert sorted(one.split(":")[2] for one in ranked(front.infer("info_lens", body))) == ["fake", "real"]


@pytest.mark.parametrize("model", ["classify", "info_lens"])
def test_a_time_out_that_is_too_short_is_told_as_such(front: RunningDoor, model: str) -> None:
    answer = front.infer(model, infer_body(parameters={"timeout": 1}))
    assert answer.status == 504
    assert "timeout expired" in answer.error.lower()


def test_a_text_that_cannot_be_seen_is_answered_with_words_or_an_answer(front: RunningDoor) -> None:
    assert front.infer("info_lens", report("zero_width.json")).status in (200, 400)
