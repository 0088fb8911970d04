"""The interface of a transport: what it sends for a client, and what it gives back.

The methods of the two protocols have different names, so that one class can be both; `infolens.testing.FakeTransport`
is.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from infolens.types import ServerStatus

if TYPE_CHECKING:
    from numpy.typing import NDArray


@dataclass(frozen=True, kw_only=True, slots=True)
class InferRequest:
    """One inference request."""

    model: str
    inputs: Mapping[str, NDArray[Any]]
    """Input tensors by name, batch dimension first; BYTES are arrays of objects."""
    outputs: tuple[str, ...]
    """The outputs that the server shall send back."""
    parameters: Mapping[str, bool] = field(default_factory=dict)
    """Triton's request parameters, by name."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ConnectionSettings:
    """What a transport needs to know beside the address."""

    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    """Sent with every request (gRPC calls it metadata), the API key among them: never shown."""
    root_certificates: Path | None = None
    """A PEM file of the authorities to trust under TLS; None for those of the system."""


class Transport(Protocol):
    """A blocking transport. Its methods may be called from several threads at once."""

    def infer(self, request: InferRequest, *, timeout_s: float) -> Mapping[str, NDArray[Any]]:
        """Send a request and return the output tensors by name.

        Raises:
            ServerError: No answer came, or one that says why not.
        """

    def probe(self, models: Collection[str], *, timeout_s: float) -> ServerStatus:
        """Ask the server how it is, and whether each of ``models`` is ready.

        Raises:
            ServerError: The server did not answer.
        """

    def configuration(self, model: str, *, timeout_s: float) -> Mapping[str, Any]:
        """The configuration of a model as Triton has it in JSON; empty when the server has no such model.

        Raises:
            ServerError: The server did not answer.
        """

    def close(self) -> None:
        """Close the connections; what is still under way fails."""


class AsyncTransport(Protocol):
    """An asyncio transport; it belongs to the event loop in which it is first used."""

    async def ainfer(self, request: InferRequest, *, timeout_s: float) -> Mapping[str, NDArray[Any]]:
        """As `Transport.infer`."""

    async def aprobe(self, models: Collection[str], *, timeout_s: float) -> ServerStatus:
        """As `Transport.probe`."""

    async def aconfiguration(self, model: str, *, timeout_s: float) -> Mapping[str, Any]:
        """As `Transport.configuration`."""

    async def aclose(self) -> None:
        """As `Transport.close`."""


JSONAnswer = tuple[int, bytes, Mapping[str, str]]
"""Status, body and headers of an answer."""


@dataclass(frozen=True, kw_only=True, slots=True)
class JSONRequest:
    """A request of the server's JSON API, which is no inference."""

    method: str = "POST"
    path: str
    """Query included."""
    body: bytes | None = field(default=None, repr=False)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    """Beside those that the connection sends with every request."""


@runtime_checkable
class JSONTransport(Protocol):
    """A blocking transport that reaches the server's JSON API too, as those of HTTP do."""

    server: str
    """The server's address, as messages have it."""

    def send(self, request: JSONRequest, *, timeout_s: float) -> JSONAnswer:
        """Send a request and return the answer, whatever its status.

        Raises:
            ServerError: There is none in time, or it cannot be read.
        """


@runtime_checkable
class AsyncJSONTransport(Protocol):
    """As `JSONTransport`, for asyncio."""

    server: str
    """The server's address, as messages have it."""

    async def asend(self, request: JSONRequest, *, timeout_s: float) -> JSONAnswer:
        """As `JSONTransport.send`."""


def timeout_us(timeout_s: float) -> int:
    """The time-out as Triton's request parameter has it, so that the server drops what nobody waits for any more."""
    return max(1, int(timeout_s * 1e6))
