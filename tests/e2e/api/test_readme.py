"""The ways to ask that the READMEs show, run as they stand there but for the addresses."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from typing import Final

import pytest

from benchmarks.common.server import Started
from serving.runtime import ROOT

pytestmark = pytest.mark.server

USE: Final = (ROOT / "README.md").read_text(encoding="utf-8").partition("## Use it")[2].partition("\n## ")[0]
OTHERS: Final = (
    (ROOT / "model_repository" / "README.md").read_text(encoding="utf-8").partition("## Without our code")[2]
)
PYTHON: Final = re.findall(r"```python\n(.*?)```", USE + OTHERS, re.DOTALL)
SHELL: Final = re.findall(r"^\$ (curl .*?)(?=^\$ |^```)", USE, re.DOTALL | re.MULTILINE)


def at(triton: Started, words: str) -> str:
    """The words with this server's addresses."""
    http, grpc = triton.http_url.removeprefix("http://"), triton.grpc_url.removeprefix("grpc://")
    return words.replace("127.0.0.1:8000", http).replace("127.0.0.1:8001", grpc)


def test_the_readmes_show_three_ways() -> None:
    assert len(SHELL) == 1
    assert [name in code for code in PYTHON for name in ("from infolens", "from tritonclient")] == [
        True, False, False, True,
    ]  # fmt: skip


@pytest.mark.parametrize("number", range(len(PYTHON)))
def test_python(triton: Started, number: int) -> None:
    command = [sys.executable, "-W", "error", "-c", at(triton, PYTHON[number])]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.split()) > 8


def test_curl(triton: Started) -> None:
    if shutil.which("curl") is None:
        pytest.skip("curl is not installed")
    command = ["bash", "-c", at(triton, SHELL[0])]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    assert '"summary":{"text":"' in done.stdout
    assert '"category":{"label":"' in done.stdout
