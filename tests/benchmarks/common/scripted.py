"""A gRPC server that answers as a test says: the network's seam of the load generator."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Self

import grpc
from tritonclient.grpc import service_pb2

from benchmarks.common.wire import METHOD

WAIT_S = 30
FAILURES = {
    "busy": (grpc.StatusCode.UNAVAILABLE, "the server is busy: 15 requests are ahead"),
    "full": (grpc.StatusCode.UNAVAILABLE, "[request id: 7] Exceeds maximum queue size"),
    "exhausted": (grpc.StatusCode.RESOURCE_EXHAUSTED, "no memory is left"),
    "expired": (grpc.StatusCode.UNAVAILABLE, "Request timeout expired"),
    "late": (grpc.StatusCode.DEADLINE_EXCEEDED, ""),
    "stopping": (grpc.StatusCode.UNAVAILABLE, "Server is stopping, scheduler for model has stopped"),
    "broken": (grpc.StatusCode.INTERNAL, "ONNX Runtime: broken"),
    "wrong": (grpc.StatusCode.INVALID_ARGUMENT, "text must not be blank"),
}


def text_of(request: service_pb2.ModelInferRequest) -> str:
    """The text of the article of a request; its bytes stand behind their length."""
    names = [tensor.name for tensor in request.inputs]
    return bytes(request.raw_input_contents[names.index("text")][4:]).decode()


class Scripted:
    """Answers each request by what ``script`` makes of it.

    Args:
        script: Returns ``ok``, a key of `FAILURES`, or an event or a barrier, which is waited for before the answer.
    """

    def __init__(self, script: Callable[[service_pb2.ModelInferRequest], Any]) -> None:
        self._script = script
        self._lock = threading.Lock()
        self.requests: list[service_pb2.ModelInferRequest] = []
        self._server = grpc.server(ThreadPoolExecutor(32))
        handler = grpc.unary_unary_rpc_method_handler(self._answer)
        service, method = METHOD.strip("/").split("/")
        self._server.add_generic_rpc_handlers([grpc.method_handlers_generic_handler(service, {method: handler})])
        self.url = f"grpc://127.0.0.1:{self._server.add_insecure_port('127.0.0.1:0')}"

    def __enter__(self) -> Self:
        self._server.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.stop(None).wait(WAIT_S)

    def _answer(self, body: bytes, context: grpc.ServicerContext) -> bytes:
        request = service_pb2.ModelInferRequest.FromString(body)
        with self._lock:
            self.requests.append(request)
            todo = self._script(request)
        if todo in FAILURES:
            context.abort(*FAILURES[todo])
        if todo != "ok":
            todo.wait(WAIT_S)
        return b""
