"""Keys that come, change and go while a door runs; who is slowed; and what is told of them."""

from __future__ import annotations

import asyncio
from pathlib import Path

import grpc.aio

from serving.keys.records import Role
from tests.serving.gateway.access.keyed import INFER, STRANGE, Code, Keyed, has, made
from tests.serving.gateway.scripted import PATIENCE_S, Door, ScriptedTriton, opened, options, process


async def test_keys_come_change_and_go_while_the_door_runs(keyed: Keyed) -> None:
    old = await keyed.make("desk")
    assert (await keyed.http("/v2", has(old)))[0] == 200, "at once"
    new, _ = await asyncio.to_thread(keyed.store.rotate, "desk", grace_s=3600)
    for key in (new, old):
        assert (await keyed.http("/v2", has(key)))[0] == 200
    await asyncio.to_thread(keyed.store.revoke, "desk")
    for key in (new, old):
        assert "the key 'desk' was revoked" in await _until_refused(keyed, key)
    short = await keyed.make("short", expires_days=1e-6)
    assert "the key 'short' has expired" in await _until_refused(keyed, short)


async def _until_refused(keyed: Keyed, key: str) -> str:
    async with asyncio.timeout(PATIENCE_S):
        while True:
            status, document, _ = await keyed.http("/v2", has(key))
            if status == 401:
                return str(document["error"])


async def test_wrong_keys_are_slowed_and_right_ones_from_the_same_address_are_not(keyed: Keyed) -> None:
    wrong = [await keyed.http("/v2", has("il_" + "y" * number)) for number in range(25)]
    assert [status for status, _, _ in wrong[:20]] == [401] * 20
    assert {status for status, _, _ in wrong[20:]} <= {401, 429}
    status, document, headers = wrong[-1]
    assert status == 429
    assert "too many wrong keys came from this address" in document["error"]
    assert int(headers["Retry-After"]) >= 1
    assert await keyed.grpc("ServerMetadata", STRANGE) is Code.RESOURCE_EXHAUSTED, "one count for both doors"
    assert (await keyed.http("/v2", has(keyed.keys["newsroom"])))[0] == 200
    assert await keyed.grpc("ServerMetadata", keyed.keys["newsroom"]) is Code.OK


async def test_a_door_whose_store_cannot_be_read_answers_503_until_it_can(
    tmp_path: Path, scripted: ScriptedTriton
) -> None:
    store, url = made(tmp_path)
    key, _ = store.create("newsroom", Role.READ)
    file = tmp_path / "keys.sqlite3"
    good = file.read_bytes()
    file.write_bytes(b"garbage" * 1000)
    async with (
        scripted.listening() as address,
        opened(options(tmp_path, address, keys=True, keys_url=url)) as door,
    ):
        keyed = Keyed(door=door, store=store)
        status, document, headers = await keyed.http(INFER, has(key))
        assert status == 503
        assert "the keys cannot be looked up now" in document["error"]
        assert headers["Retry-After"] == "10"
        assert await keyed.grpc("ModelInfer", key) is Code.UNAVAILABLE
        assert (await keyed.http("/v2/health/ready"))[0] == 200
        file.write_bytes(good)
        async with asyncio.timeout(PATIENCE_S):
            while (await keyed.http(INFER, has(key)))[0] != 200:
                pass
        file.write_bytes(b"garbage" * 1000)
        status, document, _ = await keyed.http(INFER, has(STRANGE))
        assert status == 503
        assert "cannot be looked up now, and this one is not known yet" in document["error"]
        assert (await keyed.http(INFER, has(key)))[0] == 200, "what is known goes on"


async def test_on_this_machine_alone_no_key_is_needed_and_any_is_minded(grpc_door: Door) -> None:
    keyed = Keyed(door=grpc_door, store=None)  # type: ignore[arg-type]
    assert (await keyed.http(INFER))[0] == (await keyed.http(INFER, has(STRANGE)))[0] == 200
    assert await keyed.grpc("ModelInfer", STRANGE) is Code.OK
    assert await keyed.grpc("RepositoryIndex", STRANGE) is Code.UNAVAILABLE


async def test_who_asked_is_logged_and_counted_by_name(keyed: Keyed) -> None:
    key = keyed.keys["newsroom"]
    await keyed.http(INFER, has(key))
    await keyed.grpc("ModelInfer", key)
    await keyed.grpc("RepositoryIndex", key)
    await keyed.http("/v2/models/nobody/infer", has(key))
    await keyed.http(INFER)
    lines = keyed.door.lines()
    told = [(one.get("key"), one["door"], one["code"]) for one in lines]
    assert told == [
        ("newsroom", "http", "200"),
        ("newsroom", "grpc", "OK"),
        ("newsroom", "grpc", "PERMISSION_DENIED"),
        ("newsroom", "http", "404"),
        (None, "http", "401"),
    ]
    assert lines[-1]["reason"] == "unauthenticated"
    assert lines[-1]["words"].startswith("this server wants a key")
    counted = await _counted(keyed)
    assert counted["newsroom", "2xx"] == 2
    assert counted["newsroom", "4xx"] == 2
    metrics = keyed.door.parts.metrics
    for number in range(150):
        metrics._by_key.labels(metrics._name(f"key-{number}"), "2xx").inc()
    counted = await _counted(keyed)
    assert len(counted) <= 102
    assert counted["other", "2xx"] == 51


async def _counted(keyed: Keyed) -> dict[tuple[str, str], float]:
    families = keyed.door.parts.metrics.registry.collect()
    (family,) = [one for one in families if one.name == "infolens_key_requests"]
    return {(one.labels["key"], one.labels["code_class"]): one.value for one in family.samples}


async def test_the_store_knows_when_a_key_was_used(tmp_path: Path, scripted: ScriptedTriton) -> None:
    store, url = made(tmp_path)
    key, _ = store.create("newsroom", Role.READ)
    store.create("desk", Role.READ)
    settings = options(tmp_path, "127.0.0.1:9", keys=True, keys_url=url)
    async with opened(settings) as door:
        assert (await Keyed(door=door, store=store).http("/v2/models/x", has(key)))[0] != 401
    contents = store.read()
    assert contents is not None
    assert {one.name: one.last_used_s is not None for one in contents.keys} == {"newsroom": True, "desk": False}


async def test_no_log_ever_holds_a_key(tmp_path: Path, scripted: ScriptedTriton) -> None:
    """All that a door says, whatever is done with keys and wherever they are put."""
    store, url = made(tmp_path)
    key, _ = store.create("newsroom", Role.READ, rate_per_minute=3)
    revoked, _ = store.create("gone", Role.READ)
    store.revoke("gone")
    admin, _ = store.create("boss", Role.ADMIN)
    async with scripted.listening() as address:
        with process(tmp_path, address, keys=True, keys_url=url) as running:
            async with grpc.aio.insecure_channel(running.grpc_url.removeprefix("grpc://")) as channel:
                door = Door(parts=None, ports=running.ports, channel=channel, log=None)  # type: ignore[arg-type]
                keyed = Keyed(door=door, store=store)
                for one in (key, revoked, admin, STRANGE):
                    for _ in range(4):
                        await keyed.http(INFER, has(one))
                        await keyed.grpc("ModelInfer", one)
                    await keyed.grpc("RepositoryIndex", one)
                    await keyed.http(f"/v2/models/{one}/infer", has(one))
                    await keyed.http(f"/{one}?key={one}", {"X-Request-Id": f"Bearer {one}"})
                    await keyed.http(INFER, has(one), data=b"{" + one.encode())
                    await _garbled(running.ports["http_port"], one)
            (tmp_path / "keys.sqlite3").write_bytes(b"garbage" * 1000)
            assert running.stop() == 0
        logged = running.log_file.read_text()
    assert logged.count("\n") > 20
    for one in (key, revoked, admin, STRANGE):
        assert one[9:] not in logged
    assert '"key":"newsroom"' in logged


async def _garbled(port: int, key: str) -> None:
    """Bytes that are not HTTP, with a key in them."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(f"GET /v2 HTTP/1.1\r\nAuthorization: Bearer {key}\r\n{key}\r\n\r\n".encode())
    assert b" 400 " in await asyncio.wait_for(reader.readline(), PATIENCE_S)
    writer.close()
    await writer.wait_closed()
