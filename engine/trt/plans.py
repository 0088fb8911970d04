"""Plans on the disk: built once for each TensorRT, GPU, model and bucket, before the server says that it is ready."""

from __future__ import annotations

import hashlib
import logging
import os
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path

from engine.artefact import ENCODER, PLAIN, STEP, Artefact
from engine.settings import Bucket

from .building import build_plan
from .graphs import prepared, sizes_of
from .library import Library

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Target:
    """The GPU that a plan is for."""

    name: str
    compute_capability: str
    """Such as ``9.0``."""

    @property
    def words(self) -> str:
        """Both, as a part of a key."""
        return f"{self.name} {self.compute_capability}"


def plans(artefact: Artefact, bucket: Bucket, library: Library, target: Target, folder: Path) -> dict[str, bytes]:
    """The plans of a model by the names of its graphs; those that are not on the disk are built first.

    Args:
        artefact: The model, in fp32, fp16 or bf16.
        bucket: Its buffers.
        library: TensorRT.
        target: The GPU.
        folder: Where plans are kept; it is made when it is missing.

    Raises:
        ValueError: The precision has no plans, or TensorRT refuses a graph.
        OSError: The folder cannot be written.
    """
    if artefact.precision == "int8":
        raise ValueError(f"{artefact.folder} is in int8, which is for CPUs: export it with --precision fp16 or bf16")
    folder.mkdir(parents=True, exist_ok=True)
    names = (ENCODER, STEP, PLAIN) if artefact.has_plain else (ENCODER, STEP)
    model = artefact.hash()
    return {name: _plan(artefact, name, model, bucket, library, target, folder) for name in names}


def key_of(name: str, model: str, precision: str, bucket: Bucket, library: Library, target: Target) -> str:
    """Changes with all that a plan depends on."""
    sizes = " ".join(f"{key}={value}" for key, value in asdict(bucket).items())
    text = "\n".join((library.version, target.words, model, name, precision, sizes))
    return hashlib.sha256(text.encode()).hexdigest()


def _plan(
    artefact: Artefact, name: str, model: str, bucket: Bucket, library: Library, target: Target, folder: Path
) -> bytes:
    key = key_of(name, model, artefact.precision, bucket, library, target)
    place = folder / f"{Path(name).stem}-{key[:32]}.plan"
    if place.is_file():
        return place.read_bytes()
    known = folder / f"timings-{hashlib.sha256(f'{library.version} {target.words}'.encode()).hexdigest()[:32]}.bin"
    started = time.monotonic()
    graph = prepared(artefact.path(name), sizes_of(name, bucket), artefact.precision)
    timings = known.read_bytes() if known.is_file() else b""
    plan, timings = build_plan(library, graph, artefact.path(name), artefact.precision, timings=timings)
    _put(place, plan)
    if timings:
        _put(known, timings)
    _LOG.info("built %s for %s in %.1f s", name, target.words, time.monotonic() - started)
    return plan


def _put(place: Path, content: bytes) -> None:
    """Write beside a place and rename into it, so that whoever reads meanwhile sees all or nothing."""
    handle, beside = tempfile.mkstemp(dir=place.parent, prefix=f".{place.name}.")
    try:
        with os.fdopen(handle, "wb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        Path(beside).replace(place)
    except BaseException:
        Path(beside).unlink(missing_ok=True)
        raise
