"""What needs packages that only developers have says so, and how to get them."""

from __future__ import annotations

import subprocess
import sys

import pytest

from serving.runtime import ROOT

BARRED = "import runpy, sys; sys.modules[{package!r}] = None; runpy.run_module({room!r}, run_name='__main__')"


@pytest.mark.parametrize(("room", "package"), [("export", "onnx"), ("training", "pandas")])
def test_a_missing_package_is_named_with_what_installs_it(room: str, package: str) -> None:
    program = BARRED.format(package=package, room=room)
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=False, timeout=120
    )
    assert done.returncode == 1
    assert f"python -m {room} needs the package {package}: `make dev` installs it" in done.stderr
    assert "Traceback" not in done.stderr
