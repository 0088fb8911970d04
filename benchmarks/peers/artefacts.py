"""What the engines load: conversions by the peers' own tools, and our own export; both made once and kept."""

from __future__ import annotations

import hashlib
import logging
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Final

from google.protobuf import text_format
from tritonclient.grpc import model_config_pb2 as pb

from benchmarks.common.environments import last_lines
from benchmarks.common.served import served_models
from benchmarks.common.server import ROOT, BenchmarkError
from infolens.contract import CONTRACTS, AnswerKind, Task

from .conversion import NOT_OFFERED, NotOfferedError
from .environment import worker_environment

_LOG = logging.getLogger(__name__)

CONFIG_NAME: Final = "peers"
"""Name of the configuration that gives Triton as many threads as the other engines have."""
_STAMP: Final = "stamp"
# With random weights two beams are as good as each other, and int8 may well choose the other one.
_LIMITS: Final[dict[AnswerKind, list[str]]] = {AnswerKind.TEXT: ["--min-token-f1", "0"], AnswerKind.LABELS: []}
"""Options of the export: limits that a checkpoint of random weights cannot hold."""


def converted(engine: str, task: Task, checkpoint: Path, python: Path, cache: Path) -> Path:
    """The folder of a peer's own conversion of ``checkpoint``.

    Args:
        engine: A name of `peer_conversion`.
        task: Whose model it is.
        checkpoint: A folder of ``save_pretrained``.
        python: The peers' Python.
        cache: Where conversions are kept, in ``models``.

    Raises:
        NotOfferedError: The peer has no such model.
        BenchmarkError: The conversion failed; the message ends with its last lines.
    """
    target = cache / "models" / f"{engine}-{checkpoint.name}"
    source = Path(__file__).with_name("conversion.py")

    def convert(folder: Path) -> None:
        words = [engine, CONTRACTS[task].answers.value, str(checkpoint), str(folder)]
        done = subprocess.run(  # noqa: S603 - our own module
            [str(python), "-m", "benchmarks.peers.conversion", *words],
            cwd=ROOT,
            env=worker_environment(1),
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode == NOT_OFFERED:
            raise NotOfferedError(done.stderr.strip().splitlines()[-1])
        if done.returncode:
            raise BenchmarkError(f"{engine} cannot convert {checkpoint.name}: {last_lines(done.stderr, 1)}")

    return _once(target, _fingerprint([source], checkpoint), convert)


def exported(task: Task, checkpoint: Path, cache: Path, *, threads: int, largest_batch: int) -> Path:
    """A model repository with our int8 export of ``checkpoint`` alone, made by ``python -m export``.

    Besides its own configuration the model has one named `CONFIG_NAME`: one instance with ``threads`` threads.

    Raises:
        BenchmarkError: The export failed; the message ends with its last lines.
    """
    target = cache / "repository" / checkpoint.name
    contract = [ROOT / "clients" / "infolens" / name for name in ("contract.py", "tensors.py")]
    sources = [*sorted((ROOT / "export").rglob("*.py")), *contract]

    def export(folder: Path) -> None:
        command = ["export", task.value, "--checkpoint", str(checkpoint), "--repository", str(folder)]
        done = subprocess.run(  # noqa: S603 - our own module
            [sys.executable, "-m", *command, "--precision", "int8", *_LIMITS[CONTRACTS[task].answers]],
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise BenchmarkError(
                f"python -m export {task.value} failed on {checkpoint.name}: {last_lines(done.stderr or done.stdout)}"
            )

    repository = _once(target, _fingerprint(sources, checkpoint), export)
    _write_config(repository / served_models(repository)[task].name, threads, largest_batch)
    return repository


def graph_of(repository: Path, task: Task) -> Path:
    """The exported ONNX file of a repository that `exported` made."""
    model = repository / served_models(repository)[task].name
    versions = sorted(model.glob("*/model.onnx"), key=lambda path: int(path.parent.name))
    return versions[-1]


def _write_config(model: Path, threads: int, largest_batch: int) -> None:
    config = text_format.Parse((model / "config.pbtxt").read_text(encoding="utf-8"), pb.ModelConfig())
    config.instance_group[0].count = 1
    config.parameters["intra_op_thread_count"].string_value = str(threads)
    config.max_batch_size = max(config.max_batch_size, largest_batch)
    # The worker warms up what it measures; the buckets of longer articles would only take time and memory.
    del config.model_warmup[:]
    folder = model / "configs"
    folder.mkdir(exist_ok=True)
    (folder / f"{CONFIG_NAME}.pbtxt").write_text(text_format.MessageToString(config), encoding="utf-8")


def _once(target: Path, fingerprint: str, make: Callable[[Path], None]) -> Path:
    """``target``, made by ``make`` beside its place and renamed, unless it is there with the same fingerprint."""
    stamp = target.with_name(f"{target.name}.{_STAMP}")
    if target.exists() and stamp.is_file() and stamp.read_text(encoding="utf-8") == fingerprint:
        return target
    _LOG.info("==> making %s", target)
    partial = target.with_name(f"{target.name}.partial")
    for old in (target, partial):
        shutil.rmtree(old, ignore_errors=True)
    stamp.unlink(missing_ok=True)
    target.parent.mkdir(parents=True, exist_ok=True)
    make(partial)
    partial.rename(target)
    stamp.write_text(fingerprint, encoding="utf-8")
    return target


def _fingerprint(sources: list[Path], checkpoint: Path) -> str:
    """What a result depends on: the code that makes it, and the checkpoint by place, size and date."""
    digest = hashlib.sha256()
    for source in sources:
        digest.update(source.name.encode() + source.read_bytes())
    for path in sorted(checkpoint.iterdir()):
        facts = path.stat()
        digest.update(f"{path}{facts.st_size}{facts.st_mtime_ns}".encode())
    return digest.hexdigest()
