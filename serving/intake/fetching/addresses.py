"""Which addresses are on the public web.

The special ranges are those of the IANA registries for IPv4 and IPv6 (RFC 6890 and what came after). They are written
out here, since a standard library knows only those of its own time. An IPv6 address that has an IPv4 address inside
leads there, so both are looked at.
"""

from __future__ import annotations

import ipaddress
from enum import Enum
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from typing import Final

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network


class Reach(Enum):
    """Who is at an address."""

    PUBLIC = "public"
    """Anybody, for anybody."""
    INNER = "inner"
    """This machine, or somebody of its own networks: an operator can have a page there."""
    SPECIAL = "special"
    """Nobody who has pages: metadata of clouds, neighbours on the link, groups, tunnels, addresses without a use."""


_METADATA: Final = frozenset(
    map(
        ipaddress.ip_address,
        ("169.254.169.254", "168.63.129.16", "100.100.100.200", "192.0.0.192", "fd00:ec2::254", "fd20:ce::254"),
    )
)
"""Where clouds tell a machine its secrets: AWS, Azure, Alibaba, Oracle, AWS over IPv6, Google over IPv6."""
_INNER: Final = tuple(
    map(
        ipaddress.ip_network,
        ("10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "::1/128", "fc00::/7"),
    )
)
_SPECIAL_4: Final = tuple(
    map(
        IPv4Network,
        (
            "0.0.0.0/8",  # this host
            "169.254.0.0/16",  # link-local
            "192.0.0.0/24",  # protocol assignments
            "192.0.2.0/24",  # documentation, as two below
            "192.88.99.0/24",  # relays of 6to4
            "198.18.0.0/15",  # benchmarks
            "198.51.100.0/24",
            "203.0.113.0/24",
            "224.0.0.0/4",  # multicast
            "240.0.0.0/4",  # reserved, and broadcast
        ),
    )
)
_GLOBAL_6: Final = IPv6Network("2000::/3")
"""All that IANA gives out; nothing outside it is on the web, old site-local and IPv4-compatible addresses among it."""
_SPECIAL_6: Final = tuple(
    map(
        IPv6Network,
        (
            "2001::/23",  # protocol assignments: Teredo, ORCHID, benchmarks
            "2001:db8::/32",  # documentation
            "2002::/16",  # 6to4
            "3fff::/20",  # documentation
        ),
    )
)
_NAT64: Final = IPv6Network("64:ff9b::/96")
"""How a network of IPv6 alone names an IPv4 address (RFC 6052)."""
_ISATAP: Final = (0x0000_5EFE, 0x0200_5EFE)
"""The third word of an address of a tunnel whose last word is an IPv4 address (RFC 5214)."""


def plain(address: Address) -> Address:
    """The address that a connection goes to: an IPv4 address that is written as IPv6 is itself."""
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        return address.ipv4_mapped
    return address


def reach_of(address: Address) -> Reach:
    """Who is at an address."""
    address = plain(address)
    if address in _METADATA:
        return Reach.SPECIAL
    if any(address in network for network in _INNER):
        return Reach.INNER
    if isinstance(address, IPv4Address):
        special = any(address in network for network in _SPECIAL_4) or not address.is_global
        return Reach.SPECIAL if special else Reach.PUBLIC
    last = IPv4Address(int(address) & 0xFFFF_FFFF)
    if address in _NAT64:
        return Reach.PUBLIC if reach_of(last) is Reach.PUBLIC else Reach.SPECIAL
    if (int(address) >> 32) & 0xFFFF_FFFF in _ISATAP and reach_of(last) is not Reach.PUBLIC:
        return Reach.SPECIAL
    if address not in _GLOBAL_6 or any(address in network for network in _SPECIAL_6):
        return Reach.SPECIAL
    return Reach.PUBLIC
