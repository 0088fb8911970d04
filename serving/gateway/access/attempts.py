"""Wrong keys from an address: counted, and slowed, in memory that does not grow.

Nobody finds a key of 256 random bits by trying. What this keeps small is what a wrong one costs: a key that is not
known has the store read anew, since it may have been made just now.
"""

from __future__ import annotations

import ipaddress
import re
import time
from collections import OrderedDict
from collections.abc import Callable
from typing import Final

ADDRESSES: Final = 4096
"""Addresses that are remembered; beyond them the one that was heard of longest ago is forgotten."""
BURST: Final = 20
"""Wrong keys that an address may send at once."""
INTERVAL_S: Final = 3.0
"""After them it may send one in this time."""
_GRPC: Final = re.compile(r"ipv[46]:(?:\[|%5B)?(.+?)(?:\]|%5D)?:\d+")


class Attempts:
    """Counts wrong keys.

    Args:
        now: The clock, in seconds.
    """

    def __init__(self, *, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._free_at_s: OrderedDict[str, float] = OrderedDict()  # when an address will have its whole burst again

    def begin(self, address: str) -> float:
        """Count a key that is not known.

        Args:
            address: Where it comes from, as `Given.address`.

        Returns:
            0 if it may be looked up, else in how many seconds the next one may.
        """
        block, now_s = block_of(address), self._now()
        free_at_s = max(now_s, self._free_at_s.pop(block, now_s)) + INTERVAL_S
        too_soon_s = free_at_s - now_s - BURST * INTERVAL_S
        self._free_at_s[block] = free_at_s if too_soon_s <= 0 else free_at_s - INTERVAL_S
        if len(self._free_at_s) > ADDRESSES:
            self._free_at_s.popitem(last=False)
        return max(0.0, too_soon_s)


def block_of(address: str) -> str:
    """What counts as one address: with IPv6 the first half, of which everybody has the second half to choose from."""
    found = _GRPC.fullmatch(address)
    try:
        ip = ipaddress.ip_address((found[1] if found else address).partition("%")[0])
    except ValueError:
        return address[:64]
    if isinstance(ip, ipaddress.IPv6Address):
        if ip.ipv4_mapped is not None:
            return str(ip.ipv4_mapped)
        return str(ipaddress.ip_network((int(ip), 64), strict=False))
    return str(ip)
