"""The real server for the tests that need it: started once per run, on free ports, with the committed models."""

from __future__ import annotations

import sys
import types
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from benchmarks.common.server import Started, started_server
from infolens.contract import CONTRACTS, Task, register_classifier
from infolens.types import ANSWER_TYPES, Labelled
from serving.runtime import ROOT

REPOSITORY = ROOT / "model_repository"
ONNX_MODELS = ("bart", "distilbert", "xlnet")


def _stand_in_for_triton() -> None:
    """Triton's stub brings this module along; outside of it the backends' logic needs no more than these names."""
    module = types.ModuleType("triton_python_backend_utils")

    class TritonError:
        INVALID_ARG, INTERNAL, CANCELLED = "INVALID_ARG", "INTERNAL", "CANCELLED"
        UNAVAILABLE = "UNAVAILABLE"

        def __init__(self, message: str, code: str) -> None:
            self.message, self.code = message, code

    class Tensor:
        def __init__(self, name: str, array: object) -> None:
            self._name, self._array = name, array

        def name(self) -> str:
            return self._name

        def as_numpy(self) -> object:
            return self._array

        @staticmethod
        def from_dlpack(name: str, tensor: Tensor) -> Tensor:
            return Tensor(name, tensor.as_numpy())

    class InferenceResponse:
        def __init__(self, tensors: tuple[Tensor, ...] = (), error: TritonError | None = None) -> None:
            self.tensors, self.error = list(tensors), error

    vars(module)["TRITONSERVER_RESPONSE_COMPLETE_FINAL"] = 1
    members = {"TritonError": TritonError, "Tensor": Tensor, "InferenceResponse": InferenceResponse}
    vars(module).update(members, get_input_tensor_by_name=lambda request, name: request.inputs.get(name))
    sys.modules.setdefault("triton_python_backend_utils", module)


_stand_in_for_triton()


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Two processes, one for each of two halves: one starts Ray, the other Triton, neither twice."""
    from xdist.scheduler import LoadScopeScheduling

    class Halves(LoadScopeScheduling):  # type: ignore[misc]
        def _split_scope(self, nodeid: str) -> str:
            without_triton = (
                "tests/training/", "tests/engine/", "tests/benchmarks/gpu/", "tests/clients/", "tests/export/",
                "tests/operators/", "tests/field/test_training", "tests/field/test_mutated", "tests/field/test_bases",
                "tests/serving/gateway/edge/", "tests/serving/gateway/access/", "tests/serving/gateway/grpc_door/",
                "tests/serving/gateway/calls/", "tests/serving/backends/", "tests/serving/keys/", "tests/reading/",
                "tests/compose/", "tests/k8s/training/", "tests/serving/intake/", "tests/serving/gateway/files/",
            )  # fmt: skip
            return "without Triton" if nodeid.startswith(without_triton) else "with Triton"

    return Halves(config, log)


@contextmanager
def own_task(architecture: str = "distilbert") -> Iterator[Task]:
    """A fourth task with three labels, as its one entry in the registry makes it, and the type of its answers."""
    task = register_classifier(
        "sentiment",
        ensemble="feel",
        model="sentiment",
        architecture=architecture,
        default_labels=("bad", "neutral", "good"),
        by_default=False,
    )
    ANSWER_TYPES[task] = Labelled
    try:
        yield task
    finally:
        del CONTRACTS[task], ANSWER_TYPES[task]


@pytest.fixture
def sentiment() -> Iterator[Task]:
    """`own_task` for one test."""
    with own_task() as task:
        yield task


@pytest.fixture(scope="session")
def triton(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Started]:
    """The server of ``model_repository``: ``triton.http_url``, ``triton.grpc_url``, ``triton.metrics_url``."""
    missing = [name for name in ONNX_MODELS if not list(REPOSITORY.glob(f"{name}/*/model.onnx"))]
    if missing:
        pytest.skip(f"model_repository has no exported model for {', '.join(missing)}")
    log_file: Path = tmp_path_factory.mktemp("triton") / "triton.log"
    with started_server(["--log-file", str(log_file)]) as server:
        yield server
