"""Whose request it is: what proxies say counts if the operator named them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from serving.edge.options import EdgeOptions
from serving.gateway.edge.proxies import Proxies, peer_address
from tests.serving.gateway.api.conftest import make_fake
from tests.serving.gateway.http.running import RunningDoor, fake_door
from tests.serving.gateway.scripted import ScriptedTriton, infer_request, opened, options

PROXIES = Proxies(("10.0.0.0/8", "fd00::1"))


@pytest.mark.parametrize(
    ("peer", "forwarded", "address"),
    [
        ("203.0.113.7", ["198.51.100.1"], "203.0.113.7"),  # anybody can send the header
        ("10.0.0.1", [], "10.0.0.1"),
        ("10.0.0.1", ["198.51.100.1"], "198.51.100.1"),
        ("10.0.0.1", ["192.0.2.66, 198.51.100.1"], "198.51.100.1"),  # the caller's own word stands first
        ("10.0.0.1", ["192.0.2.66", "198.51.100.1, 10.9.9.9"], "198.51.100.1"),
        ("10.0.0.1", ["10.0.0.3, 10.0.0.2"], "10.0.0.3"),
        ("10.0.0.1", ["198.51.100.1:4711"], "198.51.100.1"),
        ("10.0.0.1", ["[2001:db8::1]:4711"], "2001:db8::1"),
        ("10.0.0.1", ["2001:DB8::1"], "2001:db8::1"),
        ("10.0.0.1", ["198.51.100.1, unknown"], "10.0.0.1"),
        ("10.0.0.1", ["198.51.100.1, "], "10.0.0.1"),
        ("10.0.0.1", ["<script>"], "10.0.0.1"),
        ("10.0.0.1", [", ".join(["10.0.0.2"] * 500)], "10.0.0.2"),
        ("::ffff:10.0.0.1", ["198.51.100.1"], "198.51.100.1"),
        ("fd00::1", ["198.51.100.1"], "198.51.100.1"),
        ("fd00::2", ["198.51.100.1"], "fd00::2"),
        ("", ["198.51.100.1"], ""),
    ],
)
def test_it_is_the_last_address_that_is_no_proxy_s(peer: str, forwarded: list[str], address: str) -> None:
    assert PROXIES.address(peer, forwarded) == address
    assert Proxies().address(peer, forwarded) == peer


def test_grpc_says_it_in_its_own_way() -> None:
    assert peer_address("ipv4:127.0.0.1:4711") == "127.0.0.1"
    assert peer_address("ipv6:%5B::1%5D:4711") == peer_address("ipv6:[::1]:4711") == "::1"
    assert peer_address("unix:/run/door") == peer_address("") == ""


FORWARDED = {"X-Forwarded-For": "198.51.100.1", "X-Forwarded-Proto": "https", "X-Forwarded-Prefix": "/lens"}


@pytest.fixture(scope="module")
def behind(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningDoor]:
    edge = EdgeOptions(forwarded_allow=("127.0.0.1",))
    with fake_door(tmp_path_factory.mktemp("behind"), make_fake(), edge=edge) as door:
        yield door


def address(door: RunningDoor) -> str:
    return str(json.loads(door.log.getvalue().splitlines()[-1])["address"])


def test_a_proxy_that_counts_is_believed(behind: RunningDoor) -> None:
    answer = behind.ask("POST", "/v1/analyze", "{", FORWARDED)
    assert answer.json["type"] == "/lens/v1/problems/invalid"
    assert answer.headers["Strict-Transport-Security"] == "max-age=31536000"
    assert address(behind) == "198.51.100.1"
    row = behind.ask("POST", "/v1/analyze/batch", "{", FORWARDED).json
    assert row["error"]["type"] == "/lens/v1/problems/invalid"
    assert behind.ask("GET", "/v1/problems/busy", headers=FORWARDED).json["type"] == "/lens/v1/problems/busy"
    assert behind.ask("GET", "/openapi.json", headers=FORWARDED).json["servers"][0]["url"] == "/lens"
    assert behind.ask("GET", "/openapi.json").json["servers"][0]["url"] == "."


def test_nobody_else_is(tmp_path: Path) -> None:
    with fake_door(tmp_path, make_fake(), edge=EdgeOptions(forwarded_allow=("127.0.0.2",))) as door:
        answer = door.ask("POST", "/v1/analyze", "{", FORWARDED)
        assert answer.json["type"] == "/v1/problems/invalid"
        assert "Strict-Transport-Security" not in answer.headers
        assert address(door) == "127.0.0.1"


@pytest.mark.parametrize(
    "word",
    ["lens", "//evil.example", "/lens?x", "/<b>", "/../x/ y", "/lens/..", "/../x", "https://evil.example", "/" * 9, ""],
)
def test_a_prefix_that_is_no_path_is_none(behind: RunningDoor, word: str) -> None:
    answer = behind.ask("POST", "/v1/analyze", "{", {"X-Forwarded-Prefix": word})
    assert answer.json["type"] == "/v1/problems/invalid"


async def test_grpc_callers_behind_a_proxy_have_their_address_too(tmp_path: Path, scripted: ScriptedTriton) -> None:
    edge = EdgeOptions(forwarded_allow=("127.0.0.1",))
    async with scripted.listening() as triton, opened(options(tmp_path, triton, edge=edge)) as door:
        await door.call("ModelInfer", infer_request(), metadata=(("x-forwarded-for", "198.51.100.1"),))
        await door.call("ModelInfer", infer_request())
        assert [line["address"] for line in door.lines()] == ["198.51.100.1", "127.0.0.1"]
