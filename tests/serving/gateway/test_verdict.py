"""The supervisor's verdict as the door reads it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tritonclient.grpc import service_pb2

from serving.gateway.verdict import VerdictFile
from tests.serving.gateway.scripted import Door, write_state

NOW_S = 1_000_000.0


def state(path: Path, **changes: object) -> Path:
    document = {
        "written_at": NOW_S,
        "ready": True,
        "reason": "",
        "models": {"bart": {"ready": True, "reason": ""}, "xlnet": {"ready": False, "reason": "its process died"}},
        "triton": {"pid": 7, "restarts": 2},
        "heals": 3,
        "events": [],
    }
    path.write_text(json.dumps(document | changes))
    return path


def test_a_fresh_verdict_is_taken_as_it_is(tmp_path: Path) -> None:
    verdict = VerdictFile(state(tmp_path / "state.json"), now=lambda: NOW_S + 4).read()
    assert (verdict.live, verdict.ready, verdict.restarts, verdict.heals) == (True, True, 2, 3)
    assert verdict.model("bart") is not None
    assert verdict.model("bart").ready  # type: ignore[union-attr]
    assert verdict.model("xlnet").reason == "its process died"  # type: ignore[union-attr]
    assert verdict.model("nobody") is None


def test_a_death_is_told_however_old_the_verdict_is(tmp_path: Path) -> None:
    models = {
        name: {"ready": True, "died_at": died} for name, died in (("bart", 999_990.5), ("xlnet", None), ("bert", 7))
    }
    for age_s in (0, 60):
        verdict = VerdictFile(
            state(tmp_path / "state.json", models=models), now=lambda age_s=age_s: NOW_S + age_s
        ).read()
        died = {name: verdict.model(name).died_at_s for name in models}  # type: ignore[union-attr]
        assert died == {"bart": 999_990.5, "xlnet": None, "bert": 7.0}


def test_an_old_verdict_counts_no_more(tmp_path: Path) -> None:
    verdict = VerdictFile(state(tmp_path / "state.json"), now=lambda: NOW_S + 7.2).read()
    assert (verdict.live, verdict.ready) == (False, False)
    assert verdict.reason == "the supervisor has not been heard of for 7 s"
    assert not verdict.model("bart").ready  # type: ignore[union-attr]


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"[]", b"\xff", b"{}", b'{"ready": 1}', b"[" * 100_000],
    ids=["empty", "cut", "list", "bytes", "bare", "number", "deep"],
)
def test_a_broken_file_is_not_ready(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "state.json"
    path.write_bytes(content)
    verdict = VerdictFile(path).read()
    assert (verdict.live, verdict.ready) == (False, False)
    assert "state.json" in verdict.reason


@pytest.mark.parametrize(
    "changes",
    [
        {"written_at": "now"},
        {"written_at": float("nan")},
        {"ready": "yes"},
        {"models": []},
        {"models": {"bart": True}},
        {"models": {"bart": {"ready": True, "died_at": "now"}}},
        {"models": {"bart": {"ready": True, "died_at": True}}},
        {"triton": {"restarts": True}},
        {"heals": None},
    ],
    ids=str,
)
def test_a_field_of_a_wrong_kind_is_not_ready(tmp_path: Path, changes: dict[str, object]) -> None:
    assert not VerdictFile(state(tmp_path / "state.json", **changes), now=lambda: NOW_S).read().live


def test_the_file_is_read_anew_when_it_is_written_and_may_come_and_go(tmp_path: Path) -> None:
    path = tmp_path / "state.json"
    file = VerdictFile(path, now=lambda: NOW_S)
    assert "cannot be read" in file.read().reason
    state(path)
    assert file.read().ready
    state(path.with_suffix(".new"), ready=False, reason="restarting").rename(path)
    assert file.read().reason == "restarting"
    path.unlink()
    assert not file.read().live


async def test_ready_calls_give_the_verdict(grpc_door: Door) -> None:
    path = grpc_door.parts.options.state_file

    async def calls(model: str = "classify", version: str = "") -> tuple[bool, bool, bool, bytes]:
        asked = service_pb2.ModelReadyRequest(name=model, version=version)
        return (
            service_pb2.ServerLiveResponse.FromString(await grpc_door.call("ServerLive")).live,
            service_pb2.ServerReadyResponse.FromString(await grpc_door.call("ServerReady")).ready,
            service_pb2.ModelReadyResponse.FromString(await grpc_door.call("ModelReady", asked)).ready,
            await grpc_door.call("Check", service="grpc.health.v1.Health"),
        )

    assert await calls() == (True, True, True, b"\x08\x01")
    assert (await calls(version="1"))[2]
    assert not (await calls(version="2"))[2]
    assert not (await calls("nobody"))[2]
    write_state(path, ready=False, models={"summarize": True})
    assert await calls() == (True, False, False, b"\x08\x02")
    assert (await calls("summarize"))[2]
    write_state(path, age_s=60)
    assert await calls() == (False, False, False, b"\x08\x02")


async def test_health_can_be_asked_of_a_model(grpc_door: Door) -> None:
    health = "grpc.health.v1.Health"
    write_state(grpc_door.parts.options.state_file, models={"verify": False})
    named = {name: service_pb2.ModelReadyRequest(name=name) for name in ("verify", "classify", "nobody")}
    assert await grpc_door.call("Check", named["classify"], health) == b"\x08\x01"
    assert await grpc_door.call("Check", named["verify"], health) == b"\x08\x02"
    code, _ = await grpc_door.refused("Check", named["nobody"], service=health)
    assert code.name == "NOT_FOUND"
