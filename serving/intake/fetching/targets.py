"""What a link names: checked letter by letter before anybody looks a name up."""

from __future__ import annotations

import re
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address
from typing import Final
from urllib.parse import urljoin

from yarl import URL

from .addresses import Address, plain
from .errors import FetchError

MAX_URL_CHARACTERS: Final = 2048
SCHEMES: Final = ("http", "https")
_MAX_HOST_CHARACTERS: Final = 253
_NEVER: Final = re.compile(r"[\x00-\x20\x7f-\xa0\\\u2028\u2029]")
"""Blanks, line ends and control characters, which could end a line of the request, and the slash that parsers read in
two ways."""
_PARTS: Final = re.compile(r"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*):(?P<slashes>//)?(?P<authority>[^/?#]*)")
_LABEL: Final = re.compile(r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?", re.ASCII)
_NUMBER: Final = re.compile(r"[0-9]+|0x[0-9a-f]*", re.ASCII)
_PASTE: Final = "paste the text instead"


@dataclass(frozen=True, kw_only=True)
class Target:
    """Where a link leads."""

    url: URL
    """As it is asked for, without a fragment; its host is `host`."""
    host: str
    """A name in ASCII and small letters, or an address without brackets."""
    port: int
    address: Address | None = None
    """The address, where the host is one."""

    @property
    def shown(self) -> str:
        """The host as messages have it."""
        return self.host[:80]


def read_target(text: str) -> Target:
    """Where a link leads.

    Raises:
        FetchError: It is no link that is followed.
    """
    text = text.strip()
    if len(text) > MAX_URL_CHARACTERS:
        raise FetchError(f"a link has at most {MAX_URL_CHARACTERS} characters, not {len(text)}: {_PASTE}")
    if _NEVER.search(text):
        raise FetchError("a link has no blanks, line ends, control characters or backslashes: copy it once more")
    parts = _PARTS.match(text)
    if parts is None:
        raise FetchError("a link begins with https:// or http://: copy all of it")
    scheme = parts["scheme"].lower()
    if scheme not in SCHEMES:
        raise FetchError(f"a link begins with https:// or http://, and '{scheme[:20]}:' is not read: {_PASTE}")
    if parts["slashes"] is None or not parts["authority"]:
        raise FetchError("a link names a host after http:// or https://: copy all of it")
    if "@" in parts["authority"]:
        raise FetchError("a link has no name or password before its host: leave out what stands before the @")
    if "%" in parts["authority"]:
        raise FetchError("the host of a link has no % in it: write the host as letters, or the address without a zone")
    try:
        url = URL(text).with_fragment(None)
        host, address = _host(url.raw_host or "")
        url = url.with_host(str(address) if address is not None else host)
        port = url.port
    except ValueError as error:
        raise FetchError(f"the link cannot be read ({str(error)[:80]}): copy it once more") from None
    if not port:
        raise FetchError("the port of a link lies between 1 and 65535: leave it out")
    if (url.raw_host or "").strip("[]") != host or url.scheme != scheme or len(str(url)) > 3 * MAX_URL_CHARACTERS:
        raise FetchError(f"the link can be read in two ways: {_PASTE}")
    return Target(url=url, host=host, port=port, address=address)


def redirected(target: Target, location: str) -> Target:
    """Where a page sends whoever asks it.

    Args:
        target: The page.
        location: What it says, as its header ``Location`` has it.

    Raises:
        FetchError: Nobody follows there.
    """
    if len(location) > MAX_URL_CHARACTERS:
        raise FetchError(f"the page leads to a link of more than {MAX_URL_CHARACTERS} characters: {_PASTE}")
    try:
        joined = urljoin(str(target.url), location.strip().replace(" ", "%20"))
        found = read_target(joined)
    except ValueError:
        raise FetchError(f"the page leads on to what cannot be read as a link: {_PASTE}") from None
    except FetchError as error:
        raise FetchError(f"the page leads on to what is not followed: {error.words}") from None
    if target.url.scheme == "https" and found.url.scheme == "http" and found.host != target.host:
        raise FetchError(
            f"the page leads from https to another host without it ({found.shown}), where anybody on the way could "
            f"change what is read: give that link itself, or {_PASTE}"
        )
    return found


def _host(raw: str) -> tuple[str, Address | None]:
    """A host in the form in which it is asked for, and its address where it is one.

    Raises:
        FetchError: It is none, or an address in a form that programs read in different ways.
    """
    if ":" in raw:
        address = plain(IPv6Address(raw.strip("[]")))
        if isinstance(address, IPv4Address):
            raise FetchError("an IPv4 address within an IPv6 address is not followed: write it as four numbers")
        return str(address), address
    host = raw.lower().removesuffix(
        "."
    )  # yarl has made ASCII of it (IDNA after UTS 46): full-width digits are digits now
    labels = host.split(".")
    if len(host) > _MAX_HOST_CHARACTERS or not all(map(_LABEL.fullmatch, labels)):
        raise FetchError(f"'{raw[:80]}' is no name of a host: copy the link once more")
    if not _NUMBER.fullmatch(labels[-1]):
        return host, None
    try:
        return host, IPv4Address(host)
    except ValueError:
        raise FetchError(
            f"an address in a link is four numbers from 0 to 255 with dots, and '{raw[:80]}' is another form of one: "
            "name the host instead"
        ) from None
