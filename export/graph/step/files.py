"""The folder of a step-by-step summarizer, written from a checkpoint: see `engine.artefact`."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import onnx

from engine.artefact import BEGIN, ENCODER, MANIFEST, PLAIN, SPACING, STEP, WEIGHTS, manifest
from engine.article import Spacing
from engine.settings import Architecture, Rules
from export.graph.checkpoint_weights import CheckpointWeights
from export.graph.initializers import initializers_in

from .summarizer import Summarizer


def write_engine(
    folder: Path,
    weights: CheckpointWeights,
    architecture: Architecture,
    rules: Rules,
    precision: str,
    *,
    spacing: Spacing | None = None,
    no_repeat_ngram_size: int = 0,
    early_stopping: bool | str = True,
) -> None:
    """Write all files into a folder that exists.

    Args:
        folder: Where they go.
        weights: As ``transformers`` names them.
        architecture: The checkpoint's sizes.
        rules: Its search.
        precision: One of `engine.artefact.PRECISIONS`.
        spacing: The words with and without a space before them; None where no word has such a form.
        no_repeat_ngram_size: What the checkpoint asks of every summary.
        early_stopping: Likewise.

    Raises:
        OSError: The disk is full, or the folder cannot be written.
        ValueError: The precision is not known.
    """
    with initializers_in(folder / WEIGHTS) as initializers:
        writer = Summarizer(weights, architecture, rules, precision, initializers)
        models = {ENCODER: writer.encoder(), STEP: writer.step(), BEGIN: writer.begin()}
        if writer.choices_cost:
            models[PLAIN] = writer.step(choices=False)
    for name, model in models.items():
        _write(folder / name, model)
    words = np.arange(architecture.vocabulary, dtype=np.int32)
    tables = (spacing.spaced, spacing.unspaced) if spacing else (words, words)
    # Rows of the embedding beyond the tokenizer's words are words of their own.
    np.save(folder / SPACING, np.stack([np.concatenate([table, words[len(table) :]]) for table in tables]))
    text = manifest(
        precision, architecture, rules, no_repeat_ngram_size=no_repeat_ngram_size, early_stopping=early_stopping
    )
    (folder / MANIFEST).write_text(text, encoding="utf-8")


def _write(path: Path, model: onnx.ModelProto) -> None:
    with path.open("wb") as stream:
        stream.write(model.SerializeToString())
        stream.flush()
        os.fsync(stream.fileno())
