"""Packages for a machine without a network: what is left out, and how they are joined with those that are there."""

from __future__ import annotations

import importlib.util
import os
import struct
import subprocess
import sys
import zipfile
from importlib.machinery import SourceFileLoader
from pathlib import Path
from types import ModuleType

import pytest

from benchmarks.common.server import ROOT

SCRIPT = ROOT / "scripts" / "gpu-packages"


@pytest.fixture(scope="module")
def packages() -> ModuleType:
    loader = SourceFileLoader("gpu_packages", str(SCRIPT))
    spec = importlib.util.spec_from_loader("gpu_packages", loader)
    assert spec is not None
    module = importlib.util.module_from_spec(spec)
    loader.exec_module(module)
    return module


def fat_binary(*parts: tuple[int, int, bytes]) -> bytes:
    """A fat binary of NVIDIA's with entries of (kind, architecture, content)."""
    entries = b"".join(
        struct.pack("<HHIQ", kind, 1, 64, len(content))
        + bytes(12)
        + struct.pack("<I", architecture)
        + bytes(32)
        + content
        for kind, architecture, content in parts
    )
    return struct.pack("<IHHQ", 0xBA55ED50, 1, 16, len(entries)) + entries


def library(content: bytes) -> bytes:
    """A library in ELF of 64 bits, with one section ``.nv_fatbin`` and that of the names."""
    names = b"\0.nv_fatbin\0.shstrtab\0"
    table = 64 + len(content) + len(names)
    head = b"\x7fELF" + bytes(36) + struct.pack("<Q", table) + bytes(10) + struct.pack("<HHH", 64, 3, 2)

    def section(name: int, offset: int, size: int) -> bytes:
        return struct.pack("<IIQQQQ", name, 1, 0, 0, offset, size) + bytes(24)

    sections = bytes(64) + section(1, 64, len(content)) + section(12, 64 + len(content), len(names))
    return head + content + names + sections


def test_kernels_of_other_gpus_are_left_out(packages: ModuleType, tmp_path: Path) -> None:
    code, other, source = b"A" * 64, b"B" * 128, b"C" * 32
    file = tmp_path / "libonnxruntime_providers_cuda.so"
    whole = library(fat_binary((2, 80, other), (2, 90, code)) + bytes(24) + fat_binary((1, 90, source), (2, 90, code)))
    file.write_bytes(whole)
    packages.keep_kernels(file, 90)
    assert file.read_bytes() == whole.replace(other, bytes(128)).replace(source, bytes(32))
    with pytest.raises(ValueError, match="has no kernels for the compute capability 75"):
        packages.keep_kernels(file, 75)


def test_of_a_wheel_only_what_is_opened_is_kept(packages: ModuleType, tmp_path: Path) -> None:
    stub = "pytriton/tritonserver/python_backend_stubs/3.{}/triton_python_backend_stub"
    kept = {
        stub.format(12),
        "pytriton/tritonserver/bin/tritonserver",
        "numpy/core/x.so",
        "nvidia_pytriton.libs/libb64.so",
    }
    gone = {
        stub.format(11),
        "pytriton/client/client.py",
        "numpy/core/tests/test.py",
        "nvidia_pytriton.libs/libpython3.so",
    }
    wheel = tmp_path / "one.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        for name in kept | gone:
            entry = zipfile.ZipInfo(name)
            entry.external_attr = 0o755 << 16
            archive.writestr(entry, "content")
    packages.extract(wheel, tmp_path / "tree", packages.unopened("3.12"))
    found = {str(path.relative_to(tmp_path / "tree")) for path in (tmp_path / "tree").rglob("*") if path.is_file()}
    assert found == kept
    assert os.access(tmp_path / "tree" / "pytriton" / "tritonserver" / "bin" / "tritonserver", os.X_OK)


def test_every_package_that_is_fetched_is_pinned(packages: ModuleType) -> None:
    assert {name.lower() for name in packages.PROGRAMS} <= packages.pins("client.txt", "dev.txt").keys()
    assert {*packages.STUBS, *packages.ENGINE} <= packages.pins("triton-gpu.txt").keys()


def test_what_was_carried_takes_the_place_of_the_machines_own(tmp_path: Path) -> None:
    machine = tmp_path / "site-packages"
    for name in ("torch/__init__.py", "numpy/new.py", "numpy-2.5.2.dist-info/METADATA", "nvidia/lib.so", "own.pth"):
        (machine / name).parent.mkdir(parents=True, exist_ok=True)
        (machine / name).touch()
    for name in ("stubs/numpy/old.py", "onnxruntime/onnxruntime/capi.so"):
        (tmp_path / "to" / name).parent.mkdir(parents=True)
        (tmp_path / "to" / name).touch()
    (tmp_path / "empty").mkdir()
    command = [sys.executable, str(SCRIPT), "unpack", str(tmp_path / "empty"), str(tmp_path / "to")]
    environment = {**os.environ, "PYTHONPATH": str(machine)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    runtime = tmp_path / "to" / "runtime"
    assert f"--runtime {runtime}" in done.stdout
    assert {path.name for path in runtime.iterdir()} == {"numpy", "onnxruntime", "torch", "nvidia"}
    assert [path.name for path in (runtime / "numpy").iterdir()] == ["old.py"]
    assert not (runtime / "onnxruntime").is_symlink()
    assert (runtime / "torch").resolve() == machine / "torch"
