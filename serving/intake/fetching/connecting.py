"""Keeps a connection to the addresses that were checked: nothing is looked up again between check and request."""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Sequence
from typing import Any

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult

from .addresses import Address, plain


class Pinned(AbstractResolver):
    """Answers with the addresses that were checked, whatever a name server says by now."""

    def __init__(self, addresses: Sequence[Address]) -> None:
        self._addresses = addresses

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        """The addresses."""
        del family
        return [
            ResolveResult(
                hostname=host,
                host=str(address),
                port=port,
                family=socket.AF_INET if address.version == 4 else socket.AF_INET6,
                proto=0,
                flags=socket.AI_NUMERICHOST | socket.AI_NUMERICSERV,
            )
            for address in self._addresses
        ]

    async def close(self) -> None:
        """Nothing is held."""


class Guard:
    """Sees to it that the sockets of one connection go to the addresses that were checked, and nowhere else.

    Args:
        addresses: Those.
        port: Their port.
    """

    def __init__(self, addresses: Sequence[Address], port: int) -> None:
        self._ends = frozenset((address, port) for address in addresses)
        self._sockets: list[socket.socket] = []

    def make_socket(self, info: Any) -> socket.socket:
        """A socket for an address, as aiohttp asks for it before it connects.

        Raises:
            OSError: The address was not checked.
        """
        family, kind, protocol, _, end = info
        self._check(end)
        made = socket.socket(family=family, type=kind, proto=protocol)
        self._sockets.append(made)
        return made

    async def connected(self, *_: Any) -> None:
        """Look, before anything is sent, who is at the other end.

        Raises:
            OSError: Somebody else.
        """
        for one in self._sockets:
            if one.fileno() >= 0:  # others lost the race for the first connection, and are closed
                try:
                    self._check(one.getpeername())
                except OSError:
                    one.shutdown(socket.SHUT_RDWR)
                    raise

    def tracing(self) -> aiohttp.TraceConfig:
        """What has aiohttp call `connected`."""
        config = aiohttp.TraceConfig()
        config.on_connection_create_end.append(self.connected)
        return config

    def _check(self, end: Any) -> None:
        if (plain(ipaddress.ip_address(end[0])), end[1]) not in self._ends:
            raise PermissionError("the connection would go to an address that was not checked")


def open_session(
    guard: Guard, addresses: Sequence[Address], *, timeout: aiohttp.ClientTimeout, headers: dict[str, str]
) -> aiohttp.ClientSession:
    """What asks one page of one host, and keeps nothing: no cookie, no name, no connection."""
    connector = aiohttp.TCPConnector(
        resolver=Pinned(addresses),
        use_dns_cache=False,
        force_close=True,
        limit=1,
        socket_factory=guard.make_socket,
    )
    return aiohttp.ClientSession(
        connector=connector,
        cookie_jar=aiohttp.DummyCookieJar(),
        trust_env=False,  # a proxy of the environment would look names up by itself
        auto_decompress=False,
        requote_redirect_url=False,
        headers=headers,
        timeout=timeout,
        trace_configs=[guard.tracing()],
    )
