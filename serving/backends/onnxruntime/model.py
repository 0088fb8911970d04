"""Triton backend ``onnxruntime`` in Python: serves the ``config.pbtxt`` that NVIDIA's native backend serves.

Like the native backend it reads ``model.onnx`` (or ``default_model_filename``) of the version and honours
``optimization { graph { level } }`` and the parameters ``intra_op_thread_count``, ``inter_op_thread_count``,
``execution_mode``, ``enable_mem_arena``, ``enable_mem_pattern``, ``memory.enable_memory_arena_shrinkage`` and
``session.*``. Unlike there, idle threads do not spin unless ``session.intra_op.allow_spinning`` says so: each instance
is a process of its own, and they share few cores. A library ``operators.so`` beside this file brings native kernels
for the operators of the domain ``infolens``; without it a model's own functions of these names run. On a GPU
(`engine.sessions.providers`) the parameter ``lengths`` names the lengths of inputs for which CUDA graphs are made
(`engine.sessions.shapes`); with ``rehearse_gpu`` an instance on a CPU takes the same way, without graphs, so that it
can be tried. Where the launcher names a process that owns the GPU, that one runs the model (`where`): this one waits
``gpu_host_wait_s`` seconds for it (60 where there is no such parameter), and else runs the model itself. A batch that
fails is run again request by request, so that one bad request does not fail the others. A request whose caller has
left, or whose time is up, is not run (`wanted`).
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import triton_python_backend_utils as pb_utils

from engine.sessions.client import AwayError
from engine.sessions.opening import Wanted
from engine.sessions.shapes import Counted

if __package__:
    from serving.backends import wanted
    from serving.backends.counts import Counts, counts_path
    from serving.backends.numpy_check import check_numpy

    from .where import open_where
else:  # Triton imports this file as the module "model", with its folder on the path
    import wanted  # type: ignore[import-not-found, no-redef]
    from counts import Counts, counts_path  # type: ignore[import-not-found, no-redef]
    from numpy_check import check_numpy  # type: ignore[import-not-found, no-redef]
    from where import open_where  # type: ignore[import-not-found, no-redef]

Arrays = Mapping[str, npt.NDArray[Any]]


OPERATORS = Path(__file__).with_name("operators.so")
"""The native operators, where the launcher has put them."""


class Runs(Protocol):
    """A session of ONNX Runtime, or what is called as one is."""

    def run(self, output_names: Any, input_feed: Any, run_options: Any = None) -> Any:
        """The outputs of a batch."""


def run_batch(
    session: Runs, requests: Sequence[Arrays], names: Sequence[str], *, batched: bool
) -> list[Arrays | Exception]:
    """Run requests as few times as their shapes allow.

    Args:
        session: The model.
        requests: The inputs of each request by name, [n, ...] with n of its own for each request.
        names: The outputs to compute.
        batched: Whether the first dimension is the batch; else each request runs alone.

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
            results: Iterable[Arrays | Exception] = _run(session, members, names)
        except Exception as error:
            results = [error] if len(members) == 1 else [_run_alone(session, member, names) for member in members]
        answers.update(zip(indices, results, strict=True))
    return [answers[index] for index in range(len(requests))]


def _run(session: Runs, members: Sequence[Arrays], names: Sequence[str]) -> list[Arrays]:
    if len(members) == 1:
        return [dict(zip(names, session.run(names, dict(members[0])), strict=True))]
    feeds = {name: np.concatenate([member[name] for member in members]) for name in members[0]}
    outputs = session.run(names, feeds)
    rows = [len(next(iter(member.values()))) for member in members]
    ends = np.cumsum(rows)
    for name, output in zip(names, outputs, strict=True):
        if len(output) != ends[-1]:
            raise ValueError(f"output {name} has {len(output)} rows for a batch of {ends[-1]}")
    return [
        {name: output[end - count : end] for name, output in zip(names, outputs, strict=True)}
        for count, end in zip(rows, ends, strict=True)
    ]


def _run_alone(session: Runs, member: Arrays, names: Sequence[str]) -> Arrays | Exception:
    try:
        return _run(session, [member], names)[0]
    except Exception as error:
        return error


class TritonPythonModel:
    """The interface that Triton's Python backend calls."""

    def initialize(self, args: Mapping[str, str]) -> None:
        """Load the model; a failure here is a model that does not load."""
        check_numpy()
        config = json.loads(args["model_config"])
        wanted_here = Wanted(
            config=config,
            kind=args["model_instance_kind"],
            number=int(args["model_instance_device_id"]),
            version=Path(args["model_repository"], args["model_version"]),
        )
        session = self._session = open_where(wanted_here, OPERATORS if OPERATORS.is_file() else None)
        self._counts: Counts | None = None
        if session.counted is not None:
            self._counts = Counts(counts_path(config["name"]), lambda: asdict(session.counted or Counted()))
            self._counts.start()
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
        answers = run_batch(self._session, feeds, self._outputs, batched=self._batched)
        return [_response(answer) for answer in answers]

    def finalize(self) -> None:
        """Free the model's memory."""
        if self._counts is not None:
            self._counts.close()
        self._session.close()
        del self._session


def _response(answer: Arrays | Exception) -> Any:
    if isinstance(answer, AwayError):
        error = pb_utils.TritonError(str(answer), pb_utils.TritonError.UNAVAILABLE)
        return pb_utils.InferenceResponse(error=error)
    if isinstance(answer, Exception):
        error = pb_utils.TritonError(f"ONNX Runtime: {answer}", pb_utils.TritonError.INTERNAL)
        return pb_utils.InferenceResponse(error=error)
    return pb_utils.InferenceResponse([pb_utils.Tensor(name, array) for name, array in answer.items()])
