"""Loopback servers that speak Triton's two protocols and answer with what a `FakeTransport` says.

They are no Triton: they exist to test how the transports encode, decode and fail.
"""

from __future__ import annotations

import contextlib
import json
import socket
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import grpc
import numpy as np
from numpy.typing import NDArray
from tritonclient.grpc import service_pb2, service_pb2_grpc
from tritonclient.utils import deserialize_bytes_tensor, serialize_byte_tensor

from infolens import (
    AuthenticationError,
    PermissionDeniedError,
    RateLimitedError,
    RequestRejectedError,
    ServerError,
    ServerOverloadedError,
    ServerUnavailableError,
)
from infolens.testing import FakeTransport, InferRequest

_CODES: dict[type[ServerError], tuple[int, grpc.StatusCode, str]] = {
    AuthenticationError: (401, grpc.StatusCode.UNAUTHENTICATED, "this server wants an API key"),
    PermissionDeniedError: (403, grpc.StatusCode.PERMISSION_DENIED, "this needs the role admin"),
    RateLimitedError: (429, grpc.StatusCode.RESOURCE_EXHAUSTED, "the key desk has used its 10 requests a minute"),
    ServerOverloadedError: (503, grpc.StatusCode.UNAVAILABLE, "Exceeds maximum queue size"),
    ServerUnavailableError: (
        503,
        grpc.StatusCode.UNAVAILABLE,
        "the inference server does not answer now: send the request again in a moment (failed to connect to all)",
    ),
}
_TYPES: dict[str, Any] = {"INT32": np.int32, "FP32": np.float32}


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _array(dtype: str, shape: list[int], data: bytes) -> NDArray[Any]:
    if dtype == "BYTES":
        return np.asarray(deserialize_bytes_tensor(data)).reshape(shape)
    return np.frombuffer(data, dtype=_TYPES[dtype]).reshape(shape)


def _told(arrays: Any) -> dict[str, str]:
    """What a server says beside an answer that can be rated."""
    return {} if arrays.prediction is None else {"Infolens-Prediction": arrays.prediction}


def _dtype(array: NDArray[Any]) -> str:
    return "BYTES" if array.dtype == object else {"int32": "INT32", "float32": "FP32"}[array.dtype.name]


def _raw(array: NDArray[Any]) -> bytes:
    return bytes(serialize_byte_tensor(array).item()) if array.dtype == object else array.tobytes()


@contextlib.contextmanager
def http_server(
    fake: FakeTransport,
    *,
    hold: threading.Event | None = None,
    drop: bool = False,
    seen: list[dict[str, str]] | None = None,
    extract: Callable[[str, bytes], tuple[int, dict[str, Any]]] | None = None,
) -> Iterator[str]:
    """Serve over HTTP until the block ends.

    With ``hold``, inference waits for that event; with ``drop``, every connection is closed after one answer, without
    a word about it in the answer; ``seen`` gets the headers of every request. ``extract`` gives status and document of
    ``/v1/extract``, for what follows that path and for the body.
    """

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_: Any) -> None:
            """Keep the test's output clean."""

        def _answer(self, status: int, body: bytes, headers: dict[str, str] | None = None) -> None:
            self.send_response(status)
            for name, value in {**(headers or {}), "Content-Length": str(len(body))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)
            self.close_connection = drop

        def parse_request(self) -> bool:
            parsed = super().parse_request()
            if seen is not None and parsed:
                seen.append({name.lower(): value for name, value in self.headers.items()})
            return parsed

        def do_GET(self) -> None:
            if self.path == "/v2":
                self._answer(200, b'{"name": "triton", "version": "9.9", "extensions": []}')
            else:
                self._answer(200 if fake.probe([], timeout_s=1).ready else 400, b"")

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            if self.path.startswith("/v1/"):
                code, document = (404, {"error": "Not Found"})
                if extract is not None and self.path.startswith("/v1/extract"):
                    code, document = extract(self.path.removeprefix("/v1/extract"), body)
                self._answer(code, json.dumps(document).encode())
                return
            split = int(self.headers["Inference-Header-Content-Length"])
            header, raw = json.loads(body[:split]), body[split:]
            inputs = {}
            for tensor in header["inputs"]:
                size = tensor["parameters"]["binary_data_size"]
                inputs[tensor["name"]] = _array(tensor["datatype"], tensor["shape"], raw[:size])
                raw = raw[size:]
            if hold is not None:
                hold.wait(10)
            parameters = header["parameters"]
            timeout_s = parameters.pop("timeout") / 1e6
            outputs = tuple(output["name"] for output in header["outputs"])
            model = self.path.split("/")[3]
            request = InferRequest(model=model, inputs=inputs, outputs=outputs, parameters=parameters)
            try:
                arrays = fake.infer(request, timeout_s=timeout_s)
            except tuple(_CODES) as error:
                code, _, words = _CODES[type(error)]
                wait = {} if error.retry_after_s is None else {"Retry-After": f"{error.retry_after_s:.0f}"}
                self._answer(code, json.dumps({"error": words}).encode(), {"X-Request-Id": "r-7", **wait})
                return
            except RequestRejectedError as error:
                self._answer(400, json.dumps({"error": f"in ensemble 'info_lens', {error}"}).encode())
                return
            blobs = {name: _raw(array) for name, array in arrays.items()}
            tensors = [
                {
                    "name": name,
                    "datatype": _dtype(array),
                    "shape": list(array.shape),
                    "parameters": {"binary_data_size": len(blobs[name])},
                }
                for name, array in arrays.items()
            ]
            head = json.dumps({"model_name": request.model, "outputs": tensors}).encode()
            headers = {"Inference-Header-Content-Length": str(len(head)), **_told(arrays)}
            self._answer(200, head + b"".join(blobs.values()), headers)

    class Server(ThreadingHTTPServer):
        def handle_error(self, *_: Any) -> None:
            """A client that went away is what some tests are about."""

    server = Server(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        if hold is not None:
            hold.set()
        server.shutdown()
        thread.join()
        server.socket.close()


class _Servicer(service_pb2_grpc.GRPCInferenceServiceServicer):  # type: ignore[misc]
    def __init__(
        self, fake: FakeTransport, hold: threading.Event | None, seen: list[dict[str, str]] | None = None
    ) -> None:
        self._fake = fake
        self._hold = hold
        self._seen = seen

    def ServerLive(self, request: Any, context: Any) -> Any:  # noqa: N802
        return service_pb2.ServerLiveResponse(live=True)

    def ServerReady(self, request: Any, context: Any) -> Any:  # noqa: N802
        return service_pb2.ServerReadyResponse(ready=True)

    def ModelReady(self, request: Any, context: Any) -> Any:  # noqa: N802
        return service_pb2.ModelReadyResponse(ready=self._fake.probe([], timeout_s=1).ready)

    def ServerMetadata(self, request: Any, context: Any) -> Any:  # noqa: N802
        return service_pb2.ServerMetadataResponse(name="triton", version="9.9")

    def ModelInfer(self, request: Any, context: Any) -> Any:  # noqa: N802
        if self._seen is not None:
            self._seen.append(dict(context.invocation_metadata()))
        if self._hold is not None:
            self._hold.wait(10)
        inputs = {
            tensor.name: _array(tensor.datatype, list(tensor.shape), raw)
            for tensor, raw in zip(request.inputs, request.raw_input_contents, strict=True)
        }
        infer = InferRequest(
            model=request.model_name,
            inputs=inputs,
            outputs=tuple(output.name for output in request.outputs),
            parameters={name: value.bool_param for name, value in request.parameters.items() if name != "timeout"},
        )
        try:
            arrays = self._fake.infer(infer, timeout_s=request.parameters["timeout"].int64_param / 1e6)
        except tuple(_CODES) as error:
            _, code, words = _CODES[type(error)]
            wait = () if error.retry_after_s is None else (("retry-after", f"{error.retry_after_s:.0f}"),)
            context.set_trailing_metadata((("x-request-id", "r-7"), *wait))
            context.abort(code, words)
        except RequestRejectedError as error:
            context.abort(grpc.StatusCode.INVALID_ARGUMENT, f"in ensemble 'info_lens', {error}")
        context.set_trailing_metadata(tuple((name.lower(), value) for name, value in _told(arrays).items()))
        response = service_pb2.ModelInferResponse(model_name=request.model_name)
        for name, array in arrays.items():
            response.outputs.add(name=name, datatype=_dtype(array), shape=array.shape)
            response.raw_output_contents.append(_raw(array))
        return response


@contextlib.contextmanager
def grpc_server(
    fake: FakeTransport,
    *,
    hold: threading.Event | None = None,
    address: str = "127.0.0.1:0",
    seen: list[dict[str, str]] | None = None,
) -> Iterator[str]:
    """Serve over gRPC until the block ends; arguments as in `http_server`, ``seen`` for inferences alone."""
    with ThreadPoolExecutor(8) as executor:
        server = grpc.server(executor)
        service_pb2_grpc.add_GRPCInferenceServiceServicer_to_server(_Servicer(fake, hold, seen), server)
        port = server.add_insecure_port(address)
        server.start()
        try:
            yield f"grpc://127.0.0.1:{port}"
        finally:
            if hold is not None:
                hold.set()
            server.stop(None).wait()
