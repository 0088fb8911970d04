"""Making the runtime environment, as far as it needs no package index."""

from __future__ import annotations

import platform
import sys
from pathlib import Path
from typing import NamedTuple

import pytest

from serving import runtime
from serving.errors import RuntimeSetupError
from serving.runtime import REQUIREMENTS, ensure_runtime


class Version(NamedTuple):
    major: int
    minor: int


def test_requirements_pin_every_package_and_keep_numpy_below_2() -> None:
    pins = dict(line.split("==") for line in runtime._packages(REQUIREMENTS))
    assert {"nvidia-pytriton", "numpy", "onnxruntime", "tokenizers"} <= set(pins)
    assert pins["numpy"].startswith("1.")


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
