"""What takes minutes or hours to compute for many articles, kept in a folder until its run has ended."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from .starter import key_of

logger = logging.getLogger(__name__)


def kept(
    folder: Path, texts: Iterable[str], parts: object, compute: Callable[[], NDArray[np.float32]]
) -> NDArray[np.float32]:
    """What ``compute`` returns, from the folder where the same was computed before.

    Args:
        folder: Has a file for each key.
        texts: The articles that it is computed for.
        parts: What else it depends on; anything whose ``repr`` tells it.
        compute: Called without arguments.
    """
    file = folder / f"{key_of(texts, parts)}.npy"
    if file.exists():
        logger.info("from %s", file)
        found: NDArray[np.float32] = np.load(file)
        return found
    result = compute()
    folder.mkdir(parents=True, exist_ok=True)
    beside = file.with_suffix(".new.npy")
    np.save(beside, result)
    beside.replace(file)
    return result
