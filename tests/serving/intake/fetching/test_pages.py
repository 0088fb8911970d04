"""Pages that are read: what is asked for, what comes back, and who is believed."""

from __future__ import annotations

import gzip
import socket
import ssl
import zlib

import brotli
import pytest
import trustme

from serving.intake.fetching import kinds
from serving.intake.fetching.connecting import Guard
from serving.intake.fetching.errors import FetchError
from serving.intake.fetching.fetcher import fetch
from serving.intake.fetching.lookup import system_lookup
from serving.intake.fetching.options import FetchOptions
from serving.intake.fetching.targets import read_target, redirected
from tests.serving.intake.fetching.site import HTML, listening, raw, says
from tests.serving.intake.fetching.world import World

BARE = zlib.compressobj(wbits=-15)
DEFLATED = BARE.compress(HTML) + BARE.flush()
BROTLI = brotli.compress(HTML)
ZIPPED = gzip.compress(HTML, mtime=0)  # the same for each process that runs tests


async def test_a_page_is_asked_for_by_a_program_that_says_who_it_is(world: World) -> None:
    options = FetchOptions(allow=world.options.allow, contact="desk@news.example")
    fetched = await fetch(f" {world.site.url}/ok#comments\n", options)
    assert (fetched.url, fetched.body) == (f"{world.site.url}/ok", HTML)
    assert (fetched.content_type, fetched.charset) == ("text/html", None)
    line, *lines = world.site.asked[0].lower().split("\r\n")
    headers = dict(one.split(": ", 1) for one in lines if one)
    assert line == "get /ok http/1.1"
    assert headers["user-agent"].startswith("infolens/")
    assert headers["user-agent"].endswith(" (+desk@news.example)")
    assert headers["host"] == f"127.0.0.1:{world.site.port}"
    assert headers.keys() == {"host", "user-agent", "accept", "accept-encoding", "accept-language", "connection"}


async def test_a_page_gets_no_cookie_and_no_referrer_of_the_one_before(world: World) -> None:
    world.site.answers = {
        "/one": says(b"", "Location: two?a=b", "Set-Cookie: a=b", status="301 Moved"),
        "/two?a=b": says(),
    }
    fetched = await world.fetch("http://127.0.0.1:SITE/one")
    assert fetched.url == f"{world.site.url}/two?a=b"
    assert "cookie" not in world.site.asked[1].lower()
    assert "referer" not in world.site.asked[1].lower()


async def test_no_proxy_of_the_environment_is_asked(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, world.secret.url)
    assert (await world.fetch("http://127.0.0.1:SITE/ok")).body == HTML
    assert world.secret.connections == 0


@pytest.mark.parametrize(
    ("encoding", "body"),
    [
        ("identity", HTML),
        ("gzip", ZIPPED),
        ("x-gzip", ZIPPED),
        ("GZIP", gzip.compress(HTML[:20], mtime=0) + gzip.compress(HTML[20:], mtime=0)),
        ("gzip", ZIPPED + bytes(512)),
        ("deflate", zlib.compress(HTML)),
        ("deflate", DEFLATED),
        ("br", BROTLI),
    ],
)
async def test_a_page_is_unpacked(world: World, encoding: str, body: bytes) -> None:
    world.site.answers = {"/packed": says(body, f"Content-Encoding: {encoding}")}
    assert (await world.fetch("http://127.0.0.1:SITE/packed")).body == HTML


@pytest.mark.parametrize(("encoding", "body"), [("gzip", ZIPPED), ("deflate", DEFLATED), ("br", BROTLI)])
async def test_a_page_is_unpacked_byte_by_byte(world: World, encoding: str, body: bytes) -> None:
    head = f"HTTP/1.1 200 OK\r\nContent-Encoding: {encoding}\r\nTransfer-Encoding: chunked\r\n\r\n".encode()
    chunks = [b"1\r\n%c\r\n" % byte for byte in body]
    world.site.answers = {"/packed": raw(head, *chunks, b"0\r\n\r\n")}
    fetched = await world.fetch("http://127.0.0.1:SITE/packed")
    assert (fetched.body, fetched.content_type) == (HTML, kinds.HTML)


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "br"])
async def test_a_page_of_all_that_is_allowed_comes_whole(world: World, encoding: str) -> None:
    page = bytes(range(1, 256)) * 1000
    pack = {"gzip": gzip.compress, "deflate": zlib.compress, "br": brotli.compress}[encoding]
    world.site.answers = {"/packed": says(pack(page), f"Content-Encoding: {encoding}")}
    assert (await world.fetch("http://127.0.0.1:SITE/packed", max_inflated_bytes=len(page))).body == page
    with pytest.raises(FetchError, match="has more"):
        await world.fetch("http://127.0.0.1:SITE/packed", max_inflated_bytes=len(page) - 1)


@pytest.mark.parametrize(
    ("header", "body", "kind", "charset"),
    [
        ("Content-Type: text/html; charset=windows-1252", HTML, kinds.HTML, "windows-1252"),
        ('Content-Type: TEXT/HTML;Charset="utf-8"', HTML, kinds.HTML, "utf-8"),
        ("Content-Type: text/html; charset=u\\f", HTML, kinds.HTML, None),
        ("Content-Type: application/xhtml+xml", HTML, "application/xhtml+xml", None),
        ("Content-Type: text/plain", b"Oil rises.", kinds.TEXT, None),
        ("Content-Type: application/pdf", b"%PDF-1.7", kinds.PDF, None),
        (f"Content-Type: {kinds.DOCX}", b"PK\x03\x04", kinds.DOCX, None),
        ("Content-Type: application/octet-stream", b"%PDF-1.7" + bytes(5000), kinds.PDF, None),
        ("Content-Type: application/octet-stream", b"PK\x03\x04" + bytes(5000), kinds.DOCX, None),
        ("Content-Type:", b"\xef\xbb\xbf\n<!DOCTYPE html>" + HTML, kinds.HTML, None),
        ("Content-Type:", b"Oil rises.\n" * 500, kinds.TEXT, None),
        ("Content-Type:", "Öl steigt.".encode(), kinds.TEXT, None),
    ],
)
async def test_the_kind_of_a_page_is_what_its_server_or_its_first_bytes_say(
    world: World, header: str, body: bytes, kind: str, charset: str | None
) -> None:
    world.site.answers = {"/page": says(body, header)}
    fetched = await world.fetch("http://127.0.0.1:SITE/page")
    assert (fetched.content_type, fetched.charset, fetched.body) == (kind, charset, body)


async def test_five_redirects_are_followed(world: World) -> None:
    assert (await world.fetch("http://127.0.0.1:SITE/hop0")).url == f"{world.site.url}/hop5"
    assert world.site.connections == 6


async def test_a_name_that_is_allowed_may_be_inside(world: World) -> None:
    options = FetchOptions(allow=(f"*.desk.example:{world.site.port}",))
    names = world.names
    for host in ("news.desk.example", "a.b.desk.example", "deskdesk.example", "desk.example"):
        names.names[host] = [["127.0.0.1"]]
        if host.endswith(".desk.example"):
            assert (await fetch(f"http://{host}:{world.site.port}/ok", options, lookup=names)).body == HTML
        else:
            with pytest.raises(FetchError, match="public web"):
                await fetch(f"http://{host}:{world.site.port}/ok", options, lookup=names)


async def test_localhost_is_what_the_system_says(world: World) -> None:
    addresses = await system_lookup("localhost", 80)
    assert {str(address) for address in addresses} <= {"127.0.0.1", "::1"}
    with pytest.raises(FetchError, match="public web"):
        await fetch("http://localhost/", FetchOptions())
    with pytest.raises(OSError, match=r"."):
        await system_lookup("a" * 64 + ".invalid", 80)


async def test_a_certificate_of_nobody_is_not_believed(world: World) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    trustme.CA().issue_cert("127.0.0.1").configure_cert(context)
    async with listening({"/ok": says()}, context=context) as secure:
        options = FetchOptions(allow=(f"127.0.0.1:{secure.port}",))
        with pytest.raises(FetchError, match=r"nobody can be sure that it is '127\.0\.0\.1' that answers"):
            await fetch(f"https://127.0.0.1:{secure.port}/ok", options)
        assert secure.asked == []


async def test_nobody_listens(world: World) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound, and not listening
        port = taken.getsockname()[1]
        with pytest.raises(FetchError, match="cannot be reached"):
            await fetch(f"http://127.0.0.1:{port}/", FetchOptions(allow=(f"127.0.0.1:{port}",)))


async def test_a_guard_lets_no_socket_go_elsewhere(world: World) -> None:
    address = read_target("http://127.0.0.1/").address
    assert address is not None
    guard = Guard([address], world.site.port)
    info = (socket.AF_INET, socket.SOCK_STREAM, 0, "", ("127.0.0.1", world.site.port))
    with guard.make_socket(info) as fine:
        fine.connect(("127.0.0.1", world.site.port))
        await guard.connected()
    for host, port in (("127.0.0.2", world.site.port), ("127.0.0.1", world.secret.port)):
        with pytest.raises(PermissionError):
            guard.make_socket((*info[:4], (host, port)))
    with guard.make_socket(info) as led_astray:
        led_astray.connect(("127.0.0.1", world.secret.port))
        with pytest.raises(PermissionError):
            await guard.connected()


@pytest.mark.parametrize(
    ("before", "location", "words"),
    [
        ("https://news.example/a", "http://other.example/", "from https to another host without it"),
        ("https://news.example/a", "http://news.example/b", ""),
        ("http://news.example/a", "https://other.example/", ""),
        ("http://news.example/a", "http://other.example/a b", ""),
    ],
)
def test_nobody_is_led_from_tls_to_a_stranger_without_it(before: str, location: str, words: str) -> None:
    if words:
        with pytest.raises(FetchError, match=words):
            redirected(read_target(before), location)
    else:
        assert str(redirected(read_target(before), location).url).startswith(location[:20])


@pytest.mark.parametrize(
    ("link", "url", "host"),
    [
        ("HTTPS://News.Example/A?b=C#d", "https://news.example/A?b=C", "news.example"),
        ("http://b\u00fccher.example/\u00fc", "http://xn--bcher-kva.example/%C3%BC", "xn--bcher-kva.example"),
        ("http://news.example./", "http://news.example/", "news.example"),
        ("http://[2606:4700:0:0::1111]/", "http://[2606:4700::1111]/", "2606:4700::1111"),
        ("http://a_b.example/", "http://a_b.example/", "a_b.example"),
        ("http://news.example/a%2Fb?x=a+b%20c", "http://news.example/a%2Fb?x=a+b%20c", "news.example"),
    ],
)
def test_a_link_is_read(link: str, url: str, host: str) -> None:
    target = read_target(link)
    assert (str(target.url), target.host) == (url, host)
