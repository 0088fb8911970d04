"""An environment for other pins is made with the Python that it is for, and anew for another one."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.common.environments import ensure_environment
from benchmarks.common.server import BenchmarkError


def interpreter(path: Path, version: str) -> str:
    """This Python, which says that it is of another version."""
    path.write_text(f'#!/bin/sh\n[ "$1" = -c ] && echo "{version}" && exit 0\nexec "{sys.executable}" "$@"\n')
    path.chmod(0o755)
    return str(path)


def test_another_python_makes_it_anew(tmp_path: Path) -> None:
    requirements, folder = tmp_path / "requirements.txt", tmp_path / "environment"
    requirements.write_text("# nothing\n", encoding="utf-8")

    def made(version: str) -> Path:
        python = interpreter(tmp_path / "python", version)
        return ensure_environment(folder, requirements, name="the other one", contents="nothing", python=python)

    assert subprocess.run([made("3.12"), "-c", "pass"], check=False).returncode == 0
    (folder / "mark").touch()
    made("3.12")
    assert (folder / "mark").exists()
    made("3.13")
    assert not (folder / "mark").exists()


def test_what_cannot_be_made_is_named_and_has_no_stamp(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": "", "PIP_CONFIG_FILE": "/dev/null"}.items():
        monkeypatch.setenv(name, value)
    requirements = tmp_path / "requirements.txt"
    requirements.write_text("nothing-of-this-name==1\n", encoding="utf-8")
    with pytest.raises(BenchmarkError, match=r"the other one cannot be made .* needs a package index"):
        ensure_environment(tmp_path / "environment", requirements, name="the other one", contents="nothing")
    assert not (tmp_path / "environment" / "stamp").exists()
