"""The OpenAPI document against the door: whatever it allows or forbids, the door answers as it says."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from serving.runtime import ROOT
from tests.serving.gateway.api.conftest import make_fake
from tests.serving.gateway.http.running import fake_door

HOOKS = "tests.serving.gateway.api.hooks"
SCHEMATHESIS = Path(sys.executable).with_name("schemathesis")


def run(url: str, examples: int, folder: Path, *more: str) -> None:
    """All checks of schemathesis, with its examples, edges, random requests and chains of them."""
    words = [SCHEMATHESIS, "run", f"{url}/openapi.json", "--url", url, "--checks", "all", "--no-color"]
    # Some rules no schema can say: a least length is no more than the most, a text has letters.
    words += ["--exclude-checks", "positive_data_acceptance"]
    words += ["--phases", "examples,coverage,fuzzing,stateful", "--mode", "all"]
    words += ["--max-examples", str(examples), "--generation-deterministic", "--suppress-health-check", "all", *more]
    environment = os.environ | {"SCHEMATHESIS_HOOKS": HOOKS, "PYTHONPATH": str(ROOT)}
    done = subprocess.run([*map(str, words)], cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-8000:] + done.stderr[-2000:]


@pytest.mark.long
@pytest.mark.parametrize("examples", [15, pytest.param(400, marks=pytest.mark.slow)])
def test_the_door_answers_as_its_document_says(tmp_path: Path, examples: int) -> None:
    with fake_door(tmp_path, make_fake()) as door:
        run(door.url, examples, tmp_path)
    assert [record.getMessage() for record in door.records] == []
