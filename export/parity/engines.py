"""Runs the files of an engine in the comparison, as the server runs them: every row of a batch in a slot of its own."""

from __future__ import annotations

import queue
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from engine.artefact import Artefact, read
from engine.opening import EngineOptions, open_engine
from engine.rows import articles_of
from engine.settings import Settings
from infolens.contract import ATTENTION_MASK, INPUT_IDS, SAMPLING, SENTENCE_ENDS, SUMMARY_SETTINGS

from .reference import Feeds, Run

_SLOTS: Final = 4
_BEAMS: Final = (1, 2, 4, 8)
_DEVICES: Final = {"fp32": "cpu", "fp16": "cpu", "int8": "cpu", "bf16": "torch"}
"""What runs a precision on a machine without a GPU: ONNX Runtime has no bf16 on CPUs."""
_LONGEST: Final = int(next(one for one in SUMMARY_SETTINGS if one.name == "max_length").maximum)


def running_engine(max_tokens: int) -> Callable[[Path, Path | None], AbstractContextManager[Run]]:
    """What loads the files of an engine; see `check.Running`.

    Args:
        max_tokens: The longest article.
    """

    @contextmanager
    def running(folder: Path, operators: Path | None) -> Iterator[Run]:
        artefact = read(folder)
        options = EngineOptions(
            device=_DEVICES[artefact.precision],
            workers=1,
            slots=_SLOTS,
            beams=_BEAMS,
            source_length=max_tokens,
            target_length=_LONGEST,
            max_waiting=1024,
            joins_per_step=1,
            operators=operators,
        )
        engine = open_engine(folder, options)
        try:
            yield lambda feeds: _summaries(engine, artefact, feeds)
        finally:
            engine.close()

    return running


def _summaries(engine: Any, artefact: Artefact, feeds: Feeds) -> npt.NDArray[Any]:
    """The summaries of a batch: INT32 (articles, max_length), padded."""
    values = {one.name: one.decode(feeds[one.name].shape[1]) for one in SUMMARY_SETTINGS if one.by_length}
    settings = Settings(
        min_length=int(values["min_length"]),
        max_length=int(values["max_length"]),
        num_beams=int(values["num_beams"]),
        length_penalty=values["length_penalty"],
        no_repeat_ngram_size=artefact.no_repeat_ngram_size,
        early_stopping=artefact.early_stopping,
    )
    ids, mask, ends, sampling = (feeds[one.name] for one in (INPUT_IDS, ATTENTION_MASK, SENTENCE_ENDS, SAMPLING))
    articles = articles_of(ids, mask, ends, sampling, settings)
    answers: list[queue.SimpleQueue[Any]] = [queue.SimpleQueue() for _ in articles]
    for article, answer in zip(articles, answers, strict=True):
        engine.submit(article, answer.put)
    found = np.full((len(articles), settings.max_length), artefact.rules.pad_token, np.int32)
    for row, answer in zip(found, answers, strict=True):
        tokens = answer.get()
        if isinstance(tokens, Exception):
            raise tokens
        row[: len(tokens)] = tokens
    return found
