"""What the launcher and the supervisor ask of Triton over gRPC.

Every call comes back at once as a future, so that one thread can watch several things and none of them can hold it up.
`Asked` asks again and again.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import grpc
from tritonclient.grpc import service_pb2, service_pb2_grpc

Future = Any
"""A ``grpc.Future``: ``done()``, ``result()``, which raises ``grpc.RpcError``, and ``cancel()``."""

METADATA_PREFIX: Final = "triton-grpc-protocol-"
"""What Triton wants before the name of the header that opens its management APIs."""
_OPTIONS: Final = (
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 500),
    ("grpc.use_local_subchannel_pool", 1),  # a Triton that comes back is not refused for the sake of the last one
    ("grpc.max_receive_message_length", -1),
    ("grpc.enable_http_proxy", 0),
)


@dataclass(frozen=True, kw_only=True)
class IndexEntry:
    """A version of a model as Triton's index has it; a model that was never loaded has no version and no state."""

    model: str
    version: str
    state: str
    """``READY``, ``LOADING``, ``UNLOADING``, ``UNAVAILABLE``, ``UNKNOWN`` or empty."""
    reason: str


class TritonClient:
    """A channel to one Triton server.

    Args:
        address: Such as ``127.0.0.1:8001``.
        admin: Name and value of the header that opens the management APIs.
    """

    def __init__(self, address: str, admin: tuple[str, str]) -> None:
        self._channel = grpc.insecure_channel(address, options=_OPTIONS)
        self._stub = service_pb2_grpc.GRPCInferenceServiceStub(self._channel)
        self._admin = ((f"{METADATA_PREFIX}{admin[0]}", admin[1]),)

    def close(self) -> None:
        """Give up the channel; calls that are out are cancelled."""
        self._channel.close()

    def live(self, timeout_s: float) -> Future:
        """Whether Triton answers at all."""
        return self._stub.ServerLive.future(service_pb2.ServerLiveRequest(), timeout=timeout_s)

    def index(self, timeout_s: float) -> Future:
        """What is loaded; for `read_index`."""
        request = service_pb2.RepositoryIndexRequest()
        return self._stub.RepositoryIndex.future(request, timeout=timeout_s, metadata=self._admin)

    def statistics(self, timeout_s: float) -> Future:
        """Counts and times of every model."""
        return self._stub.ModelStatistics.future(service_pb2.ModelStatisticsRequest(), timeout=timeout_s)

    def config(self, model: str, timeout_s: float) -> Future:
        """The configuration under which a model is served, in ``config`` of the answer."""
        return self._stub.ModelConfig.future(service_pb2.ModelConfigRequest(name=model), timeout=timeout_s)

    def load(self, model: str, timeout_s: float, config: Mapping[str, Any] | None = None) -> Future:
        """Load a model, under ``config`` instead of its file if that is given."""
        request = service_pb2.RepositoryModelLoadRequest(model_name=model)
        if config is not None:
            request.parameters["config"].string_param = json.dumps(config)
        return self._stub.RepositoryModelLoad.future(request, timeout=timeout_s, metadata=self._admin)

    def infer(self, request: Any, timeout_s: float) -> Future:
        """An inference."""
        return self._stub.ModelInfer.future(request, timeout=timeout_s)


@dataclass
class Asked:
    """A question that is asked again and again, one at a time."""

    ask: Callable[[], Future]
    every_s: float
    asked_s: float = float("-inf")
    question: Future = None
    answered_s: float = float("-inf")
    """When the question was asked that was answered last."""
    unanswered: int = 0
    """Times in a row that no answer came."""

    def poll(self, now_s: float) -> Any:
        """The answer, if one has come since the last call; asks anew when that is due."""
        answer = None
        if self.question is not None and self.question.done():
            try:
                answer, self.unanswered = self.question.result(), 0
                self.answered_s = self.asked_s
            except (grpc.RpcError, grpc.FutureCancelledError):
                self.unanswered += 1
            self.question = None
        if self.question is None and now_s - self.asked_s >= self.every_s:
            self.question, self.asked_s = self.ask(), now_s
        return answer

    def waiting_s(self, now_s: float) -> float:
        """How long the question that is out has waited; 0 when none is."""
        return 0.0 if self.question is None else now_s - self.asked_s


def is_live(client: TritonClient, timeout_s: float) -> bool:
    """Whether Triton says that it lives, after waiting for its answer."""
    try:
        return bool(client.live(timeout_s).result().live)
    except grpc.RpcError:
        return False


def read_index(answer: Any) -> list[IndexEntry]:
    """The entries of an answer of `TritonClient.index`."""
    return [
        IndexEntry(model=entry.name, version=entry.version, state=entry.state, reason=entry.reason)
        for entry in answer.models
    ]


def words_of(error: Exception) -> str:
    """What a failed call says, in one line."""
    details = error.details() if isinstance(error, grpc.RpcError) and hasattr(error, "details") else str(error)
    return " ".join((details or type(error).__name__).split())
