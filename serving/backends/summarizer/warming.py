"""Summaries that are written before a model is ready, so that no caller waits for buffers to be made."""

from __future__ import annotations

import queue
from typing import Any

import numpy as np

from engine.artefact import Artefact
from engine.article import Article
from engine.settings import Settings

if __package__:
    from .configuration import Options
else:  # Triton imports this backend as the module "model", with its folder on the path
    from configuration import Options  # type: ignore[import-not-found, no-redef]


def warm_up(engine: Any, options: Options, artefact: Artefact) -> None:
    """Summarize an article of each of the lengths on every thread: the shortest summary there is, with usual beams.

    Args:
        engine: Made by `engine.opening.open_engine`.
        options: The model's options.
        artefact: The checkpoint's own settings.

    Raises:
        Exception: The engine cannot; what it said.
    """
    settings = Settings(
        max_length=int(options.settings["max_length"].minimum),
        num_beams=int(options.settings["num_beams"].default),
        no_repeat_ngram_size=artefact.no_repeat_ngram_size,
        early_stopping=artefact.early_stopping,
    )
    token = artefact.rules.end_tokens[0]
    for length in options.lengths:
        article = Article(ids=np.full(length, token, np.int32), settings=settings)
        answers: queue.SimpleQueue[Any] = queue.SimpleQueue()
        # A waiting article goes to the thread with the fewest, so each gets one.
        for _ in range(options.workers):
            engine.submit(article, answers.put)
        for answer in [answers.get() for _ in range(options.workers)]:
            if isinstance(answer, Exception):
                raise answer
