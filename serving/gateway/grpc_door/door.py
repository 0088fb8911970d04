"""The gRPC server that carries the service, and the limits of its connections."""

from __future__ import annotations

import resource
from typing import Final

import grpc
import grpc.aio

from serving.gateway.configuration import GatewayOptions
from serving.gateway.edge.tracing import OFF, Tracing
from serving.gateway.parts import Parts

from .messages import ABOVE
from .service import Service

_SHARE_OF_FILES: Final = 4
"""One in so many of the files that this process may open can be a connection; HTTP's are files too."""
_LOOKAHEAD_BYTES: Final = 65_535
_AGE_GRACE_MS: Final = 300_000
"""What is in flight on a connection that is old may take so long: no request can have a later deadline."""


class ListenError(Exception):
    """A port cannot be had; the message says which and why."""


def make_server(parts: Parts, tracing: Tracing = OFF) -> grpc.aio.Server:
    """A server with all services that listens nowhere yet. Make it inside the running event loop."""
    limits = parts.options.limits
    server = grpc.aio.server(options=server_options(parts.options), maximum_concurrent_rpcs=limits.max_calls)
    for service, methods in Service(parts).handlers().items():
        server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(service, tracing.over_grpc(methods)),))
    return server


def listen(server: grpc.aio.Server, host: str, port: int, credentials: grpc.ServerCredentials | None = None) -> int:
    """Bind a port, 0 for a free one, under TLS if there are credentials; returns the port.

    Raises:
        ListenError: It is taken, or the address is not of this machine.
    """
    address = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    try:
        bound: int = (
            server.add_insecure_port(address) if credentials is None else server.add_secure_port(address, credentials)
        )
    except RuntimeError:
        bound = 0
    if not bound:
        raise ListenError(
            f"port {port} for grpc cannot be had on {host}: stop what listens there, or choose another with --grpc-port"
        )
    return bound


def server_options(options: GatewayOptions) -> list[tuple[str, int]]:
    """What one connection may do, as arguments of the gRPC library."""
    limits = options.limits
    age_s = options.max_connection_age_s
    return [
        ("grpc.max_receive_message_length", ABOVE * limits.max_body_bytes),
        ("grpc.max_send_message_length", -1),
        ("grpc.max_allowed_incoming_connections", _connections(limits.max_connections)),
        ("grpc.max_concurrent_streams", limits.max_streams),
        # Calls that nobody has begun to serve yet: by itself gRPC cancels some of all callers' from 1,000 on.
        ("grpc.server.max_pending_requests", limits.max_calls),
        ("grpc.server.max_pending_requests_hard_limit", 2 * limits.max_calls),
        # What a connection may send before somebody reads it; a message that is awaited may be sent whole.
        ("grpc.http2.lookahead_bytes", _LOOKAHEAD_BYTES),
        ("grpc.http2.bdp_probe", 0),
        # A call whose metadata is above the first limit may be refused, above the second it surely is.
        ("grpc.max_metadata_size", limits.max_header_bytes),
        ("grpc.absolute_max_metadata_size", limits.max_header_bytes),
        # Whoever pings more often than every 5 minutes while no data flows is sent away at the third time, as by
        # Triton.
        ("grpc.http2.min_ping_interval_without_data_ms", 300_000),
        ("grpc.http2.max_ping_strikes", 2),
        # A peer that is gone without a word is found out, and its requests are cancelled.
        ("grpc.keepalive_time_ms", 60_000),
        ("grpc.keepalive_timeout_ms", 20_000),
        ("grpc.http2.max_pings_without_data", 0),
        # A connection on which no call was ever made, or for long none, is closed.
        ("grpc.server_handshake_timeout_ms", 10_000),
        ("grpc.max_connection_idle_ms", 1_800_000),
        # Two servers on one port would share its callers without a word.
        ("grpc.so_reuseport", 0),
        *(() if age_s is None else _ageing(age_s)),
    ]


def _ageing(age_s: float) -> list[tuple[str, int]]:
    # gRPC adds or takes up to a tenth, so that connections of one moment do not all end in another.
    return [
        ("grpc.max_connection_age_ms", max(1, round(1000 * age_s))),
        ("grpc.max_connection_age_grace_ms", _AGE_GRACE_MS),
    ]


def _connections(most: int) -> int:
    """How many connections are taken: each is an open file, of which a process may have only so many."""
    files = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    return most if files == resource.RLIM_INFINITY else min(most, max(64, files // _SHARE_OF_FILES))
