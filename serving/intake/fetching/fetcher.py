"""Fetches a page: one connection after the other, each only to addresses that were checked, all within one time."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import metadata
from typing import Final

import aiohttp

from . import kinds
from .addresses import Address
from .allow import Allowed, read_allowed
from .connecting import Guard, open_session
from .errors import FetchError
from .inflating import ACCEPTED, inflater_for
from .lookup import Lookup, system_lookup
from .options import FetchOptions
from .targets import Target, read_target, redirected

_REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})
_MAX_ADDRESSES: Final = 64
_FREE_CHUNKS: Final = 8192
_MIN_CHUNK_BYTES: Final = 64
"""Pieces beyond the first ones have so many bytes on average: each costs time."""
_PASTE: Final = "paste the text instead"
_STATUSES: Final[Mapping[int, str]] = {
    401: "the site wants a login",
    402: "the site wants to be paid",
    403: "the site does not let programs read it",
    404: "there is no such page: see that the link is whole",
    406: "the site does not give it as HTML, text, PDF or DOCX",
    410: "the page is there no more",
    429: "the site has been asked too often: try again later",
    451: "the site may not show it here",
}


@dataclass(frozen=True, kw_only=True)
class Fetched:
    """A page."""

    url: str
    """Where it was in the end."""
    body: bytes
    """As its server had it, inflated."""
    content_type: str
    """One of `kinds.KINDS`: what its server says, or where that says nothing, what its first bytes are."""
    charset: str | None
    """What its server says of its letters, where it says something."""


async def fetch(url: str, options: FetchOptions, *, lookup: Lookup = system_lookup) -> Fetched:
    """Fetch a page. Whoever cancels this ends the connection.

    Args:
        url: What a stranger gave.
        options: Within which limits.
        lookup: Gives the addresses of a host; asked once for each connection.

    Raises:
        FetchError: It is not read, and nothing was sent to any address that is not allowed.
    """
    target = read_target(url)
    allowed = read_allowed(options.allow)
    try:
        async with asyncio.timeout(options.total_s):
            for _ in range(options.max_redirects + 1):
                found = await _ask(target, options, allowed, lookup)
                if isinstance(found, Fetched):
                    return found
                target = found
    except TimeoutError:
        raise FetchError(
            f"a page comes within {options.total_s:g} s, and that of {target.shown} did not: try again, or {_PASTE}"
        ) from None
    raise FetchError(f"a page is {options.max_redirects} redirects away at most, and this one is further: {_PASTE}")


async def check_target(target: Target, allowed: Allowed, lookup: Lookup) -> Sequence[Address]:
    """The addresses of a host, every one of which a connection may go to.

    Raises:
        FetchError: There is none, or one that links may not lead to.
    """
    if not allowed.takes_port(target.port):
        raise FetchError(f"a link leads to the ports 80 and 443, not to {target.port}: {_PASTE}")
    if target.address is not None:
        addresses: Sequence[Address] = (target.address,)
    else:
        try:
            addresses = tuple(dict.fromkeys(await lookup(target.host, target.port)))
        except OSError:
            words = f"no host '{target.shown}' is known: see that the link is right, or {_PASTE}"
            raise FetchError(words) from None
    if not 0 < len(addresses) <= _MAX_ADDRESSES:
        raise FetchError(f"the host '{target.shown}' has {len(addresses)} addresses: {_PASTE}")
    if not all(allowed.takes(target.host, address, target.port) for address in addresses):
        # Which address it is would tell strangers how the networks here are made.
        raise FetchError(
            f"a link leads to the public web, and '{target.shown}' (port {target.port}) is not on it: {_PASTE}, or ask "
            "whoever runs this server to allow it with --fetch-allow"
        )
    return addresses


async def _ask(target: Target, options: FetchOptions, allowed: Allowed, lookup: Lookup) -> Fetched | Target:
    """The page, or where it sends whoever asks it."""
    addresses = await check_target(target, allowed, lookup)
    timeout = aiohttp.ClientTimeout(sock_connect=options.connect_s, sock_read=options.silence_s)
    guard = Guard(addresses, target.port)
    try:
        async with (
            open_session(guard, addresses, timeout=timeout, headers=_headers(options.contact)) as session,
            session.get(
                target.url,
                allow_redirects=False,
                max_line_size=options.max_header_bytes,
                max_field_size=options.max_header_bytes,
                max_headers=options.max_headers,
            ) as response,
        ):
            location = response.headers.get("Location", "")
            if response.status in _REDIRECTS and location:
                return redirected(target, location)
            if response.status != 200:
                raise _no_page(response.status, response.reason or "")
            return await _read(response, target, options)
    except FetchError:
        raise
    except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
        words = _went_wrong(error, target, options)
        if words is None:
            raise
        raise FetchError(words) from None


async def _read(response: aiohttp.ClientResponse, target: Target, options: FetchOptions) -> Fetched:
    header = response.headers.get("Content-Type", "")
    kind = kinds.named_kind(header)
    inflater = inflater_for(",".join(response.headers.getall("Content-Encoding", ())))
    if (response.content_length or 0) > options.max_body_bytes:
        raise _too_large(options.max_body_bytes)
    came, chunks, body = 0, 0, bytearray()
    async for data, _ in response.content.iter_chunks():
        came, chunks = came + len(data), chunks + 1
        if came > options.max_body_bytes:
            raise _too_large(options.max_body_bytes)
        if chunks > _FREE_CHUNKS and came < _MIN_CHUNK_BYTES * chunks:
            raise FetchError(f"a page comes in pieces of some size, and this one in crumbs: {_PASTE}")
        for piece in inflater.feed(data) if data else ():
            body += piece
            if len(body) > options.max_inflated_bytes:
                raise _too_large(options.max_inflated_bytes)
            await asyncio.sleep(0)  # others are answered while this is inflated
        if not kind and len(body) >= kinds.HEAD_BYTES:
            kind = kinds.kind_of(bytes(body[: kinds.HEAD_BYTES]))
    inflater.end()
    return Fetched(
        url=str(target.url),
        body=bytes(body),
        content_type=kind or kinds.kind_of(bytes(body[: kinds.HEAD_BYTES])),
        charset=kinds.charset_of(header),
    )


def _headers(contact: str) -> dict[str, str]:
    return {
        "User-Agent": f"InfoLens/{_version()}{f' (+{contact})' if contact else ''}",
        "Accept": kinds.ACCEPTED,
        "Accept-Encoding": ACCEPTED,
        "Accept-Language": "en, *;q=0.5",
    }


@cache
def _version() -> str:
    try:
        return metadata.version("infolens")
    except metadata.PackageNotFoundError:
        return "unknown"


def _no_page(status: int, reason: str) -> FetchError:
    told = "".join(letter for letter in reason if letter.isascii() and letter.isprintable())[:40].strip()
    shown = f"{status} {told}".strip()
    why = _STATUSES.get(status)
    if why is None:
        why = "the site does not work now: try again later" if status >= 500 else "that is no page that can be read"
    return FetchError(f"the page answered {shown}: {why}; {_PASTE}")


def _too_large(limit_bytes: int) -> FetchError:
    return FetchError(f"a page has at most {limit_bytes // 2**20} MiB, and this one has more: {_PASTE}")


def _went_wrong(error: Exception, target: Target, options: FetchOptions) -> str | None:
    """What is told of a failure of the library; None for the end of all time, which is told elsewhere."""
    shown = target.shown
    if isinstance(error, aiohttp.ClientConnectorCertificateError | aiohttp.ClientSSLError):
        return f"nobody can be sure that it is '{shown}' that answers (its TLS certificate or protocol fails): {_PASTE}"
    if isinstance(error, aiohttp.ConnectionTimeoutError):
        return f"'{shown}' is connected to within {options.connect_s:g} s, and was not: try again later, or {_PASTE}"
    if isinstance(error, aiohttp.ServerTimeoutError):
        return f"'{shown}' said nothing for {options.silence_s:g} s: try again later, or {_PASTE}"
    if isinstance(error, TimeoutError):
        return None
    if isinstance(error, aiohttp.ClientConnectorError):
        return f"'{shown}' cannot be reached: see that the link is right, or {_PASTE}"
    if isinstance(error, aiohttp.ClientPayloadError):
        return f"the page of '{shown}' broke off on its way: try again, or {_PASTE}"
    if isinstance(error, aiohttp.ServerDisconnectedError):
        return f"'{shown}' hung up before it answered: try again, or {_PASTE}"
    return f"what '{shown}' answers is no HTTP that can be read: {_PASTE}"
