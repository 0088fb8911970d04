"""Which process runs a classifier for a GPU, and what the summarizer's does for it."""

from __future__ import annotations

import ctypes
import json
import logging
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from engine import opening, sharing
from engine.executor import Executor
from engine.opening import EngineOptions
from engine.sessions.client import AwayError, HostedSession
from engine.sessions.host import Host
from engine.sessions.opening import Opened, Wanted
from engine.sessions.wire import AWAY
from engine.settings import Bucket
from serving.backends import counts
from serving.backends.onnxruntime import model, where
from serving.backends.summarizer import hosting
from serving.backends.summarizer import model as summarizer_model
from serving.gpu import sharing as launcher_sharing
from tests.serving.backends.summarizer.standing import ARTEFACT, StandingEngine
from tests.serving.backends.summarizer.standing import config as summarizer_config
from tests.serving.backends.test_backend_gpu import config, feeds, sums, write_sums

TENSORS: dict[str, Any] = {
    "input": [{"name": name, "data_type": "TYPE_INT32"} for name in ("input_ids", "attention_mask")],
    "output": [{"name": "sums", "data_type": "TYPE_FP32"}],
}


@pytest.fixture
def wanted(tmp_path: Path) -> Wanted:
    version = tmp_path / "repository" / "sums" / "1"
    version.mkdir(parents=True)
    write_sums(version / "model.onnx")
    found = {**config(lengths="4", rehearse_gpu="1", gpu_host_wait_s="0"), **TENSORS, "name": "sums"}
    return Wanted(config=found, kind="CPU", number=0, version=version)


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv(where.HOST, str(tmp_path / "gpu" / "host"))
    return tmp_path / "gpu" / "host"


@pytest.fixture
def host(place: Path) -> Iterator[Host]:
    made = hosting.open_host(None)
    assert made is not None
    yield made
    made.close()


def test_launcher_and_backends_call_the_place_alike() -> None:
    assert launcher_sharing.VARIABLE == where.HOST == hosting.HOST


def test_models_for_a_gpu_go_to_the_process_that_owns_it(wanted: Wanted, host: Host) -> None:
    session = where.open_where(wanted, None)
    assert isinstance(session, HostedSession)
    assert session.hosted
    session.close()
    on_cpu = replace(wanted, config={**wanted.config, "parameters": {}})
    assert isinstance(where.open_where(on_cpu, None), Opened)


def test_a_model_for_another_gpu_stays_in_its_process(
    wanted: Wanted, host: Host, caplog: pytest.LogCaptureFixture
) -> None:
    session = where.open_where(replace(wanted, number=1), None)
    assert isinstance(session, Opened)
    assert "the GPU with the number 1 in a process of its own" in caplog.text
    session.close()


def test_the_wait_is_a_parameter(wanted: Wanted, place: Path, caplog: pytest.LogCaptureFixture) -> None:
    session = where.open_where(wanted, None)
    assert isinstance(session, HostedSession)
    assert not session.hosted
    assert "no process for it was there within 0 s" in caplog.text
    session.close()
    wrong = {**wanted.config, "parameters": {**wanted.config["parameters"], where.WAIT: {"string_value": "soon"}}}
    with pytest.raises(ValueError, match="gpu_host_wait_s is a whole number"):
        where.open_where(replace(wanted, config=wrong), None)


class _Request:
    def __init__(self, given: dict[str, Any]) -> None:
        self.inputs = {name: _Tensor(name, array) for name, array in given.items()}

    def parameters(self) -> str:
        return ""

    def is_cancelled(self) -> bool:
        return False


class _Tensor:
    def __init__(self, name: str, array: Any) -> None:
        self._name, self._array = name, array

    def name(self) -> str:
        return self._name

    def as_numpy(self) -> Any:
        return self._array


def test_a_classifier_answers_counts_and_says_when_its_host_is_away(
    wanted: Wanted, host: Host, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(counts.VARIABLE, str(tmp_path))
    made = model.TritonPythonModel()
    made.initialize(
        {
            "model_config": json.dumps(wanted.config),
            "model_repository": str(wanted.version.parent),
            "model_version": "1",
            "model_instance_kind": "CPU",
            "model_instance_device_id": "0",
        }
    )
    given = feeds(1, 4)
    (answer,) = made.execute([_Request(given)])
    np.testing.assert_array_equal(answer.tensors[0].as_numpy(), sums(given))
    assert made._counts is not None
    made._counts.look()
    assert json.loads((tmp_path / "sums.json").read_text())["counted"]["graph_runs"] == 1
    away = model._response(AwayError(AWAY))
    assert (away.error.code, away.error.message) == ("UNAVAILABLE", AWAY)
    made.finalize()


def arguments(folder: Path) -> dict[str, str]:
    return {
        "model_config": json.dumps(summarizer_config()),
        "model_repository": str(folder),
        "model_version": "1",
        "model_instance_kind": "CPU",
    }


def test_a_summarizer_listens_before_its_engine_is_open(
    place: Path, wanted: Wanted, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[tuple[bool, bool]] = []
    engine = StandingEngine()

    def open_engine(folder: Path, options: EngineOptions) -> StandingEngine:
        told.append((place.exists(), options.shared))
        return engine

    monkeypatch.setattr(summarizer_model, "read", lambda folder: ARTEFACT)
    monkeypatch.setattr(summarizer_model, "open_engine", open_engine)
    made = summarizer_model.TritonPythonModel()
    made.initialize(arguments(tmp_path))
    assert told == [(True, True)]
    session = where.open_where(wanted, None)
    assert isinstance(session, HostedSession)
    assert session.hosted
    session.close()
    made.finalize()
    assert not place.exists()


def test_a_summarizer_that_is_replaced_hands_the_others_over(
    place: Path, wanted: Wanted, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(summarizer_model, "read", lambda folder: ARTEFACT)
    monkeypatch.setattr(summarizer_model, "open_engine", lambda folder, options: StandingEngine())
    old, new = summarizer_model.TritonPythonModel(), summarizer_model.TritonPythonModel()
    old.initialize(arguments(tmp_path))
    session = where.open_where(wanted, None)
    new.initialize(arguments(tmp_path))
    old.finalize()
    assert new._host is not None
    assert new._host.connections == 1
    assert len(session.run(["sums"], feeds(1, 4))) == 1
    session.close()
    new.finalize()


def test_a_summarizer_that_does_not_load_hosts_nobody(
    place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(folder: Path, options: EngineOptions) -> StandingEngine:
        raise ValueError("no engine")

    monkeypatch.setattr(summarizer_model, "read", lambda folder: ARTEFACT)
    monkeypatch.setattr(summarizer_model, "open_engine", refuse)
    with pytest.raises(ValueError, match="no engine"):
        summarizer_model.TritonPythonModel().initialize(arguments(tmp_path))
    assert not place.exists()


def test_a_place_that_cannot_be_had_stops_nobody(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv(hosting.HOST, str(tmp_path / "file" / "host"))
    assert hosting.open_host(None) is None
    assert "classifiers compute on the GPU in processes of their own" in caplog.text


class _Driver:
    """NVIDIA's driver, as far as it is asked."""

    def __init__(self, code: int) -> None:
        self.code, self.modes = code, []

    def cuInit(self, flags: int) -> int:  # noqa: N802 - the driver's name
        return flags

    def cuThreadExchangeStreamCaptureMode(self, mode: Any) -> int:  # noqa: N802
        self.modes.append(ctypes.cast(mode, ctypes.POINTER(ctypes.c_int)).contents.value)
        return self.code


def test_captures_of_others_are_borne_or_it_is_told(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)
    driver = _Driver(0)
    sharing.bear_captures(lambda _: driver)
    assert (driver.modes, caplog.text) == ([1], "")
    sharing.bear_captures(lambda _: _Driver(3))
    assert "CUDA's error 3" in caplog.text


def test_the_common_stream_is_left_once(monkeypatch: pytest.MonkeyPatch) -> None:
    used = ["common"]
    done: list[str] = []
    for name, call in {
        "is_available": lambda: True,
        "default_stream": lambda: "common",
        "current_stream": lambda: used[-1],
        "Stream": lambda: f"own {len(used)}",
        "set_stream": used.append,
        "synchronize": lambda: done.append("synchronize"),
    }.items():
        monkeypatch.setattr(torch.cuda, name, call)
    sharing.leave_the_common_stream()
    sharing.leave_the_common_stream()
    assert (used, done) == (["common", "own 1"], ["synchronize"])
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.delattr(torch.cuda, "current_stream")
    sharing.leave_the_common_stream()


def test_an_engine_beside_others_leaves_the_common_stream(monkeypatch: pytest.MonkeyPatch) -> None:
    done: list[str] = []
    monkeypatch.setattr(opening, "leave_the_common_stream", lambda: done.append("leave"))
    monkeypatch.setattr(opening, "bear_captures", lambda: done.append("bear"))

    def make(bucket: Bucket) -> Executor:
        done.append("make")
        return object()  # type: ignore[return-value]

    beside: Callable[..., Any] = opening._beside_others(make, "torch")
    beside(None)
    assert done == ["bear", "leave", "make"]
    done.clear()
    opening._beside_others(make, "cuda")(None)  # type: ignore[arg-type]
    assert done == ["bear", "make"]
