"""A site that links may lead to, and a secret that they may not."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import AsyncIterator

import brotli
import pytest

from tests.serving.intake.fetching.site import HTML, Names, endless, listening, raw, says, silent, to
from tests.serving.intake.fetching.world import NAMES, World

ZEROS = bytes(40 * 2**20)
"""More than any page may have once it is inflated."""


CHUNKED = b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nTransfer-Encoding: chunked\r\n\r\n"


@pytest.fixture(scope="session")
def bombs() -> dict[str, bytes]:
    """40 MiB of zeros, packed."""
    return {
        "gzip": gzip.compress(ZEROS, 9),
        "deflate": zlib.compress(ZEROS, 9),
        "bare": zlib.compress(ZEROS, 9, wbits=-15),
        "br": brotli.compress(ZEROS, quality=5),
    }


@pytest.fixture
async def world(bombs: dict[str, bytes]) -> AsyncIterator[World]:
    async with listening() as site, listening() as secret:
        names = Names(NAMES)
        world = World(site=site, secret=secret, names=names)
        coded = {
            name: says(bomb, f"Content-Encoding: {'deflate' if name == 'bare' else name}")
            for name, bomb in bombs.items()
        }
        site.answers = {
            "/ok": says(),
            "/loop": to("/loop"),
            "/flood": endless(b"HTTP/1.1 200 OK\r\n", b"X-Flood: " + b"a" * 200 + b"\r\n"),
            "/long-header": raw(b"HTTP/1.1 200 OK\r\nX: " + b"a" * 100_000 + b"\r\n\r\n"),
            "/endless": endless(CHUNKED, b"10000\r\n" + b"a" * 65_536 + b"\r\n"),
            "/until-closed": endless(b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\n", b"a" * 65_536),
            "/crumbs": endless(CHUNKED, b"1\r\na\r\n" * 8192),
            "/declared": says(b"", length=2**40),
            "/silent": silent(),
            "/slow-head": silent(b"HTTP/1.1 200 OK\r\nContent-Ty"),
            "/slow-body": silent(b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 99\r\n\r\nOil"),
            "/drip": endless(b"HTTP/1.1 103 Early Hints\r\n\r\n", b"HTTP/1.1 103 Early Hints\r\n\r\n"),
            "/hangs-up": raw(),
            "/no-http": raw(b"220 mail.example ESMTP\r\n"),
            "/cut": raw(b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 99\r\n\r\nOil"),
            "/cut-gzip": says(gzip.compress(HTML)[:-9], "Content-Encoding: gzip"),
            "/no-gzip": says(HTML, "Content-Encoding: gzip"),
            "/no-br": says(HTML, "Content-Encoding: br"),
            "/zstd": says(HTML, "Content-Encoding: zstd"),
            "/twice": says(gzip.compress(gzip.compress(HTML)), "Content-Encoding: gzip, gzip"),
            "/image": says(b"\x89PNG", "Content-Type: image/png"),
            "/json": says(b"{}", "Content-Type: application/json"),
            "/binary": says(bytes(range(256)), "Content-Type: application/octet-stream"),
            "/nothing": says(b"", "Content-Type: application/octet-stream"),
            "/forbidden": says(HTML, status="403 Forbidden"),
            "/gone": says(HTML, status="410 Gone"),
            "/part": says(HTML, status="206 Partial Content"),
            "/broken": says(HTML, status="500 Internal Server Error"),
            "/nowhere": says(HTML, status="302 Found"),
            **{f"/bomb-{name}": answer for name, answer in coded.items()},
            **{f"/hop{number}": to(f"/hop{number + 1}") for number in range(5)},
            "/hop5": says(),
        }
        yield world
