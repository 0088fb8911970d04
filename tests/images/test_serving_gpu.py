"""The image for GPUs: another Triton in the place of the wheel's.

The wheel's own stands in for that other one, laid out as NVIDIA's container has it.
"""

from __future__ import annotations

import importlib.util
import json
import re
import shutil
import sys
from pathlib import Path
from types import ModuleType

import pytest

from infolens.targets import Target
from serving.arguments import ServerOptions
from serving.assembly import assemble, python_based
from serving.cli import main
from serving.launcher import CACHE_VARIABLE, TritonServer
from serving.runtime import ROOT, Runtime, ensure_runtime

FOLDER = ROOT / "images" / "serving-gpu"
STUB = "triton_python_backend_stub"


@pytest.fixture(scope="module")
def script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("assemble_gpu", FOLDER / "assemble.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def container(tmp_path: Path) -> Path:
    """A Triton as NVIDIA's container has it in /opt/tritonserver."""
    wheel, opt = ensure_runtime(), tmp_path / "opt"
    shutil.copytree(wheel.triton / "backends" / "python", opt / "backends" / "python")
    shutil.copy2(wheel.triton / "python_backend_stubs" / wheel.python_version / STUB, opt / "backends" / "python")
    for name in ("onnxruntime", "tensorrt"):
        (opt / "backends" / name).mkdir()
        (opt / "backends" / name / f"libtriton_{name}.so").touch()
    (opt / "bin").mkdir()
    (opt / "bin" / "tritonserver").symlink_to(wheel.server)
    (opt / "lib").symlink_to(wheel.site_packages / "nvidia_pytriton.libs")
    (opt / "caches").symlink_to(wheel.triton / "caches")
    return opt


@pytest.fixture
def runtime(tmp_path: Path) -> Runtime:
    """An environment like the real one, of which nothing but the packages is left: its Triton is an empty folder."""
    real, packages = ensure_runtime(), tmp_path / "cache" / "triton"
    made = Runtime(folder=packages, libpython=real.libpython)
    made.site_packages.mkdir(parents=True)
    for entry in real.folder.iterdir():
        if entry.name == "bin":
            shutil.copytree(entry, packages / entry.name, symlinks=True)
        elif entry.name != "lib":
            (packages / entry.name).symlink_to(entry)
    for entry in real.site_packages.iterdir():
        if "pytriton" not in entry.name:
            (made.site_packages / entry.name).symlink_to(entry)
    for name in ("pytriton/tritonserver", "nvidia_pytriton.libs", "nvidia_pytriton-9.dist-info"):
        (made.site_packages / name).mkdir(parents=True)
    return made


def test_a_model_is_served_by_the_other_triton(
    script: ModuleType, runtime: Runtime, container: Path, tmp_path: Path
) -> None:
    script.replace_triton(runtime, container)
    assert not list(runtime.site_packages.glob("nvidia_pytriton-*")), "the list of packages would name it"
    shutil.copytree(ROOT / "model_repository" / "distilbert_labels", tmp_path / "models" / "distilbert_labels")
    options = ServerOptions(
        repository=tmp_path / "models", cache=tmp_path / "cache", http_port=None, grpc_port=0, metrics_port=0,
        operators=False,
    )  # fmt: skip
    with TritonServer(options) as server:
        assert server.models == ["distilbert_labels"]
        assert "onnxruntime" in server.processes
        command = Path(f"/proc/{server.pid}/cmdline").read_text(encoding="utf-8")
        assert command.partition("\0")[0] == str(runtime.server)
    assert runtime.server.resolve() == ensure_runtime().server.resolve()


def test_native_backends_stand_in_the_place_of_ours_and_have_no_processes(
    script: ModuleType, runtime: Runtime, container: Path, tmp_path: Path
) -> None:
    script.replace_triton(runtime, container)
    backends = assemble(runtime, tmp_path / "cache")
    assert "onnxruntime" in python_based(backends)
    script.use_native(backends, container)
    assert (backends / "onnxruntime" / "libtriton_onnxruntime.so").is_file()
    assert (backends / "tensorrt" / "libtriton_tensorrt.so").is_file()
    known = python_based(backends)
    assert {"tokenizer", "summarizer", "labels", "fan_out"} < known
    assert not {"onnxruntime", "tensorrt"} & known
    # A start finds the folder by what it is made of, and takes it as it is.
    assert assemble(runtime, tmp_path / "cache") == backends


def test_a_base_that_is_none_is_refused_before_anything_is_lost(
    script: ModuleType, runtime: Runtime, container: Path
) -> None:
    shutil.rmtree(container / "backends" / "python")
    with pytest.raises(FileNotFoundError, match="backends/python is not there: is the base an image of NVIDIA's"):
        script.replace_triton(runtime, container)
    assert runtime.triton.is_dir()


def one(pattern: str) -> str:
    """What a pattern finds in the Dockerfile."""
    found = re.search(pattern, (FOLDER / "Dockerfile").read_text(encoding="utf-8"), re.MULTILINE)
    assert found is not None
    return found[1]


def test_its_targets_are_those_of_gpus(script: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    assert Target(one(r"^ARG TARGET=(\w+)$")).record.on_gpu
    assert one(r"^ARG CLASSIFIERS=(\w+)$") in list(script.Classifiers)
    monkeypatch.setattr(sys, "argv", ["assemble.py", "--target", "cpu", "--classifiers", "ours"])
    with pytest.raises(SystemExit):
        script.main()


def test_what_is_built_for_a_card_is_kept_where_it_can_be_written(script: ModuleType) -> None:
    kept = one(r"^VOLUME (\S+)$")
    assert str(script.KEPT) == kept
    assert one(rf"\b{CACHE_VARIABLE}=(\S+) ") == kept
    for name in ("TRITON_CACHE_DIR", "TORCHINDUCTOR_CACHE_DIR", "CUDA_CACHE_PATH"):
        assert one(rf"\b{name}=(\S+) ").startswith(f"{kept}/")


def test_its_command_is_known_to_the_server(capsys: pytest.CaptureFixture[str]) -> None:
    words = json.loads(one(r"^CMD (\[.*\])$"))
    assert words[:3] == ["python", "-m", "serving"]
    with pytest.raises(SystemExit):
        main(["--help"])
    told = capsys.readouterr().out
    assert [word for word in words if word.startswith("--") and word not in told] == []


def test_the_page_says_that_it_was_not_tried() -> None:
    assert "NOT BUILT OR RUN YET" in (FOLDER / "Dockerfile").read_text(encoding="utf-8")
    assert "has not been built or run" in (ROOT / "images" / "README.md").read_text(encoding="utf-8")
