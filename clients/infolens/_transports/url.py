"""Where the server is: the URL forms that infolens understands."""

from __future__ import annotations

import ipaddress
import os
import re
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

from infolens.errors import InvalidSettingError

DEFAULT_URL: Final = "grpc://127.0.0.1:8001"
URL_VARIABLE: Final = "INFOLENS_URL"
"""The environment variable that names the server where no URL is given."""

DEFAULT_PORTS: Final = {"grpc": 8001, "grpcs": 443, "http": 8000, "https": 443}
DEFAULT_HTTP_URL: Final = f"http://127.0.0.1:{DEFAULT_PORTS['http']}"
"""The server of links where none is named: they are read over HTTP alone."""
_FORMS: Final = "use grpc://HOST:8001, http://HOST:8000, grpcs://HOST, https://HOST, or HOST:PORT for gRPC"


@dataclass(frozen=True, kw_only=True, slots=True)
class ServerURL:
    """A server's address, taken apart."""

    scheme: str
    host: str
    port: int
    path: str = ""
    """What a proxy puts before ``/v2``, without a slash at the end; always empty for gRPC."""

    @property
    def is_http(self) -> bool:
        """Whether the server is spoken to over HTTP; over gRPC otherwise."""
        return self.scheme.startswith("http")

    @property
    def is_encrypted(self) -> bool:
        """Whether the connection is under TLS."""
        return self.scheme.endswith("s")

    @property
    def is_loopback(self) -> bool:
        """Whether the server is on this machine."""
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:  # a name
            return self.host == "localhost"

    @property
    def address(self) -> str:
        """``host:port``, with brackets around an IPv6 address."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    def __str__(self) -> str:
        return f"{self.scheme}://{self.address}{self.path}"


def parse_url(url: str | None = None) -> ServerURL:
    """Take a server's URL apart; without one, ``INFOLENS_URL`` counts, and then `DEFAULT_URL`.

    Raises:
        InvalidSettingError: The URL has none of the forms that are understood.
    """
    if url is None:
        url = os.environ.get(URL_VARIABLE) or DEFAULT_URL
    if not isinstance(url, str):
        raise InvalidSettingError(f"a server URL is a str, not {type(url).__name__}; {_FORMS}")
    # Messages end up in logs: what a URL may hold before the host is not for them.
    shown = re.sub(r"(^|//)[^/]*@", r"\1...@", url)
    try:
        parts = urlsplit(url if "://" in url else f"grpc://{url}")
        host, port = parts.hostname, parts.port
        (host or "").encode("idna")  # no label of a name is empty or too long
        if port == 0:
            raise ValueError("a port lies between 1 and 65535")
    except ValueError as error:
        raise InvalidSettingError(f"the server URL {shown!r} is not valid ({error}); {_FORMS}") from error
    scheme = parts.scheme
    if scheme not in DEFAULT_PORTS:
        raise InvalidSettingError(f"the server URL {shown!r} has the unknown scheme {scheme!r}; {_FORMS}")
    if not host or any(char.isspace() for char in url):
        raise InvalidSettingError(f"the server URL {shown!r} does not name a host; {_FORMS}")
    path = parts.path.rstrip("/")
    if parts.username is not None:
        raise InvalidSettingError(f"the server URL {shown!r} may hold no credentials; pass the key as api_key")
    if parts.query or parts.fragment or (path and not scheme.startswith("http")):
        raise InvalidSettingError(
            f"the server URL {shown!r} may hold scheme, host and port, and a path for HTTP; leave out the rest"
        )
    return ServerURL(scheme=scheme, host=host, port=port or DEFAULT_PORTS[scheme], path=path)
