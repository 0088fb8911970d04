"""What is missing for a GPU is told at once, all of it, each with the way out; the driver is a stand-in."""

# ruff: noqa: N802 (the names of NVIDIA's functions)
from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from infolens.targets import Target
from serving.arguments import ServerOptions
from serving.cli import main
from serving.errors import ServingError, TargetError
from serving.gpu.driver import CUDA, MANAGEMENT, Driver, Gpu, read_driver
from serving.gpu.preflight import check_environment, machine_faults, preflight
from serving.repository import config_files
from tests.serving.gpu.machines import H100


class Libraries:
    """The driver's libraries: one GPU, as ctypes would ask them."""

    def __init__(self, *, version: int = 13000, error: int = 0, count: int = 1) -> None:
        self.version, self.error, self.count = version, error, count

    def __call__(self, name: str) -> Libraries:
        assert name in (CUDA, MANAGEMENT)
        return self

    def cuDriverGetVersion(self, number: Any) -> int:
        number._obj.value = self.version
        return 0

    def cuInit(self, flags: int) -> int:
        assert flags == 0
        return self.error

    def cuDeviceGetCount(self, number: Any) -> int:
        number._obj.value = self.count
        return 0

    def cuDeviceGet(self, device: Any, index: int) -> int:
        device._obj.value = index
        return 0

    def cuDeviceGetName(self, name: Any, size: int, device: Any) -> int:
        name.value = b"NVIDIA T4"
        return int(device.value >= size)

    def cuDeviceGetAttribute(self, number: Any, attribute: int, device: Any) -> int:
        number._obj.value = {75: 7, 76: 5}[attribute]
        return int(device.value)

    def nvmlInit_v2(self) -> int:
        return 0

    def nvmlShutdown(self) -> int:
        return 0

    def cuDeviceGetPCIBusId(self, text: Any, size: int, device: Any) -> int:
        text.value = b"0000:65:00.0"
        return int(device.value >= size)

    def nvmlDeviceGetHandleByPciBusId_v2(self, bus_id: bytes, device: Any) -> int:
        device._obj.value = 1
        return int(bus_id != b"0000:65:00.0")

    def nvmlDeviceGetMemoryInfo(self, device: Any, memory: Any) -> int:
        memory._obj.free = 15 << 30
        return int(device.value != 1)


def no_library(name: str) -> Any:
    raise OSError(f"{name}: cannot open shared object file")


def test_the_driver_is_asked(tmp_path: Path) -> None:
    (tmp_path / "nvidia0").touch()
    found = read_driver(Libraries(), tmp_path)
    gpu = Gpu(name="NVIDIA T4", compute_capability=(7, 5))
    assert found == Driver(device_files=True, loaded=True, cuda_version=(13, 0), gpus=(gpu,), free_bytes=15 << 30)
    assert machine_faults(found, 1 << 30) == []


def test_a_machine_without_a_driver_has_none(tmp_path: Path) -> None:
    assert read_driver(no_library, tmp_path) == Driver(device_files=False, loaded=False)


def test_a_driver_that_does_not_start_is_asked_no_further(tmp_path: Path) -> None:
    found = read_driver(Libraries(error=100), tmp_path)
    assert (found.error, found.gpus, found.free_bytes) == (100, (), None)


@pytest.mark.parametrize(
    ("driver", "words"),
    [
        (replace(H100, device_files=False), "docker run --gpus all"),
        (Driver(device_files=True, loaded=False), "install the driver, release 580 or newer"),
        (replace(H100, cuda_version=(12, 4)), "runs CUDA 12.4, and 13.0 is needed"),
        (replace(H100, gpus=(), error=803), "cuInit returned 803"),
        (replace(H100, gpus=()), "shows no GPU"),
        (replace(H100, gpus=(Gpu(name="V100", compute_capability=(7, 0)),)), "V100 is of compute capability 7.0"),
        (replace(H100, free_bytes=3 << 30), "3.2 GB of the GPU's memory are free, and these models need more than 3.8"),
    ],
)
def test_each_thing_that_is_missing_has_its_words(driver: Driver, words: str) -> None:
    (fault,) = machine_faults(driver, weights_bytes=1_700_000_000)
    assert words in fault


def test_a_hidden_gpu_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "7")
    assert "CUDA_VISIBLE_DEVICES is '7'" in machine_faults(replace(H100, gpus=()), 0)[0]


def test_one_refusal_has_all_reasons_and_the_way_back(repository: Path) -> None:
    with pytest.raises(TargetError) as caught:
        preflight(repository, config_files(repository, "cuda"), Target.CUDA, driver=replace(H100, free_bytes=1 << 30))
    assert len(str(caught.value).splitlines()) == 4
    assert str(caught.value).endswith("leave --target out, to serve on the CPU")


def test_models_for_a_gpu_are_told_where_they_are_served_on_a_cpu(
    repository: Path, caplog: pytest.LogCaptureFixture
) -> None:
    preflight(repository, config_files(repository), Target.CPU, driver=Driver(device_files=False, loaded=False))
    assert [record.getMessage() for record in caplog.records] == [
        "the model new was exported for cuda, and is slow on a CPU or fails: serve it with --target cuda"
    ]
    caplog.clear()
    preflight(repository, config_files(repository, "cuda"), Target.CPU)  # as a CPU in the GPU's place has it
    assert not caplog.records


def test_models_that_can_run_there_pass(for_cuda: Path) -> None:
    preflight(for_cuda, config_files(for_cuda, "cuda"), Target.CUDA, driver=H100)


@pytest.mark.parametrize("there", [False, True])
def test_a_repository_and_packages_that_are_not_there_are_told_with_the_rest(tmp_path: Path, there: bool) -> None:
    repository, packages = tmp_path / "models", tmp_path / "packages"
    if there:
        repository.mkdir()
    with pytest.raises(TargetError) as caught:
        preflight(repository, {}, Target.CUDA, [packages], Driver(device_files=True, loaded=False))
    assert (f"no model in {repository}" if there else f"no model repository at {repository}") in str(caught.value)
    assert f"there is no folder {packages}: name the site-packages folder" in str(caught.value)
    assert "libcuda.so.1" in str(caught.value)


def test_an_environment_for_cpus_is_refused(tmp_path: Path) -> None:
    (tmp_path / "torch.py").write_text('__version__ = "2.11.0"\nclass version:\n    cuda = None\n')
    (tmp_path / "onnxruntime.py").write_text('__version__ = "1.29"\ndef get_available_providers():\n    return []\n')
    with pytest.raises(TargetError, match=r"torch 2\.11\.0 is built for CPUs alone; onnxruntime 1\.29 has no CUDAEx"):
        check_environment(sys.executable, {"PYTHONPATH": str(tmp_path)}, Target.CUDA)
    (tmp_path / "torch.py").write_text('raise ImportError("libcudart.so.13 is missing")')
    with pytest.raises(TargetError, match=r"cannot use the GPU: torch cannot be imported \(ImportError: libcudart\.so"):
        check_environment(sys.executable, {"PYTHONPATH": str(tmp_path)}, Target.CUDA)


def test_a_target_has_no_other_configurations() -> None:
    with pytest.raises(ServingError, match=r"has configurations of its own \(cuda\), not big: .*deployment-cuda\.toml"):
        ServerOptions(target=Target.CUDA, config_name="big")


def test_nothing_is_made_or_started_on_a_machine_that_lacks_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("serving.gpu.preflight.read_driver", lambda: Driver(device_files=False, loaded=False))
    ports = ["--http-port", "0", "--grpc-port", "0", "--metrics-port", "0"]
    assert main(["--target", "cuda", "--cache", str(tmp_path / "cache"), *ports]) == 1
    said = capsys.readouterr().err
    assert "the model bart answers and cannot run there" in said
    assert "libcuda.so.1" in said
    assert not (tmp_path / "cache" / "triton-gpu").exists()
    assert not list((tmp_path / "cache").rglob("triton-*.log"))
