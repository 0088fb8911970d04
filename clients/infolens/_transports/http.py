"""HTTP, blocking: the encoding of ``tritonclient.http`` over the connections of the standard library.

``tritonclient.http`` sends through gevent, whose connections must stay in the thread that made them, and its calls
take no time-out of their own. Its encoding of requests and answers has neither problem, so that is what is used.
"""

from __future__ import annotations

import http.client
import json
import socket
import ssl
import threading
import time
from collections.abc import Callable, Collection, Mapping
from types import MappingProxyType
from typing import Any
from urllib.parse import quote

import numpy as np
import tritonclient.http
from numpy.typing import NDArray
from tritonclient.utils import InferenceServerException, np_to_triton_dtype

from infolens._values.predictions import read_prediction
from infolens.errors import InvalidSettingError, ServerError, UnexpectedResponseError
from infolens.types import ServerStatus

from .about import MODELS_PATH, READY_PATH, with_about
from .base import ConnectionSettings, InferRequest, JSONAnswer, JSONRequest, timeout_us
from .failures import no_answer, read_seconds, to_error, unreachable, wrong_protocol
from .told import Outputs
from .traces import read_trace_id, trace_headers
from .url import ServerURL

_NO_HTTP = (http.client.BadStatusLine, http.client.LineTooLong, http.client.UnknownProtocol)
"""What comes of an answer in another protocol."""
_LENGTH_HEADER = "Inference-Header-Content-Length"


def encode(
    request: InferRequest, timeout_s: float, own: Mapping[str, str] = MappingProxyType({})
) -> tuple[str, bytes, dict[str, str]]:
    """Path, body and headers of an inference request; ``own`` are those that the caller has sent with each."""
    inputs = []
    for name, array in request.inputs.items():
        tensor = tritonclient.http.InferInput(name, list(array.shape), np_to_triton_dtype(array.dtype))
        inputs.append(tensor.set_data_from_numpy(array, binary_data=True))
    outputs = [tritonclient.http.InferRequestedOutput(name, binary_data=True) for name in request.outputs]
    body, json_bytes = tritonclient.http.InferenceServerClient.generate_request_body(
        inputs, outputs=outputs, timeout=timeout_us(timeout_s), parameters=dict(request.parameters)
    )
    headers = {"Content-Type": "application/octet-stream", **trace_headers(own)}
    if json_bytes is not None:
        headers[_LENGTH_HEADER] = str(json_bytes)
    return f"/v2/models/{quote(request.model)}/infer", body, headers


def decode(request: InferRequest, body: bytes, headers: Mapping[str, str]) -> Outputs:
    """The tensors of an answer.

    Raises:
        UnexpectedResponseError: The answer cannot be read.
    """
    length = next((value for name, value in headers.items() if name.lower() == _LENGTH_HEADER.lower()), None)
    try:
        result = tritonclient.http.InferenceServerClient.parse_response_body(
            body, header_length=None if length is None else int(length)
        )
        arrays = {name: result.as_numpy(name) for name in request.outputs}
    except (ValueError, KeyError, TypeError, AttributeError, InferenceServerException) as error:
        raise UnexpectedResponseError(f"the answer of {request.model} cannot be read: {error}") from error
    read = {name: np.asarray(array) for name, array in arrays.items() if array is not None}
    return Outputs(read, trace_id=read_trace_id(headers), prediction=read_prediction(headers))


def refusal(status: int, body: bytes, headers: Mapping[str, str], *, server: str, timeout_s: float) -> ServerError:
    """The error for an answer whose status is not 200."""
    known = {name.lower(): value for name, value in headers.items()}
    try:
        message = str(json.loads(body)["error"])
    except (ValueError, KeyError, TypeError):
        message = body[:200].decode(errors="replace")
    error = to_error(
        code=str(status),
        message=message,
        server=server,
        timeout_s=timeout_s,
        retry_after_s=read_seconds(known.get("retry-after")),
        request_id=known.get("x-request-id"),
    )
    error.trace_id = read_trace_id(headers)
    return error


def read_version(body: bytes, server: str) -> str:
    """Name and version out of the answer to ``/v2``.

    Raises:
        UnexpectedResponseError: It is not the answer of an inference server.
    """
    try:
        metadata = json.loads(body)
        return f"{metadata['name']} {metadata['version']}"
    except (ValueError, KeyError, TypeError) as error:
        raise UnexpectedResponseError(
            f"{server} speaks HTTP, but does not answer /v2 as an inference server does; check the address"
        ) from error


def configuration_path(model: str) -> str:
    """Where a server tells the configuration of a model."""
    return f"/v2/models/{quote(model)}/config"


def read_configuration(status: int, body: bytes) -> Mapping[str, Any]:
    """The configuration out of the answer to `configuration_path`; empty where there is none."""
    try:
        document = json.loads(body) if status == 200 else {}
    except ValueError:
        return {}
    return document if isinstance(document, dict) else {}


def tls_context(url: ServerURL, settings: ConnectionSettings) -> ssl.SSLContext | None:
    """What checks the server's certificate; None without TLS.

    Raises:
        InvalidSettingError: The certificates cannot be read.
    """
    if not url.is_encrypted:
        return None
    try:
        return ssl.create_default_context(cafile=settings.root_certificates)
    except OSError as error:
        raise InvalidSettingError(
            f"root_certificates must be a PEM file, but {settings.root_certificates} cannot be read: {error}"
        ) from error


class HTTPTransport:
    """A blocking HTTP transport: keep-alive connections that are lent to one thread at a time."""

    def __init__(self, url: ServerURL, settings: ConnectionSettings) -> None:
        self._url = url
        self._headers = dict(settings.headers)
        context = tls_context(url, settings)
        self._connect: Callable[[], http.client.HTTPConnection]
        if context is None:
            self._connect = lambda: http.client.HTTPConnection(url.host, url.port)
        else:
            self._connect = lambda: http.client.HTTPSConnection(url.host, url.port, context=context)
        self._lock = threading.Lock()
        self._idle: list[http.client.HTTPConnection] = []
        self._lent: set[http.client.HTTPConnection] = set()
        self._closed = False
        self.server = str(url)
        """Its address, as messages have it."""

    def infer(self, request: InferRequest, *, timeout_s: float) -> Mapping[str, NDArray[Any]]:
        """See `Transport.infer`."""
        path, body, headers = encode(request, timeout_s, self._headers)
        status, answer, answer_headers = self._exchange("POST", path, body, headers, timeout_s)
        if status != 200:
            raise refusal(status, answer, answer_headers, server=str(self._url), timeout_s=timeout_s)
        return decode(request, answer, answer_headers)

    def probe(self, models: Collection[str], *, timeout_s: float) -> ServerStatus:
        """See `Transport.probe`."""

        def get(path: str) -> tuple[int, bytes, Mapping[str, str]]:
            return self._exchange("GET", path, None, {}, timeout_s)

        live = get("/v2/health/live")[0] == 200
        code, body, headers = get("/v2")
        if code != 200:
            raise refusal(code, body, headers, server=str(self._url), timeout_s=timeout_s)
        status = ServerStatus(
            live=live,
            server_ready=get("/v2/health/ready")[0] == 200,
            version=read_version(body, str(self._url)),
            models={model: get(f"/v2/models/{quote(model)}/ready")[0] == 200 for model in models},
        )
        return with_about(status, get(READY_PATH)[1], get(MODELS_PATH)[1])

    def configuration(self, model: str, *, timeout_s: float) -> Mapping[str, Any]:
        """See `Transport.configuration`."""
        status, body, _ = self._exchange("GET", configuration_path(model), None, {}, timeout_s)
        return read_configuration(status, body)

    def send(self, request: JSONRequest, *, timeout_s: float) -> JSONAnswer:
        """See `JSONTransport.send`."""
        return self._exchange(request.method, request.path, request.body, request.headers, timeout_s)

    def close(self) -> None:
        """See `Transport.close`."""
        with self._lock:
            self._closed = True
            idle, self._idle = self._idle, []
            lent = list(self._lent)
        for connection in idle:
            connection.close()
        for connection in lent:
            # The thread that uses it closes it; this only wakes that thread.
            if connection.sock is not None:
                try:
                    connection.sock.shutdown(socket.SHUT_RDWR)
                except OSError:
                    continue

    def _borrow(self) -> tuple[http.client.HTTPConnection, bool]:
        with self._lock:
            reused = bool(self._idle)
            connection = self._idle.pop() if reused else self._connect()
            self._lent.add(connection)
        return connection, reused

    def _give_back(self, connection: http.client.HTTPConnection, *, usable: bool) -> None:
        with self._lock:
            self._lent.discard(connection)
            if usable and not self._closed:
                self._idle.append(connection)
                return
        connection.close()

    def _exchange(
        self, method: str, path: str, body: bytes | None, headers: Mapping[str, str], timeout_s: float
    ) -> tuple[int, bytes, Mapping[str, str]]:
        end_s = time.monotonic() + timeout_s
        while True:
            connection, reused = self._borrow()
            usable = False
            try:
                connection.timeout = max(1e-3, end_s - time.monotonic())
                if connection.sock is not None:
                    connection.sock.settimeout(connection.timeout)
                connection.request(method, self._url.path + path, body=body, headers={**self._headers, **headers})
                response = connection.getresponse()
                answer = response.read()
                usable = not response.will_close
                return response.status, answer, dict(response.headers)
            except TimeoutError as error:
                raise no_answer(str(self._url), timeout_s) from error
            except (http.client.HTTPException, OSError) as error:
                if isinstance(error, _NO_HTTP) and not isinstance(error, http.client.RemoteDisconnected):
                    raise wrong_protocol(str(self._url)) from None  # the error holds what the peer sent
                # A server may close a kept connection at any time: that alone is no reason to fail.
                if reused and not self._closed:
                    continue
                reason = error if str(error) else type(error).__name__
                raise unreachable(str(self._url), reason) from error
            finally:
                self._give_back(connection, usable=usable)
