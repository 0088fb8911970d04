"""What ends again and again ends the server with an error; a door that ends once is started again."""

from __future__ import annotations

import errno
import json
import os
import signal
import sys
import threading
import urllib.request
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from serving.errors import CrashLoopError, DoorError
from serving.processes import members
from serving.supervisor.assembling import Plan
from serving.supervisor.patience import Patience
from tests.serving.supervisor.running import DEADLINE_S, Running, is_free, supervised, until

HERE = Path(__file__).parent
QUICK = Patience(look_s=0.05, first_delay_s=0.02, ask_s=0.2, answer_s=2.0, loop_deaths=4)
DOOR = Plan(server=None, door_command=(sys.executable, str(HERE / "stand_in_door.py")))  # type: ignore[arg-type]


@pytest.fixture
def behind_door(stand_in: Path, fake: Path, tmp_path: Path) -> Iterator[Running]:
    with supervised(stand_in, tmp_path, patience=QUICK, plan=DOOR, executable=fake) as running:
        yield running


def url(running: Running) -> str:
    assert running.supervisor.urls is not None
    return running.supervisor.urls.http


def get(address: str) -> str:
    with urllib.request.urlopen(address, timeout=60) as answer:
        return str(answer.read().decode())


def doom(running: Running, folder: Path) -> None:
    """Have what looks into ``folder`` end whenever it is started, and wait for the end of all."""
    pid = running.triton_pid
    (folder / "doomed").touch()
    until(lambda: not running.supervisor.state_file.exists())
    assert members(pid) == []


def test_a_triton_that_always_ends_is_given_up(stand_in: Path, fake: Path, tmp_path: Path) -> None:
    with (
        pytest.raises(CrashLoopError, match=r"exit code 3: doomed .*ended 4 times and never served for 30 s"),
        supervised(stand_in, tmp_path, patience=QUICK, executable=fake) as running,
    ):
        doom(running, stand_in)


def test_a_killed_door_is_started_again_where_it_was(behind_door: Running) -> None:
    assert get(url(behind_door)) == "answered"
    door = behind_door.supervisor.door
    assert door is not None
    pid = door.pid
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    until(lambda: door.restarts == 1 and door.listening and behind_door.state["ready"])
    assert door.pid != pid
    assert get(url(behind_door)) == "answered"
    assert {"door died", "door back"} <= set(behind_door.kinds)


def test_logs_that_somebody_deleted_end_nothing(behind_door: Running) -> None:
    """What a dead process said last belongs into the news of its death, and is missed there alone."""
    supervisor, door = behind_door.supervisor, behind_door.supervisor.door
    assert door is not None
    assert door.pid is not None
    door.options.log_file.unlink()
    os.kill(door.pid, signal.SIGKILL)
    until(lambda: "door back" in behind_door.kinds)
    supervisor.server.log_file.unlink()
    os.kill(behind_door.triton_pid, signal.SIGTERM)
    until(lambda: "triton back" in behind_door.kinds and behind_door.state["ready"])
    assert get(url(behind_door)) == "answered"


def test_a_machine_without_free_files_is_no_death_of_anything(
    behind_door: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What cannot be looked at has not died: nothing is loaded or started again, and the supervisor goes on."""
    pid, door = behind_door.triton_pid, behind_door.supervisor.door
    assert door is not None
    real, missed = os.listdir, threading.Event()

    def full(path: str) -> list[str]:
        if path.startswith("/proc/"):
            missed.set()
            raise OSError(errno.ENFILE, "Too many open files in system")
        return real(path)

    with monkeypatch.context() as patch:
        patch.setattr(os, "listdir", full)
        assert missed.wait(DEADLINE_S)
        until(lambda: behind_door.supervisor.journal.last()[-1]["kind"] == "cannot look")
    until(lambda: "cannot look" in behind_door.kinds and behind_door.state["ready"])
    assert (behind_door.triton_pid, door.restarts) == (pid, 0)
    assert get(url(behind_door)) == "answered"


def test_a_door_that_hangs_is_killed_and_started_again(behind_door: Running) -> None:
    door = behind_door.supervisor.door
    assert door is not None
    pid = door.pid
    assert pid is not None
    until(lambda: door.answers)
    os.kill(pid, signal.SIGSTOP)
    until(lambda: "door hung" in behind_door.kinds and "door back" in behind_door.kinds)
    assert members(pid) == []
    assert get(url(behind_door)) == "answered"


def test_requests_in_flight_are_answered_before_triton_ends(behind_door: Running) -> None:
    folder, triton = behind_door.supervisor.state_file.parent, behind_door.triton_pid
    answers: list[str] = []
    caller = threading.Thread(target=lambda: answers.append(get(f"{url(behind_door)}/slow")))
    caller.start()
    until(lambda: (folder / "asked").exists())
    behind_door.supervisor.end()
    until(lambda: is_free(url(behind_door)))
    assert behind_door.state["reason"] == "the server is being stopped"
    assert members(triton), "Triton is there for as long as the door may need it"
    (folder / "answer").touch()
    caller.join()
    assert answers == ["answered"]
    until(lambda: not members(triton))


def test_the_key_that_people_are_given_stands_on_no_command_line(stand_in: Path, fake: Path, tmp_path: Path) -> None:
    key, plan = "a key of mine", replace(DOOR, ready_file=tmp_path / "ready.json")
    with supervised(stand_in, tmp_path, plan=plan, executable=fake, admin_key=key) as running:
        ready = json.loads((tmp_path / "ready.json").read_text())
        pids = [ready["server_pid"], ready["door_pid"], running.supervisor.watcher_pid]
        words = [Path(f"/proc/{pid}/cmdline").read_bytes().decode() for pid in pids]
        told = json.loads((running.supervisor.state_file.parent / "door-configuration.json").read_text())
    assert not [line for line in words if key in line]
    assert ready["admin_key"] == told["admin_key"] == key
    assert ready["triton_admin_key"] == told["triton_admin_key"] != key
    assert f"infolens-admin-key={ready['triton_admin_key']}" in words[0]


def test_a_door_that_always_ends_is_given_up(stand_in: Path, fake: Path, tmp_path: Path) -> None:
    with (
        pytest.raises(DoorError, match=r"the door ended with exit code 4: doomed .*ended 4 times"),
        supervised(stand_in, tmp_path, patience=QUICK, plan=DOOR, executable=fake) as running,
    ):
        doom(running, running.supervisor.state_file.parent)


def test_a_door_that_cannot_start_says_why(stand_in: Path, fake: Path, tmp_path: Path) -> None:
    (stand_in / "summarize" / "configs").mkdir()
    (stand_in / "summarize" / "configs" / "refused.pbtxt").write_bytes(
        (stand_in / "summarize" / "config.pbtxt").read_bytes()
    )
    with (
        pytest.raises(DoorError, match="the door ended with exit code 1: error: it cannot be configured so"),
        supervised(stand_in, tmp_path, plan=DOOR, executable=fake, config_name="refused"),
    ):
        pass


def test_events_are_lines_of_json(behind_door: Running) -> None:
    events = [json.loads(line) for line in behind_door.supervisor.journal.path.read_text().splitlines()]
    ready = [event for event in events if event["kind"] == "ready"][-1]
    assert ready["pid"] == behind_door.triton_pid
    assert "the server is ready" in ready["words"]
