"""Triton and the door started apart, as two containers of a pod: what they leave, believe and survive."""

from __future__ import annotations

import errno
import json
import os
import signal
import stat
import urllib.request
from pathlib import Path

import pytest

from serving.assembly import assemble
from serving.commands import door, triton
from serving.commands.following import followed
from serving.runtime import CACHE, ensure_runtime
from serving.supervisor.state import State, StateFile
from tests.serving.pod.models import write_answers
from tests.serving.pod.pods import DEADLINE_S, begin, begin_door, pod, until


def status(url: str) -> int:
    with urllib.request.urlopen(url, timeout=DEADLINE_S) as answer:
        return int(answer.status)


@pytest.mark.server
def test_a_triton_that_is_started_again_gets_a_new_door_and_old_files_are_no_harm(tmp_path: Path) -> None:
    repository, folder = write_answers(tmp_path / "models", work_s=0.0), tmp_path / "pod"
    run = folder / "run"
    with pod(folder, repository) as first:
        assert status(f"{first.urls['http_url']}/readyz") == 200
        assert stat.S_IMODE((run / "triton.json").stat().st_mode) == 0o600
        before = json.loads((run / "triton.json").read_text())
        second = begin("triton", folder, "--repository", str(repository))
        assert second.wait(DEADLINE_S) == 1
        assert "another runs with it" in (folder / "triton.log").read_text()
        first.triton.kill()
        first.triton.wait()
        assert json.loads((run / "triton.json").read_text()) == before
        again = begin("triton", folder, "--repository", str(repository))
        try:
            assert first.door.wait(DEADLINE_S) == 1
            assert "the door ends, and is to be started again" in (folder / "door.log").read_text()
            new_door = begin_door(folder)
            try:
                until((folder / "ready.json").exists, again, new_door)
                urls = json.loads((folder / "ready.json").read_text())
                assert status(f"{urls['http_url']}/readyz") == 200
                assert json.loads((run / "triton.json").read_text())["instance"] != before["instance"]
                new_door.send_signal(signal.SIGTERM)
                assert new_door.wait(DEADLINE_S) == 0
            finally:
                new_door.kill()
                new_door.wait()
            again.send_signal(signal.SIGTERM)
            assert again.wait(DEADLINE_S) == 0
        finally:
            again.kill()
            again.wait()
        assert not (run / "triton.json").exists()
        assert not (run / "state.json").exists()


def test_a_door_believes_no_file_whose_supervisor_is_gone(tmp_path: Path) -> None:
    run = tmp_path / "run"
    run.mkdir()
    old = {
        "triton_grpc": "127.0.0.1:9", "triton_metrics": "http://127.0.0.1:9/metrics", "triton_admin_key": "key",
        "admin_header": "header", "repository": str(tmp_path), "config_name": None, "instance": "1",
    }  # fmt: skip
    (run / "triton.json").write_text(json.dumps(old))
    (run / "state.json").write_text(json.dumps({"written_at": 1.0, "ready": True}))
    process = begin_door(tmp_path)
    try:
        until(lambda: "waiting for Triton" in (tmp_path / "door.log").read_text(), process)
        process.send_signal(signal.SIGTERM)
        assert process.wait(DEADLINE_S) == 0
    finally:
        process.kill()
        process.wait()
    assert "listening" not in (tmp_path / "door.log").read_text()


def test_a_second_door_of_a_folder_is_refused_and_the_first_one_stays(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    process = begin_door(tmp_path)
    try:
        until(lambda: "waiting for Triton" in (tmp_path / "door.log").read_text(), process)
        words = ["--run", str(tmp_path / "run"), "--http-port", "0", "--grpc-port", "0", "--metrics-port", "0"]
        assert door.main(words) == 1
        assert "is one door's folder, and another runs with it" in capsys.readouterr().err
        assert process.poll() is None
    finally:
        process.kill()
        process.wait()


@pytest.mark.skipif(os.getuid() == 0, reason="root may write everywhere")
def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    tmp_path.chmod(0o500)
    assert triton.main(["--run", str(tmp_path / "run")]) == 1
    assert "must be a folder that this user" in capsys.readouterr().err


def test_what_a_cache_lacks_is_made_elsewhere(tmp_path: Path) -> None:
    runtime, cache, scratch = ensure_runtime(CACHE), tmp_path / "cache", tmp_path / "scratch"
    cache.mkdir()
    made = assemble(runtime, cache, scratch=scratch)
    assert made.is_relative_to(scratch)
    assert assemble(runtime, cache, scratch=scratch) == made
    assert list(cache.iterdir()) == []


def test_a_log_is_handed_on_and_does_not_grow_for_ever(tmp_path: Path) -> None:
    log, copy = tmp_path / "log", tmp_path / "copy"
    with copy.open("wb") as output, followed(log, output, most_bytes=100), log.open("ab", buffering=0) as writer:
        for number in range(50):
            writer.write(f"line {number}\n".encode())
        until(lambda: log.stat().st_size == 0)
        writer.write(b"the last\n")
    assert copy.read_text().splitlines() == [*(f"line {number}" for number in range(50)), "the last"]


@pytest.mark.parametrize("command", [door, triton])
def test_help_teaches_by_examples(command: object, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        command.main(["--help"])  # type: ignore[attr-defined]
    assert ended.value.code == 0
    assert "examples:" in capsys.readouterr().out


def test_a_file_that_cannot_be_written_is_as_young_as_its_supervisor(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A cluster asks its age: a full disk is no reason to end what serves."""
    file = StateFile(tmp_path / "state.json", 1.0)
    file.write(State(ready=True), 0.0)
    before = file.path.read_text(encoding="utf-8")
    os.utime(file.path, (1.0, 1.0))

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("serving.supervisor.state.write_private", full)
    file.write(State(ready=True), 10.0)
    assert file.path.read_text(encoding="utf-8") == before
    assert file.path.stat().st_mtime > 1.0
