"""What is said where ONNX Runtime cannot use a GPU, and what of a graph must be on it."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from engine.executor import UnavailableError
from engine.ort.cuda import CudaOptions
from engine.ort.devices import Device, check_placement
from engine.ort.libraries import CUDA, lost_provider, require_cuda
from engine.ort.ports import port_of, ports_of


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
