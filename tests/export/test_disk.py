"""Full disks, real ones: small file systems, a limit on files, a device that is full; and models in two files."""

from __future__ import annotations

import errno
import os
import resource
import signal
import subprocess
import sys
from functools import partial
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
import pytest

from export.checkpoint.checkpoint import Checkpoint
from export.checkpoint.tokenization import encode, padding_of, serving_tokenizer
from export.errors import RepositoryError
from export.exporter import ExportResult, build, export
from export.graph.initializers import Initializers
from export.graph.model_file import MODEL_FILE, data_file, write_model
from export.graph.precision import Precision
from export.options import ExportOptions
from export.parity.articles import ARTICLES
from export.parity.summaries import with_settings
from export.repository.workspace import workspace
from infolens.contract import SUMMARY_SETTINGS, Task
from tests.export.conftest import RANDOM

ROOT = Path(__file__).parents[2]
PROGRAM = [sys.executable, "-m", "export"]

# Mounts a file system of its own, copies a repository to it, exports there, and shows what is there at the end.
_ON_A_SMALL_DISK = """
mount -t tmpfs -o "$1" tmpfs "$2" || exit 77
cp -r "$3" "$2/models"
shift 3
"$@"
code=$?
diff -r "$SOURCE" "$TARGET/models" >&2 && find "$TARGET" -mindepth 1 -maxdepth 1 -printf '%f\\n'
exit $code
"""

pytestmark = pytest.mark.filterwarnings("ignore:Moving the following attributes")


def export_on_a_small_disk(options: str, checkpoint: Path, repository: Path, disk: Path) -> tuple[int, str, list[str]]:
    """Exit code, messages, and the names beside the repository at the end."""
    disk.mkdir()
    program = [*PROGRAM, "category", "--checkpoint", str(checkpoint), "--replace"]
    target = ["--repository", str(disk / "models")]
    mount = ["unshare", "--map-root-user", "--mount", "sh", "-c", _ON_A_SMALL_DISK, "sh", options, str(disk)]
    found = subprocess.run(
        [*mount, str(repository), *program, *target],
        check=False,
        cwd=ROOT,
        env={**os.environ, "SOURCE": str(repository), "TARGET": str(disk)},
        capture_output=True,
        text=True,
    )
    if found.returncode == 77 or found.stderr.startswith("unshare"):
        pytest.skip(f"this machine does not allow to mount a file system: {found.stderr.strip()}")
    return found.returncode, found.stderr, found.stdout.split()


@pytest.mark.long
@pytest.mark.parametrize("lacking", ["bytes", "files"])
def test_a_full_disk_is_told_and_changes_nothing(
    checkpoints: dict[Task, Path], exported: tuple[Path, dict[Task, ExportResult]], tmp_path: Path, lacking: str
) -> None:
    repository, _ = exported
    there = list(repository.rglob("*"))
    pages = sum(path.stat().st_size // 4096 + 1 for path in there if path.is_file())
    # A hundred kilobytes more than the repository takes; or room for gigabytes, but only for a few more files.
    options = f"size={4 * pages + 100}k" if lacking == "bytes" else f"size=2g,nr_inodes={len(there) + 5}"
    code, errors, left = export_on_a_small_disk(options, checkpoints[Task.CATEGORY], repository, tmp_path / "disk")
    assert code == 1, errors
    assert ("needs about" if lacking == "bytes" else "took no more (No space left on device") in errors
    assert "make room, or name a --repository on another disk" in errors
    assert left == ["models"]


def test_a_file_that_may_not_grow_is_told_and_changes_nothing(checkpoints: dict[Task, Path], tmp_path: Path) -> None:
    repository = tmp_path / "made" / "models"
    program = ["category", "--checkpoint", str(checkpoints[Task.CATEGORY]), "--repository", str(repository)]
    found = subprocess.run(
        [*PROGRAM, *program],
        check=False,
        cwd=ROOT,
        capture_output=True,
        text=True,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, 50_000)),
    )
    assert found.returncode == 1, found.stderr
    assert "took no more (File too large" in found.stderr
    assert "as it was before" in found.stderr
    assert not any(repository.parent.iterdir())


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_an_export_that_is_stopped_leaves_nothing(
    checkpoints: dict[Task, Path], tmp_path: Path, number: signal.Signals
) -> None:
    repository = tmp_path / "made" / "models"
    program = ["summary", "--checkpoint", str(checkpoints[Task.SUMMARY]), "--repository", str(repository)]
    with subprocess.Popen([*PROGRAM, *program], cwd=ROOT, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        assert next(line for line in process.stderr if line.startswith("writing"))
        process.send_signal(number)
        told = process.stderr.read()
    assert process.returncode == 128 + number
    assert "Traceback" not in told
    if number == signal.SIGINT:
        assert told.splitlines()[-1] == "stopped: the repository is as it was before"
    assert not any(repository.parent.iterdir())


def test_a_device_that_is_full_while_weights_are_written(tmp_path: Path) -> None:
    def build_large(initializers: Initializers) -> onnx.ModelProto:
        initializers.add("large", np.zeros(1_000_000, np.float32))
        raise AssertionError("the disk took everything")

    def write() -> None:
        with workspace(tmp_path / "models") as folder:
            data_file(folder / MODEL_FILE).symlink_to("/dev/full")
            write_model(folder / MODEL_FILE, build_large)

    with pytest.raises(RepositoryError, match="No space left on device") as caught:
        write()
    assert isinstance(caught.value.__cause__, OSError)
    assert caught.value.__cause__.errno == errno.ENOSPC
    assert not any(tmp_path.iterdir())


@pytest.mark.parametrize("task", list(Task))
def test_weights_in_a_file_of_their_own_give_the_same_answers(
    loaded: dict[Task, Checkpoint], tmp_path: Path, task: Task
) -> None:
    checkpoint, build_graph = loaded[task], partial(build, loaded[task], Precision.INT8)
    whole, split = tmp_path / "whole.onnx", tmp_path / "split.onnx"
    write_model(whole, build_graph)
    write_model(split, build_graph, split_bytes=0)
    assert [data_file(path).is_file() for path in (whole, split)] == [False, True]
    batch = encode(serving_tokenizer(checkpoint), ARTICLES[:3], padding_of(checkpoint), max_tokens=160)
    feeds = with_settings(batch, {s.name: s.default for s in SUMMARY_SETTINGS}) if task is Task.SUMMARY else {**batch}
    answers = [
        ort.InferenceSession(path, providers=["CPUExecutionProvider"]).run(None, feeds)[0] for path in (whole, split)
    ]
    np.testing.assert_array_equal(*answers)


def test_weights_in_a_file_of_their_own_are_published(checkpoints: dict[Task, Path], tmp_path: Path) -> None:
    source, repository = str(checkpoints[Task.CATEGORY]), tmp_path / "models"
    options = ExportOptions(
        task=Task.CATEGORY, checkpoint=source, repository=repository, split_bytes=0, tolerances=RANDOM
    )
    result = export(options)
    version = repository / result.name / "1"
    assert sorted(path.name for path in version.iterdir()) == ["artefact.json", "model.onnx", "model.onnx.data"]
    assert result.file_bytes["model.onnx.data"] == (version / "model.onnx.data").stat().st_size > 0
