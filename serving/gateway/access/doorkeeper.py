"""What both doors ask for every request: who sent it, and whether they may.

>>> caller = await doorkeeper.recognise("infer", lambda: given)
>>> with doorkeeper.admitted("infer", caller):
...     ...  # read it and answer it
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, nullcontext
from typing import Any, Final

from serving.gateway.configuration import GatewayLimits, GatewayOptions
from serving.gateway.refusals import Refusal, RefusedError
from serving.keys.records import GRANTS, KeyRecord, KeyState, Role, digest_of, looks_like_key
from serving.keys.rule import wants_keys
from serving.runtime import CACHE

from .attempts import Attempts
from .caller import ANONYMOUS, Caller, Given
from .known import KnownKeys
from .rates import Places, Rates
from .rules import lets, rule_of

_HOW: Final = "send it as the header 'Authorization: Bearer KEY' (over gRPC: metadata of that name)"
_WHO: Final = "whoever runs the server makes one with `python -m serving keys create`"


class Doorkeeper:
    """Knows callers by their keys, and keeps to what each may do. It belongs to the event loop in which it is used.

    Args:
        known: The keys; None for a server that wants none.
        limits: What a key may do that says nothing itself.
        today: The time of day, in seconds.
    """

    def __init__(
        self, known: KnownKeys | None, limits: GatewayLimits, *, today: Callable[[], float] = time.time
    ) -> None:
        self._known = known
        self._limits = limits
        self._today = today
        self._attempts = Attempts()
        self._rates = Rates()
        self._places = Places()

    @property
    def wants_keys(self) -> bool:
        """Whether callers need a key."""
        return self._known is not None

    @property
    def away(self) -> bool:
        """Whether keys are wanted, and their store does not answer."""
        return self._known is not None and self._known.away

    async def recognise(self, route: str, given: Callable[[], Given], *, otherwise: bool = False) -> Caller:
        """Who sent a request.

        Args:
            route: The name of its route, which `RULES` has.
            given: What it shows of its sender; asked for only where a key is needed.
            otherwise: Whether the request has shown something else that lets it in.

        Returns:
            The holder of the key; `ANONYMOUS` where none is needed.

        Raises:
            RefusedError: It needs a key and has no valid one (``UNAUTHENTICATED``), its address has sent too many wrong
                ones (``LIMITED``), or nobody can tell now (``AWAY``).
            LookupError: Nothing says who may call the route.
        """
        rule = rule_of(route)
        if self._known is None or rule.role is None or otherwise:
            return ANONYMOUS
        shown = given()
        if not shown.keys:
            raise RefusedError(Refusal.UNAUTHENTICATED, f"this server wants a key: {_HOW}; {_WHO}")
        if len(shown.keys) > 1:
            raise RefusedError(Refusal.UNAUTHENTICATED, f"a request has one key, not {len(shown.keys)}: {_HOW}")
        record = await self._find(self._known, shown.keys[0], shown.address)
        self._check(record)
        self._known.note_used(record)
        limits = self._limits
        return Caller(
            name=record.name,
            role=record.role,
            rate_per_minute=record.rate_per_minute or limits.key_rate_per_minute,
            concurrency=record.concurrency or limits.key_concurrency,
            digest=record.digest,
        )

    @contextmanager
    def admitted(self, route: str, caller: Caller) -> Iterator[None]:
        """Let a caller in for the time of the block, if `recognise` has said who it is.

        Raises:
            RefusedError: The key lacks the role (``FORBIDDEN``), or has had its share (``LIMITED``).
        """
        rule = rule_of(route)
        if not lets(rule, caller):
            raise RefusedError(Refusal.FORBIDDEN, _lacks(caller.name, caller.role, rule.role, rule.instead))
        with self._places.held(caller) if rule.counts else nullcontext():
            if rule.takes:
                self._rates.take_now(caller, rule.takes)
            yield

    async def take(self, caller: Caller, count: int = 1, wait_until_s: float | None = None) -> None:
        """Take inferences of a caller's minute that its request did not take as it came: `Rates.take`.

        Raises:
            RefusedError: They cannot be had in that time, or the key opens nothing any more (``UNAUTHENTICATED``).
        """
        await self._rates.take(caller, count, wait_until_s)
        if self._known is None or not caller.digest:
            return
        if (record := self._known.get(caller.digest)) is None:
            raise RefusedError(Refusal.UNAUTHENTICATED, f"the key '{caller.name}' is not known here any more: {_WHO}")
        self._check(record)

    def why_not(self, caller: Caller, role: Role) -> str:
        """Why a caller may not do what needs a role; empty where the caller may, or where nobody needs a key."""
        if self._known is None or caller.may(role):
            return ""
        return _lacks(caller.name, caller.role, role)

    def _check(self, record: KeyRecord) -> None:
        """Refuse a key that opens nothing any more."""
        state = record.state(self._today())
        if state is KeyState.REVOKED:
            raise RefusedError(Refusal.UNAUTHENTICATED, f"the key '{record.name}' was revoked: {_WHO}")
        if state is KeyState.EXPIRED:
            raise RefusedError(Refusal.UNAUTHENTICATED, f"the key '{record.name}' has expired: {_WHO}")

    async def _find(self, known: KnownKeys, key: str, address: str) -> KeyRecord:
        """The record of a key."""
        formed = looks_like_key(key)
        digest = digest_of(key) if formed else b""
        record = known.get(digest)
        if record is not None:
            return record
        if (wait_s := self._attempts.begin(address)) > 0:
            words = f"too many wrong keys came from this address: try again in {wait_s:.3g} s, with a valid one"
            raise RefusedError(Refusal.LIMITED, words, retry_after_s=wait_s)
        if not formed:
            raise RefusedError(
                Refusal.UNAUTHENTICATED, "what came is no key: a key is 'il_' and 43 letters, digits, - and _"
            )
        can_tell = await known.look_again()  # it may have been made just now
        record = known.get(digest)
        if record is None and not can_tell:
            words = "the keys cannot be looked up now, and this one is not known yet: try again later"
            raise RefusedError(Refusal.AWAY, words, retry_after_s=10.0)
        if record is None:
            words = "the key is not known here: see that it is whole, and for this server"
            raise RefusedError(Refusal.UNAUTHENTICATED, words)
        return record


@asynccontextmanager
async def open_doorkeeper(options: GatewayOptions, log: Any) -> AsyncIterator[Doorkeeper]:
    """The doorkeeper of a door, with the store of the keys left in the end.

    Raises:
        KeysError: Keys are needed, and their store cannot be used at all. One that is away is no error.
    """
    if not wants_keys(options.host, options.keys):
        yield Doorkeeper(None, options.limits)
        return
    # The library of the database is loaded by those doors alone that need it.
    from serving.keys.location import read_url
    from serving.keys.store import KeyStore

    async with KnownKeys(KeyStore(read_url(options.keys_url, CACHE)), log).watching() as known:
        yield Doorkeeper(known, options.limits)


def _lacks(name: str, has: Role | None, *needs: Role | None) -> str:
    fit = " or ".join(f"'{role.value}'" for role in Role if not GRANTS[role].isdisjoint(needs))
    if has is None:
        return f"this needs a key with the role {fit}: {_WHO}"
    return f"the key '{name}' has the role '{has.value}', and this needs {fit}: {_WHO}"
