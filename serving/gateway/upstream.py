"""The one channel to Triton: requests go through it as the bytes that they are, and come back as bytes."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, Final

import grpc
import grpc.aio

from .edge.tracing import part
from .refusals import Refusal, RefusedError

SERVICE: Final = "inference.GRPCInferenceService"
"""KServe's gRPC service, which Triton offers and the door too."""
Metadata = Sequence[tuple[str, str | bytes]]

_OPTIONS: Final = (
    # What Triton may answer is its own matter; what it may be asked was checked.
    ("grpc.max_send_message_length", -1),
    ("grpc.max_receive_message_length", -1),
    # A Triton that was restarted is found at once.
    ("grpc.initial_reconnect_backoff_ms", 50),
    ("grpc.min_reconnect_backoff_ms", 50),
    ("grpc.max_reconnect_backoff_ms", 500),
    ("grpc.use_local_subchannel_pool", 1),
    # It is on this machine, whatever proxy the environment names.
    ("grpc.enable_http_proxy", 0),
    # A request that was sent once may have been answered: only its sender knows whether to send it again.
    ("grpc.enable_retries", 0),
)
_KINDS: Final = {
    grpc.StatusCode.INVALID_ARGUMENT: Refusal.INVALID,
    grpc.StatusCode.OUT_OF_RANGE: Refusal.INVALID,
    grpc.StatusCode.FAILED_PRECONDITION: Refusal.INVALID,
    grpc.StatusCode.ALREADY_EXISTS: Refusal.INVALID,
    grpc.StatusCode.NOT_FOUND: Refusal.NOT_FOUND,
    grpc.StatusCode.DEADLINE_EXCEEDED: Refusal.LATE,
    grpc.StatusCode.CANCELLED: Refusal.CANCELLED,
    grpc.StatusCode.UNIMPLEMENTED: Refusal.UNIMPLEMENTED,
    grpc.StatusCode.PERMISSION_DENIED: Refusal.FORBIDDEN,
    grpc.StatusCode.UNAUTHENTICATED: Refusal.FORBIDDEN,
    grpc.StatusCode.RESOURCE_EXHAUSTED: Refusal.BUSY,
    grpc.StatusCode.UNAVAILABLE: Refusal.AWAY,
}
# Words of Triton and its backends that say more than the code beside them.
_BUSY: Final = re.compile(r"(?i)max(imum)? queue size|server is busy|too many requests")
_EXPIRED: Final = re.compile(r"(?i)timeout expired")
_BROKEN: Final = re.compile(r"(?i)stub process|failed to connect|server (is )?(stopping|not ready|stops)")
_RETRY_AFTER_S: Final = 1.0


def is_busy(words: str) -> bool:
    """Whether Triton or a backend says that it has too much to do."""
    return _BUSY.search(words) is not None


class UpstreamError(RefusedError):
    """Triton did not answer, or answered with an error.

    Attributes:
        status: The code that came, which gRPC callers get as it is.
        trailers: The trailing metadata beside it.
    """

    def __init__(self, kind: Refusal, words: str, *, status: grpc.StatusCode, trailers: Metadata) -> None:
        super().__init__(kind, words, retry_after_s=_RETRY_AFTER_S if kind in (Refusal.BUSY, Refusal.AWAY) else None)
        self.status = status
        self.trailers = trailers

    @property
    def grpc_code(self) -> grpc.StatusCode:
        """The status that gRPC answers with."""
        return self.status


class Upstream:
    """Triton's gRPC endpoint. Make it inside the running event loop.

    Args:
        address: Such as ``127.0.0.1:43211``.
    """

    def __init__(self, address: str) -> None:
        self._channel = grpc.aio.insecure_channel(address, options=_OPTIONS)
        self._calls: dict[str, Any] = {}

    async def infer(
        self,
        request: bytes,
        timeout_s: float | None = None,
        metadata: Metadata = (),
        *,
        trailers: list[tuple[str, str | bytes]] | None = None,
    ) -> bytes:
        """Ask for an inference.

        Whoever cancels this coroutine cancels the request in Triton too.

        Args:
            request: A ``ModelInferRequest``, serialised.
            timeout_s: After this time the request is given up, here and in Triton; None is no limit.
            metadata: What goes beside it.
            trailers: The trailing metadata of the answer is added to this list.

        Returns:
            A ``ModelInferResponse``, serialised.

        Raises:
            UpstreamError: Why not, in Triton's own words where it has some.
        """
        return await self.call("ModelInfer", request, timeout_s, metadata, trailers=trailers)

    async def call(
        self,
        method: str,
        request: bytes,
        timeout_s: float | None = None,
        metadata: Metadata = (),
        *,
        trailers: list[tuple[str, str | bytes]] | None = None,
    ) -> bytes:
        """Call any method of `SERVICE` that takes one message and gives one; else as `infer`.

        Args:
            method: Its name.
            request: Its message, serialised.
            timeout_s: As in `infer`.
            metadata: As in `infer`.
            trailers: As in `infer`.
        """
        call = self._calls.get(method)
        if call is None:  # without serialisers a message is the bytes that it came as
            call = self._calls[method] = self._channel.unary_unary(f"/{SERVICE}/{method}")
        try:
            with part(method) as more:
                running = call(request, timeout=timeout_s, metadata=(*metadata, *more))
                answer: bytes = await running
            if trailers is not None:
                trailers.extend(await running.trailing_metadata() or ())
        except grpc.aio.AioRpcError as error:
            raise _to_error(error) from None
        return answer

    def state(self) -> grpc.ChannelConnectivity:
        """Whether the channel has a connection."""
        return self._channel.get_state()

    async def close(self) -> None:
        """Close the channel; what is still under way fails."""
        await self._channel.close()


def _to_error(error: grpc.aio.AioRpcError) -> UpstreamError:
    status, words = error.code(), error.details() or "the server gave no reason"
    if status is grpc.StatusCode.DEADLINE_EXCEEDED and not _EXPIRED.search(words):  # the library's own words
        words = "Request timeout expired: there was no answer in the time that was allowed; allow more"
    kind = _KINDS.get(status, Refusal.FAILED)
    if _BROKEN.search(words):
        kind = Refusal.AWAY
    elif _EXPIRED.search(words):
        kind, status = Refusal.LATE, grpc.StatusCode.DEADLINE_EXCEEDED  # a model says UNAVAILABLE, as Triton does
    elif _BUSY.search(words):
        kind = Refusal.BUSY
    if kind is Refusal.AWAY:
        status = grpc.StatusCode.UNAVAILABLE
        if error.code() is grpc.StatusCode.UNAVAILABLE and not _from_triton(words):
            words = f"the inference server does not answer now: send the request again in a moment ({words})"
    return UpstreamError(kind, words, status=status, trailers=tuple(error.trailing_metadata() or ()))


def _from_triton(words: str) -> bool:
    """Whether Triton said this, and not the library that lost the connection to it."""
    return not re.search(r"(?i)connect|socket|GOAWAY|reset|stream|peer|transport", words)
