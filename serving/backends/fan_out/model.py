"""Triton backend ``fan_out``: one request in, several models asked in parallel, all their outputs in one answer.

An ensemble can do this too, but one with parallel branches loses answers or crashes Triton 2.51 when a branch fails (a
full queue, a time-out, a caller who has left) while another one runs. Here a branch that fails is a value like any
other: the answer is its error. Requests do not wait for one another: each one answers through its response sender when
its last branch is done.

Only so many requests run as keep the models busy. Others wait here, where the time that each will wait is known: one
that would wait too long, or past its own time-out, is refused at once, and one whose caller has left or whose time is
up is dropped before any model sees it.

Parameters of ``config.pbtxt`` (``string_value`` each):

* ``branch.<model>``: JSON ``{"inputs": [...], "outputs": [...]}``, what the model takes of the inputs and gives of the
  outputs. An optional input goes on when the request has it; a branch is left out when the request wants none of its
  outputs.
* ``order``: the models, those first that take longest, separated by commas. Default: by name.
* ``max_running``: requests whose branches are asked at the same time. Default: 16.
* ``max_wait_ms``: a request that would have to wait longer than this before it runs is refused, unless fewer wait than
  may run: a model that takes seconds has a queue too. Default: 500.
* ``max_waiting``: requests beyond this number are refused, however short the wait. Default: 256.
"""

from __future__ import annotations

import json
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import triton_python_backend_utils as pb_utils

EXPIRED = "Request timeout expired"
"""Triton's own words for a request whose time was up before it ran."""


@dataclass(frozen=True, kw_only=True)
class Branch:
    """A model that is asked, with its share of the inputs and outputs."""

    model: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]


def read_branches(config: Mapping[str, Any]) -> tuple[Branch, ...]:
    """The branches of a model configuration.

    Raises:
        ValueError: A branch names a tensor that the model has not, an output does not come from just one branch, or the
            order is not that of the branches.
    """
    parameters = {key: value["string_value"] for key, value in config.get("parameters", {}).items()}
    shares = {key.removeprefix("branch."): json.loads(text) for key, text in parameters.items() if key[:7] == "branch."}
    order = [name.strip() for name in parameters["order"].split(",")] if "order" in parameters else sorted(shares)
    if sorted(order) != sorted(shares):
        raise ValueError(f"parameter order names {order}, but the branches are {sorted(shares)}")
    branches = [
        Branch(model=model, inputs=tuple(shares[model]["inputs"]), outputs=tuple(shares[model]["outputs"]))
        for model in order
    ]
    inputs = {tensor["name"] for tensor in config["input"]}
    outputs = sorted(tensor["name"] for tensor in config["output"])
    if unknown := sorted({name for branch in branches for name in branch.inputs} - inputs):
        raise ValueError(f"the branches take {unknown}, but the inputs are {sorted(inputs)}")
    given = sorted(name for branch in branches for name in branch.outputs)
    if given != outputs:
        raise ValueError(f"the branches give {given}, but the outputs are {outputs}: each must come from one branch")
    return tuple(branches)


@dataclass(frozen=True, kw_only=True)
class Limits:
    """How much is taken on at once."""

    max_running: int = 16
    max_wait_s: float = 0.5
    max_waiting: int = 256


def read_limits(config: Mapping[str, Any]) -> Limits:
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
    return Limits(
        max_running=int(numbers["max_running"]),
        max_wait_s=int(numbers["max_wait_ms"]) / 1e3,
        max_waiting=int(numbers["max_waiting"]),
    )


class BusyError(Exception):
    """The request cannot be served in time; the message says how long it would have waited."""


class CancelledError(Exception):
    """The caller has left."""


@dataclass(frozen=True, kw_only=True)
class Call:
    """One request, as it came."""

    inputs: Mapping[str, Any]
    """By name; optional ones may be absent."""
    wanted: frozenset[str]
    """Names of the outputs that it asks for."""
    answer: Callable[[Sequence[Any] | Exception], None]
    """Called once, from another thread, with all outputs or the first branch's error."""
    timeout_s: float = 0.0
    """Time that its caller gives it; 0 is no limit."""
    is_cancelled: Callable[[], bool] = lambda: False
    trace: Any = None
    """Where its spans go; None for a request that is not traced."""
    came_s: float = field(default_factory=time.monotonic)

    def left_s(self) -> float:
        """Seconds until its time is up, infinite without a limit."""
        return self.came_s + self.timeout_s - time.monotonic() if self.timeout_s else float("inf")


class FanOut:
    """Asks the branches of many requests at once: the whole backend, without Triton.

    Args:
        branches: The models to ask.
        ask: Asks one branch, blocking: takes the branch, the call and the outputs that are wanted, and returns these
            outputs; raises what the answer is to fail with.
        limits: How much is taken on at once.
    """

    def __init__(
        self,
        branches: Sequence[Branch],
        ask: Callable[[Branch, Call, Sequence[str]], Sequence[Any]],
        limits: Limits,
    ) -> None:
        self._branches = branches
        self._ask = ask
        self._limits = limits
        self._lock = threading.Lock()
        self._running = 0
        self._waiting: deque[Call] = deque()
        self._interval_s = 0.0
        """Seconds from one completed request to the next while many run: a moving average; 0 before the first."""
        # A thread for each branch of each request: none ever waits for a thread, so none of them can wait for ever.
        self._pool = ThreadPoolExecutor(limits.max_running * len(branches), thread_name_prefix="branch")

    def submit(self, call: Call) -> None:
        """Start one request, or let it wait.

        Raises:
            BusyError: It cannot be served in time. ``call.answer`` is not called.
        """
        with self._lock:
            self._admit(call)
            if self._running == self._limits.max_running:
                self._waiting.append(call)
                return
            self._running += 1
        self._start(call)

    def close(self) -> None:
        """Wait for the requests that are under way."""
        self._pool.shutdown()

    def _admit(self, call: Call) -> None:
        waiting, limits = len(self._waiting), self._limits
        wait_s = (waiting + 1) * self._interval_s if self._running == limits.max_running else 0.0
        ahead = f"{self._running + waiting} requests are ahead"
        too_long = wait_s > limits.max_wait_s and waiting >= limits.max_running
        if too_long or waiting >= limits.max_waiting:
            raise BusyError(
                f"the server is busy: {ahead}, a wait of about {1e3 * wait_s:.0f} ms where at most "
                f"{1e3 * limits.max_wait_s:.0f} ms are allowed; try again later"
            )
        # A server that is idle takes anything: else one slow answer could bar all that follow.
        answer_s = (self._running + waiting + 1) * self._interval_s if self._running else 0.0
        if answer_s > call.left_s():
            raise BusyError(
                f"the server is busy: {ahead}, an answer would take about {1e3 * answer_s:.0f} ms and the time-out is "
                f"{1e3 * call.timeout_s:.0f} ms; try again later, or allow more time"
            )

    def _start(self, call: Call) -> None:
        shares = [(branch, [name for name in branch.outputs if name in call.wanted]) for branch in self._branches]
        shares = [(branch, names) for branch, names in shares if names]
        results: list[Sequence[Any] | Exception] = [[]] * len(shares)
        pending = len(shares)
        lock = threading.Lock()
        started_s, beside = time.monotonic(), self._running

        def run(index: int) -> None:
            nonlocal pending
            branch, names = shares[index]
            try:
                results[index] = self._ask(branch, call, names)
            except Exception as error:  # the answer of this request, whatever it is
                results[index] = error
            with lock:
                pending -= 1
                last = pending == 0
            if last:
                answer = _merge(results)
                if not isinstance(answer, Exception):
                    self._learn(time.monotonic() - started_s, beside)
                self._next()
                call.answer(answer)

        for index in range(len(shares)):
            self._pool.submit(run, index)

    def _learn(self, took_s: float, beside: int) -> None:
        """By Little's law: where n requests run and each takes T seconds, one is completed every T / n seconds."""
        with self._lock:
            weight = 0.1 if self._interval_s else 1.0
            self._interval_s += weight * (took_s / max(beside, self._running) - self._interval_s)

    def _next(self) -> None:
        """Give the place of a completed request to the first one that waits and is still wanted."""
        dropped: list[tuple[Call, Exception]] = []
        following = None
        with self._lock:
            while self._waiting and following is None:
                call = self._waiting.popleft()
                if call.is_cancelled():
                    dropped.append((call, CancelledError("the request was cancelled")))
                elif call.left_s() <= 0:
                    dropped.append((call, TimeoutError(EXPIRED)))
                else:
                    following = call
            self._running -= following is None
        for call, error in dropped:
            call.answer(error)
        if following is not None:
            self._start(following)


def _merge(results: Sequence[Sequence[Any] | Exception]) -> Sequence[Any] | Exception:
    outputs: list[Any] = []
    for result in results:
        if isinstance(result, Exception):
            return result
        outputs.extend(result)
    return outputs


def error_code(error: Exception) -> str:
    """The name of the code of a failure: Triton hands on only a branch's words when a backend asks a model."""
    if isinstance(error, CancelledError):
        return "CANCELLED"
    message = str(error)
    if "bad input: " in message:
        return "INVALID_ARG"
    if isinstance(error, BusyError) or any(words in message for words in ("Exceeds maximum queue size", EXPIRED)):
        return "UNAVAILABLE"
    return "INTERNAL"


def _ask(branch: Branch, call: Call, wanted: Sequence[str]) -> Sequence[Any]:
    left_s = call.left_s()
    if left_s <= 0:
        raise TimeoutError(EXPIRED)
    request = pb_utils.InferenceRequest(
        model_name=branch.model,
        inputs=[call.inputs[name] for name in branch.inputs if name in call.inputs],
        requested_output_names=list(wanted),
        timeout=int(1e6 * left_s) if call.timeout_s else 0,
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
        if int(np.__version__.split(".")[0]) >= 2:
            raise RuntimeError(f"numpy {np.__version__} empties every output; the runtime needs numpy below 2")
        config = json.loads(args["model_config"])
        self._fan_out = FanOut(read_branches(config), _ask, read_limits(config))

    def execute(self, requests: Sequence[Any]) -> None:
        """Start a batch of requests; each one answers through its own response sender."""
        traced = []
        for request in requests:
            sender = request.get_response_sender()
            answered = threading.Event()
            trace = request.trace()
            call = Call(
                inputs={tensor.name(): tensor for tensor in request.inputs()},
                wanted=frozenset(request.requested_output_names()),
                answer=_answer(sender, answered),
                timeout_s=request.timeout() / 1e6,
                is_cancelled=sender.is_cancelled,
                trace=trace if trace.get_context() else None,
            )
            if call.trace:
                traced.append(answered)
            try:
                if call.is_cancelled():
                    raise CancelledError("the request was cancelled")
                self._fan_out.submit(call)
            except (BusyError, CancelledError) as error:
                call.answer(error)
        # Triton 2.51 gives a request's trace away when this function returns, and crashes when a branch still writes
        # into it. So traced requests run one after another.
        for answered in traced:
            answered.wait()

    def finalize(self) -> None:
        """Wait for the requests that are under way."""
        self._fan_out.close()


def _answer(sender: Any, answered: threading.Event) -> Callable[[Sequence[Any] | Exception], None]:
    def answer(result: Sequence[Any] | Exception) -> None:
        if isinstance(result, Exception):
            error = pb_utils.TritonError(str(result), getattr(pb_utils.TritonError, error_code(result)))
            response = pb_utils.InferenceResponse(error=error)
        else:
            response = pb_utils.InferenceResponse(output_tensors=list(result))
        sender.send(response, flags=pb_utils.TRITONSERVER_RESPONSE_COMPLETE_FINAL)
        answered.set()

    return answer
