"""Graphs that are adapted from another tool's: writing them, and asking them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort

from export.graph.model_file import write_model
from export.graph.precision import Precision
from export.optimum.adapt import adapt
from infolens.contract import ATTENTION_MASK, INPUT_IDS
from operators.library import ensure_operators

Array = np.ndarray[Any, Any]
Ask = Callable[[list[list[int]], int], Array]
"""Token ids of articles, and the length that they are padded to -> probabilities (articles, classes)."""


def session(path: Path, *, native: Path | None = None) -> ort.InferenceSession:
    options = ort.SessionOptions()
    options.log_severity_level = 3
    options.intra_op_num_threads = 1
    if native:
        options.register_custom_ops_library(str(native))
    return ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def padded(articles: list[list[int]], length: int, dtype: Any = np.int32) -> dict[str, Array]:
    ids = np.array([article + [0] * (length - len(article)) for article in articles], dtype)
    mask = np.array([[1] * len(article) + [0] * (length - len(article)) for article in articles], dtype)
    return {INPUT_IDS.name: ids, ATTENTION_MASK.name: mask}


def asking(path: Path, *, native: Path | None = None) -> Ask:
    made = session(path, native=native)
    return lambda articles, length: made.run(None, padded(articles, length))[0]


def written(source: Path, precision: Precision, path: Path, *, split_bytes: int = 1 << 30) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    write_model(path, partial(adapt, source, precision), split_bytes=split_bytes)
    return path


def articles_of(lengths: tuple[int, ...], words: int) -> list[list[int]]:
    random = np.random.default_rng(1)
    return [random.integers(1, words, length).tolist() for length in lengths]


def kernels(precision: Precision) -> Iterator[Path | None]:
    """With the graph's own functions, and with the native operators where there are some."""
    yield None
    if precision is Precision.INT8 and (found := ensure_operators().path):
        yield found
