"""Measure summaries: ROUGE-1, ROUGE-2 and ROUGE-Lsum beside the lead of the article.

ROUGE (Lin, 2004) counts the n-grams and the longest common subsequence that a summary shares with its reference. A
lead of a few sentences is a strong baseline for news, so a figure without it says little.
"""

from __future__ import annotations

from collections.abc import Sequence
from statistics import fmean
from typing import Final

from training.data.sentences import split_sentences

METRICS: Final = ("rouge1", "rouge2", "rougeLsum")


def lead_k(article: str, k: int) -> str:
    """The first ``k`` sentences of an article, one a line; the whole article when it has no more.

    Raises:
        ValueError: ``k`` is not positive.
    """
    if k < 1:
        raise ValueError(f"a lead has at least 1 sentence, not {k}")
    return "\n".join(split_sentences(article)[:k])


def rouge(predictions: Sequence[str], references: Sequence[str]) -> dict[str, float]:
    """ROUGE F-measures in percent, averaged over the pairs.

    Args:
        predictions: The summaries; sentences are split here, as ROUGE-Lsum needs.
        references: Their references, in the same order.

    Returns:
        ``rouge1``, ``rouge2`` and ``rougeLsum`` (0 to 100), with stemming, and ``words``: the mean length of the
        predictions in words, since longer summaries score a higher recall.

    Raises:
        ValueError: The two have different lengths, or are empty.
    """
    if len(predictions) != len(references):
        raise ValueError(f"one reference per prediction, not {len(references)} for {len(predictions)}")
    if not predictions:
        raise ValueError("ROUGE needs at least one pair")
    from rouge_score.rouge_scorer import RougeScorer

    scorer = RougeScorer(list(METRICS), use_stemmer=True)
    scores = [
        scorer.score("\n".join(split_sentences(reference)), "\n".join(split_sentences(prediction)))
        for prediction, reference in zip(predictions, references, strict=True)
    ]
    result = {name: 100.0 * fmean(score[name].fmeasure for score in scores) for name in METRICS}
    result["words"] = fmean(len(prediction.split()) for prediction in predictions)
    return result
