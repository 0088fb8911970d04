"""The door as a process: what it says when it starts, and an end in order."""

from __future__ import annotations

import asyncio
import json
import resource
import signal
import socket
import subprocess
import sys
from pathlib import Path

import grpc
import grpc.aio
import pytest

from serving.runtime import ROOT
from tests.serving.gateway.scripted import (
    ANSWER,
    LOCAL,
    PATIENCE_S,
    SERVICE,
    Process,
    ScriptedTriton,
    infer_request,
    process,
    start,
    until,
)

MAX_RUNNING = 12
"""What `model_repository/info_lens` says."""


def channel_to(door: Process) -> grpc.aio.Channel:
    return grpc.aio.insecure_channel(door.grpc_url.removeprefix("grpc://"), options=LOCAL)


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def events(door: Process) -> list[str]:
    return [json.loads(line)["event"] for line in door.log_file.read_text().splitlines()]


async def test_what_runs_is_answered_and_what_waits_is_refused_when_the_door_ends(
    scripted: ScriptedTriton, tmp_path: Path
) -> None:
    scripted.answer = scripted.held
    async with scripted.listening() as address:
        with process(tmp_path, address) as door:
            assert door.ports.keys() == {"http_port", "grpc_port", "metrics_port", "pid"}
            assert door.ports["pid"] == door.process.pid
            async with channel_to(door) as channel:
                infer = channel.unary_unary(f"/{SERVICE}/ModelInfer")
                content = infer_request().SerializeToString()
                calls = [infer(content, timeout=PATIENCE_S) for _ in range(MAX_RUNNING + 2)]
                for _ in range(MAX_RUNNING):
                    await asyncio.wait_for(scripted.arrived.get(), PATIENCE_S)
                door.process.send_signal(signal.SIGTERM)
                done, _ = await asyncio.wait(
                    [asyncio.ensure_future(call.code()) for call in calls],
                    timeout=PATIENCE_S,
                    return_when=asyncio.FIRST_COMPLETED,
                )
                assert {task.result() for task in done} == {grpc.StatusCode.UNAVAILABLE}
                await until(lambda: not _listens(door.ports["grpc_port"]))
                assert {call.done() for call in calls} == {True, False}
                scripted.let_go.set()
                codes = [await call.code() for call in calls]
                assert codes.count(grpc.StatusCode.OK) == MAX_RUNNING
                refused = [await call.details() for call in calls if await call.code() is not grpc.StatusCode.OK]
                assert len(refused) == 2
                assert all("the server stops" in words for words in refused)
                answered = [call for call in calls if await call.code() is grpc.StatusCode.OK]
                assert {await call for call in answered} == {ANSWER}
            assert await asyncio.to_thread(door.process.wait, PATIENCE_S) == 0
    assert not (tmp_path / "door.json").exists()
    assert events(door)[0] == "listening"
    assert events(door)[-1] == "stopped"


async def test_a_request_without_end_does_not_hold_the_door(scripted: ScriptedTriton, tmp_path: Path) -> None:
    scripted.answer = scripted.held
    async with scripted.listening() as address:
        with process(tmp_path, address, limits={"exit_timeout_s": 0.2}) as door:
            async with channel_to(door) as channel:
                call = channel.unary_unary(f"/{SERVICE}/ModelInfer")(infer_request().SerializeToString())
                await asyncio.wait_for(scripted.arrived.get(), PATIENCE_S)
                assert await asyncio.to_thread(door.stop) == 0
                await asyncio.wait_for(scripted.left.get(), PATIENCE_S)
                assert await call.code() is not grpc.StatusCode.OK


def test_a_door_starts_without_triton_and_without_a_supervisor(tmp_path: Path) -> None:
    (tmp_path / "state.json").write_text("")
    with process(tmp_path, "127.0.0.1:9") as door:
        assert door.stop() == 0
    assert events(door) == ["listening", "stopping", "stopped"]


async def test_the_file_that_says_where_a_door_listens_is_written_anew(tmp_path: Path) -> None:
    """Somebody may empty the cache while the server serves; without the file the door counts as away."""
    with process(tmp_path, "127.0.0.1:9") as door:
        (tmp_path / "door.json").unlink()
        await until(lambda: (tmp_path / "door.json").exists())
        assert json.loads((tmp_path / "door.json").read_text()) == door.ports
        assert door.stop() == 0
    assert not (tmp_path / "door.json").exists()


def test_a_door_may_open_as_many_files_as_the_system_allows(tmp_path: Path) -> None:
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    with process(tmp_path, "127.0.0.1:9", files=256) as door:
        limits = Path(f"/proc/{door.process.pid}/limits").read_text()
    (line,) = [line for line in limits.splitlines() if line.startswith("Max open files")]
    most = 65_536 if hard == resource.RLIM_INFINITY else min(hard, 65_536)
    assert int(line.split()[3]) == most


@pytest.mark.parametrize("kind", ["http", "grpc", "metrics"])
def test_a_port_that_is_taken_is_named(tmp_path: Path, kind: str) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        door = start(tmp_path, "127.0.0.1:9", **{f"{kind}_port": port})
        assert door.wait(PATIENCE_S) == 1
    words = (tmp_path / "door.log").read_text()
    assert f"error: port {port} for {kind} cannot be had on 127.0.0.1" in words
    assert f"--{kind}-port" in words
    assert "Traceback" not in words
    assert not (tmp_path / "door.json").exists()


@pytest.mark.parametrize(("arguments", "code", "words"), [([], 2, "usage:"), (["none.json"], 1, "cannot be read")])
def test_wrong_usage_is_said(tmp_path: Path, arguments: list[str], code: int, words: str) -> None:
    command = [sys.executable, "-m", "serving.gateway", *arguments]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=PATIENCE_S)
    assert done.returncode == code
    assert words in done.stderr
    assert "Traceback" not in done.stderr
