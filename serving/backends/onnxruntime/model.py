"""Triton backend ``onnxruntime`` in Python: serves on a CPU the ``config.pbtxt`` that NVIDIA's native backend serves.

Like the native backend it reads ``model.onnx`` (or ``default_model_filename``) of the version and honours
``optimization { graph { level } }`` and the parameters ``intra_op_thread_count``, ``inter_op_thread_count``,
``execution_mode``, ``enable_mem_arena``, ``enable_mem_pattern``, ``memory.enable_memory_arena_shrinkage`` and
``session.*``. Unlike there, idle threads do not spin unless ``session.intra_op.allow_spinning`` says so: each instance
is a process of its own, and they share few cores. A library ``operators.so`` beside this file brings native kernels
for the operators of the domain ``infolens``; without it a model's own functions of these names run. A batch that
fails is run again request by request, so that one bad request does not fail the others. A request whose caller has
left, or whose time is up, is not run (`wanted`).
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnxruntime as ort
import triton_python_backend_utils as pb_utils

if __package__:
    from serving.backends import wanted
else:  # Triton imports this file as the module "model", with its folder on the path
    import wanted  # type: ignore[import-not-found, no-redef]

Arrays = Mapping[str, npt.NDArray[Any]]

TRITON_TYPES = {
    "tensor(bool)": "TYPE_BOOL",
    "tensor(uint8)": "TYPE_UINT8",
    "tensor(uint16)": "TYPE_UINT16",
    "tensor(uint32)": "TYPE_UINT32",
    "tensor(uint64)": "TYPE_UINT64",
    "tensor(int8)": "TYPE_INT8",
    "tensor(int16)": "TYPE_INT16",
    "tensor(int32)": "TYPE_INT32",
    "tensor(int64)": "TYPE_INT64",
    "tensor(float16)": "TYPE_FP16",
    "tensor(float)": "TYPE_FP32",
    "tensor(double)": "TYPE_FP64",
}
GRAPH_LEVELS = {
    -1: ort.GraphOptimizationLevel.ORT_ENABLE_BASIC,
    0: ort.GraphOptimizationLevel.ORT_ENABLE_ALL,
    1: ort.GraphOptimizationLevel.ORT_ENABLE_EXTENDED,
    2: ort.GraphOptimizationLevel.ORT_DISABLE_ALL,
}
EXECUTION_MODES = {0: ort.ExecutionMode.ORT_SEQUENTIAL, 1: ort.ExecutionMode.ORT_PARALLEL}
OPERATORS = Path(__file__).with_name("operators.so")
"""The native operators, where the launcher has put them."""
BOOLEANS = {"0": False, "1": True, "false": False, "true": True}


def session_options(config: Mapping[str, Any]) -> ort.SessionOptions:
    """The session options that a model configuration asks for.

    Raises:
        ValueError: A parameter has a value that it cannot have.
    """
    parameters = _parameters(config)
    options = ort.SessionOptions()
    options.log_severity_level = 3
    level = int(config.get("optimization", {}).get("graph", {}).get("level", 0))
    options.graph_optimization_level = _choose("optimization.graph.level", level, GRAPH_LEVELS)
    options.intra_op_num_threads = _count(parameters, "intra_op_thread_count")
    options.inter_op_num_threads = _count(parameters, "inter_op_thread_count")
    options.execution_mode = _choose("execution_mode", _count(parameters, "execution_mode"), EXECUTION_MODES)
    options.enable_cpu_mem_arena = _choose("enable_mem_arena", parameters.get("enable_mem_arena", "1"), BOOLEANS)
    options.enable_mem_pattern = _choose("enable_mem_pattern", parameters.get("enable_mem_pattern", "1"), BOOLEANS)
    entries = {"session.intra_op.allow_spinning": "0", "session.inter_op.allow_spinning": "0"}
    entries |= {key: value for key, value in parameters.items() if key.startswith("session.")}
    for key, value in entries.items():
        options.add_session_config_entry(key, value)
    if OPERATORS.is_file():
        options.register_custom_ops_library(str(OPERATORS))
    return options


def run_options(config: Mapping[str, Any]) -> ort.RunOptions | None:
    """The options of each run, or None where the configuration asks for nothing special."""
    key = "memory.enable_memory_arena_shrinkage"
    devices = _parameters(config).get(key)
    if devices is None:
        return None
    options = ort.RunOptions()
    options.add_run_config_entry(key, devices)
    return options


def model_path(config: Mapping[str, Any], version: Path) -> Path:
    """The ONNX file of a version's folder.

    Raises:
        ValueError: There is none.
    """
    path = version / (config.get("default_model_filename") or "model.onnx")
    if path.is_dir():
        path /= "model.onnx"
    if not path.is_file():
        raise ValueError(f"no ONNX model at {path}: export the model again")
    return path


def check_tensors(config: Mapping[str, Any], session: ort.InferenceSession) -> None:
    """Compare the configuration with the graph, as the native backend does at load time.

    Raises:
        ValueError: A tensor is unknown to the graph, has another type there, or an input is not in the configuration.
    """
    for kind, nodes in (("input", session.get_inputs()), ("output", session.get_outputs())):
        types = {node.name: TRITON_TYPES.get(node.type, node.type) for node in nodes}
        for tensor in config[kind]:
            name, data_type = tensor["name"], tensor["data_type"]
            if name not in types:
                raise ValueError(f"the model has no {kind} {name}; it has {sorted(types)}")
            if data_type != types[name]:
                raise ValueError(f"{kind} {name} is {types[name]} in the model, but {data_type} in the configuration")
        missing = set(types) - {tensor["name"] for tensor in config[kind]}
        if kind == "input" and missing:
            raise ValueError(f"the configuration leaves out the model's inputs {sorted(missing)}")


def run_batch(
    session: ort.InferenceSession,
    requests: Sequence[Arrays],
    names: Sequence[str],
    *,
    batched: bool,
    options: ort.RunOptions | None = None,
) -> list[Arrays | Exception]:
    """Run requests as few times as their shapes allow.

    Args:
        session: The model.
        requests: The inputs of each request by name, [n, ...] with n of its own for each request.
        names: The outputs to compute.
        batched: Whether the first dimension is the batch; else each request runs alone.
        options: Options of the run.

    Returns:
        For each request, in order, its outputs by name or the error that it gets.
    """
    groups: dict[Any, list[int]] = {}
    for index, request in enumerate(requests):
        shapes = tuple((name, array.shape[1:]) for name, array in sorted(request.items()))
        groups.setdefault(shapes if batched else index, []).append(index)
    answers: dict[int, Arrays | Exception] = {}
    for indices in groups.values():
        members = [requests[index] for index in indices]
        try:
            results: Iterable[Arrays | Exception] = _run(session, members, names, options)
        except Exception as error:
            if len(members) > 1:
                results = [_run_alone(session, member, names, options) for member in members]
            else:
                results = [error]
        answers.update(zip(indices, results, strict=True))
    return [answers[index] for index in range(len(requests))]


def _run(
    session: ort.InferenceSession, members: Sequence[Arrays], names: Sequence[str], options: ort.RunOptions | None
) -> list[Arrays]:
    if len(members) == 1:
        return [dict(zip(names, session.run(names, dict(members[0]), options), strict=True))]
    feeds = {name: np.concatenate([member[name] for member in members]) for name in members[0]}
    outputs = session.run(names, feeds, options)
    rows = [len(next(iter(member.values()))) for member in members]
    ends = np.cumsum(rows)
    for name, output in zip(names, outputs, strict=True):
        if len(output) != ends[-1]:
            raise ValueError(f"output {name} has {len(output)} rows for a batch of {ends[-1]}")
    return [
        {name: output[end - count : end] for name, output in zip(names, outputs, strict=True)}
        for count, end in zip(rows, ends, strict=True)
    ]


def _run_alone(
    session: ort.InferenceSession, member: Arrays, names: Sequence[str], options: ort.RunOptions | None
) -> Arrays | Exception:
    try:
        return _run(session, [member], names, options)[0]
    except Exception as error:
        return error


def _parameters(config: Mapping[str, Any]) -> dict[str, str]:
    return {key: value["string_value"].strip() for key, value in config.get("parameters", {}).items()}


def _count(parameters: Mapping[str, str], key: str) -> int:
    value = parameters.get(key, "0")
    if not value.isdecimal():
        raise ValueError(f"parameter {key} is a whole number from 0, not {value!r}")
    return int(value)


def _choose(key: str, value: Any, choices: Mapping[Any, Any]) -> Any:
    if value not in choices:
        raise ValueError(f"{key} is one of {list(choices)}, not {value!r}")
    return choices[value]


class TritonPythonModel:
    """The interface that Triton's Python backend calls."""

    def initialize(self, args: Mapping[str, str]) -> None:
        """Load the model; a failure here is a model that does not load."""
        if int(np.__version__.split(".")[0]) >= 2:
            raise RuntimeError(f"numpy {np.__version__} empties every output; the runtime needs numpy below 2")
        config = json.loads(args["model_config"])
        if args["model_instance_kind"] == "GPU":
            raise ValueError("KIND_GPU needs Triton's container with the native onnxruntime backend; here set KIND_CPU")
        path = model_path(config, Path(args["model_repository"], args["model_version"]))
        try:
            self._session = ort.InferenceSession(path, session_options(config), providers=["CPUExecutionProvider"])
        except ValueError:
            raise
        except Exception as error:
            raise ValueError(f"{path} is damaged or not an ONNX model: {error}") from error
        check_tensors(config, self._session)
        self._options = run_options(config)
        self._inputs = [tensor["name"] for tensor in config["input"]]
        self._outputs = [tensor["name"] for tensor in config["output"]]
        self._batched = int(config.get("max_batch_size", 0)) > 0
        self._callers = wanted.Callers(wanted.open_board(), ask_triton=True)

    def execute(self, requests: Sequence[Any]) -> list[Any]:
        """Answer a batch of requests, each with its outputs or its own error."""
        return self._callers.answer(requests, self._answer)

    def _answer(self, requests: Sequence[Any]) -> list[Any]:
        feeds = []
        for request in requests:
            tensors = [pb_utils.get_input_tensor_by_name(request, name) for name in self._inputs]
            feeds.append({t.name(): t.as_numpy() for t in tensors if t is not None})
        answers = run_batch(self._session, feeds, self._outputs, batched=self._batched, options=self._options)
        return [_response(answer) for answer in answers]

    def finalize(self) -> None:
        """Free the model's memory."""
        del self._session


def _response(answer: Arrays | Exception) -> Any:
    if isinstance(answer, Exception):
        error = pb_utils.TritonError(f"ONNX Runtime: {answer}", pb_utils.TritonError.INTERNAL)
        return pb_utils.InferenceResponse(error=error)
    return pb_utils.InferenceResponse([pb_utils.Tensor(name, array) for name, array in answer.items()])
