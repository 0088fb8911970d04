"""How links are fetched, and whether a server does so at all."""

from __future__ import annotations

import dataclasses
import re
from dataclasses import dataclass
from typing import Any, Final

from serving.errors import IntakeError
from serving.keys.rule import is_loopback

from .allow import read_allowed

_CONTACT: Final = re.compile(r"[!-'*-~]{1,200}", re.ASCII)


@dataclass(frozen=True, kw_only=True)
class FetchOptions:
    """How links are fetched."""

    allowed: bool | None = None
    """Whether links are fetched; None on a server that this machine alone reaches, or whose callers need keys."""
    allow: tuple[str, ...] = ()
    """What links may lead to beyond the public web and its ports 80 and 443: ``desk.example``, ``*.desk.example``,
    ``desk.example:8080``, ``10.0.3.0/24``, ``127.0.0.1:8080``."""
    contact: str = ""
    """Where whoever runs a site reaches whoever runs this server: an address or a page; it goes into the user agent."""
    total_s: float = 10.0
    """How long a page may take, redirects and looking up names included."""
    connect_s: float = 5.0
    """How long a connection may take."""
    silence_s: float = 5.0
    """How long a server may say nothing: before its first byte, and between two."""
    max_redirects: int = 5
    max_body_bytes: int = 8 * 2**20
    """A page as it travels."""
    max_inflated_bytes: int = 16 * 2**20
    """A page once it is inflated."""
    max_header_bytes: int = 8190
    """One line of the answer's head, of which there are at most `max_headers`."""
    max_headers: int = 100

    def document(self) -> dict[str, Any]:
        """These options as JSON has them."""
        return {**dataclasses.asdict(self), "allow": list(self.allow)}


def fetches(host: str, said: bool | None, *, keys: bool) -> bool:
    """Whether a server fetches links.

    Args:
        host: Where it listens.
        said: What ``--fetch`` and ``--no-fetch`` say; None for neither.
        keys: Whether callers need a key.
    """
    return (keys or is_loopback(host)) if said is None else said


def check_fetch(options: FetchOptions, host: str, *, keys: bool) -> FetchOptions:
    """Check the options before anything is started.

    Args:
        options: As they were given.
        host: Where the server listens.
        keys: Whether callers need a key.

    Returns:
        The options with `FetchOptions.allowed` decided.

    Raises:
        IntakeError: One of them cannot be kept to; the message says which and what to do.
    """
    if options.allowed and not keys and not is_loopback(host):
        raise IntakeError(
            f"--fetch with --host {host} and without keys would let everybody have this server fetch pages for them: "
            "give --keys, and the role fetch to those who may"
        )
    read_allowed(options.allow)
    if options.contact and not _CONTACT.fullmatch(options.contact):
        raise IntakeError(
            "--fetch-contact is an address or a page without blanks and brackets, such as desk@news.example or "
            f"https://news.example/bot, not '{options.contact[:80]}'"
        )
    allowed = fetches(host, options.allowed, keys=keys)
    if options.allowed is False and options.allow:
        raise IntakeError("--fetch-allow says where links may lead, and --no-fetch that none is fetched: leave one out")
    return dataclasses.replace(options, allowed=allowed)
