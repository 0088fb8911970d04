"""An ONNX model on disk: one file, or two where its weights are large."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import onnx

    from .initializers import Initializers

MODEL_FILE: Final = "model.onnx"
DATA_SUFFIX: Final = ".data"
SPLIT_BYTES: Final = 256_000_000
"""Weights that are larger stand in a file beside the graph; protobuf's own limit is 2 GB."""


def write_model(
    path: Path, build: Callable[[Initializers], onnx.ModelProto], *, split_bytes: int = SPLIT_BYTES
) -> None:
    """Build a model and write it to ``path``.

    The weights are written to ``<path>.data`` one by one, so that they are never all in memory. If that file is small
    in the end, they move into ``path``.

    Args:
        path: The file of the graph; its folder exists.
        build: Makes the model; stores its weights in the given initialisers.
        split_bytes: Weights of this size and more stay in a file of their own.

    Raises:
        OSError: The disk is full, or the folder cannot be written.
    """
    # Imported here, so that the commands that only look at the files of a repository need no onnx.
    from onnx.external_data_helper import load_external_data_for_model

    from .initializers import initializers_in

    data = data_file(path)
    with initializers_in(data) as initializers:
        model = build(initializers)
    if data.stat().st_size < split_bytes:
        load_external_data_for_model(model, str(path.parent))
        data.unlink()
    with path.open("wb") as stream:
        stream.write(model.SerializeToString())
        stream.flush()
        os.fsync(stream.fileno())


def data_file(path: Path) -> Path:
    """Where the weights of the model ``path`` are, if they have a file of their own."""
    return path.with_name(path.name + DATA_SUFFIX)


def model_files(path: Path) -> list[Path]:
    """The files of a model: the graph, and its weights if they have a file of their own; or all of an engine's folder.

    Args:
        path: The file of the graph, or the folder.
    """
    if path.is_dir():
        return sorted(file for file in path.iterdir() if file.is_file())
    return [file for file in (data_file(path), path) if file.is_file()]
