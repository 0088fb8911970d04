"""The onnxruntime backend's logic, without Triton."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort
import pytest

from engine.sessions.opening import check_tensors, model_path, run_options, session_options
from serving.backends.onnxruntime.model import run_batch
from tests.serving.graphs import write_echo


def config(**parameters: str) -> dict[str, Any]:
    return {"parameters": {key: {"string_value": value} for key, value in parameters.items()}}


@pytest.fixture(scope="module")
def session(tmp_path_factory: pytest.TempPathFactory) -> ort.InferenceSession:
    path = tmp_path_factory.mktemp("echo") / "model.onnx"
    write_echo(path)
    return ort.InferenceSession(path, session_options({}))


def request(*rows: list[int], beams: int = 4) -> dict[str, Any]:
    ids = np.array(rows, np.int32)
    return {
        "input_ids": ids,
        "attention_mask": np.ones_like(ids),
        "num_beams": np.zeros((len(ids), beams), np.uint8),
        "length_penalty": np.zeros((len(ids), 31), np.uint8),
    }


NAMES = ["sequences", "rows", "settings"]


def test_equal_shapes_run_once_and_are_split_again(session: ort.InferenceSession) -> None:
    answers: Any = run_batch(
        session, [request([4, 5]), request([6, 7], [8, 9]), request([10, 11])], NAMES, batched=True
    )
    assert [answer["sequences"].tolist() for answer in answers] == [[[4, 5]], [[6, 7], [8, 9]], [[10, 11]]]
    assert {int(rows) for answer in answers for rows in answer["rows"].ravel()} == {4}


def test_unequal_shapes_run_apart_in_the_right_order(session: ort.InferenceSession) -> None:
    requests = [request([4, 5]), request([4, 5], beams=2), request([6, 7])]
    answers: Any = run_batch(session, requests, NAMES, batched=True)
    assert [answer["settings"][0, 0] for answer in answers] == [4, 2, 4]
    assert [answer["rows"].item() for answer in answers] == [2, 1, 2]
    assert answers[2]["sequences"].tolist() == [[6, 7]]


def test_without_a_batch_dimension_each_runs_alone(session: ort.InferenceSession) -> None:
    answers: Any = run_batch(session, [request([4, 5]), request([6, 7])], NAMES, batched=False)
    assert [answer["rows"].item() for answer in answers] == [1, 1]


def test_a_failing_request_fails_alone(session: ort.InferenceSession) -> None:
    answers: Any = run_batch(session, [request([4, 5]), request([999, 5]), request([6, 7])], NAMES, batched=True)
    assert isinstance(answers[1], Exception)
    assert [answers[0]["sequences"].tolist(), answers[2]["sequences"].tolist()] == [[[4, 5]], [[6, 7]]]


def test_session_options_are_those_of_the_native_backend() -> None:
    options = session_options(
        config(
            intra_op_thread_count="3",
            inter_op_thread_count="2",
            execution_mode="1",
            enable_mem_arena="0",
            enable_mem_pattern="false",
        )
        | {"optimization": {"graph": {"level": 2}}}
    )
    assert (options.intra_op_num_threads, options.inter_op_num_threads) == (3, 2)
    assert options.execution_mode == ort.ExecutionMode.ORT_PARALLEL
    assert options.graph_optimization_level == ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    assert (options.enable_cpu_mem_arena, options.enable_mem_pattern) == (False, False)
    assert session_options({}).graph_optimization_level == ort.GraphOptimizationLevel.ORT_ENABLE_ALL


def test_threads_do_not_spin_unless_asked_to() -> None:
    key = "session.intra_op.allow_spinning"
    assert session_options({}).get_session_config_entry(key) == "0"
    assert session_options(config(**{key: "1"})).get_session_config_entry(key) == "1"


def test_arena_shrinkage_is_an_option_of_the_run() -> None:
    key = "memory.enable_memory_arena_shrinkage"
    options = run_options(config(**{key: "cpu:0"}))
    assert options is not None
    assert options.get_run_config_entry(key) == "cpu:0"
    assert run_options({}) is None


@pytest.mark.parametrize(
    "parameters", [{"execution_mode": "2"}, {"intra_op_thread_count": "-1"}, {"enable_mem_arena": "maybe"}]
)
def test_a_wrong_parameter_is_told(parameters: dict[str, str]) -> None:
    with pytest.raises(ValueError, match=next(iter(parameters))):
        session_options(config(**parameters))


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        ([("ids", "TYPE_INT32")], "the model has no input ids"),
        ([("input_ids", "TYPE_INT64")], "input input_ids is TYPE_INT32 in the model, but TYPE_INT64"),
        ([("input_ids", "TYPE_INT32")], r"leaves out the model's inputs \['attention_mask'"),
    ],
)
def test_tensors_are_held_against_the_graph(
    session: ort.InferenceSession, inputs: list[tuple[str, str]], message: str
) -> None:
    tensors = [{"name": name, "data_type": data_type} for name, data_type in inputs]
    with pytest.raises(ValueError, match=message):
        check_tensors({"input": tensors, "output": []}, session)


def test_model_file(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"no ONNX model at .*model\.onnx"):
        model_path({}, tmp_path)
    (tmp_path / "small.onnx").touch()
    assert model_path({"default_model_filename": "small.onnx"}, tmp_path).name == "small.onnx"
