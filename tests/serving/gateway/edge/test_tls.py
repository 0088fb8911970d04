"""TLS at both doors, with a certificate that is renewed while they run."""

from __future__ import annotations

import asyncio
import contextlib
import datetime
import json
import socket
import ssl
from collections.abc import AsyncIterator
from io import BytesIO
from pathlib import Path

import aiohttp
import grpc
import grpc.aio
import pytest
import trustme
from cryptography import x509

from infolens import AsyncClient, Client
from serving.edge.options import EdgeOptions
from serving.gateway.edge import sites
from serving.gateway.edge.tls import Certificates
from serving.gateway.logs import open_log
from serving.triton_grpc import TritonClient
from tests.serving.edge.authority import Files, write
from tests.serving.gateway.api.conftest import make_fake
from tests.serving.gateway.scripted import PATIENCE_S, Door, ScriptedTriton, opened, options, process, until

TEXT = "The old bridge over the harbour will close for repairs in June, the city said on Monday."


@pytest.fixture
def files(tmp_path: Path, authority: trustme.CA) -> Files:
    return write(tmp_path, authority)


@pytest.fixture
async def door(tmp_path: Path, files: Files, scripted: ScriptedTriton) -> AsyncIterator[Door]:
    fake = make_fake()
    scripted.answer = lambda request, _: fake.infer(request)
    edge = EdgeOptions(**files.options, tls_look_every_s=0.02)
    async with scripted.listening() as address, opened(options(tmp_path, address, edge=edge)) as door:
        yield door


def served(
    port: int,
    protocol: str,
    root: Path,
    version: ssl.TLSVersion | None = None,
    *,
    name: str | None = "localhost",
    ciphers: str = "DEFAULT",
) -> tuple[int, str | None]:
    """The serial number of the certificate at a port, and the version of TLS."""
    context = ssl.create_default_context(cafile=str(root))
    context.check_hostname = name is not None
    context.set_ciphers(ciphers)
    context.set_alpn_protocols([protocol])
    if version is not None:
        context.maximum_version = version
    with (
        socket.create_connection(("127.0.0.1", port), PATIENCE_S) as plain,
        context.wrap_socket(plain, server_hostname=name) as connection,
    ):
        certificate = connection.getpeercert()
        assert certificate is not None
        assert connection.selected_alpn_protocol() == protocol
        return int(str(certificate["serialNumber"]), 16), connection.version()


async def numbers(door: Door, root: Path) -> set[int]:
    """The certificates that both doors serve on new connections."""
    pairs = ((door.ports["http_port"], "http/1.1"), (door.ports["grpc_port"], "h2"))
    return {(await asyncio.to_thread(served, port, protocol, root))[0] for port, protocol in pairs}


def number(files: Files) -> int:
    certificate = x509.load_pem_x509_certificate(files.cert.read_bytes())
    return certificate.serial_number


async def test_the_sdk_asks_over_https_and_grpcs(door: Door, files: Files) -> None:
    for url in (f"https://127.0.0.1:{door.ports['http_port']}", f"grpcs://127.0.0.1:{door.ports['grpc_port']}"):
        async with AsyncClient(url, root_certificates=files.root) as client:
            assert (await client.analyze(TEXT)).summary is not None

        def ask(url: str = url) -> bool:
            with Client(url, root_certificates=files.root) as client:
                return client.analyze(TEXT).summary is not None

        assert await asyncio.to_thread(ask)


async def test_plain_callers_and_old_versions_are_not_served_and_metrics_are_plain(door: Door, files: Files) -> None:
    http, metrics = door.ports["http_port"], door.ports["metrics_port"]
    async with aiohttp.ClientSession() as session:
        with pytest.raises(aiohttp.ClientError):
            await session.get(f"http://127.0.0.1:{http}/healthz")
        async with session.get(f"http://127.0.0.1:{metrics}/metrics") as answer:
            assert "infolens_certificate_ends_timestamp_seconds" in await answer.text()
    code, _ = await door.refused("ServerLive", timeout=2)
    assert code is not grpc.StatusCode.OK
    for port, protocol in ((http, "http/1.1"), (door.ports["grpc_port"], "h2")):
        assert (await asyncio.to_thread(served, port, protocol, files.root, ssl.TLSVersion.TLSv1_2))[1] == "TLSv1.2"
        with pytest.warns(DeprecationWarning, match=r"TLSv1_1"), pytest.raises((ssl.SSLError, OSError)):
            await asyncio.to_thread(served, port, protocol, files.root, ssl.TLSVersion.TLSv1_1)


async def test_the_supervisor_asks_whether_the_door_lives_without_a_certificate(door: Door) -> None:
    client = TritonClient(f"127.0.0.1:{door.ports['plain_grpc_port']}", ("", ""))
    try:
        assert (await asyncio.to_thread(client.live(PATIENCE_S).result)).live
    finally:
        client.close()


async def test_a_renewed_certificate_is_served_to_new_connections_and_old_ones_go_on(
    door: Door, files: Files, authority: trustme.CA
) -> None:
    before = number(files)
    assert await numbers(door, files.root) == {before}
    url = f"https://127.0.0.1:{door.ports['http_port']}/healthz"
    context = ssl.create_default_context(cafile=str(files.root))
    credentials = grpc.ssl_channel_credentials(files.root.read_bytes())
    async with (
        aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=context)) as session,
        grpc.aio.secure_channel(f"127.0.0.1:{door.ports['grpc_port']}", credentials) as channel,
    ):
        live = channel.unary_unary("/inference.GRPCInferenceService/ServerLive")
        assert (await session.get(url)).status == 200
        assert await live(b"", timeout=PATIENCE_S)
        write(files.cert.parent, authority)
        after = number(files)
        assert after != before
        async with asyncio.timeout(PATIENCE_S):
            while await numbers(door, files.root) != {after}:
                pass
        assert (await session.get(url)).status == 200
        assert await live(b"", timeout=PATIENCE_S)
    renewed = [line for line in door.lines() if line["event"] == "certificate renewed"]
    assert [line["names"] for line in renewed] == [["localhost", "127.0.0.1"]]


async def test_a_renewed_certificate_of_another_kind_leaves_nothing_of_the_old_one(
    tmp_path: Path, scripted: ScriptedTriton, authority: trustme.CA
) -> None:
    files = write(tmp_path, authority, key_type=trustme.KeyType.RSA)
    edge = EdgeOptions(**files.options, tls_look_every_s=0.02)
    rsa = (ssl.TLSVersion.TLSv1_2,), {"ciphers": "ECDHE-RSA-AES128-GCM-SHA256"}
    async with scripted.listening() as address, opened(options(tmp_path, address, edge=edge)) as door:
        doors = ((door.ports["http_port"], "http/1.1"), (door.ports["grpc_port"], "h2"))
        for port, protocol in doors:
            assert (await asyncio.to_thread(served, port, protocol, files.root, *rsa[0], **rsa[1]))[0] == number(files)
        write(tmp_path, authority, key_type=trustme.KeyType.ECDSA)
        async with asyncio.timeout(PATIENCE_S):
            while await numbers(door, files.root) != {number(files)}:
                pass
        for port, protocol in doors:
            # Callers by address name no host, and see the new one too.
            assert (await asyncio.to_thread(served, port, protocol, files.root, name=None))[0] == number(files)
            with pytest.raises((ssl.SSLError, OSError)):
                await asyncio.to_thread(served, port, protocol, files.root, *rsa[0], **rsa[1])


async def test_who_does_not_get_on_with_the_handshake_is_sent_away_without_a_word_in_the_log(
    tmp_path: Path,
    scripted: ScriptedTriton,
    files: Files,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(sites, "HANDSHAKE_S", 0.1)
    edge = EdgeOptions(**files.options)
    async with scripted.listening() as address, opened(options(tmp_path, address, edge=edge)) as door:
        for sent in (b"", b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", b"\x16\x03\x01\x02"):
            reader, writer = await asyncio.open_connection("127.0.0.1", door.ports["http_port"])
            writer.write(sent)
            with contextlib.suppress(ConnectionError):
                await asyncio.wait_for(reader.read(), PATIENCE_S)
            writer.close()
        assert [line["event"] for line in door.lines()] == ["certificate"]
    assert caplog.text == ""


BROKEN = ("half a file", "another key", "expired", "gone")


@pytest.mark.parametrize("how", BROKEN)
async def test_a_broken_one_is_logged_once_and_the_old_one_kept(
    door: Door, files: Files, authority: trustme.CA, how: str
) -> None:
    before = number(files)
    good = files.cert.read_bytes()
    if how == "half a file":
        files.cert.write_bytes(good[: len(good) // 2])
    elif how == "another key":
        files.key.write_bytes(authority.issue_cert("localhost").private_key_pem.bytes())
    elif how == "expired":
        write(files.cert.parent, authority, not_after=datetime.datetime.now(datetime.UTC) - datetime.timedelta(days=1))
    else:
        files.cert.unlink()

    def kept() -> list[str]:
        return [line["words"] for line in door.lines() if line["event"] == "certificate kept"]

    await until(lambda: bool(kept()))
    assert await numbers(door, files.root) == {before}
    write(files.cert.parent, authority)
    async with asyncio.timeout(PATIENCE_S):
        while await numbers(door, files.root) != {number(files)}:
            pass
    assert len(kept()) == len(set(kept()))


def test_a_fault_is_logged_once_and_again_only_after_it_was_mended(files: Files, authority: trustme.CA) -> None:
    log = BytesIO()
    certificates = Certificates(files.cert, files.key, open_log(log))
    good = files.cert.read_bytes()

    def kept_after(*contents: bytes) -> int:
        for content in contents:
            files.cert.write_bytes(content)
            certificates.look()
        return log.getvalue().count(b"certificate kept")

    assert kept_after(b"", b"", b"") == 1
    assert kept_after(authority.issue_cert("other").cert_chain_pems[0].bytes()) == 2
    assert kept_after(good, b"") == 3
    assert b"certificate renewed" not in log.getvalue()


async def test_a_door_with_an_expired_certificate_serves_and_says_so(
    tmp_path: Path, scripted: ScriptedTriton, authority: trustme.CA
) -> None:
    """It may be one that was started again: one that serves nobody helps less."""
    files = write(tmp_path, authority, not_after=datetime.datetime.now(datetime.UTC) - datetime.timedelta(days=1))
    edge = EdgeOptions(**files.options)
    async with scripted.listening() as address, opened(options(tmp_path, address, edge=edge)) as door:
        assert [line["words"] for line in door.lines()] == ["the certificate has expired: renew it"]
        with pytest.raises(ssl.SSLCertVerificationError, match="expired"):
            await numbers(door, files.root)


async def test_a_door_that_cannot_read_its_certificate_says_why(
    tmp_path: Path, scripted: ScriptedTriton, files: Files
) -> None:
    files.key.write_text("")
    edge = json.loads(json.dumps(EdgeOptions(**files.options).document()))
    async with scripted.listening() as address:
        with (
            pytest.raises(AssertionError, match="error: --tls-key is a PEM file"),
            process(tmp_path, address, edge=edge),
        ):
            pass
