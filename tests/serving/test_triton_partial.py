"""Partial answers in the real server, on the stand-in models: ``num_beams`` out of range fails the summary alone."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from typing import Any

import numpy as np
import pytest
from tritonclient import grpc
from tritonclient.utils import InferenceServerException

from serving.launcher import TritonServer

pytestmark = pytest.mark.server

TIMEOUT_S = 60
TOO_MANY_BEAMS = "bad input: num_beams must lie between 1 and 8, not 9"
ANSWERS = {"summary", "rows", "settings", "summary_tokens", "summary_truncated_tokens", "veracity"} | {
    "veracity_probability",
    "veracity_probabilities",
}


def over_grpc(server: TritonServer, beams: int, texts: list[str], outputs: list[str], parameters: Any) -> Any:
    rows = len(texts)
    text = grpc.InferInput("text", [rows, 1], "BYTES")
    text.set_data_from_numpy(np.array([[text.encode()] for text in texts], np.object_))
    num_beams = grpc.InferInput("num_beams", [rows, 1], "INT32")
    num_beams.set_data_from_numpy(np.full((rows, 1), beams, np.int32))
    wanted = [grpc.InferRequestedOutput(name) for name in outputs] or None
    with grpc.InferenceServerClient(server.grpc_url.removeprefix("grpc://")) as client:
        try:
            result = client.infer(
                "info_lens", [text, num_beams], outputs=wanted, parameters=parameters, client_timeout=TIMEOUT_S
            )
        except InferenceServerException as error:
            return f"{error.status()} {error.message()}"
    tensors = {output.name: result.as_numpy(output.name) for output in result.get_response().outputs}
    return {
        name: [value.decode() if isinstance(value, bytes) else value for value in array.ravel().tolist()]
        for name, array in tensors.items()
    }


def over_http(server: TritonServer, beams: int, texts: list[str], outputs: list[str], parameters: Any) -> Any:
    shape = [len(texts), 1]
    body = {
        "inputs": [
            {"name": "text", "shape": shape, "datatype": "BYTES", "data": texts},
            {"name": "num_beams", "shape": shape, "datatype": "INT32", "data": [beams] * len(texts)},
        ],
        "parameters": parameters,
        **({"outputs": [{"name": name} for name in outputs]} if outputs else {}),
    }
    request = urllib.request.Request(f"{server.http_url}/v2/models/info_lens/infer", json.dumps(body).encode())
    try:
        with urllib.request.urlopen(request, timeout=TIMEOUT_S) as response:
            return {output["name"]: output["data"] for output in json.load(response)["outputs"]}
    except urllib.error.HTTPError as error:
        with error:
            return f"{error.code} {json.load(error)['error']}"


ask = pytest.mark.parametrize("ask", [over_grpc, over_http], ids=["grpc", "http"])


@ask
def test_the_other_answers_are_given_and_the_reason_why_one_is_not(server: TritonServer, ask: Any) -> None:
    answer = ask(server, 9, ["a goal", "zzz zzz"], [], {"partial": True})
    assert set(answer) == {"veracity", "veracity_probability", "veracity_probabilities", "failed"}
    assert answer["veracity"] == ["real", "fake"]
    assert [json.loads(row) for row in answer["failed"]] == [{"summary": TOO_MANY_BEAMS}] * 2


@ask
def test_nothing_failed(server: TritonServer, ask: Any) -> None:
    answer = ask(server, 2, ["a goal"], [], {"partial": True})
    assert set(answer) == ANSWERS | {"failed"}
    assert answer["failed"] == ["{}"]


@ask
@pytest.mark.parametrize("parameters", [{}, {"partial": False}])
def test_whole_answers_are_the_default(server: TritonServer, ask: Any, parameters: Any) -> None:
    assert set(ask(server, 2, ["a goal"], [], parameters)) == ANSWERS
    assert TOO_MANY_BEAMS in ask(server, 9, ["a goal"], [], parameters)
    assert ask(server, 9, ["a goal"], ["veracity"], parameters) == {"veracity": ["real"]}


@ask
@pytest.mark.parametrize(
    ("texts", "outputs", "parameters", "message"),
    [
        (["a goal"], ["summary", "failed"], {"partial": True}, TOO_MANY_BEAMS),
        ([" "], [], {"partial": True}, TOO_MANY_BEAMS),
        ([" "], ["veracity", "failed"], {"partial": True}, "bad input: text is blank"),
        (["a goal"], [], {"partial": "true"}, 'bad input: the request parameter partial is true or false, not "true"'),
        (["a goal"], [], {"partial": 1}, "bad input: the request parameter partial is true or false, not 1"),
        (["a goal"], ["failed"], {"partial": True}, "bad input: a request asks for an output of at least one task"),
    ],
)
def test_what_cannot_be_answered_in_part_is_an_error(
    server: TritonServer, ask: Any, texts: list[str], outputs: list[str], parameters: Any, message: str
) -> None:
    error = ask(server, 9, texts, outputs, parameters)
    assert error.startswith(("StatusCode.INVALID_ARGUMENT", "400"))
    assert message in error
