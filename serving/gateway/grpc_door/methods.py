"""The methods of the door's gRPC, and what a call shows of itself beside its message."""

from __future__ import annotations

from typing import Final

import grpc.aio

from serving.gateway.access.caller import Given, read_given
from serving.gateway.edge.proxies import Proxies, call_address

HEALTH: Final = "grpc.health.v1.Health"
"""The service by which Kubernetes and load balancers ask how a server is."""
ADMIN_METHODS: Final = (
    "RepositoryIndex",
    "RepositoryModelLoad",
    "RepositoryModelUnload",
    "TraceSetting",
    "LogSettings",
)
"""Methods that need the admin key, or a key with the role of an admin."""
CLOSED_METHODS: Final = tuple(
    f"{kind}SharedMemory{verb}" for kind in ("System", "Cuda") for verb in ("Status", "Register", "Unregister")
)
"""Methods that nobody may call."""


def read_caller(context: grpc.aio.ServicerContext, proxies: Proxies) -> Given:
    """What the metadata of a call shows of who sent it, by what the proxies say that count."""
    metadata = [(name, value) for name, value in context.invocation_metadata() or () if isinstance(value, str)]
    return read_given(
        (value for name, value in metadata if name == "authorization"),
        (value for name, value in metadata if name == "x-api-key"),
        call_address(context, proxies),
    )


def route_of(method: str) -> str:
    """``ModelInfer`` as ``infer``, ``ServerLive`` as ``server_live``: the same words as the HTTP door's."""
    if method == "ModelInfer":
        return "infer"
    return "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in method).removeprefix("_")


ADMIN_ROUTES: Final = frozenset(map(route_of, (*ADMIN_METHODS, *CLOSED_METHODS)))
"""The routes of the methods that manage the server."""
