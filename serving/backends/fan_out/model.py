"""Triton backend ``fan_out``: one request in, several models asked in parallel, all their outputs in one answer.

An ensemble can do this too, but one with parallel branches loses answers or crashes Triton 2.51 when a branch fails (a
full queue, a time-out, a caller who has left) while another one runs. Here a branch that fails is a value like any
other: the answer is its error. Requests do not wait for one another: each one answers through its response sender when
its last branch is done.

Parameters of ``config.pbtxt`` (``string_value`` each):

* ``branch.<model>``: JSON ``{"inputs": [...], "outputs": [...]}``, what the model takes of the inputs and gives of the
  outputs. An optional input goes on when the request has it; a branch is left out when the request wants none of its
  outputs.
* ``max_in_flight``: requests beyond this number are refused at once. Default: 64.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
import triton_python_backend_utils as pb_utils


@dataclass(frozen=True, kw_only=True)
class Branch:
    """A model that is asked, with its share of the inputs and outputs."""

    model: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]


def read_branches(config: Mapping[str, Any]) -> tuple[Branch, ...]:
    """The branches of a model configuration.

    Raises:
        ValueError: A branch names a tensor that the model has not, or an output does not come from just one branch.
    """
    branches = []
    for key, value in sorted(config.get("parameters", {}).items()):
        if key.startswith("branch."):
            names = json.loads(value["string_value"])
            branches.append(
                Branch(
                    model=key.removeprefix("branch."), inputs=tuple(names["inputs"]), outputs=tuple(names["outputs"])
                )
            )
    inputs = {tensor["name"] for tensor in config["input"]}
    outputs = sorted(tensor["name"] for tensor in config["output"])
    if unknown := sorted({name for branch in branches for name in branch.inputs} - inputs):
        raise ValueError(f"the branches take {unknown}, but the inputs are {sorted(inputs)}")
    given = sorted(name for branch in branches for name in branch.outputs)
    if given != outputs:
        raise ValueError(f"the branches give {given}, but the outputs are {outputs}: each must come from one branch")
    return tuple(branches)


class FanOut:
    """Asks the branches of many requests at once: the whole backend, without Triton.

    Args:
        branches: The models to ask.
        ask: Asks one branch, blocking: takes the branch, the inputs by name and the outputs that are wanted, and
            returns these outputs; raises what the answer is to fail with.
        max_in_flight: Requests that may be under way at the same time.
    """

    def __init__(
        self,
        branches: Sequence[Branch],
        ask: Callable[[Branch, Mapping[str, Any], Sequence[str]], Sequence[Any]],
        max_in_flight: int,
    ) -> None:
        self._branches = branches
        self._ask = ask
        self._places = threading.Semaphore(max_in_flight)
        # A thread for each branch of each request: none ever waits for a thread, so none of them can wait for ever.
        self._pool = ThreadPoolExecutor(max_in_flight * len(branches), thread_name_prefix="branch")

    def submit(
        self,
        inputs: Mapping[str, Any],
        wanted: frozenset[str],
        answer: Callable[[Sequence[Any] | Exception], None],
    ) -> bool:
        """Start one request.

        Args:
            inputs: The request's inputs by name; optional ones may be absent.
            wanted: Names of the outputs that it asks for.
            answer: Called once, from another thread, with all outputs or the first branch's error.

        Returns:
            False, without calling ``answer``, when too many requests are under way.
        """
        if not self._places.acquire(blocking=False):
            return False
        shares = [(branch, [name for name in branch.outputs if name in wanted]) for branch in self._branches]
        shares = [(branch, names) for branch, names in shares if names]
        results: list[Sequence[Any] | Exception] = [[]] * len(shares)
        pending = len(shares)
        lock = threading.Lock()

        def run(index: int) -> None:
            nonlocal pending
            branch, names = shares[index]
            try:
                results[index] = self._ask(branch, {key: inputs[key] for key in branch.inputs if key in inputs}, names)
            except Exception as error:  # the answer of this request, whatever it is
                results[index] = error
            with lock:
                pending -= 1
                last = pending == 0
            if last:
                self._places.release()
                answer(_merge(results))

        for index in range(len(shares)):
            self._pool.submit(run, index)
        return True

    def close(self) -> None:
        """Wait for the requests that are under way."""
        self._pool.shutdown()


def _merge(results: Sequence[Sequence[Any] | Exception]) -> Sequence[Any] | Exception:
    outputs: list[Any] = []
    for result in results:
        if isinstance(result, Exception):
            return result
        outputs.extend(result)
    return outputs


def error_code(message: str) -> str:
    """The name of the code of a branch's error: Triton hands on only its words when a backend asks a model."""
    if "bad input: " in message:
        return "INVALID_ARG"
    if any(words in message for words in ("Exceeds maximum queue size", "Request timeout expired")):
        return "UNAVAILABLE"
    return "INTERNAL"


def _ask(branch: Branch, inputs: Mapping[str, Any], wanted: Sequence[str]) -> Sequence[Any]:
    request = pb_utils.InferenceRequest(
        model_name=branch.model, inputs=list(inputs.values()), requested_output_names=list(wanted)
    )
    response = request.exec()
    if response.has_error():
        raise RuntimeError(response.error().message())
    return list(response.output_tensors())


class TritonPythonModel:
    """The interface that Triton's Python backend calls."""

    def initialize(self, args: Mapping[str, str]) -> None:
        """Read the branches; a failure here is a model that does not load."""
        if int(np.__version__.split(".")[0]) >= 2:
            raise RuntimeError(f"numpy {np.__version__} empties every output; the runtime needs numpy below 2")
        config = json.loads(args["model_config"])
        self._max_in_flight = int(config["parameters"].get("max_in_flight", {}).get("string_value", "64"))
        self._fan_out = FanOut(read_branches(config), _ask, self._max_in_flight)

    def execute(self, requests: Sequence[Any]) -> None:
        """Start a batch of requests; each one answers through its own response sender."""
        for request in requests:
            sender = request.get_response_sender()
            if request.is_cancelled():
                _send(sender, error=pb_utils.TritonError("the request was cancelled", pb_utils.TritonError.CANCELLED))
                continue
            inputs = {tensor.name(): tensor for tensor in request.inputs()}
            wanted = frozenset(request.requested_output_names())
            if not self._fan_out.submit(inputs, wanted, _answer(sender)):
                message = f"the server is busy: {self._max_in_flight} requests are under way; try again later"
                _send(sender, error=pb_utils.TritonError(message, pb_utils.TritonError.UNAVAILABLE))

    def finalize(self) -> None:
        """Wait for the requests that are under way."""
        self._fan_out.close()


def _answer(sender: Any) -> Callable[[Sequence[Any] | Exception], None]:
    def answer(result: Sequence[Any] | Exception) -> None:
        if isinstance(result, Exception):
            code = getattr(pb_utils.TritonError, error_code(str(result)))
            _send(sender, error=pb_utils.TritonError(str(result), code))
        else:
            _send(sender, output_tensors=list(result))

    return answer


def _send(sender: Any, **response: Any) -> None:
    sender.send(pb_utils.InferenceResponse(**response), flags=pb_utils.TRITONSERVER_RESPONSE_COMPLETE_FINAL)
