"""Making the runtime environment, as far as it needs no package index."""

from __future__ import annotations

import platform
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest

from infolens.targets import TARGETS, TargetRecord
from serving import runtime
from serving.errors import RuntimeSetupError
from serving.runtime import REQUIREMENTS, ROOT, ensure_runtime, installed_runtime


class Version(NamedTuple):
    major: int
    minor: int


def test_requirements_pin_every_package_and_keep_numpy_below_2() -> None:
    pins = dict(line.split("==") for line in runtime._packages(REQUIREMENTS))
    assert {"nvidia-pytriton", "numpy", "onnxruntime", "tokenizers"} <= set(pins)
    assert pins["numpy"].startswith("1.")


@pytest.mark.parametrize("record", TARGETS.values(), ids=TARGETS.keys())
def test_the_requirements_of_every_target_pin_the_same_server(record: TargetRecord) -> None:
    files = [ROOT / "requirements" / file for file in record.requirements]
    pins = dict(line.split("==") for file in files for line in runtime._packages(file))
    usual = dict(line.split("==") for line in runtime._packages(REQUIREMENTS))
    same = ("nvidia-pytriton", "numpy", "tokenizers")
    assert {name: pins[name] for name in same} == {name: usual[name] for name in same}
    assert ("onnxruntime" in pins, "onnxruntime-gpu" in pins, "torch" in pins) == (
        not record.on_gpu,
        record.on_gpu,
        record.on_gpu,
    )


def test_packages_that_are_installed_already_are_taken_as_they_are(tmp_path: Path) -> None:
    packages, more = ensure_runtime().site_packages.resolve(), tmp_path / "more"
    more.mkdir()
    found = installed_runtime(tmp_path / "cache", [more, packages])
    assert found.server == packages / "pytriton" / "tritonserver" / "bin" / "tritonserver"
    words = "import numpy, sys; print(numpy.__version__, *sys.path)"
    said = subprocess.run(
        [found.python, "-c", words], env=found.environment, capture_output=True, text=True, check=True
    ).stdout.split()
    assert said[0].startswith("1.")  # and not the one of the Python that runs this
    assert said.index(str(more)) < said.index(str(packages))
    stamp = (found.folder / "stamp").stat().st_mtime_ns
    assert installed_runtime(tmp_path / "cache", [more, packages]) == found
    assert (found.folder / "stamp").stat().st_mtime_ns == stamp


def test_folders_without_triton_are_told(tmp_path: Path) -> None:
    folders = [tmp_path / "x", tmp_path / "y"]
    for folder in folders:
        folder.mkdir()
    with pytest.raises(RuntimeSetupError, match=r"there is no pytriton/tritonserver/bin/tritonserver in .*x or .*y"):
        installed_runtime(tmp_path / "cache", folders)


def test_another_python_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(sys, "version_info", Version(3, 13))
    with pytest.raises(RuntimeSetupError, match=r"needs Python 3\.11 or 3\.12, this is 3\.13"):
        ensure_runtime(tmp_path)


@pytest.mark.parametrize("libc", [("glibc", "2.31"), ("", "")])
def test_another_system_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, libc: tuple[str, str]) -> None:
    monkeypatch.setattr(platform, "libc_ver", lambda: libc)
    with pytest.raises(RuntimeSetupError, match=r"glibc 2\.35 or newer"):
        ensure_runtime(tmp_path)


def test_missing_requirements_are_told(tmp_path: Path) -> None:
    with pytest.raises(RuntimeSetupError, match="it pins what Triton runs on"):
        ensure_runtime(tmp_path, tmp_path / "triton.txt")


def test_a_failed_installation_leaves_no_environment(tmp_path: Path) -> None:
    requirements = tmp_path / "triton.txt"
    requirements.write_text(f"{tmp_path}/no-such-package.whl\n")
    with pytest.raises(RuntimeSetupError, match="pip could not install"):
        ensure_runtime(tmp_path / "cache", requirements)
    assert not (tmp_path / "cache" / "triton").exists()
