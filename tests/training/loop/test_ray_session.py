"""Ray that starts while other things are done."""

from __future__ import annotations

import subprocess
import sys
import threading
from pathlib import Path

import pytest

from training.loop import ray_session

_BROKEN_OFF_THEN_USED = """
import psutil
import ray
from training.loop.ray_session import ray_ahead, ray_for
from training.loop import ray_session

sessions = []
start_ray = ray_session.start_ray

def noted(*arguments, **settings):
    sessions.append(start_ray(*arguments, **settings))
    return sessions[-1]

ray_session.start_ray = noted

def nothing_is_left():
    assert not ray.is_initialized()
    assert psutil.Process().children() == []
    assert not any(folder and folder.exists() for folder in sessions)

try:
    with ray_ahead(cpus=1):
        raise KeyboardInterrupt
except KeyboardInterrupt:
    pass
nothing_is_left()

with ray_ahead(cpus=1):
    with ray_for(cpus=1) as started:
        assert started
        assert ray.cluster_resources()["CPU"] >= 1
        with ray_for(cpus=1) as started:
            assert not started
        assert ray.is_initialized()
    nothing_is_left()
assert len(sessions) == 3 and sessions.count(None) == 1
print("done")
"""


@pytest.mark.long
def test_what_begins_ahead_is_used_or_stopped_and_leaves_nothing(tmp_path: Path) -> None:
    # In a process of its own: this one may have a Ray, which is kept.
    done = subprocess.run([sys.executable, "-c", _BROKEN_OFF_THEN_USED], cwd=tmp_path, capture_output=True, text=True)
    assert done.stdout == "done\n", done.stderr


@pytest.mark.parametrize(("option", "variable"), [("10.0.0.1:6379", ""), ("", "10.0.0.1:6379"), ("auto", "")])
def test_nothing_is_started_here_for_a_run_that_joins_a_cluster(
    option: str, variable: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(ray_session.VARIABLE, variable)
    monkeypatch.setattr(ray_session, "start_ray", lambda *_, **__: pytest.fail("started Ray"))
    with ray_session.ray_ahead(option, cpus=1):
        assert "ray" not in {thread.name for thread in threading.enumerate()}
