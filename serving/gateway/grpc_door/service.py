"""KServe's gRPC service in front of Triton's: what is asked, checked, and passed on as the bytes that came.

Requests that ask for a ``classification`` are the exception: it is made here, so they and their answers are changed.
"""

from __future__ import annotations

import asyncio
import hmac
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, NoReturn

import grpc
import grpc.aio
from google.protobuf.message import DecodeError
from tritonclient.grpc import service_pb2

from serving.gateway.access.caller import ANONYMOUS, Caller
from serving.gateway.checking import check_request, timeout_s
from serving.gateway.edge.proxies import Proxies, call_address
from serving.gateway.kserve.classification import put_in, take_out
from serving.gateway.logs import describe, request_id
from serving.gateway.metrics import Access
from serving.gateway.parts import Parts
from serving.gateway.recording.recorder import HEADER
from serving.gateway.refusals import Refusal, RefusedError, invalid
from serving.gateway.served import with_served
from serving.gateway.upstream import UpstreamError
from serving.keys.records import Role

from .messages import Messages
from .methods import ADMIN_METHODS, ADMIN_ROUTES, CLOSED_METHODS, HEALTH, read_caller, route_of
from .reading import parse, view

_ADMIN_PREFIX: Final = "triton-grpc-protocol-"
_MAX_WORDS: Final = 2000
"""Characters of a status message: it travels in a header, and headers have limits."""
# ``HealthCheckResponse`` has one field, ``status``.
_SERVING, _NOT_SERVING = b"\x08\x01", b"\x08\x02"


@dataclass(kw_only=True, slots=True)
class Call:
    """One call of a method, and what is known of it so far."""

    context: grpc.aio.ServicerContext
    request: bytes = b""
    """Its message, once it has come."""
    caller: Caller = ANONYMOUS
    """Who sent it, once that is known."""
    model: str = ""
    """A model of the catalogue, once it was found there."""
    request_id: str = ""


Method = Callable[[Call], Awaitable[bytes]]


class Service:
    """The methods of the door's gRPC.

    Args:
        parts: What both doors share.
    """

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._limits = parts.options.limits
        self._messages = Messages(self._limits)
        self._proxies = Proxies(parts.options.edge.forwarded_allow)
        self._admin_header = (_ADMIN_PREFIX + parts.options.admin_header).lower()

    def handlers(self) -> Mapping[str, Mapping[str, grpc.RpcMethodHandler]]:
        """The handlers of each service by the name of the method; they take and give bytes.

        Every method takes one message. They are handlers of streams all the same, which read that message themselves:
        the library waits without end for one that comes slowly, or not at all.
        """
        methods: dict[str, Method] = {
            "ServerLive": self._server_live,
            "ServerReady": self._server_ready,
            "ModelReady": self._model_ready,
            "ServerMetadata": self._passed_on("ServerMetadata"),
            "ModelMetadata": self._of_model("ModelMetadata"),
            "ModelConfig": self._model_config,
            "ModelStatistics": self._of_model("ModelStatistics"),
            "ModelInfer": self._infer,
        }
        methods |= {name: self._with_key(name) for name in ADMIN_METHODS}
        methods |= dict.fromkeys(CLOSED_METHODS, _shared_memory)
        kserve = {
            name: grpc.stream_unary_rpc_method_handler(self._served(route_of(name), method))
            for name, method in methods.items()
        }
        kserve["ModelStreamInfer"] = grpc.stream_stream_rpc_method_handler(self._stream_infer)
        health = grpc.stream_unary_rpc_method_handler(self._served("health", self._health))
        return {"inference.GRPCInferenceService": kserve, HEALTH: {"Check": health}}

    def _served(self, route: str, method: Method) -> Callable[[Any, grpc.aio.ServicerContext], Awaitable[bytes]]:
        """A method for those who may call it, with its errors told to the caller, counted and logged."""
        doorkeeper = self._parts.doorkeeper
        managing = route in ADMIN_ROUTES

        async def serve(_: Any, context: grpc.aio.ServicerContext) -> bytes:
            call, started_s = Call(context=context), time.perf_counter()
            answer, refusal = b"", None
            code = grpc.StatusCode.CANCELLED
            try:
                admin = managing and self._has_admin_key(context)
                call.caller = await doorkeeper.recognise(
                    route, lambda: read_caller(context, self._proxies), otherwise=admin
                )
                with doorkeeper.admitted(route, call.caller):
                    async with self._messages.read(context) as call.request:
                        started_s = time.perf_counter()
                        answer = await method(call)
                code = grpc.StatusCode.OK
            except RefusedError as error:
                refusal = error.with_traceback(None)  # it would keep this frame until a collection
            except Exception as error:
                self._parts.log.error("failed", door="grpc", route=route, request_id=call.request_id, **describe(error))
                refusal = RefusedError(Refusal.FAILED, "the server failed on this request: its log says why")
            finally:
                code = refusal.grpc_code if refusal is not None else code
                access = Access(
                    door="grpc",
                    route=route,
                    key=call.caller.name,
                    model=call.model,
                    code=code.name,
                    seconds=time.perf_counter() - started_s,
                    request_id=call.request_id,
                    bytes_in=len(call.request),
                    bytes_out=len(answer),
                    address=call_address(context, self._proxies),
                )
                self._parts.metrics.record(access, refusal)
                call.request = b""  # gRPC keeps this frame of a call that is refused until a collection
            if refusal is not None:
                await _abort(context, refusal)
            return answer

        return serve

    async def _infer(self, call: Call) -> bytes:
        parts, request = self._parts, call.request
        if len(request) > self._limits.max_body_bytes:
            raise RefusedError(
                Refusal.TOO_LARGE,
                f"a request has at most {self._limits.max_body_bytes} bytes, not {len(request)}: send fewer articles "
                "at once",
            )
        message = parse(request, self._limits)
        call.request_id = request_id(message.id)
        model = await parts.catalogue.find(message.model_name, message.model_version)
        call.model = model.name
        asked = view(message)
        check_request(model, asked, self._limits)
        if counts := take_out(message):
            request = message.SerializeToString()
        branches = parts.branches.asked(model, [one.name for one in asked.outputs], asked.parameters)
        limits_s = [one for one in (call.context.time_remaining(), timeout_s(asked.parameters)) if one is not None]
        allowed_s = min(limits_s, default=None)
        until_s = None if allowed_s is None else time.monotonic() + allowed_s
        trailers: list[tuple[str, str | bytes]] = []
        with parts.metrics.in_flight("grpc"):
            async with parts.room.enter(branches, allowed_s) as place:
                left_s = None if until_s is None else until_s - time.monotonic()
                answer = await parts.inferences.infer(
                    request, model.name, branches, left_s, place=place, trailers=trailers
                )
        noted = parts.recorder.inferred(model, asked, request, answer, key=call.caller.name, route="infer")
        if noted is not None:
            trailers.append((HEADER.lower(), noted))
        if counts:
            response = service_pb2.ModelInferResponse.FromString(answer)
            put_in(response, counts, model.labels, batched=model.max_batch_size > 0)
            answer = response.SerializeToString()
        if trailers:
            call.context.set_trailing_metadata(tuple(trailers))
        return answer

    async def _stream_infer(self, _requests: Any, context: grpc.aio.ServicerContext) -> None:
        words = "streams of inferences are not offered: send each request by ModelInfer, as many at once as you like"
        await _abort(context, RefusedError(Refusal.UNIMPLEMENTED, words))

    async def _server_live(self, _call: Call) -> bytes:
        live: bytes = service_pb2.ServerLiveResponse(live=self._parts.verdicts.read().live).SerializeToString()
        return live

    async def _server_ready(self, _call: Call) -> bytes:
        ready: bytes = service_pb2.ServerReadyResponse(ready=self._parts.verdicts.read().ready).SerializeToString()
        return ready

    async def _model_ready(self, call: Call) -> bytes:
        name, version = _named(call.request)
        ready = await self._is_model_ready(name, version, call)
        answer: bytes = service_pb2.ModelReadyResponse(ready=ready).SerializeToString()
        return answer

    async def _health(self, call: Call) -> bytes:
        name, _ = _named(call.request)  # ``HealthCheckRequest`` has the name of a service where others have a model's
        if name in ("", "inference.GRPCInferenceService", HEALTH):
            return _SERVING if self._parts.verdicts.read().ready else _NOT_SERVING
        if self._parts.verdicts.read().model(name) is None:
            raise RefusedError(Refusal.NOT_FOUND, f"there is no service or model '{name:.60}'")
        return _SERVING if await self._is_model_ready(name, "", call) else _NOT_SERVING

    async def _is_model_ready(self, name: str, version: str, call: Call) -> bool:
        """Whether a model answers; the steps of the public ones too, since clients list them."""
        verdict = self._parts.verdicts.read().model(name)
        if verdict is None:
            return False
        call.model = name
        if version and verdict.ready:
            try:
                await self._parts.catalogue.find(name, version)
            except RefusedError:  # it has no such version, or is not public
                return False
        return verdict.ready

    def _passed_on(self, name: str) -> Method:
        async def pass_on(call: Call) -> bytes:
            return await self._parts.upstream.call(name, call.request, call.context.time_remaining())

        return pass_on

    def _of_model(self, name: str) -> Method:
        """A question about one model; that for statistics may leave the name out, and is about all models then."""

        async def ask(call: Call) -> bytes:
            model, version = _named(call.request)
            if not model and name == "ModelStatistics":
                await self._parts.catalogue.refresh()
                asked = [service_pb2.ModelStatisticsRequest(name=one) for one in self._parts.catalogue.models]
            else:
                call.model = (await self._parts.catalogue.find(model, version)).name
                asked = [service_pb2.ModelMetadataRequest(name=model, version=version)]
            left_s = call.context.time_remaining()
            answers = [await self._parts.upstream.call(name, one.SerializeToString(), left_s) for one in asked]
            return b"".join(answers)  # messages one after the other are one message with the parts of all

        return ask

    async def _model_config(self, call: Call) -> bytes:
        found = service_pb2.ModelConfigResponse.FromString(await self._of_model("ModelConfig")(call))
        await with_served(found.config, self._parts.served)
        told: bytes = found.SerializeToString()
        return told

    def _with_key(self, name: str) -> Method:
        async def ask(call: Call) -> bytes:
            if not self._has_admin_key(call.context) and not call.caller.may(Role.ADMIN):
                raise UpstreamError(  # Triton's own code and words
                    Refusal.FORBIDDEN,
                    f"This protocol is restricted, expecting header '{self._admin_header}'",
                    status=grpc.StatusCode.UNAVAILABLE,
                    trailers=(),
                )
            self._parts.log.info("admin", door="grpc", route=route_of(name), key=call.caller.name)
            try:
                metadata = ((self._admin_header, self._parts.options.triton_admin_key),)
                return await self._parts.upstream.call(name, call.request, call.context.time_remaining(), metadata)
            finally:
                self._parts.catalogue.forget()  # it may have changed what is loaded

        return ask

    def _has_admin_key(self, context: grpc.aio.ServicerContext) -> bool:
        key = self._parts.options.admin_key
        given = dict(context.invocation_metadata() or ()).get(self._admin_header, "")
        return bool(key) and hmac.compare_digest(str(given).encode(), key.encode())


async def _shared_memory(_call: Call) -> bytes:
    raise RefusedError(Refusal.FORBIDDEN, "shared memory is not offered: send the tensors in the request")


async def _abort(context: grpc.aio.ServicerContext, refusal: RefusedError) -> NoReturn:
    trailers: list[tuple[str, str | bytes]] = [(name.lower(), value) for name, value in refusal.headers.items()]
    if isinstance(refusal, UpstreamError):
        trailers += refusal.trailers
    await context.abort(refusal.grpc_code, refusal.words[:_MAX_WORDS], tuple(trailers))
    raise asyncio.CancelledError  # never reached: abort raises


def _named(request: bytes) -> tuple[str, str]:
    """Name and version in any message that has them as its first two fields."""
    try:
        message = service_pb2.ModelReadyRequest.FromString(request)
    except DecodeError:
        raise invalid("the request is not a message of this method: use a client of the KServe v2 protocol") from None
    return message.name, message.version
