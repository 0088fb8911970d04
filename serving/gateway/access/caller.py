"""Who asks, as far as a request tells it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

from serving.keys.records import GRANTS, Role


@dataclass(frozen=True, kw_only=True, slots=True)
class Caller:
    """The holder of a key, or nobody in particular."""

    name: str = ""
    """The name of the key, never the key; empty for a caller of whom none was asked."""
    role: Role | None = None
    rate_per_minute: int | None = None
    """Inferences in a minute; None for no limit."""
    concurrency: int | None = None
    """Inferences at the same time; None for no limit."""
    digest: bytes = field(default=b"", repr=False)
    """The SHA-256 of the key, by which it is looked up again in a request that goes on for long."""

    def may(self, role: Role) -> bool:
        """Whether the key has a role, or one that includes it."""
        return self.role is not None and role in GRANTS[self.role]


ANONYMOUS: Final = Caller()
"""A caller of whom no key was asked."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Given:
    """What a request shows of who sent it."""

    keys: tuple[str, ...] = field(default=(), repr=False)
    """What came in the places where a key belongs, each once."""
    address: str = ""
    """Where it comes from, such as ``192.0.2.7``, by what the proxies say that count."""


def read_given(authorizations: Iterable[str], api_keys: Iterable[str], address: str) -> Given:
    """What a request shows.

    Args:
        authorizations: The values of its header ``Authorization``; schemes other than ``Bearer`` are nobody's key here.
        api_keys: The values of its header ``X-API-Key``.
        address: Where it comes from.
    """
    found = []
    for value in authorizations:
        scheme, _, rest = value.strip().partition(" ")
        if scheme.lower() == "bearer":
            found.append(rest.strip())
    found += [value.strip() for value in api_keys]
    return Given(keys=tuple(dict.fromkeys(found)), address=address)
