"""How much each training article counts: by its table's weights, and so that no collection drowns the others.

A classifier that mostly sees one collection learns what tells the labels apart there, and fails elsewhere. With weights
of ``n(source, label) ** -exponent`` collections and their labels count alike: wholly at 1, not at all at 0.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Sequence
from typing import Final

import numpy as np
import pandas as pd

from training.data.schema import weights_of
from training.loop.batches import even_weights

logger = logging.getLogger(__name__)

_SHOWN: Final = 8
"""Sources that the log names, the largest first."""


def article_weights(frame: pd.DataFrame, classes: Sequence[int], *, balance_sources: float) -> list[float] | None:
    """The weights of training articles, 1 on average; None where all are the same.

    Args:
        frame: The articles, with ``source``, and with weights where the table has such.
        classes: Their class ids.
        balance_sources: From 0, sources count by their articles, to 1, all sources and their labels count the same.
    """
    own = weights_of(frame)
    if not balance_sources:
        return None if own is None else even_weights(own)
    sources = [str(source) for source in frame["source"]]
    balanced = np.asarray(source_weights(sources, classes, balance_sources))
    weights = even_weights((balanced * (1.0 if own is None else np.asarray(own))).tolist())
    _log_shares(sources, [1.0] * len(sources) if own is None else even_weights(own), weights)
    return weights


def source_weights(sources: Sequence[str], classes: Sequence[int], exponent: float) -> list[float]:
    """Weights of ``n ** -exponent``, 1 on average; ``n`` is how many articles have both the source and the class.

    Args:
        sources: Where each article comes from; those without a source are one.
        classes: The class id of each article.
        exponent: From 0 to 1.
    """
    pairs = list(zip(sources, classes, strict=True))
    counts = Counter(pairs)
    return even_weights([counts[pair] ** -exponent for pair in pairs])


def _log_shares(sources: Sequence[str], before: Sequence[float], after: Sequence[float]) -> None:
    sums = pd.DataFrame({"source": sources, "before": before, "after": after}).groupby("source").sum()
    sums = sums.sort_values("before", ascending=False)
    shown = [f"{name or '(none)'} {row.before:.0f} -> {row.after:.0f}" for name, row in sums[:_SHOWN].iterrows()]
    more = f", and {len(sums) - _SHOWN} more" if len(sums) > _SHOWN else ""
    logger.info("what the articles of each source count in sum, balanced: %s%s", ", ".join(shown), more)
