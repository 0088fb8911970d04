"""How the door meets the world: TLS, web pages of other origins, proxies before it, and where its traces go."""

from __future__ import annotations

import dataclasses
import ipaddress
import logging
from dataclasses import dataclass
from importlib import util
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from serving.errors import EdgeError

from .certificates import read_pair, words_about_end

ANY_ORIGIN: Final = "*"
MOST_ASKED: Final = 60
"""The models work on one traced request after the other: callers may have one a second."""
_EXPORTER: Final = "opentelemetry.exporter.otlp.proto.http.trace_exporter"
log = logging.getLogger(__name__)
_DEFAULT_PORTS: Final = {"http": 80, "https": 443}


@dataclass(frozen=True, kw_only=True)
class EdgeOptions:
    """What the door is told of its edge; by default nothing is open and nothing is trusted."""

    tls_cert: Path | None = None
    """A PEM file: the certificate, and those between it and the authority. With it HTTP and gRPC are under TLS."""
    tls_key: Path | None = None
    """A PEM file: its key, without a pass phrase."""
    tls_look_every_s: float = 2.0
    """How often both files are read again, for one that was renewed."""
    cors_origins: tuple[str, ...] = ()
    """Origins whose web pages may ask ``/v1`` and health, such as ``https://desk.example``; or ``*`` for all."""
    forwarded_allow: tuple[str, ...] = ()
    """Addresses and networks of proxies whose ``X-Forwarded-...`` headers count."""
    trace_url: str = ""
    """Where the door's spans go: an OpenTelemetry collector (OTLP over HTTP)."""
    trace_sample: float = 0.0
    """Which part of the requests has spans: 0 for none, 1 for all."""
    trace_models: bool = False
    """Whether the spans of the models are sent too, for the same requests."""
    trace_asked_per_minute: int = 0
    """How many requests a minute have spans because their callers want it, all callers together."""

    @property
    def tls(self) -> bool:
        """Whether HTTP and gRPC are under TLS."""
        return self.tls_cert is not None

    def document(self) -> dict[str, Any]:
        """These options as JSON has them."""
        return {
            name: str(value.resolve()) if isinstance(value, Path) else value
            for name, value in dataclasses.asdict(self).items()
        }


def check_edge(options: EdgeOptions, *, keys: bool) -> EdgeOptions:
    """Check the options before anything is started, and say what they give away.

    Args:
        options: As they were given.
        keys: Whether callers need a key.

    Returns:
        The options in the form in which the door has them.

    Raises:
        EdgeError: One of them cannot be kept to; the message says which and what to do.
    """
    if (options.tls_cert is None) != (options.tls_key is None):
        given, missing = ("--tls-cert", "--tls-key") if options.tls_cert is not None else ("--tls-key", "--tls-cert")
        raise EdgeError(f"TLS needs a certificate and its key, and {given} came alone: give {missing} too")
    if options.tls_cert is not None and options.tls_key is not None:
        words, ended = words_about_end(read_pair(options.tls_cert, options.tls_key))
        if ended:
            raise EdgeError(f"the certificate {options.tls_cert} {words}: renew it, and start again")
        if words:
            log.warning("warning: the certificate %s %s: renew it (no restart is needed)", options.tls_cert, words)
    if ANY_ORIGIN in options.cors_origins:
        if keys:
            raise EdgeError(
                "--cors-origin * lets every web page ask, and this server wants keys, which belong to some callers: "
                "name the origins of your pages, such as https://desk.example"
            )
        log.warning("warning: --cors-origin *: every web page that a browser shows may ask this server")
    networks = [check_network(one) for one in options.forwarded_allow]
    if any(one.prefixlen == 0 for one in networks):
        log.warning("warning: --forwarded-allow has every address: each caller can say that it is another one")
    if not 0 <= options.trace_sample <= 1:
        raise EdgeError(f"--trace-sample is a part of the requests between 0 and 1, not {options.trace_sample:g}")
    if options.trace_sample:
        _check_tracing(options)
    elif options.trace_models:
        raise EdgeError("--trace-models sends the models' spans of sampled requests: give --trace-sample too")
    if not 0 <= options.trace_asked_per_minute <= MOST_ASKED:
        raise EdgeError(
            f"--trace-asked is a whole number of requests a minute between 0 and {MOST_ASKED}, not "
            f"{options.trace_asked_per_minute}"
        )
    if options.trace_asked_per_minute and not options.trace_sample:
        raise EdgeError(
            "--trace-asked adds to the requests that the door chooses: give --trace-url and --trace-sample too, such "
            "as 0.001"
        )
    return dataclasses.replace(
        options,
        cors_origins=tuple(check_origin(one) for one in options.cors_origins),
        forwarded_allow=tuple(str(one) for one in networks),
    )


def check_origin(text: str) -> str:
    """The origin of web pages as browsers send it.

    Raises:
        EdgeError: It is none.
    """
    if text == ANY_ORIGIN:
        return text
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError:
        parts, port = urlsplit(""), None
    bare = not (parts.path or parts.query or parts.fragment or parts.username is not None)
    if parts.scheme not in _DEFAULT_PORTS or not parts.hostname or not bare or ANY_ORIGIN in text:
        raise EdgeError(
            f"--cors-origin is scheme and host of a web page, and its port if that is not the usual one, such as "
            f"https://desk.example, not '{text}': leave out paths and slashes at the end, and name each host"
        )
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    return f"{parts.scheme}://{host}" + ("" if port in (None, _DEFAULT_PORTS[parts.scheme]) else f":{port}")


def check_network(text: str) -> ipaddress.IPv4Network | ipaddress.IPv6Network:
    """An address, or a network of them.

    Raises:
        EdgeError: It is neither.
    """
    try:
        return ipaddress.ip_network(text)
    except ValueError as error:
        raise EdgeError(
            f"--forwarded-allow is the address of a proxy, or a network such as 10.0.3.0/24, and '{text}' is neither "
            f"({error})"
        ) from None


def _check_tracing(options: EdgeOptions) -> None:
    if urlsplit(options.trace_url).scheme not in _DEFAULT_PORTS:
        raise EdgeError(
            "--trace-sample needs to know where spans go: give --trace-url, such as http://localhost:4318/v1/traces"
        )
    try:
        found = util.find_spec(_EXPORTER)
    except ModuleNotFoundError:
        found = None
    if found is None:
        raise EdgeError(
            "--trace-sample needs OpenTelemetry, which is not installed: "
            ".venv/bin/python -m pip install -e '.[tracing]'"
        )
