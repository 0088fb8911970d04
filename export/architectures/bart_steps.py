"""BART as an encoder and one step of the search, for an engine with slots: what `export.graph.step` must know of it."""

from __future__ import annotations

from pathlib import Path

from engine.article import Spacing
from engine.settings import Architecture, Rules
from export.graph.precision import Precision
from export.graph.step.files import write_engine
from inspection.generation import Search

from .record import Trained


def write_steps(trained: Trained, precision: Precision, folder: Path) -> None:
    """Write the files of `engine.artefact` into a folder that exists.

    Args:
        trained: As `bart.write` takes it.
        precision: Number format of the weights.
        folder: Where they go.

    Raises:
        OSError: The disk is full, or the folder cannot be written.
    """
    generation, spacing = trained.generation, trained.spacing
    architecture = Architecture.of(trained.config.to_dict(), window=trained.window)
    search = Search.of(generation, architecture.vocabulary)
    rules = Rules(
        start_token=search.start_token,
        end_tokens=search.end_tokens,
        pad_token=search.pad_token,
        first_token=search.first_token,
        last_token=search.last_token,
        repetition_penalty=search.repetition_penalty,
        never=search.never,
        never_first=search.never_first,
        # No request says its own.
        longest_ngram=search.no_repeat_ngram_size,
    )
    write_engine(
        folder,
        trained.weights,
        architecture,
        rules,
        precision.value,
        spacing=None if spacing is None else Spacing(spaced=spacing.spaced, unspaced=spacing.unspaced),
        no_repeat_ngram_size=search.no_repeat_ngram_size,
        early_stopping=generation.early_stopping,
    )
