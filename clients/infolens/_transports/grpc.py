"""gRPC, blocking and asyncio, over ``tritonclient.grpc``."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, Final

import numpy as np
import tritonclient.grpc
import tritonclient.grpc.aio
from numpy.typing import NDArray
from tritonclient.utils import InferenceServerException, np_to_triton_dtype

from infolens._values.predictions import PREDICTION_HEADER, read_prediction
from infolens.errors import (
    InvalidSettingError,
    ModelUnavailableError,
    RequestTimeoutError,
    ServerError,
    ServerUnavailableError,
    UnexpectedResponseError,
)
from infolens.types import ServerStatus

from .base import ConnectionSettings, InferRequest, timeout_us
from .failures import read_seconds, to_error
from .told import Outputs
from .traces import TRACE_HEADER, read_trace_id, trace_headers
from .url import ServerURL

_CLOSED: Final = "on closed channel"
"""Words of gRPC for a call that begins after its channel was closed."""


def _client_arguments(url: ServerURL, settings: ConnectionSettings) -> dict[str, Any]:
    options: list[tuple[str, int | str]] = [
        ("grpc.max_send_message_length", -1),
        ("grpc.max_receive_message_length", -1),
        # gRPC waits a second before it connects again; our own retries are sooner than that.
        ("grpc.initial_reconnect_backoff_ms", 100),
        ("grpc.min_reconnect_backoff_ms", 100),
        ("grpc.max_reconnect_backoff_ms", 5_000),
        # One client's failed connection must not make another's fail at once.
        ("grpc.use_local_subchannel_pool", 1),
        # A name with several addresses is several servers: requests go to each in turn. Its addresses are looked up
        # again when a connection ends, which gRPC by itself does every 30 seconds at most.
        ("grpc.lb_policy_name", "round_robin"),
        ("grpc.dns_min_time_between_resolutions_ms", 1_000),
    ]
    if url.is_loopback:
        options.append(("grpc.enable_http_proxy", 0))
    certificates = settings.root_certificates
    if certificates is not None and not certificates.is_file():
        raise InvalidSettingError(f"root_certificates must be a PEM file, but {certificates} is none")
    return {
        "url": url.address,
        "ssl": url.is_encrypted,
        "root_certificates": None if certificates is None else str(certificates),
        "channel_args": options,
    }


def _infer_arguments(request: InferRequest, timeout_s: float) -> dict[str, Any]:
    inputs = []
    for name, array in request.inputs.items():
        tensor = tritonclient.grpc.InferInput(name, list(array.shape), np_to_triton_dtype(array.dtype))
        inputs.append(tensor.set_data_from_numpy(array))
    return {
        "model_name": request.model,
        "inputs": inputs,
        "outputs": [tritonclient.grpc.InferRequestedOutput(name) for name in request.outputs],
        "parameters": dict(request.parameters),
        "timeout": timeout_us(timeout_s),
        "client_timeout": timeout_s,
    }


def _arrays(result: Any, request: InferRequest) -> Outputs:
    try:
        arrays = {name: result.as_numpy(name) for name in request.outputs}
    except (ValueError, InferenceServerException) as error:
        raise UnexpectedResponseError(f"the answer of {request.model} cannot be read: {error}") from error
    parameters = result.get_response().parameters
    told = {name: parameters[name].string_param for name in (TRACE_HEADER, PREDICTION_HEADER) if name in parameters}
    return Outputs(
        {name: np.asarray(array) for name, array in arrays.items() if array is not None},
        trace_id=told.get(TRACE_HEADER),
        prediction=told.get(PREDICTION_HEADER),
    )


def _noted(response: Any, initial_metadata: Any, trailing_metadata: Any) -> Any:
    """Keep in an answer what came with it: tritonclient hands on the answer, and nothing else."""
    told = {
        TRACE_HEADER: read_trace_id(dict(initial_metadata or ())),
        PREDICTION_HEADER: read_prediction(dict(trailing_metadata or ())),
    }
    for name, value in told.items():
        response.parameters.pop(name, None)
        if value is not None:
            response.parameters[name].string_param = value
    return response


def _telling(method: Any) -> Any:
    def call(**arguments: Any) -> Any:
        response, ended = method.with_call(**arguments)
        return _noted(response, ended.initial_metadata(), ended.trailing_metadata())

    return call


def _telling_later(method: Any) -> Any:
    async def call(**arguments: Any) -> Any:
        under_way = method(**arguments)
        return _noted(await under_way, await under_way.initial_metadata(), await under_way.trailing_metadata())

    return call


def _configuration(answer: Mapping[str, Any]) -> Mapping[str, Any]:
    config: Mapping[str, Any] = answer.get("config", {})
    return config


def _metadata(error: InferenceServerException, which: str) -> dict[str, str]:
    """What a server sent along with a failure; tritonclient leaves it in the error that it answers with its own."""
    read = getattr(error.__context__, which, None)
    pairs = (read() if callable(read) else None) or ()
    return {name: value for name, value in pairs if isinstance(value, str)}


class _Common:
    def __init__(self, url: ServerURL, settings: ConnectionSettings) -> None:
        self._url = url
        self._arguments = _client_arguments(url, settings)
        self._headers = {name.lower(): value for name, value in settings.headers.items()}

    def _error(self, error: InferenceServerException, timeout_s: float) -> ServerError:
        code = (error.status() or "UNKNOWN").removeprefix("StatusCode.")
        trailing = _metadata(error, "trailing_metadata")
        found = to_error(
            code=code,
            message=error.message() or "",
            server=str(self._url),
            timeout_s=timeout_s,
            retry_after_s=read_seconds(trailing.get("retry-after")),
            request_id=trailing.get("x-request-id"),
        )
        found.trace_id = read_trace_id(_metadata(error, "initial_metadata"))
        return found

    def _headers_of_call(self) -> dict[str, str]:
        return self._headers | trace_headers(self._headers)

    def _has_answered(self, error: InferenceServerException) -> bool:
        """Whether a failure is an answer of the server, such as that it has no such model."""
        kind = self._error(error, 0)
        if isinstance(kind, ServerUnavailableError):
            return isinstance(kind, ModelUnavailableError)
        return not isinstance(kind, RequestTimeoutError)


class GRPCTransport(_Common):
    """A blocking gRPC transport: one channel, which all threads share."""

    def __init__(self, url: ServerURL, settings: ConnectionSettings) -> None:
        super().__init__(url, settings)
        self._client = tritonclient.grpc.InferenceServerClient(**self._arguments)
        stub = self._client._client_stub  # noqa: SLF001 (nothing public of it tells an answer's metadata)
        stub.ModelInfer = _telling(stub.ModelInfer)

    def infer(self, request: InferRequest, *, timeout_s: float) -> Mapping[str, NDArray[Any]]:
        """See `Transport.infer`."""
        try:
            result = self._client.infer(**_infer_arguments(request, timeout_s), headers=self._headers_of_call())
        except InferenceServerException as error:
            raise self._error(error, timeout_s) from error
        except ValueError as error:
            if _CLOSED not in str(error):
                raise
            # Another thread has closed the client just before the call began.
            raise to_error(code="CANCELLED", message=str(error), server=str(self._url), timeout_s=timeout_s) from error
        return _arrays(result, request)

    def probe(self, models: Collection[str], *, timeout_s: float) -> ServerStatus:
        """See `Transport.probe`."""
        call: dict[str, Any] = {"headers": self._headers, "client_timeout": timeout_s}
        try:
            live = self._client.is_server_live(**call)
            metadata = self._client.get_server_metadata(**call)
            return ServerStatus(
                live=live,
                server_ready=self._client.is_server_ready(**call),
                version=f"{metadata.name} {metadata.version}".strip(),
                models={model: self._client.is_model_ready(model, **call) for model in models},
            )
        except InferenceServerException as error:
            raise self._error(error, timeout_s) from error

    def configuration(self, model: str, *, timeout_s: float) -> Mapping[str, Any]:
        """See `Transport.configuration`."""
        try:
            answer = self._client.get_model_config(model, as_json=True, headers=self._headers, client_timeout=timeout_s)
        except InferenceServerException as error:
            if self._has_answered(error):
                return {}
            raise self._error(error, timeout_s) from error
        return _configuration(answer)

    def close(self) -> None:
        """See `Transport.close`."""
        self._client.close()


class AsyncGRPCTransport(_Common):
    """An asyncio gRPC transport; its channel is made at the first call, inside the running event loop."""

    def __init__(self, url: ServerURL, settings: ConnectionSettings) -> None:
        super().__init__(url, settings)
        self._client: Any = None

    def _connected(self) -> Any:
        if self._client is None:
            self._client = tritonclient.grpc.aio.InferenceServerClient(**self._arguments)
            stub = self._client._client_stub  # noqa: SLF001 (as above)
            stub.ModelInfer = _telling_later(stub.ModelInfer)
        return self._client

    async def ainfer(self, request: InferRequest, *, timeout_s: float) -> Mapping[str, NDArray[Any]]:
        """See `Transport.infer`."""
        try:
            result = await self._connected().infer(
                **_infer_arguments(request, timeout_s), headers=self._headers_of_call()
            )
        except InferenceServerException as error:
            raise self._error(error, timeout_s) from error
        return _arrays(result, request)

    async def aprobe(self, models: Collection[str], *, timeout_s: float) -> ServerStatus:
        """See `Transport.probe`."""
        client = self._connected()
        call: dict[str, Any] = {"headers": self._headers, "client_timeout": timeout_s}
        try:
            live = await client.is_server_live(**call)
            metadata = await client.get_server_metadata(**call)
            return ServerStatus(
                live=live,
                server_ready=await client.is_server_ready(**call),
                version=f"{metadata.name} {metadata.version}".strip(),
                models={model: await client.is_model_ready(model, **call) for model in models},
            )
        except InferenceServerException as error:
            raise self._error(error, timeout_s) from error

    async def aconfiguration(self, model: str, *, timeout_s: float) -> Mapping[str, Any]:
        """See `Transport.configuration`."""
        try:
            answer = await self._connected().get_model_config(
                model, as_json=True, headers=self._headers, client_timeout=timeout_s
            )
        except InferenceServerException as error:
            if self._has_answered(error):
                return {}
            raise self._error(error, timeout_s) from error
        return _configuration(answer)

    async def aclose(self) -> None:
        """See `Transport.close`."""
        if self._client is not None:
            await self._client.close()
