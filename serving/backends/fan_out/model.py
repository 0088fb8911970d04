"""Triton backend ``fan_out``: one request in, several models asked in parallel, all their outputs in one answer.

An ensemble can do this too, but one with parallel branches loses answers or crashes Triton 2.51 when a branch fails (a
full queue, a time-out, a caller who has left) while another one runs. Here a branch that fails is a value like any
other: the answer is its error. Requests do not wait for one another: each one answers through its response sender when
its last branch is done.

A request with the parameter ``partial`` (true) gets the outputs of the branches that answered, and those of the others
are absent. Its output ``failed``, BYTES [n, 1] for n articles, is a JSON object from the task of each branch that
failed to the reason, the same in every row; ``{}`` when none failed. When every branch failed, the answer is the first
one's error. A request without the parameter never gets the output ``failed``.

Only so many requests run as keep the models busy. Others wait here, where the time that each will wait is known: one
that would wait too long, or past its own time-out, is refused at once, and one whose caller has left or whose time is
up is dropped before any model sees it.

Parameters of ``config.pbtxt`` (``string_value`` each):

* ``branch.<model>``: JSON ``{"task": "...", "inputs": [...], "outputs": [...]}``: the name under which the model fails,
  and what it takes of the inputs and gives of the outputs. An optional input goes on when the request has it; a branch
  is left out when the request wants none of its outputs, or lacks the ``"parameter"`` that the branch names (true).
* ``order``: the models, those first that take longest, separated by commas. Default: by name.
* ``max_running``: requests whose branches are asked at the same time. Default: 16.
* ``max_wait_ms``: a request that would have to wait longer than this before it runs is refused, unless fewer wait than
  may run: a model that takes seconds has a queue too. Default: 500.
* ``max_waiting``: requests beyond this number are refused, however short the wait. Default: 256.
"""

from __future__ import annotations

import json
import re
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
import triton_python_backend_utils as pb_utils

if __package__:
    from serving.backends import wanted
    from serving.backends.numpy_check import check_numpy

    from . import admission, on_request
else:  # Triton imports this file as the module "model", with its folder on the path
    import admission  # type: ignore[import-not-found, no-redef]
    import on_request  # type: ignore[import-not-found, no-redef]
    import wanted  # type: ignore[import-not-found, no-redef]
    from numpy_check import check_numpy  # type: ignore[import-not-found, no-redef]

FAILED = "failed"
"""The output that says which tasks failed."""
PARTIAL = "partial"
"""The request parameter that asks for it."""
_PREFIXES = re.compile(r"^(in ensemble '[^']*', |\[request id: [^\]]*\] )+")
_UNAVAILABLE = (
    "Exceeds maximum queue size", admission.EXPIRED, "Server is stopping", "Server not ready", "the server is busy"
)  # fmt: skip
"""Words of Triton, and of a branch, that say: not now."""
_MAX_TIMEOUT_US = 2**63 - 1


def read_branches(config: Mapping[str, Any]) -> tuple[admission.Branch, ...]:
    """The branches of a model configuration.

    Raises:
        ValueError: A branch does not say its task or names a tensor that the model does not have, an output does not
            come from just one branch, or the order is not that of the branches.
    """
    parameters = {key: value["string_value"] for key, value in config.get("parameters", {}).items()}
    shares = {key.removeprefix("branch."): json.loads(text) for key, text in parameters.items() if key[:7] == "branch."}
    for model, share in shares.items():
        if missing := [key for key in ("task", "inputs", "outputs") if key not in share]:
            raise ValueError(
                f"parameter branch.{model} lacks {', '.join(missing)}: write the configurations anew with "
                "`python -m export configs`"
            )
    order = [name.strip() for name in parameters["order"].split(",")] if "order" in parameters else sorted(shares)
    if sorted(order) != sorted(shares):
        raise ValueError(f"parameter order names {order}, but the branches are {sorted(shares)}")
    branches = [
        admission.Branch(
            model=model,
            task=shares[model]["task"],
            inputs=tuple(shares[model]["inputs"]),
            outputs=tuple(shares[model]["outputs"]),
            parameter=shares[model].get("parameter", ""),
        )
        for model in order
    ]
    tasks = [branch.task for branch in branches]
    if len(set(tasks)) != len(tasks):
        raise ValueError(f"each branch has a task of its own, but the tasks are {tasks}")
    inputs = {tensor["name"] for tensor in config["input"]}
    if unknown := sorted({name for branch in branches for name in branch.inputs} - inputs):
        raise ValueError(f"the branches take {unknown}, but the inputs are {sorted(inputs)}")
    outputs = sorted(tensor["name"] for tensor in config["output"] if tensor["name"] != FAILED)
    given = sorted(name for branch in branches for name in branch.outputs)
    if given != outputs:
        raise ValueError(f"the branches give {given}, but the outputs are {outputs}: each must come from one branch")
    return tuple(branches)


def read_limits(config: Mapping[str, Any]) -> admission.Limits:
    """The limits of a model configuration.

    Raises:
        ValueError: One is not a number above 0.
    """
    given = {key: value["string_value"] for key, value in config.get("parameters", {}).items()}
    numbers = {"max_running": "16", "max_wait_ms": "500", "max_waiting": "256"}
    for key in numbers:
        numbers[key] = given.get(key, numbers[key]).strip()
        if not numbers[key].isdecimal() or int(numbers[key]) < 1:
            raise ValueError(f"parameter {key} is a whole number from 1, not {numbers[key]!r}")
    return admission.Limits(
        max_running=int(numbers["max_running"]),
        max_wait_s=int(numbers["max_wait_ms"]) / 1e3,
        max_waiting=int(numbers["max_waiting"]),
    )


def read_timeout_s(parameters: str, timeout_us: int, now_s: float) -> float:
    """How long an answer may take, 0 for without limit: the request's time-out, or what is left until its deadline.

    Args:
        parameters: The request's parameters as a JSON object; empty when it has none.
        timeout_us: Its time-out as Triton tells it; 0 for none.
        now_s: The time on the monotonic clock.
    """
    deadline_us = json.loads(parameters).get(wanted.DEADLINE) if wanted.DEADLINE in parameters else None
    limits_s = [timeout_us / 1e6] if timeout_us else []
    if isinstance(deadline_us, int):
        limits_s.append(max(1e-6, deadline_us / 1e6 - now_s))  # 0 would be no limit
    return min(limits_s, default=0.0)


def failed_json(failed: Mapping[str, Exception]) -> bytes:
    """What the output ``failed`` holds: each task with its reason, without what Triton writes before it."""
    reasons = {task: _PREFIXES.sub("", str(error)) for task, error in failed.items()}
    return json.dumps(reasons).encode()


def error_code(error: Exception) -> str:
    """The name of the code of a failure: Triton hands on only a branch's words when a backend asks a model."""
    message = str(error)
    if isinstance(error, admission.CancelledError) or wanted.LEFT in message:
        return "CANCELLED"
    if isinstance(error, admission.BadInputError) or "bad input: " in message:
        return "INVALID_ARG"
    unavailable = isinstance(error, admission.BusyError | admission.StoppingError)
    if unavailable or any(words in message for words in _UNAVAILABLE):
        return "UNAVAILABLE"
    return "INTERNAL"


def handed_on(call: admission.Call) -> dict[str, int]:
    """The parameters of what is asked for a call: whatever a branch asks in its turn must know them too.

    Triton keeps no time-outs in queues without a policy, and cancels nothing that a backend has asked.
    """
    parameters = {} if call.ticket is None else {wanted.TICKET: call.ticket}
    if call.timeout_s:
        parameters[wanted.DEADLINE] = min(int(1e6 * (call.came_s + call.timeout_s)), _MAX_TIMEOUT_US)
    return parameters


def _ask(
    branches: Sequence[admission.Branch], branch: admission.Branch, call: admission.Call, outputs: Sequence[str]
) -> Sequence[Any]:
    left_s = call.left_s(time.monotonic())
    if left_s <= 0:
        raise TimeoutError(admission.EXPIRED)
    request = pb_utils.InferenceRequest(
        model_name=branch.model,
        inputs=[call.inputs[name] for name in branch.inputs if name in call.inputs],
        requested_output_names=list(outputs),
        timeout=min(max(1, int(1e6 * left_s)), _MAX_TIMEOUT_US) if call.timeout_s else 0,  # 0 is no limit
        parameters={**handed_on(call), **on_request.notes_for(branch, call, branches)},
        **({"trace": call.trace} if call.trace else {}),
    )
    response = request.exec()
    if response.has_error():
        raise RuntimeError(response.error().message())
    return list(response.output_tensors())


class TritonPythonModel:
    """The interface that Triton's Python backend calls."""

    def initialize(self, args: Mapping[str, str]) -> None:
        """Read the branches; a failure here is a model that does not load."""
        check_numpy()
        config = json.loads(args["model_config"])
        self._needed = [tensor["name"] for tensor in config["input"] if not tensor.get("optional")]
        self._board = wanted.open_board()
        self._branches = read_branches(config)
        self._fan_out = admission.FanOut(self._branches, partial(_ask, self._branches), read_limits(config))

    def execute(self, requests: Sequence[Any]) -> None:
        """Start a batch of requests; each one answers through its own response sender."""
        traced = []
        for request in requests:
            sender = request.get_response_sender()
            answered = threading.Event()
            inputs = {tensor.name(): tensor for tensor in request.inputs()}
            outputs = frozenset(request.requested_output_names())
            # Every input has a row for each article.
            rows = next(iter(inputs.values())).shape()[0] if FAILED in outputs else 0
            answer = _answer(sender, answered, rows)
            try:
                came_s, parameters = time.monotonic(), request.parameters()
                ticket, _ = wanted.read_notes(parameters)
                # The door tells on the board who has left, and goes on waiting for Triton's answer.
                is_cancelled = sender.is_cancelled if ticket is None else partial(self._board.has_left, ticket)
                if is_cancelled():
                    raise admission.CancelledError(wanted.LEFT)
                if missing := [name for name in self._needed if name not in inputs]:  # Triton only counts them
                    raise admission.BadInputError(f"a request needs the inputs {self._needed}, but lacks {missing}")
                trace = request.trace()
                call = admission.Call(
                    inputs=inputs,
                    wanted=on_request.wanted_outputs(outputs, self._branches, parameters),
                    answer=answer,
                    partial=on_request.read_flag(parameters, PARTIAL),
                    timeout_s=read_timeout_s(parameters, request.timeout(), came_s),
                    came_s=came_s,
                    ticket=ticket,
                    is_cancelled=is_cancelled,
                    trace=trace if trace.get_context() else None,
                )
                self._fan_out.submit(call)
            except Exception as error:  # the answer of this request; the others of the batch go on
                answer(error)
            else:
                if call.trace:
                    traced.append(answered)
        # Triton 2.51 gives a request's trace away when this function returns, and crashes when a branch still writes
        # into it. So traced requests run one after another.
        for answered in traced:
            answered.wait()

    def finalize(self) -> None:
        """Refuse the requests that wait, and wait for those that run."""
        self._fan_out.close()


def _answer(sender: Any, answered: threading.Event, rows: int) -> Callable[[admission.Answer | Exception], None]:
    """What sends the answer of a request.

    Args:
        sender: The request's response sender.
        answered: Set in the end, however the sending went.
        rows: How many articles the request has, or 0 when it does not want the output ``failed``.
    """

    def answer(result: admission.Answer | Exception) -> None:
        try:
            try:
                response = _response(result, rows)
            except Exception as error:  # whatever goes wrong, the caller hears of it
                response = _response(error, rows)
            sender.send(response, flags=pb_utils.TRITONSERVER_RESPONSE_COMPLETE_FINAL)
        finally:
            answered.set()

    return answer


def _response(result: admission.Answer | Exception, rows: int) -> Any:
    if isinstance(result, Exception):
        message = f"bad input: {result}" if isinstance(result, admission.BadInputError) else str(result)
        code = getattr(pb_utils.TritonError, error_code(result))
        return pb_utils.InferenceResponse(error=pb_utils.TritonError(message, code))
    outputs = list(result.outputs)
    if rows and result.failed is not None:
        reasons = np.full((rows, 1), failed_json(result.failed), dtype=np.object_)
        outputs.append(pb_utils.Tensor(FAILED, reasons))
    return pb_utils.InferenceResponse(output_tensors=outputs)
