"""Who asks, when a proxy stands before the door: its word counts if the operator has named it, else nobody's does."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Collection, Iterable
from typing import Any, Final
from urllib.parse import unquote

from aiohttp import web

Address = ipaddress.IPv4Address | ipaddress.IPv6Address

_FOR: Final = "X-Forwarded-For"
_PREFIX: Final = re.compile(r"(?:/(?!\.{1,2}(?:/|$))[\w.~-]{1,64}){1,8}", re.ASCII)
"""What a path before the door's own paths may look like: it goes into documents."""
_BRACKETS: Final = re.compile(r"\[([^\]]*)\](?::\d*)?")


class Proxies:
    """The proxies whose words count.

    Args:
        allowed: Their addresses and networks.
    """

    def __init__(self, allowed: Collection[str] = ()) -> None:
        self._networks = tuple(ipaddress.ip_network(one) for one in allowed)

    def trusts(self, peer: str) -> bool:
        """Whether what a peer says of its own callers counts."""
        return bool(self._networks) and self._is_proxy(_read(peer))

    def address(self, peer: str, forwarded: Iterable[str]) -> str:
        """Whose request it is: the last address on its way that is no proxy's.

        Args:
            peer: The address of the other end of the connection.
            forwarded: Every ``X-Forwarded-For`` of the request, in their order.
        """
        if not self.trusts(peer):
            return peer
        found = peer
        for text in reversed([one for line in forwarded for one in line.split(",")][-64:]):
            address = _read(text)
            if address is None:  # what stands before it may be anything
                break
            found = str(address)
            if not self._is_proxy(address):
                break
        return found

    def _is_proxy(self, address: Address | None) -> bool:
        return address is not None and any(address in network for network in self._networks)


PROXIES: Final = web.AppKey("proxies", Proxies)
"""Where the application has them."""


def client_address(request: web.Request) -> str:
    """The address of whoever sent a request over HTTP; empty if the connection has gone."""
    peer = request.remote or ""
    proxies = request.app.get(PROXIES)
    return peer if proxies is None else proxies.address(peer, request.headers.getall(_FOR, ()))


def call_address(context: Any, proxies: Proxies) -> str:
    """The address of whoever sent a gRPC call."""
    peer = peer_address(context.peer() or "")
    if not proxies.trusts(peer):
        return peer
    metadata = context.invocation_metadata() or ()
    return proxies.address(peer, [str(value) for name, value in metadata if name == _FOR.lower()])


def peer_address(peer: str) -> str:
    """The address in what gRPC calls a peer, such as ``ipv4:127.0.0.1:4711`` or ``ipv6:%5B::1%5D:4711``."""
    kind, _, rest = unquote(peer).partition(":")
    return rest.rpartition(":")[0].strip("[]") if kind in ("ipv4", "ipv6") else ""


def is_secure(request: web.Request) -> bool:
    """Whether a request came under TLS, here or at the proxy."""
    return request.secure or _word(request, "X-Forwarded-Proto").lower() == "https"


def prefix(request: web.Request) -> str:
    """The path under which a proxy has put the door, such as ``/lens``; empty for none, or for no fit one."""
    word = _word(request, "X-Forwarded-Prefix").rstrip("/")
    return word if _PREFIX.fullmatch(word) else ""


def _word(request: web.Request, name: str) -> str:
    """What the nearest proxy says, if it is one that counts."""
    proxies = request.app.get(PROXIES)
    values = request.headers.getall(name, ())
    if not values or proxies is None or not proxies.trusts(request.remote or ""):
        return ""
    return values[-1].rpartition(",")[2].strip()


def _read(text: str) -> Address | None:
    """An address, with or without a port."""
    text = text.strip()
    if found := _BRACKETS.fullmatch(text):
        text = found.group(1)
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return None
    mapped = getattr(address, "ipv4_mapped", None)
    return mapped or address
