"""A small model that a host may run, and who asks for it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from engine.sessions.client import HostedSession
from engine.sessions.host import Host
from engine.sessions.opening import Wanted, open_model
from tests.serving.backends.test_backend_gpu import config, write_sums

WAIT_S = 30.0
Ask = Callable[..., HostedSession]


def until(condition: Callable[[], Any]) -> None:
    end_s = time.monotonic() + WAIT_S
    while not condition():
        assert time.monotonic() < end_s, "waited too long"
        time.sleep(0.005)


@pytest.fixture
def wanted(tmp_path: Path) -> Wanted:
    version = tmp_path / "sums" / "1"
    version.mkdir(parents=True)
    write_sums(version / "model.onnx")
    inputs = [{"name": name, "data_type": "TYPE_INT32"} for name in ("input_ids", "attention_mask")]
    outputs = [{"name": "sums", "data_type": "TYPE_FP32"}]
    found = {**config(lengths="4,8", rehearse_gpu="1"), "name": "sums", "input": inputs, "output": outputs}
    return Wanted(config=found, kind="CPU", number=0, version=version)


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A path that is longer than the kernel takes."""
    folder = tmp_path / ("long" * 30)
    folder.mkdir(mode=0o700)
    return folder / "host"


@pytest.fixture
def host(place: Path) -> Iterator[Host]:
    made = Host(place)
    made.start()
    yield made
    made.close()


@pytest.fixture
def ask(wanted: Wanted, place: Path) -> Iterator[Ask]:
    """Makes a session that a host runs; all are closed at the end."""
    made = []

    def make(wait_s: float = WAIT_S, wanted: Wanted = wanted, open_own: Any = None) -> HostedSession:
        made.append(HostedSession(wanted, place, wait_s=wait_s, open_own=open_own or partial(open_model, wanted)))
        return made[-1]

    yield make
    for session in made:
        session.close()
