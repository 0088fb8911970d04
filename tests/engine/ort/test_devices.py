"""What is said where ONNX Runtime cannot use a GPU, and what of a graph must be on it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from onnxruntime.capi import onnxruntime_pybind11_state

from engine.artefact import STEP
from engine.executor import UnavailableError
from engine.ort.cuda import UNSYNCHRONIZED, CudaOptions
from engine.ort.devices import Device, check_placement
from engine.ort.libraries import CUDA, lost_provider, require_cuda
from engine.ort.ports import port_of, ports_of
from engine.ort.replays import GRAPH, differs
from engine.settings import Bucket

from .small import Small


def test_a_build_for_cpus_is_refused() -> None:
    with pytest.raises(
        UnavailableError, match=r"1\.32\.0 here is built for CPUs alone: install the wheel onnxruntime-gpu"
    ):
        require_cuda(["CPUExecutionProvider"], "1.32.0")


@pytest.mark.parametrize("version", ["1.9.0", "1.27.1"])
def test_an_old_release_is_refused(version: str) -> None:
    with pytest.raises(UnavailableError, match=f"{version} is older than 1.28"):
        require_cuda([CUDA], version)


@pytest.mark.parametrize(
    ("missing", "words"),
    [
        ("libcublasLt.so.13", "libcublasLt.so.13 is missing: install the wheel nvidia-cublas"),
        ("libcudnn.so.9", "libcudnn.so.9 is missing: install the wheel nvidia-cudnn-cu13"),
        ("libcudart.so.13", "libcudart.so.13 is missing: install the wheel nvidia-cuda-runtime"),
        ("libcuda.so.1", "libcuda.so.1 is missing: install the GPU's driver"),
        ("libcudnn_graph.so.9", "libcudnn_graph.so.9 is missing: install the wheel nvidia-cudnn-cu13"),
    ],
)
def test_a_missing_library_is_named_with_its_wheel(missing: str, words: str) -> None:
    message = f"{missing}: cannot open shared object file: No such file or directory"
    assert words in str(lost_provider(message))


def test_other_reasons_are_told_as_they_are() -> None:
    assert "undefined symbol: cudaFoo" in str(lost_provider("undefined symbol: cudaFoo"))
    assert "see whether nvidia-smi shows one" in str(lost_provider(""))
    assert "libonnxruntime_providers_cuda.so" in str(lost_provider())  # This build has none.


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.filterwarnings("ignore:Specified provider 'CUDAExecutionProvider' is not in available")
def test_a_session_that_lost_the_gpu_is_refused(small: Small, precision: str) -> None:
    """ONNX Runtime goes on with the CPU, or says what that lacks; here its build has no CUDA provider at all."""
    sizes = Bucket(slots=1, beams=2, source_length=8, target_length=4).sizes
    with pytest.raises(UnavailableError, match=r"cannot load its CUDA provider.*providers_cuda\.so"):
        Device().session(small.artefact(precision).path(STEP), sizes)


def test_onnx_runtime_knows_the_options_of_a_run() -> None:
    """It ignores those that it does not know."""
    library = Path(onnxruntime_pybind11_state.__file__).read_bytes()
    assert [option for option in (GRAPH, UNSYNCHRONIZED) if option.encode() not in library] == []


def test_a_replay_of_the_other_direction_is_refused(small: Small, monkeypatch: pytest.MonkeyPatch) -> None:
    """A session with a single captured graph replays that one, whatever is bound."""
    captured: dict[int, Any] = {}

    def replay(run: Any) -> None:
        first = captured.setdefault(id(run.session), run)
        run.session.run_with_iobinding(first.binding)

    monkeypatch.setattr("engine.ort.cuda._Run.start", replay)
    with pytest.raises(UnavailableError, match=f"over other memory .* knows the option {GRAPH}"):
        small.maker("cuda")(Bucket(slots=2, beams=2, source_length=8, target_length=4))


def test_a_replay_that_answers_otherwise_is_refused(small: Small, monkeypatch: pytest.MonkeyPatch) -> None:
    """One whose kernels read memory of the host does so when others have written it."""

    def replay(run: Any) -> None:
        run.session.run_with_iobinding(run.binding)
        if compared:
            compared[-1]["tokens"].update_inplace(compared[-1]["tokens"].numpy() + 1)

    compared: list[Any] = []

    def differing(run: Any, source: Any, target: Any, state: Any) -> bool:
        compared.append(target)
        return differs(run, source, target, state)

    monkeypatch.setattr("engine.ort.cuda._Run.start", replay)
    monkeypatch.setattr("engine.ort.cuda.differs", differing)
    with pytest.raises(UnavailableError, match="answers otherwise when it replays a step"):
        small.maker("cuda")(Bucket(slots=2, beams=2, source_length=8, target_length=4))


def test_a_step_that_cannot_run_says_which_library_is_missing(small: Small, monkeypatch: pytest.MonkeyPatch) -> None:
    def start(_: Any) -> None:
        raise RuntimeError("cuDNN is unavailable: dlopen failed for libcudnn.so: cannot open shared object file")

    monkeypatch.setattr("engine.ort.cuda._Run.start", start)
    with pytest.raises(UnavailableError, match=r"libcudnn\.so is missing: install the wheel nvidia-cudnn-cu13"):
        small.maker("cuda")(Bucket(slots=2, beams=2, source_length=8, target_length=4))


def test_every_node_is_looked_at(small: Small, monkeypatch: pytest.MonkeyPatch) -> None:
    """ONNX Runtime tells of a provider's nodes in many parts."""
    found: dict[str, Sequence[str]] = {}
    monkeypatch.setattr("engine.ort.devices.check_placement", lambda _path, _provider, assigned: found.update(assigned))
    device = Device(kind="cpu", graphs=False)
    device.session(small.artefact("fp32").path(STEP), Bucket(slots=1, beams=2, source_length=8, target_length=4).sizes)
    assert {"Attention", "TensorScatter", "TopK"} <= set(found["CPUExecutionProvider"])


def test_nothing_but_shapes_may_be_computed_beside_the_gpu() -> None:
    check_placement(Path("step.onnx"), CUDA, {CUDA: ["MatMul"], "CPUExecutionProvider": ["Shape", "Gather"]})
    with pytest.raises(UnavailableError, match=r"has no kernels for Attention, TensorScatter of step\.onnx"):
        check_placement(
            Path("step.onnx"), CUDA, {CUDA: ["MatMul"], "CPUExecutionProvider": ["TensorScatter", "Shape", "Attention"]}
        )


def test_devices_and_options_out_of_range_are_refused() -> None:
    with pytest.raises(ValueError, match="a device is one of cuda, cpu, not 'rocm'"):
        Device(kind="rocm")
    with pytest.raises(ValueError, match="only a GPU has CUDA graphs"):
        Device(kind="cpu")
    with pytest.raises(ValueError, match="look_steps is 1 or more, not 0"):
        CudaOptions(look_steps=0)


def node(name: str, kind: str = "tensor(float)", shape: tuple[object, ...] = ("slots",)) -> Any:
    return SimpleNamespace(name=name, type=kind, shape=shape)


def session(inputs: list[str], outputs: list[str]) -> Any:
    return SimpleNamespace(
        get_inputs=lambda: [node(name) for name in inputs], get_outputs=lambda: [node(name) for name in outputs]
    )


def test_tensors_are_told_apart_by_who_writes_them() -> None:
    step = session(["horizon", "done", "key_0", "cross_key_0"], ["done_next", "key_0_next"])
    ports = ports_of(step, session(["input_ids"], ["cross_key_0"]), {"slots": 2})
    found = [[port.name for port in kind] for kind in (ports.hosted, ports.turning, ports.kept, ports.cross)]
    assert found == [["horizon"], ["done"], ["key_0"], ["cross_key_0"]]


def test_a_graph_with_something_else_is_refused() -> None:
    with pytest.raises(ValueError, match="an input 'colour' that nothing writes"):
        ports_of(session(["colour"], []), session([], []), {"slots": 2})
    with pytest.raises(ValueError, match="dimensions slots, not 'pages'"):
        port_of(node("x", shape=("slots", "pages")), {"slots": 2})
    with pytest.raises(ValueError, match=r"not tensor\(string\)"):
        port_of(node("x", "tensor(string)"), {"slots": 2})
