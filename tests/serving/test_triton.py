"""The backends in the real server, on the stand-in models: what only Triton itself can show."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from tritonclient import grpc
from tritonclient.utils import InferenceServerException

from serving.launcher import ADMIN_HEADER, TritonServer

pytestmark = pytest.mark.server

TYPES = {np.dtype(np.int32): "INT32", np.dtype(np.uint8): "UINT8", np.dtype(np.float32): "FP32"}
TIMEOUT_S = 60


def infer(client: grpc.InferenceServerClient, model: str, **inputs: Any) -> dict[str, NDArray[Any]]:
    """One request; bytes become a BYTES tensor [1, 1], plain numbers a tensor [1, 1] of their type."""
    tensors = []
    for name, value in inputs.items():
        array = np.array([[value]], np.object_) if isinstance(value, bytes) else np.atleast_2d(value)
        tensor = grpc.InferInput(name, list(array.shape), TYPES.get(array.dtype, "BYTES"))
        tensors.append(tensor.set_data_from_numpy(array))
    result = client.infer(model, tensors, client_timeout=TIMEOUT_S)
    return {output.name: result.as_numpy(output.name) for output in result.get_response().outputs}


def failure(client: grpc.InferenceServerClient, model: str, **inputs: Any) -> tuple[str, str]:
    with pytest.raises(InferenceServerException) as caught:
        infer(client, model, **inputs)
    return str(caught.value.status()), str(caught.value.message())


def echo_inputs(ids: list[int], *, num_beams: int = 4, length_penalty: int = 31) -> dict[str, Any]:
    row = np.array([ids], np.int32)
    dummies = {"num_beams": num_beams, "length_penalty": length_penalty}
    return {
        "input_ids": row,
        "attention_mask": np.ones_like(row),
        **{name: np.zeros((1, length), np.uint8) for name, length in dummies.items()},
    }


def executions(client: grpc.InferenceServerClient, model: str) -> tuple[int, int]:
    stats = client.get_inference_statistics(model).model_stats[0]
    return stats.inference_count, stats.execution_count


def test_all_tasks_are_answered_at_once(client: grpc.InferenceServerClient) -> None:
    answer = infer(client, "info_lens", text=b"a goal in the last minute")
    assert answer["summary"].item() == b"a goal in the last minute"
    assert answer["veracity"].item() == b"real"
    assert answer["veracity_probability"].item() == pytest.approx(6 / 8)
    np.testing.assert_allclose(answer["veracity_probabilities"], [[6 / 8, 2 / 8]])
    assert answer["summary_tokens"].item() == 8
    assert answer["summary_truncated_tokens"].item() == 0


def test_optional_inputs_reach_the_models(client: grpc.InferenceServerClient) -> None:
    plain = infer(client, "info_lens", text=b"a goal")
    assert plain["settings"].tolist() == [[4, 31]]
    full = infer(
        client,
        "info_lens",
        text=b"a goal",
        title=b"zzz zzz",
        num_beams=np.int32(2),
        length_penalty=np.float32(-0.5),
    )
    assert full["settings"].tolist() == [[2, 16]]
    assert (plain["veracity"].item(), full["veracity"].item()) == (b"real", b"fake")


def test_an_ensemble_may_leave_an_optional_input_of_its_model_out(client: grpc.InferenceServerClient) -> None:
    assert infer(client, "summarize", text=b"the match")["summary"].item() == b"the match"


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        ({"text": b""}, "text is blank"),
        ({"text": b" \n\t\x00 "}, "text is blank"),
        ({"text": b"goal \xff\xfe"}, "byte 5 cannot be decoded"),
        ({"text": b"goal " * 250}, "1250 bytes of UTF-8, the limit is 1000"),
        ({"text": b"a goal", "title": b"\xc3"}, "title is not UTF-8"),
        ({"text": b"a goal", "num_beams": np.int32(9)}, "num_beams must lie between 1 and 8, not 9"),
        ({"text": b"a goal", "length_penalty": np.float32("nan")}, "length_penalty must lie between -2 and 2, not nan"),
    ],
)
def test_bad_input_is_refused_and_the_server_stays_up(
    client: grpc.InferenceServerClient, inputs: dict[str, Any], message: str
) -> None:
    status, text = failure(client, "info_lens", **inputs)
    assert status == "StatusCode.INVALID_ARGUMENT"
    assert message in text
    assert infer(client, "info_lens", text=b"a goal")["summary"].item() == b"a goal"


def test_many_bad_requests_at_once_do_not_stop_the_server(client: grpc.InferenceServerClient) -> None:
    # An ensemble with several first steps deadlocks here.
    with ThreadPoolExecutor(16) as pool:
        failures = list(pool.map(lambda _: failure(client, "info_lens", text=b" ")[0], range(200)))
    assert set(failures) == {"StatusCode.INVALID_ARGUMENT"}
    assert infer(client, "info_lens", text=b"a goal")["summary"].item() == b"a goal"


def outcome(client: grpc.InferenceServerClient, timeout_s: float = TIMEOUT_S) -> str:
    text = grpc.InferInput("text", [1, 1], "BYTES")
    text.set_data_from_numpy(np.array([[b"a goal"]], np.object_))
    try:
        return str(client.infer("info_lens", [text], client_timeout=timeout_s).as_numpy("summary").item())
    except InferenceServerException as error:
        return str(error.status())


def test_what_is_too_much_is_refused_and_the_server_stays_up(client: grpc.InferenceServerClient) -> None:
    answers: set[str] = set()
    with ThreadPoolExecutor(96) as pool:
        for _ in range(10):  # On a busy machine the callers may be too slow to fill the queue at once.
            answers |= set(pool.map(lambda _: outcome(client), range(500)))
            if len(answers) > 1:
                break
    assert answers == {"b'a goal'", "StatusCode.UNAVAILABLE"}
    assert outcome(client) == "b'a goal'"


def test_callers_who_leave_do_not_harm_the_server(client: grpc.InferenceServerClient) -> None:
    # An ensemble with parallel branches crashes here.
    with ThreadPoolExecutor(32) as pool:
        answers = set(pool.map(lambda index: outcome(client, 0.02 + 0.03 * (index % 6)), range(500)))
    assert "StatusCode.DEADLINE_EXCEEDED" in answers
    assert outcome(client) == "b'a goal'"


def test_requests_meet_in_a_batch_and_get_their_own_answers(client: grpc.InferenceServerClient) -> None:
    before = executions(client, "echo")
    ids = [[0, 4 + index, 2] for index in range(8)]
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda row: infer(client, "echo", **echo_inputs(row)), ids))
    assert [answer["sequences"].tolist() for answer in answers] == [[row] for row in ids]
    assert max(answer["rows"].item() for answer in answers) > 1
    after = executions(client, "echo")
    assert after[0] - before[0] == 8
    assert after[1] - before[1] < 8


def test_unequal_settings_never_share_a_batch(client: grpc.InferenceServerClient) -> None:
    wanted = [(1 + index % 3, 20 + index % 2) for index in range(12)]
    with ThreadPoolExecutor(12) as pool:
        answers = list(
            pool.map(
                lambda s: infer(client, "echo", **echo_inputs([0, 4, 2], num_beams=s[0], length_penalty=s[1])), wanted
            )
        )
    assert [tuple(answer["settings"][0]) for answer in answers] == wanted


def test_requests_of_several_rows_share_a_batch(client: grpc.InferenceServerClient) -> None:
    def two_rows(first: int) -> dict[str, NDArray[Any]]:
        inputs = {name: np.repeat(array, 2, axis=0) for name, array in echo_inputs([0, first, 2]).items()}
        inputs["input_ids"][1, 1] = first + 1
        return infer(client, "echo", **inputs)

    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(two_rows, (4, 5, 6, 7)))
    assert [answer["sequences"][:, 1].tolist() for answer in answers] == [[4, 5], [5, 6], [6, 7], [7, 8]]


def test_one_failing_request_does_not_fail_its_batch(client: grpc.InferenceServerClient) -> None:
    def ask(token: int) -> str:
        try:
            answer = infer(client, "echo", **echo_inputs([0, token, 2]))
        except InferenceServerException as error:
            return str(error.message())
        return str(answer["sequences"][0, 1])

    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(ask, (4, 999, 5, 6)))
    assert "ONNX Runtime" in answers.pop(1)
    assert answers == ["4", "5", "6"]


def test_left_padding_and_token_types(client: grpc.InferenceServerClient) -> None:
    answer = infer(client, "vote_tokenizer", text=b"goal won")
    assert answer["input_ids"].tolist() == [[1, 1, 1, 1, 0, 5, 10, 2]]
    assert answer["attention_mask"].tolist() == [[0, 0, 0, 0, 1, 1, 1, 1]]
    assert answer["token_type_ids"].tolist() == [[3, 3, 3, 3, 0, 0, 0, 2]]


def test_classification_extension_names_the_labels(server: TritonServer) -> None:
    body = {
        "inputs": [{"name": "text", "shape": [1, 1], "datatype": "BYTES", "data": ["zzz"]}],
        "outputs": [{"name": "veracity_probabilities", "parameters": {"classification": 2}}],
    }
    request = urllib.request.Request(f"{server.http_url}/v2/models/info_lens/infer", json.dumps(body).encode())
    with urllib.request.urlopen(request, timeout=TIMEOUT_S) as response:
        data = json.load(response)["outputs"][0]["data"]
    assert [entry.rsplit(":", 1)[1] for entry in data] == ["fake", "real"]


@pytest.mark.parametrize(
    "path", ["v2/repository/index", "v2/systemsharedmemory/status", "v2/logging", "v2/trace/setting"]
)
def test_management_needs_the_key(server: TritonServer, path: str) -> None:
    method = "POST" if path.startswith("v2/repository") else "GET"
    request = urllib.request.Request(f"{server.http_url}/{path}", method=method)
    with pytest.raises(urllib.error.HTTPError) as caught:
        urllib.request.urlopen(request, timeout=TIMEOUT_S)
    caught.value.close()
    assert caught.value.code == 403
    request.add_header(ADMIN_HEADER, server.options.admin_key)
    with urllib.request.urlopen(request, timeout=TIMEOUT_S) as response:
        assert response.status == 200
