"""Columns beside those of an attention's heads, for which the weights of a product leave room."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

COLUMNS = 8
"""As many as the fused kernels want the width of a head to be a multiple of."""


def widened(columns: npt.NDArray[np.float32], heads: int) -> npt.NDArray[np.float32]:
    """The columns of a product, FLOAT (rows, heads * head size), with `COLUMNS` zeros after those of each head.

    Joined to the heads later, they would cost a kernel, which copies lists from the host that a CUDA graph would read
    again after they are gone.

    Returns:
        FLOAT (rows, heads, head size + `COLUMNS`), in memory of its own.
    """
    return np.pad(columns.reshape(len(columns), heads, -1).astype(np.float32), ((0, 0), (0, 0), (0, COLUMNS)))
