"""What needs packages that only developers have says so, and how to get them; what needs none works without them."""

from __future__ import annotations

import subprocess
import sys

import pytest

from serving.runtime import ROOT

BARRED = (
    "import runpy, sys; sys.modules.update(dict.fromkeys({packages!r})); "
    "runpy.run_module({room!r}, run_name='__main__')"
)
DEVELOPERS = ("onnx", "onnxruntime", "torch", "transformers", "tokenizers", "pandas", "scipy", "matplotlib", "mlflow")
"""What `make serve` does not install."""


def run(room: str, packages: tuple[str, ...], *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", BARRED.format(packages=packages, room=room), *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=120)


@pytest.mark.parametrize(
    ("room", "package", "arguments"),
    [
        ("export", "transformers", ("category", "--checkpoint", "nowhere")),
        ("training", "pandas", ("fit", "category", "--data", "nowhere", "--out", "nothing")),
    ],
)
def test_a_missing_package_is_named_with_what_installs_it(room: str, package: str, arguments: tuple[str, ...]) -> None:
    done = run(room, (package,), *arguments)
    assert done.returncode == 1
    assert f"python -m {room} needs the package {package}: `make dev` installs it" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("list",), "distilbert"),
        (("serve", "category", "nothing"), "has no model 'nothing' for category"),
        (("remove", "nothing"), "nothing"),
        (("configs", "--check"), "every generated file is in step"),
    ],
)
def test_a_server_needs_no_more_to_choose_its_models(arguments: tuple[str, ...], words: str) -> None:
    done = run("export", DEVELOPERS, *arguments)
    assert words in done.stdout + done.stderr
    assert "needs the package" not in done.stderr
    assert "Traceback" not in done.stderr
