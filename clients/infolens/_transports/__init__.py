"""How requests travel: the interface (`base`), and a module for each protocol, imported only when it is used."""

from __future__ import annotations

from .base import (
    AsyncJSONTransport,
    AsyncTransport,
    ConnectionSettings,
    InferRequest,
    JSONAnswer,
    JSONRequest,
    JSONTransport,
    Transport,
)
from .url import ServerURL

__all__ = [
    "AsyncJSONTransport",
    "AsyncTransport",
    "ConnectionSettings",
    "InferRequest",
    "JSONAnswer",
    "JSONRequest",
    "JSONTransport",
    "Transport",
    "make_async_transport",
    "make_transport",
]


def make_transport(url: ServerURL, settings: ConnectionSettings) -> Transport:
    """The blocking transport for a URL."""
    if url.is_http:
        from .http import HTTPTransport

        return HTTPTransport(url, settings)
    from .grpc import GRPCTransport

    return GRPCTransport(url, settings)


def make_async_transport(url: ServerURL, settings: ConnectionSettings) -> AsyncTransport:
    """The asyncio transport for a URL."""
    if url.is_http:
        from .http_aio import AsyncHTTPTransport

        return AsyncHTTPTransport(url, settings)
    from .grpc import AsyncGRPCTransport

    return AsyncGRPCTransport(url, settings)
