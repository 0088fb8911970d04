"""What an operator allows beyond the public web: hosts, addresses, networks, and ports."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from serving.errors import IntakeError

from .addresses import Address, Network, Reach, plain, reach_of

USUAL_PORTS: Final = frozenset({80, 443})
_NAME: Final = re.compile(r"(?:\*\.)?[a-z0-9_](?:[a-z0-9_-]{0,62})(?:\.[a-z0-9_][a-z0-9_-]{0,62})*", re.ASCII)
_FORMS: Final = "desk.example, *.desk.example, desk.example:8080, 10.0.3.7, 127.0.0.1:8080, [::1]:8080 or 10.0.3.0/24"


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One thing that is allowed: names, or a network."""

    name: str = ""
    """A host, or ``*.`` and the domain of all hosts below it; empty for an entry of addresses."""
    network: Network | None = None
    port: int | None = None
    """The one port; None for the usual ones."""

    def takes_port(self, port: int) -> bool:
        """Whether it is about a port."""
        return port in USUAL_PORTS if self.port is None else port == self.port

    def takes(self, host: str, address: Address, port: int) -> bool:
        """Whether an address of a host may be asked at a port because of this entry.

        A name opens what is public or inside; what is special (metadata of clouds, say) opens by its address alone,
        since whoever answers for a name can let it lead anywhere.
        """
        if not self.takes_port(port):
            return False
        if self.network is not None:
            return plain(address) in self.network
        named = host.endswith(self.name[1:]) if self.name.startswith("*.") else host == self.name
        return named and reach_of(address) is not Reach.SPECIAL


@dataclass(frozen=True, kw_only=True)
class Allowed:
    """Where links may lead."""

    entries: tuple[Entry, ...] = ()

    def takes_port(self, port: int) -> bool:
        """Whether any link at all may name a port."""
        return port in USUAL_PORTS or any(entry.takes_port(port) for entry in self.entries)

    def takes(self, host: str, address: Address, port: int) -> bool:
        """Whether a connection for a host may go to an address and a port."""
        if port in USUAL_PORTS and reach_of(address) is Reach.PUBLIC:
            return True
        return any(entry.takes(host, address, port) for entry in self.entries)


@lru_cache(maxsize=16)
def read_allowed(texts: tuple[str, ...]) -> Allowed:
    """What the words of ``--fetch-allow`` allow.

    Raises:
        IntakeError: One of them cannot be understood, or names everything.
    """
    return Allowed(entries=tuple(_entries(texts)))


def _entries(texts: Iterable[str]) -> Iterable[Entry]:
    for text in texts:
        host, port = _split(text.strip().lower())
        network = _network(host.strip("[]"), text)
        if network is not None:
            if port is not None and network.num_addresses > 1:
                raise _wrong(text, "a network has no port: name the port with each host")
            yield Entry(network=network, port=port)
        elif _NAME.fullmatch(host) and len(host) <= 253 and not host.rpartition(".")[2].isdigit() and host != "*":
            yield Entry(name=host, port=port)
        else:
            raise _wrong(text, "it is neither")


def _split(text: str) -> tuple[str, int | None]:
    """Host and port of an entry; a port that is none stays with its host, which is then refused."""
    host, colon, port = text.rpartition(":")
    apart = (host.startswith("[") and host.endswith("]")) or ":" not in host
    if colon and apart and port.isascii() and port.isdecimal() and 0 < int(port[:6]) <= 65535:
        return host, int(port)
    return text, None


def _network(host: str, text: str) -> Network | None:
    try:
        network = ipaddress.ip_network(host)
    except ValueError as error:
        if "has host bits set" in str(error):
            raise _wrong(text, "a network begins with its first address, as 10.0.3.0/24 does") from None
        return None
    if network.prefixlen == 0:
        raise _wrong(text, "it is every address, those of this machine too: name the networks that you mean")
    if isinstance(network, ipaddress.IPv6Network) and network.network_address.ipv4_mapped is not None:
        raise _wrong(text, "write an IPv4 address as such")
    return network


def _wrong(text: str, why: str) -> IntakeError:
    return IntakeError(
        f"--fetch-allow is a host or a network that links may lead to, such as {_FORMS}, not '{text[:80]}': {why}"
    )
