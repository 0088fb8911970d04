"""The same requests to the door and to Triton's own HTTP endpoint, and the same answers."""

from __future__ import annotations

import asyncio
import gzip
import json
import zlib
from typing import Any

import numpy as np
import pytest
import tritonclient.http
import tritonclient.http.aio

from infolens import AsyncClient, Client
from infolens.contract import SERVED_PARAMETER
from serving.launcher import TritonServer
from tests.serving.gateway.http.running import PUBLIC, Answer, RunningDoor, ask, infer_body

pytestmark = pytest.mark.server

ARTICLE = 'Oil rises after output cut. "Quoted", é, \u2028 and \U0001f600. ' + "Markets fall. " * 20


def both(
    triton: TritonServer, front: RunningDoor, path: str, body: bytes | str, **headers: str
) -> tuple[Answer, Answer]:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return ask(triton.http_url, "POST", path, body, named), front.ask("POST", path, body, named)


def plain(document: Any) -> Any:
    """An answer without what Triton writes several times, once for each step of an ensemble."""
    if isinstance(document, dict):
        return {key: plain(value) for key, value in document.items() if not key.startswith("sequence_")}
    return [plain(one) for one in document] if isinstance(document, list) else document


@pytest.mark.parametrize("model", PUBLIC)
def test_json_answers_are_tritons(triton: TritonServer, front: RunningDoor, model: str) -> None:
    body = infer_body(ARTICLE, id="seven")
    theirs, ours = both(triton, front, f"/v2/models/{model}/versions/1/infer", body)
    assert theirs.status == ours.status == 200
    assert plain(ours.json) == plain(theirs.json)
    assert ours.headers["Content-Type"].startswith("application/json")


@pytest.mark.parametrize("model", PUBLIC)
def test_binary_answers_are_tritons(triton: TritonServer, front: RunningDoor, model: str) -> None:
    texts = np.array([[ARTICLE.encode()], [b"Reuters reports."]], np.object_)
    given = tritonclient.http.InferInput("text", [2, 1], "BYTES").set_data_from_numpy(texts)
    body, length = tritonclient.http.InferenceServerClient.generate_request_body(
        [given], request_id="seven", parameters={"custom": "value"}
    )
    headers = {"Inference_Header_Content_Length": str(length), "Content_Type": "application/octet-stream"}
    theirs, ours = both(triton, front, f"/v2/models/{model}/infer", body, **headers)
    assert theirs.status == ours.status == 200
    parts = []
    for answer in (theirs, ours):
        size = int(answer.headers["Inference-Header-Content-Length"])
        parts.append((plain(json.loads(answer.body[:size])), answer.body[size:]))
    assert parts[0] == parts[1]


@pytest.mark.parametrize("model", PUBLIC)
def test_generate_answers_are_tritons(triton: TritonServer, front: RunningDoor, model: str) -> None:
    document = {"text": ARTICLE, "id": "seven", "parameters": {"custom": 1}}
    if model != "summarize":
        document["title"] = "Oil"
    theirs, ours = both(triton, front, f"/v2/models/{model}/generate", json.dumps(document))
    assert theirs.status == ours.status == 200
    assert ours.json == theirs.json
    assert list(ours.json) == list(theirs.json)


@pytest.mark.parametrize("model", PUBLIC)
@pytest.mark.parametrize("path", ["", "/config", "/stats", "/versions/1", "/versions/1/config", "/ready"])
def test_what_is_told_of_a_model_is_tritons(triton: TritonServer, front: RunningDoor, model: str, path: str) -> None:
    theirs = ask(triton.http_url, "GET", f"/v2/models/{model}{path}")
    ours = front.ask("GET", f"/v2/models/{model}{path}")
    assert theirs.status == ours.status == 200
    if path == "/ready":
        assert ours.body == theirs.body == b""
        return
    document = ours.json
    # A field that the client's protobuf knows and this Triton does not.
    document.get("ensemble_scheduling", {}).pop("max_inflight_requests", None)
    told = document.get("parameters", {}).pop(SERVED_PARAMETER, None)  # the door's own
    assert (told is not None) == (path.endswith("/config") and model != "info_lens")
    assert document == theirs.json


def test_several_rows_nested_data_and_some_outputs_in_binary(triton: TritonServer, front: RunningDoor) -> None:
    given = {"name": "text", "shape": [2, 1], "datatype": "BYTES", "data": [[ARTICLE], ["Reuters."]]}
    outputs = [
        {"name": "category_probabilities"},
        {"name": "category", "parameters": {"binary_data": True}},
        {"name": "category_tokens", "parameters": {"binary_data": False}},
    ]
    parameters = {"binary_data_output": True, "timeout": 20_000_000, "priority": 0}
    body = json.dumps({"inputs": [given], "outputs": outputs, "parameters": parameters})
    theirs, ours = both(triton, front, "/v2/models/classify/infer", body)
    sizes = [int(answer.headers["Inference-Header-Content-Length"]) for answer in (theirs, ours)]
    assert plain(json.loads(ours.body[: sizes[1]])) == plain(json.loads(theirs.body[: sizes[0]]))
    assert ours.body[sizes[1] :] == theirs.body[sizes[0] :]


def test_settings_of_the_summary_in_json(triton: TritonServer, front: RunningDoor) -> None:
    settings = [("max_length", "INT32", 24), ("num_beams", "INT32", 1), ("length_penalty", "FP32", 0.7)]
    inputs = [{"name": "text", "shape": [1, 1], "datatype": "BYTES", "data": [ARTICLE]}]
    inputs += [{"name": name, "shape": [1, 1], "datatype": kind, "data": [value]} for name, kind, value in settings]
    theirs, ours = both(triton, front, "/v2/models/summarize/infer", json.dumps({"inputs": inputs}))
    assert theirs.status == ours.status == 200
    assert plain(ours.json) == plain(theirs.json)


def test_classification_is_tritons_and_the_same_for_the_model_of_all_tasks(
    triton: TritonServer, front: RunningDoor
) -> None:
    wanted = [
        {"name": "category_probabilities", "parameters": {"classification": 3, "binary_data": True}},
        {"name": "category_tokens", "parameters": {"classification": 2}},
    ]
    body = infer_body([ARTICLE, "Reuters."], outputs=wanted)
    theirs, ours = both(triton, front, "/v2/models/classify/infer", body)

    def read(answer: Answer) -> tuple[list[Any], bytes]:
        size = int(answer.headers["Inference-Header-Content-Length"])
        return sorted(json.loads(answer.body[:size])["outputs"], key=lambda one: one["name"]), answer.body[size:]

    assert read(ours) == read(theirs)
    assert read(front.infer("info_lens", body)) == read(theirs)
    assert b":Business" in ours.body


def test_compressed_requests_and_answers(front: RunningDoor) -> None:
    body = infer_body(ARTICLE).encode()
    expected = front.infer("classify", body).json
    for name, sent, undo in (
        ("gzip", gzip.compress(body), gzip.decompress),
        ("deflate", zlib.compress(body), zlib.decompress),
    ):
        answer = front.infer("classify", sent, {"Content-Encoding": name, "Accept-Encoding": name})
        assert answer.headers["Content-Encoding"] == name
        assert json.loads(undo(answer.body)) == expected


@pytest.mark.parametrize("compression", [None, "gzip", "deflate"])
def test_tritonclient_works_unchanged(front: RunningDoor, compression: str | None) -> None:
    address = front.url.removeprefix("http://")
    texts = np.array([[b"Oil rises after output cut."]], np.object_)

    def given(module: Any) -> Any:
        return module.InferInput("text", [1, 1], "BYTES").set_data_from_numpy(texts)

    with tritonclient.http.InferenceServerClient(address) as client:
        assert client.is_server_live()
        assert client.is_server_ready()
        assert client.is_model_ready("classify")
        assert client.is_model_ready("bart")
        assert not client.is_model_ready("nobody")
        assert client.get_server_metadata()["name"] == "triton"
        assert client.get_model_config("classify", "1")["max_batch_size"] == 4
        assert {one["name"] for one in client.get_inference_statistics()["model_stats"]} == set(PUBLIC)
        result = client.infer(
            "classify",
            [given(tritonclient.http)],
            request_id="7",
            request_compression_algorithm=compression,
            response_compression_algorithm=compression,
        )
        assert result.as_numpy("category").item() == b"Business"
        assert result.get_response()["id"] == "7"

    async def anew() -> Any:
        async with tritonclient.http.aio.InferenceServerClient(address) as client:
            return await client.infer("classify", [given(tritonclient.http)])

    assert asyncio.run(anew()).as_numpy("category").item() == b"Business"


def test_the_sdk_works_unchanged(front: RunningDoor, triton: TritonServer) -> None:
    with Client(front.url) as client, Client(triton.http_url) as direct:
        report = client.analyze(ARTICLE, title="Oil")
        assert report == direct.analyze(ARTICLE, title="Oil")
        assert client.status().server_ready

    async def anew() -> Any:
        async with AsyncClient(front.url) as client:
            return await client.analyze(ARTICLE, title="Oil")

    assert asyncio.run(anew()) == report
