"""The baseline that every classifier stands beside: TF-IDF of words and word pairs with logistic regression.

It is also the teacher of the starter models: its *out-of-fold* probabilities on the training split (each article judged
by a model that has not seen it) tell a small transformer how sure a bag of words can be.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from training.progress.bars import track


def fit_baseline(texts: Sequence[str], labels: Sequence[int], *, strength: float = 5.0) -> Any:
    """Fit the baseline; returns a scikit-learn pipeline with ``predict_proba``.

    Args:
        texts: Articles of the training split.
        labels: Their class ids.
        strength: Inverse of the regularisation (``C``).

    Where no word can be counted, as in texts without any of two letters, the baseline always answers with the shares
    of the labels.
    """
    from sklearn.dummy import DummyClassifier
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline

    vectorizer = TfidfVectorizer(
        ngram_range=(1, 2),
        min_df=2 if len(texts) > 1000 else 1,
        max_df=0.9 if len(texts) > 1000 else 1.0,
        sublinear_tf=True,
        strip_accents="unicode",
        max_features=300_000,
        dtype=np.float32,
    )
    try:
        counted = vectorizer.fit_transform(texts)
    except ValueError:  # no word is left to count
        return DummyClassifier(strategy="prior").fit(texts, labels)
    return make_pipeline(vectorizer, LogisticRegression(C=strength, max_iter=150, tol=1e-3).fit(counted, labels))


def out_of_fold(
    texts: Sequence[str], labels: NDArray[np.int64], *, classes: int, folds: int = 3, seed: int = 0
) -> NDArray[np.float32]:
    """Probabilities of the baseline for its own training articles, by cross-validation: no fit has seen the article.

    Args:
        texts: Articles of the training split.
        labels: Their class ids.
        classes: How many classes there are.
        folds: How many fits share the work.
        seed: Of the assignment to folds.

    Returns:
        An array (articles, classes), in the order of ``texts``; a class that never occurs has probability 0. Where no
        class has two articles, nothing can be judged by the others: all classes are as probable.
    """
    from sklearn.model_selection import StratifiedKFold

    result = np.zeros((len(texts), classes), dtype=np.float32)
    with warnings.catch_warnings():
        # A label with fewer articles than folds is no fault: a fold without it gives it probability 0.
        warnings.filterwarnings("ignore", message="The least populated class")
        folds = min(folds, int(np.bincount(labels).max()))
        if folds < 2:
            return np.full_like(result, 1 / classes)
        parts = list(StratifiedKFold(folds, shuffle=True, random_state=seed).split(labels, labels))
    for inside, outside in track(parts, "fitting the baseline, out of fold", unit="fits"):
        if len(only := np.unique(labels[inside])) == 1:
            result[outside, only[0]] = 1.0
            continue
        model = fit_baseline([texts[i] for i in inside], labels[inside].tolist())
        result[np.ix_(outside, model.classes_)] = model.predict_proba([texts[i] for i in outside])
    return result
