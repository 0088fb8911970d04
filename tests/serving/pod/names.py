"""A DNS server on loopback whose answer a test changes, as a cluster's does when replicas come and go."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest
from dnslib import QTYPE, RR, A, DNSRecord  # type: ignore[import-untyped]
from dnslib.server import BaseResolver, DNSLogger, DNSServer  # type: ignore[import-untyped]

from infolens._transports.url import ServerURL

NAME = "infolens-grpc"


@dataclass
class Names(BaseResolver):  # type: ignore[misc]
    """Answers for `NAME`.

    Attributes:
        addresses: What it answers.
    """

    addresses: tuple[str, ...]
    port: int = field(default=0)

    def resolve(self, request: DNSRecord, handler: Any) -> DNSRecord:
        reply = request.reply()
        if request.q.qtype == QTYPE.A and str(request.q.qname).startswith(NAME):
            for address in self.addresses:
                reply.add_answer(RR(request.q.qname, QTYPE.A, rdata=A(address), ttl=0))
        return reply


@contextmanager
def names(addresses: tuple[str, ...], monkeypatch: pytest.MonkeyPatch) -> Iterator[Names]:
    """The server inside the block; clients of this process ask it for ``grpc://infolens-grpc:PORT``."""
    resolver = Names(addresses=addresses)
    server = DNSServer(resolver, address="127.0.0.1", port=0, logger=DNSLogger(log="-request,-reply"))
    resolver.port = server.server.server_address[1]
    server.start_thread()
    # gRPC takes the server to ask in the address; all else is as for any name.
    where = property(lambda url: f"dns://127.0.0.1:{resolver.port}/{url.host}:{url.port}")
    for variable in ("grpc_proxy", "http_proxy", "https_proxy"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setattr(ServerURL, "address", where)
    try:
        yield resolver
    finally:
        server.stop()
        server.thread.join()
        server.server.server_close()
