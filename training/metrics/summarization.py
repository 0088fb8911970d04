"""Measure summaries: ROUGE beside the lead of the article, and how much of a summary stands in its article.

ROUGE (Lin, 2004) counts the n-grams and the longest common subsequence that a summary shares with its reference. A
lead of a few sentences is a strong baseline for news, so a figure without it says little.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from contextlib import closing
from statistics import fmean
from typing import TYPE_CHECKING, Any, Final

import torch

from training.data.cleaning import clean_text
from training.data.curriculum import SelectionConfig, collapse, copied_bigrams, coverage, oracle
from training.data.sentences import split_sentences
from training.progress.bars import Progress, track

if TYPE_CHECKING:
    import pandas as pd

logger = logging.getLogger(__name__)


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


def generate_settings(model: Any, *, num_beams: int, max_tokens: int) -> None:
    """Write the search of this project into a model's generation config."""
    model.generation_config.update(
        max_length=max_tokens,
        num_beams=num_beams,
        no_repeat_ngram_size=3,
        early_stopping=num_beams > 1,
        length_penalty=1.0,
    )


@torch.inference_mode()
def generate(model: Any, tokenizer: Any, articles: Sequence[str], *, max_tokens: int, batch: int = 16) -> list[str]:
    """Summaries of the articles as the model's generation config says, in their order; shows how far it is."""
    model.eval()
    order = sorted(range(len(articles)), key=lambda i: len(articles[i]))
    found: dict[int, str] = {}
    with closing(Progress("summarizing the test articles", len(order), patience_s=2.0)) as progress:
        for start in range(0, len(order), batch):
            chosen = order[start : start + batch]
            inputs = tokenizer(
                [articles[i] for i in chosen],
                truncation=True,
                max_length=max_tokens,
                padding=True,
                split_special_tokens=True,  # as the server reads them
                return_tensors="pt",
            ).to(model.device)
            sequences = model.generate(
                input_ids=inputs["input_ids"],
                attention_mask=inputs["attention_mask"],
                min_length=16,
            )
            for index, text in zip(chosen, tokenizer.batch_decode(sequences, skip_special_tokens=True), strict=True):
                found[index] = text.strip()
            progress.to(len(found))
    return [found[i] for i in range(len(articles))]


def evaluate(model: Any, tokenizer: Any, test: pd.DataFrame, *, max_tokens: int, rows: int = 0) -> dict[str, Any]:
    """ROUGE of the model, of the lead (1, 2 and 3 sentences) and of the oracle on the same articles of the test split.

    Returns:
        ``test`` (rouge, coverage and copied bigrams of the model), ``lead_1`` to ``lead_3``, ``oracle``: the best that
        copying whole sentences can do, ``rows`` and ``by_length``; per source too where the data names it.
    """
    if rows and len(test) > rows:
        test = test.sample(rows, random_state=0)
    articles = [collapse(clean_text(a)) for a in test["article"]]
    originals = [clean_text(a) for a in test["article"]]
    references = list(test["summary"])
    summaries = generate(model, tokenizer, articles, max_tokens=max_tokens)
    result: dict[str, Any] = {
        "rows": len(test),
        "test": {
            **rouge(summaries, references),
            "coverage": fmean(coverage(s, a) for s, a in zip(summaries, articles, strict=True)),
            "copied_bigrams": fmean(copied_bigrams(s, a) for s, a in zip(summaries, articles, strict=True)),
        },
    }
    for k in (1, 2, 3):
        result[f"lead_{k}"] = rouge([lead_k(a, k) for a in originals], references)
    pairs = track(list(zip(originals, references, strict=True)), "measuring what copying can do")
    best = [oracle(a, r, SelectionConfig()) or lead_k(a, 1) for a, r in pairs]
    result["oracle"] = rouge(best, references)
    result["by_length"] = _by_length(summaries, originals, references)
    if "source" in test.columns:
        result["per_source"] = _per_source(list(test["source"]), summaries, originals, references)
    return result


_LENGTHS: Final = (0, 150, 300, 600, 1200)
"""Words at which the groups of article lengths begin."""


def _by_length(summaries: Sequence[str], articles: Sequence[str], references: Sequence[str]) -> list[dict[str, Any]]:
    words = [len(article.split()) for article in articles]
    table: list[dict[str, Any]] = []
    for low, high in zip(_LENGTHS, (*_LENGTHS[1:], max(words) + 1), strict=True):
        rows = [i for i, count in enumerate(words) if low <= count < high]
        if not rows:
            continue
        chosen = [references[i] for i in rows]
        table.append(
            {
                "words": f"{low} to {high - 1}" if high in _LENGTHS else f"{low} and more",
                "rows": len(rows),
                "test": rouge([summaries[i] for i in rows], chosen),
                "lead_1": rouge([lead_k(articles[i], 1) for i in rows], chosen),
            }
        )
    return table


def _per_source(
    sources: Sequence[str], summaries: Sequence[str], articles: Sequence[str], references: Sequence[str]
) -> dict[str, Any]:
    table: dict[str, Any] = {}
    for source in sorted(set(sources)):
        rows = [i for i, name in enumerate(sources) if name == source]
        chosen = [references[i] for i in rows]
        table[source] = {
            "rows": len(rows),
            "test": rouge([summaries[i] for i in rows], chosen),
            "lead_2": rouge([lead_k(articles[i], 2) for i in rows], chosen),
        }
    return table
