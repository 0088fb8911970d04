"""Rules, rates, places and wrong keys, each by itself."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path

import pytest
from limits import RateLimitItemPerSecond

from serving.gateway.access import rates
from serving.gateway.access.attempts import ADDRESSES, BURST, INTERVAL_S, Attempts, block_of
from serving.gateway.access.caller import ANONYMOUS, Caller, read_given
from serving.gateway.access.rates import Places, Rates
from serving.gateway.access.rules import RULES, rule_of
from serving.gateway.grpc_door.service import Service
from serving.gateway.refusals import Refusal, RefusedError
from serving.gateway.server import make_whole_app, open_parts
from serving.keys.records import Role
from tests.serving.gateway.http.running import options

ENDLESS_S = float("inf")


def caller(name: str = "newsroom", rate: int | None = 3, at_once: int | None = 2) -> Caller:
    return Caller(name=name, role=Role.READ, rate_per_minute=rate, concurrency=at_once)


async def test_every_route_of_both_doors_has_a_rule(tmp_path: Path) -> None:
    async with open_parts(options(tmp_path), None) as parts:
        named = {(route.name or "").partition("-")[0] for route in make_whole_app(parts).router.routes()}
        handlers = Service(parts).handlers()
    assert named <= RULES.keys()
    assert named >= {"infer", "generate", "model_statistics", "analyze", "analyze_batch"}
    assert len(handlers["inference.GRPCInferenceService"]) > 15  # `test_doors` asks each of them
    with pytest.raises(LookupError, match="no rule says who may call the route 'new'"):
        rule_of("new")


@pytest.mark.parametrize(
    ("authorizations", "api_keys", "found"),
    [
        ([], [], ()),
        (["Bearer il_a"], [], ("il_a",)),
        (["bearer  il_a "], ["il_a"], ("il_a",)),
        (["Basic dTpw"], [], ()),
        (["Basic dTpw"], ["il_a"], ("il_a",)),
        (["Bearer"], [], ("",)),
        (["Bearer il_a", "Bearer il_b"], ["il_c"], ("il_a", "il_b", "il_c")),
    ],
)
def test_where_a_key_belongs(authorizations: list[str], api_keys: list[str], found: tuple[str, ...]) -> None:
    given = read_given(authorizations, api_keys, "192.0.2.1")
    assert given.keys == found
    assert "il_" not in repr(given)


def test_roles_include_one_another() -> None:
    assert [role for role in Role if Caller(role=Role.ADMIN).may(role)] == list(Role)
    assert [role for role in Role if Caller(role=Role.READ).may(role)] == [Role.READ]
    assert [role for role in Role if Caller(role=Role.FEEDBACK).may(role)] == [Role.FEEDBACK]
    assert [role for role in Role if ANONYMOUS.may(role)] == []


async def test_a_key_has_its_rate_and_no_other_s() -> None:
    counted = Rates()
    for _ in range(3):
        counted.take_now(caller())
    with pytest.raises(RefusedError, match=r"the key 'newsroom' may ask 3 times a minute, and has: ask again") as told:
        counted.take_now(caller())
    assert told.value.kind is Refusal.LIMITED
    assert told.value.retry_after_s is not None
    assert 0 < told.value.retry_after_s <= 60
    counted.take_now(caller("desk"))
    for _ in range(10):
        counted.take_now(caller(rate=None))


async def test_what_is_more_than_a_whole_minute_is_never_given() -> None:
    with pytest.raises(RefusedError, match="send fewer together") as told:
        await Rates().take(caller(), 4, ENDLESS_S)
    assert told.value.retry_after_s is None


async def test_a_wait_that_would_last_too_long_is_refused_at_once() -> None:
    counted = Rates()
    counted.take_now(caller(), 3)
    with pytest.raises(RefusedError) as told:
        await counted.take(caller(), 1, asyncio.get_running_loop().time() + 1)
    assert told.value.kind is Refusal.LIMITED


async def test_counting_takes_neither_threads_nor_memory_without_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rates, "_per_minute", RateLimitItemPerSecond)
    begun: list[threading.Thread] = []
    counted = Rates()
    monkeypatch.setattr(threading.Thread, "start", begun.append)
    for number in range(5):
        await counted.take(caller(str(number % 2), rate=2), 2, ENDLESS_S)
    assert begun == []
    assert [len(entries) for entries in counted._limiter.storage.events.values()] == [2, 2]


async def test_those_who_wait_are_served_in_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rates, "_per_minute", RateLimitItemPerSecond)
    counted, served = Rates(), []

    async def row(number: int) -> None:
        await counted.take(caller(), 1, ENDLESS_S)
        served.append(number)

    await asyncio.wait_for(asyncio.gather(*(row(number) for number in range(7))), 60)
    assert served == list(range(7))


async def test_who_no_longer_waits_is_passed_by(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rates, "_per_minute", RateLimitItemPerSecond)
    counted = Rates()
    counted.take_now(caller(), 3)
    waiting = [asyncio.ensure_future(counted.take(caller(), 1, ENDLESS_S)) for _ in range(3)]
    await asyncio.sleep(0)
    waiting[0].cancel()
    waiting[1].cancel()
    await asyncio.wait_for(waiting[2], 60)


def test_a_key_has_so_many_requests_at_once() -> None:
    places = Places()
    with places.held(caller()), places.held(caller()):
        with pytest.raises(RefusedError, match="may have 2 requests under way, and has so many") as told:
            places.held(caller()).__enter__()
        assert (told.value.kind, told.value.retry_after_s) == (Refusal.LIMITED, 1.0)
        with places.held(caller("desk")), places.held(caller(at_once=None)):
            pass
    with pytest.raises(ZeroDivisionError), places.held(caller()):
        raise ZeroDivisionError
    assert not places._taken


class Clock:
    now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


def test_wrong_keys_of_an_address_are_slowed() -> None:
    clock = Clock()
    attempts = Attempts(now=clock)
    assert [attempts.begin("192.0.2.1") for _ in range(BURST)] == [0.0] * BURST
    assert [attempts.begin("192.0.2.1") for _ in range(3)] == [INTERVAL_S] * 3, "a refusal costs nothing more"
    assert attempts.begin("192.0.2.2") == 0.0
    clock.now_s += INTERVAL_S
    assert attempts.begin("192.0.2.1") == 0.0
    assert attempts.begin("192.0.2.1") == INTERVAL_S
    clock.now_s += 1e6
    assert [attempts.begin("192.0.2.1") > 0 for _ in range(BURST + 1)] == [False] * BURST + [True]


def test_addresses_without_end_take_no_memory_without_end() -> None:
    attempts = Attempts(now=Clock())
    for number in range(3 * ADDRESSES):
        attempts.begin(f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}")
    assert len(attempts._free_at_s) == ADDRESSES


@pytest.mark.parametrize(
    ("address", "block"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("ipv4:192.0.2.1:4711", "192.0.2.1"),
        ("2001:db8:1:2:3::4", "2001:db8:1:2::/64"),
        ("ipv6:[2001:db8:1:2:9::4]:80", "2001:db8:1:2::/64"),
        ("ipv6:%5B2001:db8:1:2:9::4%5D:80", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("unix:/run/x", "unix:/run/x"),
        ("", ""),
    ],
)
def test_what_counts_as_one_address(address: str, block: str) -> None:
    assert block_of(address) == block
