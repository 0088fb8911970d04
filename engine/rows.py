"""Articles as a server's tensors have them: rows that are padded to the same length."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from .article import Article, Sampling
from .settings import Settings


def articles_of(
    ids: npt.NDArray[np.int32],
    mask: npt.NDArray[np.int32],
    sentence_ends: npt.NDArray[np.int32],
    sampling: npt.NDArray[np.float32],
    settings: Settings,
) -> list[Article]:
    """The articles of a batch, which hold copies of its rows.

    Args:
        ids: Tokens, INT32 (articles, length), padded on the right, or inside of it between windows.
        mask: INT32 (articles, length): 0 where a row is padded. A row of zeros is read as its first token.
        sentence_ends: INT32 (articles, length) as `Article.sentence_ends` where summaries may only quote, else
            (articles, 1).
        sampling: FLOAT (articles, 2 + steps) with temperature, ``top_p`` and a number for each step where summaries are
            drawn, else (articles, 1).
        settings: What all of them ask for.

    Raises:
        ValueError: The shapes do not fit together.
    """
    rows, length = ids.shape
    if sentence_ends.shape not in ((rows, length), (rows, 1)):
        raise ValueError(
            f"sentence_ends has a number for each of {length} tokens of a row, or a single one, not the shape "
            f"{sentence_ends.shape}"
        )
    quotes, draws = sentence_ends.shape[1] == length > 1, sampling.shape[1] > 1
    if draws and sampling.shape[1] < 2 + settings.max_length:
        raise ValueError(
            f"sampling has 2 numbers and {settings.max_length} draws, as max_length says, or a single one, not "
            f"{sampling.shape[1]}"
        )
    return [
        _article(
            ids[row],
            mask[row],
            settings,
            sentence_ends[row] if quotes else None,
            sampling[row] if draws and sampling[row, 0] != 0 else None,
        )
        for row in range(rows)
    ]


def _article(
    ids: npt.NDArray[np.int32],
    mask: npt.NDArray[np.int32],
    settings: Settings,
    ends: npt.NDArray[np.int32] | None,
    sampling: npt.NDArray[np.float32] | None,
) -> Article:
    seen = np.flatnonzero(mask)
    stop = int(seen[-1]) + 1 if len(seen) else 1
    drawn = None
    if sampling is not None:
        drawn = Sampling(temperature=float(sampling[0]), top_p=float(sampling[1]), draws=sampling[2:].copy())
    return Article(
        ids=ids[:stop].copy(),
        # Where nothing is padded up to its last token, an article is as short as its tokens.
        mask=None if len(seen) in (0, stop) else (mask[:stop] != 0).astype(np.int32),
        settings=settings,
        sentence_ends=None if ends is None else ends[:stop].copy(),
        sampling=drawn,
    )
