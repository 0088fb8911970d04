"""From checkpoints to answers: random weights are exported in int8, and the real server serves what came of them.

At full size (bart-large, distilbert-base, xlnet-base) this takes minutes and 6 GB of disk, and shows that an export
stays within its memory.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.common.fixtures import FULL, SMALL, FixtureSize, make_fixtures
from export.cli import main
from infolens import Article, Client
from infolens.contract import CATEGORIES, CONTRACTS, VERACITIES, Task
from serving.launcher import ServerOptions, TritonServer
from serving.runtime import ROOT

# The last line is the maximum memory that the process ever held, in kB.
_EXPORT = """
import sys
from export.cli import main
code = main(sys.argv[1:])
print(next(line.split()[1] for line in open("/proc/self/status") if line.startswith("VmHWM")))
sys.exit(code)
"""
_PEAK_SHARE = 3
"""Maximum memory that an export may take, in sizes of its checkpoint."""


def arguments(task: Task, checkpoint: Path, repository: Path) -> list[str]:
    # Random weights decide between near ties.
    more = ["--min-token-f1", "0"] if task is Task.SUMMARY else []
    return [task.value, "--checkpoint", str(checkpoint), "--repository", str(repository), *more]


def export_measured(words: list[str]) -> int:
    """Export in a process of its own; returns its peak memory in bytes."""
    found = subprocess.run(
        [sys.executable, "-c", _EXPORT, *words], check=False, cwd=ROOT, capture_output=True, text=True
    )
    assert found.returncode == 0, found.stderr
    return int(found.stdout.splitlines()[-1]) * 1024


@pytest.mark.long
@pytest.mark.server
@pytest.mark.usefixtures("one_torch_thread")
@pytest.mark.parametrize(
    "size",
    [
        pytest.param(SMALL, id="small"),
        pytest.param(FULL, id="full", marks=[pytest.mark.slow, pytest.mark.timeout(3600)]),
    ],
)
def test_random_checkpoints_are_exported_and_served(size: FixtureSize, tmp_path: Path) -> None:
    repository = tmp_path / "model_repository"
    checkpoints = make_fixtures(tmp_path, size)
    exports = {task: arguments(task, folder, repository) for task, folder in checkpoints.items()}
    if size is SMALL:
        assert [main(words) for words in exports.values()] == [0, 0, 0]
    else:
        peaks = {task: export_measured(words) for task, words in exports.items()}
        checkpoint_bytes = (checkpoints[Task.SUMMARY] / "model.safetensors").stat().st_size
        assert peaks[Task.SUMMARY] < _PEAK_SHARE * checkpoint_bytes
        assert (repository / CONTRACTS[Task.SUMMARY].model / "1" / "model.onnx.data").is_file()

    title, _, text = (ROOT / "tests" / "articles" / "sports.txt").read_text(encoding="utf-8").partition("\n\n")
    options = ServerOptions(
        repository=repository, http_port=0, grpc_port=0, metrics_port=0, log_file=tmp_path / "triton.log"
    )
    with TritonServer(options) as server, Client(server.grpc_url, timeout_s=120) as client:
        report = client.analyze(Article(title=title, text=text))
    assert report.summary is not None
    assert report.category is not None
    assert report.veracity is not None
    assert report.summary.text
    assert report.category.label in CATEGORIES
    assert report.veracity.label in VERACITIES
