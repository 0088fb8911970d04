"""What a key is: how it looks, what is kept of it, and what it opens."""

from __future__ import annotations

import hashlib
import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

VARIABLE: Final = "INFOLENS_KEYS_URL"
"""The environment variable that says where the keys are kept."""
PREFIX: Final = "il_"
"""Every key begins so, by which programs that look for lost secrets can know it."""
_KEY: Final = re.compile(rf"{PREFIX}[\w-]{{43}}", re.ASCII)
_SHOWN: Final = len(PREFIX) + 6
"""Characters that are kept to recognise a key by; the others still have 220 random bits."""
_NAME: Final = re.compile(r"[A-Za-z0-9][\w.@-]{0,63}", re.ASCII)
OTHER: Final = "other"
"""The name under which metrics count all keys beyond the first hundred, so no key has it."""
DAY_S: Final = 86_400


class Role(StrEnum):
    """What a key is for."""

    READ = "read"
    """To ask models, and to see them and their statistics."""
    FETCH = "fetch"
    """To ask models also about links, which the server fetches."""
    FEEDBACK = "feedback"
    """To say what was right and what was wrong."""
    ADMIN = "admin"
    """To do everything."""


GRANTS: Final[Mapping[Role, frozenset[Role]]] = {
    Role.READ: frozenset({Role.READ}),
    Role.FETCH: frozenset({Role.READ, Role.FETCH}),
    Role.FEEDBACK: frozenset({Role.FEEDBACK}),
    Role.ADMIN: frozenset(Role),
}
"""The roles that each role includes."""


class KeyState(StrEnum):
    """How a key stands."""

    VALID = "valid"
    REPLACED = "replaced"
    """A newer one has come in its place; it is valid until it expires."""
    EXPIRED = "expired"
    REVOKED = "revoked"


@dataclass(frozen=True, kw_only=True, slots=True)
class KeyRecord:
    """What the store has of a key. All times are seconds since 1970."""

    id: int
    name: str
    """Whose it is; a key and those that it replaced have the same."""
    start: str
    """Its first characters."""
    digest: bytes = field(repr=False)
    """Its SHA-256."""
    role: Role
    current: bool
    """Whether no newer one has come in its place."""
    created_s: int
    expires_s: int | None = None
    revoked_s: int | None = None
    last_used_s: int | None = None
    """Some time within the last minutes of its use."""
    rate_per_minute: int | None = None
    """Inferences in a minute; None for what the server allows by default."""
    concurrency: int | None = None
    """Inferences at the same time; None as above."""

    def state(self, now_s: float) -> KeyState:
        """How it stands at a time."""
        if self.revoked_s is not None:
            return KeyState.REVOKED
        if self.expires_s is not None and self.expires_s <= now_s:
            return KeyState.EXPIRED
        return KeyState.VALID if self.current else KeyState.REPLACED

    def usable(self, now_s: float) -> bool:
        """Whether it opens anything at a time."""
        return self.state(now_s) in (KeyState.VALID, KeyState.REPLACED)


def make_key() -> str:
    """A new key of 256 random bits."""
    return PREFIX + secrets.token_urlsafe(32)


def start_of(key: str) -> str:
    """What is kept of a key to recognise it by."""
    return key[:_SHOWN]


def digest_of(key: str) -> bytes:
    """What a key is kept and looked up as. It is random, so a plain hash hides it as well as a slow one."""
    return hashlib.sha256(key.encode()).digest()


def looks_like_key(text: str) -> bool:
    """Whether a text has the form of a key."""
    return _KEY.fullmatch(text) is not None


def is_name(text: str) -> bool:
    """Whether a key can be called so: the name goes into logs and metrics."""
    return _NAME.fullmatch(text) is not None and text != OTHER and not looks_like_key(text)
