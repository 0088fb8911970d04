"""Links of people who want what only this server can reach, and sites that want to keep it busy."""

from __future__ import annotations

import asyncio
import socket
import threading

import pytest

from serving.intake.fetching.errors import FetchError
from serving.intake.fetching.fetcher import fetch
from serving.intake.fetching.lookup import MAX_THREADS
from serving.intake.fetching.options import FetchOptions
from tests.serving.intake.fetching.site import to
from tests.serving.intake.fetching.world import World

NOT_PUBLIC = "leads to the public web"
FORM = "is another form of one"
WHERE = (
    # Another scheme.
    ("file:///etc/passwd", "'file:' is not read"),
    ("gopher://127.0.0.1:SECRET/_GET%20/", "'gopher:' is not read"),
    ("ftp://127.0.0.1:SECRET/", "'ftp:' is not read"),
    ("dict://127.0.0.1:SECRET/", "'dict:' is not read"),
    ("data:text/html,<p>Oil", "'data:' is not read"),
    ("javascript:alert(1)", "'javascript:' is not read"),
    # Names and passwords, and what parsers take for them.
    ("http://root:secret@127.0.0.1:SITE/ok", "no name or password"),
    ("http://127.0.0.1:SITE@127.0.0.1:SECRET/", "no name or password"),
    # IPv4 in other forms.
    ("http://2130706433:SECRET/", FORM),
    ("http://0177.0.0.1:SECRET/", FORM),
    ("http://017700000001:SECRET/", FORM),
    ("http://0x7f000001:SECRET/", FORM),
    ("http://0x7f.0.0.0x1:SECRET/", FORM),
    ("http://127.1:SECRET/", FORM),
    ("http://0:SECRET/", FORM),
    ("http://127.0.0.1.1:SECRET/", FORM),
    ("http://999.0.0.1:SECRET/", FORM),
    ("http://\uff11\uff12\uff17\u3002\uff10\u3002\uff10\u3002\uff11:SECRET/", NOT_PUBLIC),
    ("http://\u2460\u2461\u2466.0.0.1:SECRET/", NOT_PUBLIC),
    # Loopback and its neighbours.
    ("http://127.0.0.1:SECRET/", NOT_PUBLIC),
    ("http://127.0.0.1.:SECRET/", NOT_PUBLIC),
    ("http://127.0.0.2:SITE/ok", NOT_PUBLIC),
    ("http://0.0.0.0:SECRET/", NOT_PUBLIC),
    ("http://10.0.0.7:SECRET/", NOT_PUBLIC),
    ("http://172.16.0.1/", NOT_PUBLIC),
    ("http://192.168.1.1/", NOT_PUBLIC),
    ("http://100.64.0.1/", NOT_PUBLIC),
    ("http://169.254.169.254/latest/meta-data/", NOT_PUBLIC),
    ("http://168.63.129.16/", NOT_PUBLIC),
    ("http://224.0.0.1/", NOT_PUBLIC),
    ("http://255.255.255.255/", NOT_PUBLIC),
    # IPv6, and IPv4 inside it.
    ("http://[::1]:SECRET/", NOT_PUBLIC),
    ("http://[::]:SECRET/", NOT_PUBLIC),
    ("http://[::ffff:127.0.0.1]:SECRET/", "within an IPv6 address is not followed"),
    ("http://[::ffff:7f00:1]:SECRET/", "within an IPv6 address is not followed"),
    ("http://[::127.0.0.1]:SECRET/", NOT_PUBLIC),
    ("http://[64:ff9b::7f00:1]:SECRET/", NOT_PUBLIC),
    ("http://[64:ff9b:1::7f00:1]:SECRET/", NOT_PUBLIC),
    ("http://[2002:7f00:1::1]/", NOT_PUBLIC),
    ("http://[2001:0:7f00:1::1]/", NOT_PUBLIC),
    ("http://[fe80::1]/", NOT_PUBLIC),
    ("http://[fe80::1%25lo]:SECRET/", "no % in it"),
    ("http://[fc00::1]/", NOT_PUBLIC),
    ("http://[fec0::1]/", NOT_PUBLIC),
    ("http://[fd00:ec2::254]/latest/", NOT_PUBLIC),
    ("http://[ff02::1]/", NOT_PUBLIC),
    # Names that lead there.
    ("http://loopback.example:SECRET/", NOT_PUBLIC),
    ("http://other.example:SITE/ok", NOT_PUBLIC),
    ("http://mixed.example:SITE/ok", NOT_PUBLIC),
    ("http://mapped.example:SECRET/", NOT_PUBLIC),
    ("http://six.example:SECRET/", NOT_PUBLIC),
    ("http://metadata.example/latest/", NOT_PUBLIC),
    ("http://translated.example:SECRET/", NOT_PUBLIC),
    ("http://news.example:SECRET/", NOT_PUBLIC),
    ("http://nobody.example/", "no host 'nobody.example' is known"),
    ("http://empty.example/", "has 0 addresses"),
    ("http://crowd.example:SITE/ok", "has 101 addresses"),
    # Ports.
    ("http://127.0.0.1:22/", "the ports 80 and 443, not to 22"),
    ("http://site.example:6379/", "the ports 80 and 443, not to 6379"),
    ("http://127.0.0.1:0/", "between 1 and 65535"),
    # No host that anybody has.
    ("http://127%2e0%2e0%2e1:SECRET/", "no % in it"),
    ("http://-/", "no name of a host"),
    ("http://a..example/", "no name of a host"),
    ("http://" + "a" * 64 + ".example/", "no name of a host"),
    ("http://[::1/", "be read"),
)
"""Links and what is said of them; each is tried as it is, and as the aim of a redirect."""


async def refused(world: World, link: str, words: str, **more: float) -> str:
    """The words of a refusal, after which nobody has been at the secret."""
    with pytest.raises(FetchError) as told:
        await world.fetch(link, **more)
    assert words in told.value.words
    assert world.secret.connections == 0
    return told.value.words


@pytest.mark.parametrize(("link", "words"), WHERE, ids=[link[:60] for link, _ in WHERE])
async def test_a_link_reaches_nothing_that_is_not_public(world: World, link: str, words: str) -> None:
    said = await refused(world, link, words)
    assert world.site.connections == 0
    assert ":" in said  # there is a way out


@pytest.mark.parametrize(("link", "words"), WHERE, ids=[link[:60] for link, _ in WHERE])
async def test_a_page_leads_nowhere_that_a_link_does_not(world: World, link: str, words: str) -> None:
    aim = world.url(link)
    # A head is Latin-1: a redirect says other letters in percent, or in bytes of UTF-8.
    world.site.answers = {"/away": to(aim.encode().decode("latin-1"))}
    with pytest.raises(FetchError) as told:
        await world.fetch("http://127.0.0.1:SITE/away")
    assert words in told.value.words
    assert (world.site.connections, world.secret.connections) == (1, 0)


@pytest.mark.parametrize(
    ("link", "words"),
    [
        ("http://127.0.0.1:SITE/ok\r\nX-Injected: yes", "no blanks, line ends"),
        ("http://127.0.0.1:SITE/ok HTTP/1.1\r\n\r\nGET /x", "no blanks, line ends"),
        ("http://127.0.0.1:SITE/\tok", "no blanks, line ends"),
        ("http://127.0.0.1:SITE/\x00", "no blanks, line ends"),
        ("http://127.0.0.1:SITE\\@127.0.0.1:SECRET/", "backslashes"),
        ("http://127.0.0.1:SITE/" + "a" * 2048, "at most 2048 characters"),
        ("http://127.0.0.1:99999/", "cannot be read"),
        ("127.0.0.1/ok", "begins with https://"),
        ("site.example/ok", "begins with https://"),
        ("", "begins with https://"),
        ("http:///etc/passwd", "names a host"),
        ("http:127.0.0.1:SECRET", "names a host"),
        ("http://xn--a/", ""),
    ],
    ids=lambda value: repr(value)[:50],
)
async def test_what_is_no_link_is_told(world: World, link: str, words: str) -> None:
    await refused(world, link, words)
    assert world.site.connections == 0


@pytest.mark.parametrize(
    "location",
    [
        "//127.0.0.1:SECRET/",
        "/\\127.0.0.1:SECRET/",
        "http:\\\\127.0.0.1:SECRET/",
        "https://127.0.0.1:SECRET/",
        "//root:secret@127.0.0.1:SITE/ok",
        "http://127.0.0.1:SITE/" + "a" * 2048,
        "http://\xff\xfe.example/",
        "http://127.0.0.1:SITE/\x01",
    ],
)
async def test_a_page_leads_on_in_a_plain_way_alone(world: World, location: str) -> None:
    world.site.answers = {"/away": to(world.url(location))}
    await refused(world, "http://127.0.0.1:SITE/away", "leads ")
    assert world.site.connections == 1


@pytest.mark.parametrize(
    ("path", "words", "limits"),
    [
        ("/loop", "5 redirects away at most", {}),
        ("/hop0", "2 redirects away at most", {"max_redirects": 2}),
        ("/nowhere", "answered 302 Found", {}),
        ("/flood", "no HTTP that can be read", {}),
        ("/long-header", "no HTTP that can be read", {}),
        ("/no-http", "no HTTP that can be read", {}),
        ("/hangs-up", "hung up before it answered", {}),
        ("/endless", "at most 8 MiB", {}),
        ("/until-closed", "at most 8 MiB", {}),
        ("/declared", "at most 8 MiB", {}),
        ("/crumbs", "in crumbs", {}),
        ("/bomb-gzip", "at most 16 MiB", {}),
        ("/bomb-deflate", "at most 16 MiB", {}),
        ("/bomb-bare", "at most 16 MiB", {}),
        ("/bomb-br", "at most 16 MiB", {}),
        ("/no-gzip", "says that it is gzip, and is not", {}),
        ("/no-br", "says that it is br, and is not", {}),
        ("/cut-gzip", "cut short", {}),
        ("/cut", "broke off", {}),
        ("/zstd", "comes as 'zstd'", {}),
        ("/twice", "comes as 'gzip, gzip'", {}),
        ("/silent", "said nothing for 0.2 s", {"silence_s": 0.2}),
        ("/slow-head", "said nothing for 0.2 s", {"silence_s": 0.2}),
        ("/slow-body", "said nothing for 0.2 s", {"silence_s": 0.2}),
        ("/silent", "comes within 0.2 s", {"total_s": 0.2}),
        ("/drip", "comes within 0.5 s", {"total_s": 0.5}),
        ("/image", "this one is 'image/png'", {}),
        ("/json", "this one is 'application/json'", {}),
        ("/binary", "none of them by its first bytes", {}),
        ("/nothing", "none of them by its first bytes", {}),
        ("/forbidden", "answered 403 Forbidden: the site does not let programs read it; paste the text instead", {}),
        ("/gone", "answered 410 Gone", {}),
        ("/part", "answered 206 Partial Content", {}),
        ("/broken", "answered 500 Internal Server Error: the site does not work now", {}),
        ("/unknown", "answered 404 Not Found: there is no such page", {}),
    ],
)
async def test_a_site_that_misbehaves_is_left_within_the_limits(
    world: World, path: str, words: str, limits: dict[str, float]
) -> None:
    await refused(world, f"http://127.0.0.1:SITE{path}", words, **limits)
    assert world.site.connections >= 1


async def test_a_name_that_leads_elsewhere_meanwhile_changes_nothing(world: World) -> None:
    """It is looked up once for a connection, and that goes where the check has looked."""
    await world.fetch("http://turning.example:SITE/ok")
    assert (world.names.asked, world.site.connections) == (["turning.example"], 1)
    await refused(world, "http://turning.example:SITE/ok", NOT_PUBLIC)
    assert world.site.connections == 1


async def test_each_hop_is_looked_up_and_checked_anew(world: World) -> None:
    world.site.answers = {"/away": to("/ok"), "/ok": world.site.answers["/ok"]}
    await refused(world, "http://turning.example:SITE/away", NOT_PUBLIC)
    assert (world.names.asked, world.site.connections) == (["turning.example"] * 2, 1)


async def test_a_name_server_that_does_not_answer_is_left_in_time(world: World) -> None:
    async def never(host: str, port: int) -> list[object]:
        await asyncio.Event().wait()
        return [host, port]

    with pytest.raises(FetchError, match=r"comes within 0\.1 s"):
        await fetch("http://site.example/", FetchOptions(total_s=0.1), lookup=never)  # type: ignore[arg-type]


async def test_names_that_hang_hold_up_nobody_else_for_long(monkeypatch: pytest.MonkeyPatch) -> None:
    """A lookup cannot be broken off, so as many as may hang; their links end in time, and further ones at once."""
    answers, asked = threading.Event(), []

    def hang(host: str, *_: object, **__: object) -> list[object]:
        asked.append(host)
        assert answers.wait(60)
        return []

    monkeypatch.setattr(socket, "getaddrinfo", hang)
    options = FetchOptions(total_s=0.2)
    try:
        links = [fetch(f"http://n{number}.example/", options) for number in range(MAX_THREADS)]
        found = await asyncio.gather(*links, return_exceptions=True)
        assert len(asked) == MAX_THREADS
        assert all("comes within 0.2 s" in str(one) for one in found)
        with pytest.raises(FetchError, match="too many names"):
            await fetch("http://news.example/", options)
    finally:
        answers.set()
    async with asyncio.timeout(60):
        while True:  # the threads end, and there is room again
            with pytest.raises(FetchError) as told:
                await fetch("http://news.example/", options)
            if "has 0 addresses" in told.value.words:
                break


async def test_whoever_leaves_takes_the_connection_away(world: World) -> None:
    asking = asyncio.create_task(world.fetch("http://127.0.0.1:SITE/slow-body"))
    async with asyncio.timeout(30):
        while not world.site.asked:  # noqa: ASYNC110 - nothing tells of it
            await asyncio.sleep(0)
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking
        assert await world.site.left.get() == "/slow-body"
