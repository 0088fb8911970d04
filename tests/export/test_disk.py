"""Full disks, real ones: small file systems, a limit on files, a device that is full; and models in two files."""

from __future__ import annotations

import errno
import os
import resource
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
import pytest

from export.checkpoint.checkpoint import load_checkpoint
from export.checkpoint.tokenization import encode, padding_of, serving_tokenizer
from export.errors import RepositoryError
from export.exporter import ExportOptions, build, export
from export.graph.initializers import Weights
from export.graph.model_file import MODEL_FILE, data_file, write_model
from export.graph.precision import Precision
from export.parity.articles import ARTICLES
from export.parity.checks import Tolerances
from export.parity.reference import with_settings
from export.repository.workspace import workspace
from infolens.contract import CONTRACTS, SUMMARY_SETTINGS, Task

ROOT = Path(__file__).parents[2]
RANDOM = Tolerances(token_f1=0.1, agreement=0.5)

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


@pytest.fixture(scope="module")
def repository(checkpoints: dict[Task, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("before") / "models"
    export(ExportOptions(task=Task.CATEGORY, checkpoint=str(checkpoints[Task.CATEGORY]), repository=folder))
    return folder


def export_on_a_small_disk(options: str, checkpoint: Path, repository: Path, disk: Path) -> tuple[int, str, list[str]]:
    """Exit code, messages, and the names beside the repository at the end."""
    disk.mkdir()
    program = [sys.executable, "-m", "export", "category", "--checkpoint", str(checkpoint), "--replace"]
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
        pytest.skip(f"this machine lets nobody mount a file system: {found.stderr.strip()}")
    return found.returncode, found.stderr, found.stdout.split()


@pytest.mark.parametrize("lacking", ["bytes", "files"])
def test_a_full_disk_is_told_and_changes_nothing(
    checkpoints: dict[Task, Path], repository: Path, tmp_path: Path, lacking: str
) -> None:
    there = list(repository.rglob("*"))
    pages = sum(path.stat().st_size // 4096 + 1 for path in there)
    # A hundred kilobytes more than the repository takes; or room for gigabytes, but for three more files alone.
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
        [sys.executable, "-m", "export", *program],
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


def test_an_export_that_is_terminated_leaves_nothing(checkpoints: dict[Task, Path], tmp_path: Path) -> None:
    repository = tmp_path / "made" / "models"
    program = ["summary", "--checkpoint", str(checkpoints[Task.SUMMARY]), "--repository", str(repository)]
    with subprocess.Popen(
        [sys.executable, "-m", "export", *program], cwd=ROOT, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stderr is not None
        assert next(line for line in process.stderr if line.startswith("writing"))
        process.terminate()
        process.stderr.read()
    assert process.returncode == 128 + signal.SIGTERM
    assert not any(repository.parent.iterdir())


def test_a_device_that_is_full_while_weights_are_written(tmp_path: Path) -> None:
    def build_large(weights: Weights) -> onnx.ModelProto:
        weights.add("large", np.zeros(1_000_000, np.float32))
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
    checkpoints: dict[Task, Path], tmp_path: Path, task: Task
) -> None:
    source, contract, repository = str(checkpoints[task]), CONTRACTS[task], tmp_path / "models"
    options = ExportOptions(task=task, checkpoint=source, repository=repository, split_bytes=0, tolerances=RANDOM)
    outcome = export(options)
    version = repository / contract.model / "1"
    assert sorted(path.name for path in version.iterdir()) == ["artefact.json", "model.onnx", "model.onnx.data"]
    assert outcome.file_bytes["model.onnx.data"] == (version / "model.onnx.data").stat().st_size > 0

    checkpoint = load_checkpoint(task, source)
    whole = build(checkpoint, Precision.INT8, Weights()).SerializeToString()
    batch = encode(
        serving_tokenizer(checkpoint),
        ARTICLES[:3],
        padding_of(checkpoint),
        max_tokens=160,
    )
    feeds = with_settings(batch, {s.name: s.default for s in SUMMARY_SETTINGS}) if task is Task.SUMMARY else {**batch}
    answers = [
        ort.InferenceSession(model, providers=["CPUExecutionProvider"]).run(None, feeds)[0]
        for model in (version / "model.onnx", whole)
    ]
    np.testing.assert_array_equal(*answers)
