"""Warm-start token embeddings from co-occurrence counts, for models that are trained from scratch.

Positive pointwise mutual information of tokens within a window, factorised by a truncated singular value decomposition
(Levy and Goldberg, 2014, show how close this is to word2vec). It takes a minute and needs no labels, so all text helps.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray


def cooccurrence_embeddings(
    documents: Sequence[NDArray[np.int32]],
    *,
    vocabulary: int,
    width: int,
    window: int = 6,
    shift: float = 1.0,
    minimum: float = 1.0,
    scale: float = 0.05,
    seed: int = 0,
) -> NDArray[np.float32]:
    """Embeddings of the tokens of a vocabulary.

    Args:
        documents: Token ids of each document.
        vocabulary: Number of tokens.
        width: Dimensions of an embedding.
        window: How many tokens apart two tokens may stand and still co-occur; nearer pairs weigh more.
        shift: Subtracted from the mutual information is ``log(shift)``: more shift keeps only stronger ties.
        minimum: Pairs with less weight than this are left out: mostly chance, and most of the work.
        scale: Root mean square of the elements of every embedding.
        seed: Of the randomised decomposition and of the tokens that never occur.

    Returns:
        An array (vocabulary, width).
    """
    from scipy import sparse  # type: ignore[import-untyped, unused-ignore]
    from sklearn.utils.extmath import randomized_svd

    gap = np.full(window, -1, dtype=np.int32)  # keeps the window inside a document
    stream = np.concatenate([part for document in documents for part in (document, gap)])
    counts = sparse.csr_matrix((vocabulary, vocabulary), dtype=np.float32)
    for distance in range(1, window + 1):
        left, right = stream[:-distance], stream[distance:]
        inside = (left >= 0) & (right >= 0)
        weights = np.full(int(inside.sum()), 1.0 / distance, dtype=np.float32)
        counts += sparse.csr_matrix((weights, (left[inside], right[inside])), shape=(vocabulary, vocabulary))
    counts = (counts + counts.T).tocoo()
    totals = np.asarray(counts.sum(axis=1)).ravel()
    context = totals**0.75  # smoothed, so that rare contexts do not rule
    context /= context.sum()
    information = np.log(counts.data / (totals[counts.row] * context[counts.col])) - np.log(shift)
    keep = (information > 0) & (counts.data >= minimum)
    positive = sparse.csr_matrix(
        (information[keep].astype(np.float32), (counts.row[keep], counts.col[keep])), shape=counts.shape
    )
    vectors, values, _ = randomized_svd(positive, n_components=width, n_iter=2, random_state=seed)
    result = vectors * np.sqrt(values)
    rng = np.random.default_rng(seed)
    if missing := width - result.shape[1]:  # fewer tokens than dimensions: there is no more to learn from them
        result = np.hstack([result, rng.standard_normal((vocabulary, missing)) * 1e-3])
    size = np.sqrt((result**2).mean(axis=1, keepdims=True))
    noise = rng.standard_normal(result.shape)
    embeddings = np.where(size > 1e-6, result / np.maximum(size, 1e-6), noise) * scale
    return np.asarray(embeddings, dtype=np.float32)
