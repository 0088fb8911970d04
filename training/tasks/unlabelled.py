"""Articles without labels that a classifier trains on: which, how often, and with what targets.

A teacher that has read a whole article says what its labels are, and the student learns that from any part of the
article (pseudo-labels of a teacher: Xie et al., 2020, "Self-training with Noisy Student").
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from training.data.cleaning import clean_text, fingerprint
from training.errors import DataError
from training.loop.batches import join_article
from training.recipes.kinds import ClassifierRecipe

logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Unlabelled:
    """Articles that a run trains on without their labels."""

    texts: tuple[str, ...] = ()
    """Title and text of each, joined as the server joins them."""
    rows: tuple[int, ...] = ()
    """The article of each further row of the training table, as an index of ``texts``."""


def chosen(more: Sequence[tuple[str, str]], splits: Mapping[str, pd.DataFrame], recipe: ClassifierRecipe) -> Unlabelled:
    """The unlabelled articles of a run, in a random order that follows from its seed.

    Each stands there once, and none that the labelled data has, in whichever split: there it has a better target, or
    must not be seen.

    Args:
        more: Text and title of the articles.
        splits: The labelled tables by split, with the column ``text``.
        recipe: Its ``unlabelled_passes`` says how many rows there are for each article.

    Raises:
        DataError: No article is left.
    """
    if not recipe.unlabelled_passes:
        return Unlabelled()
    known = {fingerprint(text) for frame in splits.values() for text in frame["text"]}
    if not recipe.clean:  # those without labels are cleaned
        known |= {fingerprint(clean_text(text)) for frame in splits.values() for text in frame["text"]}
    found: dict[str, str] = {}
    for text, title in more:
        if (article := join_article((title, text))) and (mark := fingerprint(text)) not in known:
            found.setdefault(mark, article)
    if not found:
        raise DataError(
            f"unlabelled_passes={recipe.unlabelled_passes:g}: there is no article without a label that the labelled "
            "data has not too; name a table that has with --unlabelled PATH"
        )
    every = list(found.values())
    order = np.random.default_rng((recipe.seed, len(every))).permutation(len(every)).tolist()
    count = max(1, round(recipe.unlabelled_passes * len(every)))
    texts = tuple(every[i] for i in order[:count])
    logger.info(
        "unlabelled articles: %d, without %d that repeat others or stand in the labelled data; %d inputs of each pass",
        len(every), len(more) - len(every), count,
    )  # fmt: skip
    return Unlabelled(texts=texts, rows=tuple(i % len(texts) for i in range(count)))
