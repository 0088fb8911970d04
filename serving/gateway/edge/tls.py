"""The certificate that both doors serve, read again and again: whoever renews it starts nothing anew."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

import grpc
from prometheus_client import CollectorRegistry, Gauge

from serving.edge.certificates import Pair, load, read_pair, words_about_end
from serving.edge.options import EdgeOptions
from serving.errors import EdgeError

HANDSHAKE_S: Final = 10.0
"""How long a caller may take for a handshake, and for a goodbye."""


class Certificates:
    """The certificate as it is now.

    Args:
        cert: Its file.
        key: The file of its key.
        log: The door's log.

    Raises:
        EdgeError: It cannot be served at all. One that has expired can, with a line in the log.
    """

    def __init__(self, cert: Path, key: Path, log: Any) -> None:
        self._cert, self._key, self._log = cert, key, log
        self.pair = read_pair(cert, key)
        self._refused = ""
        self._now = _http_context(self.pair)
        self.http_context = _http_context(self.pair)
        """For HTTP: it stays the same one, and hands each new connection to that of the certificate as it is then."""
        # A context that took several certificates one after another would go on serving the old one to callers who
        # know no keys of the new one's kind.
        self.http_context.sni_callback = self._hand_over
        self._tell("certificate")

    def grpc_credentials(self) -> grpc.ServerCredentials:
        """For gRPC, which asks for the certificate at each new connection, in a thread of its own."""
        served = self.pair

        def newer() -> grpc.ServerCertificateConfiguration | None:
            nonlocal served
            if self.pair is served:
                return None  # the one that it has
            served = self.pair
            return _grpc_configuration(served)

        return grpc.dynamic_ssl_server_credentials(_grpc_configuration(served), newer)

    def look(self) -> None:
        """Read the files; a certificate that can be served takes the place of the one before, any other is logged."""
        try:
            pair = read_pair(self._cert, self._key)
            _, ended = words_about_end(pair)
            if ended and not words_about_end(self.pair)[1]:
                raise EdgeError(f"the certificate {self._cert} has expired: renew it")
        except EdgeError as error:
            if str(error) != self._refused:  # once for each fault, and not every few seconds
                self._refused = str(error)
                self._log.error("certificate kept", words=self._refused, ends_at_s=self.pair.ends_at_s)
            return
        self._refused = ""
        if (pair.chain, pair.key) == (self.pair.chain, self.pair.key):
            return
        self._now = _http_context(pair)
        self.pair = pair
        self._tell("certificate renewed")

    def _hand_over(self, connection: ssl.SSLObject, _name: str | None, _context: ssl.SSLContext) -> None:
        connection.context = self._now

    def _tell(self, event: str) -> None:
        words, _ = words_about_end(self.pair)
        fields = {"names": list(self.pair.names)[:8], "ends_at_s": self.pair.ends_at_s}
        if words:
            self._log.warning(event, words=f"the certificate {words}: renew it", **fields)
        else:
            self._log.info(event, **fields)


@asynccontextmanager
async def open_certificates(
    options: EdgeOptions, log: Any, registry: CollectorRegistry
) -> AsyncIterator[Certificates | None]:
    """The certificate, looked at again and again inside the block; None without TLS.

    Raises:
        EdgeError: It cannot be served.
    """
    if options.tls_cert is None or options.tls_key is None:
        yield None
        return
    certificates = Certificates(options.tls_cert, options.tls_key, log)
    ends = Gauge(
        "infolens_certificate_ends_timestamp_seconds", "When the certificate's time is over.", registry=registry
    )
    ends.set_function(lambda: certificates.pair.ends_at_s)
    task = asyncio.create_task(_look_again(certificates, options.tls_look_every_s))
    try:
        yield certificates
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


async def _look_again(certificates: Certificates, every_s: float) -> None:
    while True:
        await asyncio.sleep(every_s)
        certificates.look()  # about a millisecond, and nothing waits for the disk but two small reads


def _http_context(pair: Pair) -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    load(context, pair.chain, pair.key)
    return context


def _grpc_configuration(pair: Pair) -> grpc.ServerCertificateConfiguration:
    return grpc.ssl_server_certificate_configuration([(pair.key, pair.chain)])
