"""Scores by distance become scores by position: the relative shift of Transformer-XL, in one strided copy.

The shift (Dai et al., 2019, appendix B) moves row i of (length, distances) left by ``length - i``. Stored with one
distance more, 2 * length + 1, the part that is wanted of row i begins at the element
``i * (2 * length + 1) + length - i = (2 * i + 1) * length``: in rows of ``length`` elements it is every second row.
"""

from __future__ import annotations

import numpy as np

from export.graph.gpu.graph import GpuGraph


def shifted(graph: GpuGraph, scores: str, length: str) -> str:
    """Scores of rows with the distances ``length`` down to ``-length`` as scores of rows with positions.

    Args:
        graph: Gets the nodes.
        scores: (batch, heads, length, 2 * length + 1).
        length: INT64 (1,).

    Returns:
        (batch, heads, length, length): row i has in column j what ``scores`` has for the distance ``i - j``.
    """
    rows = graph.one("Concat", graph.ints([0, 0, -1]), length, axis=0)
    scores = graph.one("Reshape", scores, rows)  # (batch, heads, 2 * length + 1, length)
    end = graph.ints([np.iinfo(np.int64).max])
    return graph.one("Slice", scores, graph.ints([1]), end, graph.ints([2]), graph.ints([2]))


def for_all(graph: GpuGraph, vectors: str, rows: str) -> str:
    """Vectors (heads, head size, distances) for every article: (batch, heads, head size, distances).

    ONNX Runtime multiplies as many matrices on both sides in one call (`GpuGraph.product`).

    Args:
        graph: Gets the nodes.
        vectors: The vectors.
        rows: Articles, INT64 (1,).
    """
    return graph.one("Expand", vectors, graph.one("Concat", rows, graph.ints([1, 1, 1]), axis=0))
