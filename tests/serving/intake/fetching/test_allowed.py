"""Which addresses are public, what an operator allows beyond them, and what a start says of it."""

from __future__ import annotations

import argparse
import ipaddress
import json
from pathlib import Path

import pytest

from serving.arguments import ServerOptions
from serving.cli import make_parser
from serving.commands.door import make_parser as door_parser
from serving.commands.options import fetch_options
from serving.errors import IntakeError
from serving.gateway.configuration import ConfigurationError, read_options
from serving.intake.fetching.addresses import Reach, reach_of
from serving.intake.fetching.allow import read_allowed
from serving.intake.fetching.options import FetchOptions, check_fetch, fetches
from serving.supervisor.assembling import Plan, assemble_supervisor


@pytest.mark.parametrize(
    ("reach", "addresses"),
    [
        (
            Reach.PUBLIC,
            "1.1.1.1 93.184.216.34 172.15.0.1 172.32.0.1 100.63.0.1 100.128.0.1 169.253.0.1 198.17.0.1 223.255.255.255 "
            "2606:4700::1111 2a00:1450::1 64:ff9b::101:101 2a00::5efe:101:101 ::ffff:1.1.1.1",
        ),
        (
            Reach.INNER,
            "127.0.0.1 127.255.255.255 10.0.0.0 10.255.255.255 172.16.0.1 172.31.255.255 192.168.0.1 100.64.0.1 "
            "100.127.255.255 ::1 fc00::1 fdff::1 ::ffff:10.0.0.1",
        ),
        (
            Reach.SPECIAL,
            "0.0.0.0 0.1.2.3 169.254.0.1 169.254.169.254 168.63.129.16 100.100.100.200 192.0.0.192 192.0.0.170 "
            "192.0.2.1 192.88.99.1 198.18.0.1 198.19.255.255 198.51.100.1 203.0.113.1 224.0.0.1 239.255.255.255 "
            "240.0.0.1 255.255.255.255 :: ::127.0.0.1 ::1.1.1.1 64:ff9b::7f00:1 64:ff9b::a00:1 64:ff9b:1::1 100::1 "
            "2001::1 2001:0:4136:e378:8000:63bf:3fff:fdd2 2001:20::1 2001:db8::1 2002:7f00:1::1 2002:101:101::1 "
            "3fff::1 5f00::1 fe80::1 fec0::1 ff02::1 ff0e::1 fd00:ec2::254 fd20:ce::254 2a00::5efe:a00:1 "
            "2a00::200:5efe:7f00:1 ::ffff:169.254.169.254 4000::1",
        ),
    ],
)
def test_who_is_at_an_address(reach: Reach, addresses: str) -> None:
    found = {text: reach_of(ipaddress.ip_address(text)) for text in addresses.split()}
    assert {text: one for text, one in found.items() if one is not reach} == {}


@pytest.mark.parametrize(
    ("allow", "host", "address", "port", "may"),
    [
        ((), "news.example", "1.1.1.1", 443, True),
        ((), "news.example", "1.1.1.1", 8443, False),
        (("news.example:8443",), "news.example", "1.1.1.1", 8443, True),
        (("news.example:8443",), "other.example", "1.1.1.1", 8443, False),
        (("News.Example",), "news.example", "10.0.0.1", 80, True),
        (("news.example",), "news.example", "10.0.0.1", 8080, False),
        (("news.example",), "a.news.example", "10.0.0.1", 80, False),
        (("news.example",), "news.example", "169.254.169.254", 80, False),
        (("news.example",), "news.example", "224.0.0.1", 80, False),
        (("news.example",), "news.example", "::ffff:169.254.169.254", 80, False),
        (("*.news.example",), "a.news.example", "10.0.0.1", 80, True),
        (("*.news.example",), "news.example", "10.0.0.1", 80, False),
        (("*.news.example",), "fakenews.example", "10.0.0.1", 80, False),
        (("10.0.3.0/24",), "10.0.3.7", "10.0.3.7", 80, True),
        (("10.0.3.0/24",), "any.example", "10.0.3.7", 443, True),
        (("10.0.3.0/24",), "any.example", "10.0.4.7", 443, False),
        (("10.0.3.0/24",), "10.0.3.7", "10.0.3.7", 8080, False),
        (("10.0.3.7:8080",), "10.0.3.7", "10.0.3.7", 8080, True),
        (("10.0.3.7:8080",), "10.0.3.7", "10.0.3.7", 80, False),
        (("10.0.3.7:8080",), "10.0.3.7", "::ffff:10.0.3.7", 8080, True),
        (("[::1]:8080",), "::1", "::1", 8080, True),
        (("::1",), "::1", "::1", 80, True),
        (("[::1]:8080",), "::1", "127.0.0.1", 8080, False),
        (("fd00:1::/32",), "::1", "fd00:1::7", 443, True),
        (("169.254.169.254",), "169.254.169.254", "169.254.169.254", 80, True),
    ],
)
def test_what_is_allowed(allow: tuple[str, ...], host: str, address: str, port: int, may: bool) -> None:
    assert read_allowed(allow).takes(host, ipaddress.ip_address(address), port) is may


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "it is neither"),
        ("*", "it is neither"),
        ("http://desk.example", "it is neither"),
        ("desk.example/path", "it is neither"),
        ("desk.example:0", "it is neither"),
        ("desk.example:99999", "it is neither"),
        ("desk.example:http", "it is neither"),
        ("desk.*.example", "it is neither"),
        ("2130706433", "it is neither"),
        ("127.1", "it is neither"),
        ("10.0.3.0/24:8080", "a network has no port"),
        ("10.0.3.7/24", "begins with its first address"),
        ("0.0.0.0/0", "it is every address"),
        ("::/0", "it is every address"),
        ("::ffff:10.0.3.7", "write an IPv4 address as such"),
    ],
)
def test_an_entry_that_cannot_be_understood_ends_the_start(text: str, words: str) -> None:
    with pytest.raises(IntakeError, match=rf"--fetch-allow is a host or a network .*{words}"):
        check_fetch(FetchOptions(allow=("desk.example", text)), "127.0.0.1", keys=False)


@pytest.mark.parametrize(
    ("host", "said", "keys", "does"),
    [
        ("127.0.0.1", None, False, True),
        ("127.0.0.1", None, True, True),
        ("127.0.0.1", False, True, False),
        ("0.0.0.0", None, False, False),
        ("0.0.0.0", None, True, True),
        ("0.0.0.0", False, True, False),
        ("0.0.0.0", True, True, True),
        ("::1", True, False, True),
    ],
)
def test_a_server_for_others_fetches_with_keys_alone(host: str, said: bool | None, keys: bool, does: bool) -> None:
    assert fetches(host, said, keys=keys) is does
    assert check_fetch(FetchOptions(allowed=said), host, keys=keys).allowed is does


def test_a_server_that_everybody_reaches_fetches_for_nobody(tmp_path: Path) -> None:
    with pytest.raises(IntakeError, match=r"--fetch with --host 0\.0\.0\.0 and without keys .*: give --keys"):
        check_fetch(FetchOptions(allowed=True), "0.0.0.0", keys=False)
    with pytest.raises(IntakeError, match="leave one out"):
        check_fetch(FetchOptions(allowed=False, allow=("desk.example",)), "127.0.0.1", keys=False)
    with pytest.raises(IntakeError, match=r"--fetch-contact is .* not 'two words'"):
        check_fetch(FetchOptions(contact="two words"), "127.0.0.1", keys=False)
    with pytest.raises(IntakeError, match="--fetch-contact"):
        check_fetch(FetchOptions(contact="desk\r\nX-Injected: yes"), "127.0.0.1", keys=False)
    plan = Plan(server=ServerOptions(cache=tmp_path), door=False, fetch=FetchOptions(allowed=True))
    with pytest.raises(IntakeError, match="with --no-door nobody fetches links"):
        assemble_supervisor(plan)


@pytest.mark.parametrize(("parser", "more"), [(make_parser(), []), (door_parser(), ["--run", "x"])])
def test_both_commands_take_the_words(
    parser: argparse.ArgumentParser, more: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert fetch_options(parser.parse_args(more)) == FetchOptions()
    words = [
        "--fetch",
        "--fetch-allow",
        "a.example",
        "--fetch-allow",
        "10.0.0.0/8",
        "--fetch-contact",
        "desk@a.example",
    ]
    given = FetchOptions(allowed=True, allow=("a.example", "10.0.0.0/8"), contact="desk@a.example")
    assert fetch_options(parser.parse_args([*more, *words])) == given
    assert fetch_options(parser.parse_args([*more, "--no-fetch"])).allowed is False
    with pytest.raises(SystemExit):
        parser.parse_args([*more, "--fetch", "--no-fetch"])
    assert "--fetch and --no-fetch say the opposite" in capsys.readouterr().err


def test_the_door_is_told_what_was_given(tmp_path: Path) -> None:
    plan = Plan(
        server=ServerOptions(http_port=0, grpc_port=0, metrics_port=0, cache=tmp_path),
        fetch=FetchOptions(allow=("desk.example",), contact="desk@a.example"),
    )
    needed = {"triton_grpc": "x", "triton_metrics": "", "state_file": "s", "repository": "r"}
    file = tmp_path / "door.json"
    checked = check_fetch(plan.fetch, "127.0.0.1", keys=False)
    file.write_text(json.dumps({**needed, "fetch": checked.document()}))
    assert read_options(file).fetch == FetchOptions(allowed=True, allow=("desk.example",), contact="desk@a.example")
    file.write_text(json.dumps({**needed, "fetch": {"alow": []}}))
    with pytest.raises(ConfigurationError, match="does not know"):
        read_options(file)
