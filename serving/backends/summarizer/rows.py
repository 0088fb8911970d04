"""The tensors of a request as articles for the engine, and its summaries as a tensor."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from engine.artefact import Artefact
from engine.article import Article
from engine.rows import articles_of
from engine.settings import Settings

if __package__:
    from .configuration import INPUTS, SETTINGS, Options
else:  # Triton imports this backend as the module "model", with its folder on the path
    from configuration import INPUTS, SETTINGS, Options  # type: ignore[import-not-found, no-redef]

_SHAPED = ("input_ids", "attention_mask")


def read_articles(given: Mapping[str, npt.NDArray[Any]], options: Options, artefact: Artefact) -> list[Article]:
    """The articles of a request; they hold copies, since Triton takes the tensors back.

    Args:
        given: The inputs of `configuration.INPUTS`, by name.
        options: The model's options.
        artefact: The checkpoint's own settings.

    Raises:
        ValueError: An input is missing, or they do not fit together.
    """
    if missing := [name for name in INPUTS if name not in given]:  # Triton only counts them
        raise ValueError(f"a request needs the inputs {', '.join(INPUTS)}, but lacks {', '.join(missing)}")
    shape = given["input_ids"].shape
    if len(shape) != 2 or 0 in shape or given["attention_mask"].shape != shape:
        raise ValueError(
            f"{' and '.join(_SHAPED)} have the same two dimensions, not {[given[n].shape for n in _SHAPED]}"
        )
    for name in INPUTS:
        if given[name].ndim != 2 or len(given[name]) != shape[0]:
            raise ValueError(f"{name} has a row for each of {shape[0]} articles, not the shape {given[name].shape}")
    return articles_of(
        given["input_ids"],
        given["attention_mask"],
        given["sentence_ends"],
        given["sampling"],
        settings_of(given, options, artefact),
    )


def settings_of(given: Mapping[str, npt.NDArray[Any]], options: Options, artefact: Artefact) -> Settings:
    """The settings of a request, from the lengths of its dummies.

    Raises:
        ValueError: One is out of its range.
    """
    values: dict[str, float] = {}
    for name in SETTINGS:
        setting = options.settings[name]
        values[name] = value = setting.decode(given[name].shape[1])
        if not setting.minimum <= value <= setting.maximum:
            raise ValueError(f"{name} must lie between {setting.minimum:g} and {setting.maximum:g}, not {value:g}")
    return Settings(
        min_length=int(values["min_length"]),
        max_length=int(values["max_length"]),
        num_beams=int(values["num_beams"]),
        length_penalty=values["length_penalty"],
        no_repeat_ngram_size=artefact.no_repeat_ngram_size,
        early_stopping=artefact.early_stopping,
    )


def sequences(summaries: Sequence[npt.NDArray[np.int64]], width: int, pad: int) -> npt.NDArray[np.int32]:
    """Summaries as the output: INT32 [n, width], padded."""
    found = np.full((len(summaries), width), pad, np.int32)
    for row, tokens in zip(found, summaries, strict=True):
        row[: len(tokens)] = tokens
    return found
