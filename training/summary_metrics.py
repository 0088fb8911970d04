"""Summarize a test split and compare with the lead: ROUGE, and how much of a summary stands in its article."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from statistics import fmean
from typing import TYPE_CHECKING, Any, Protocol

import torch

from .cleaning import clean_text
from .curriculum import SelectionConfig, collapse, copied_bigrams, coverage, oracle
from .evaluation_summary import lead_k, rouge

if TYPE_CHECKING:
    import pandas as pd

logger = logging.getLogger(__name__)


class _Settings(Protocol):
    @property
    def max_source_tokens(self) -> int: ...
    @property
    def evaluate_rows(self) -> int: ...


@torch.inference_mode()
def generate(model: Any, tokenizer: Any, articles: Sequence[str], settings: _Settings, *, batch: int = 16) -> list[str]:
    """Summaries of the articles as the model's generation config says, in their order, with progress in the log."""
    model.eval()
    order = sorted(range(len(articles)), key=lambda i: len(articles[i]))
    found: dict[int, str] = {}
    for start in range(0, len(order), batch):
        chosen = order[start : start + batch]
        inputs = tokenizer(
            [articles[i] for i in chosen],
            truncation=True,
            max_length=settings.max_source_tokens,
            padding=True,
            return_tensors="pt",
        ).to(model.device)
        sequences = model.generate(
            input_ids=inputs["input_ids"],
            attention_mask=inputs["attention_mask"],
            min_length=16,
        )
        for index, text in zip(chosen, tokenizer.batch_decode(sequences, skip_special_tokens=True), strict=True):
            found[index] = text.strip()
        logger.info("summarized %d of %d test articles", len(found), len(articles))
    return [found[i] for i in range(len(articles))]


def evaluate(model: Any, tokenizer: Any, test: pd.DataFrame, settings: _Settings) -> dict[str, Any]:
    """ROUGE of the model, of the lead (1, 2 and 3 sentences) and of the oracle on the same articles of the test split.

    Returns:
        ``test`` (rouge, coverage and copied bigrams of the model), ``lead_1`` to ``lead_3``, ``oracle``: the best that
        copying whole sentences can do, and ``rows``; per source too where the data names it.
    """
    if settings.evaluate_rows and len(test) > settings.evaluate_rows:
        test = test.sample(settings.evaluate_rows, random_state=0)
    articles = [collapse(clean_text(a)) for a in test["article"]]
    originals = [clean_text(a) for a in test["article"]]
    references = list(test["summary"])
    summaries = generate(model, tokenizer, articles, settings)
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
    best = [oracle(a, r, SelectionConfig()) or lead_k(a, 1) for a, r in zip(originals, references, strict=True)]
    result["oracle"] = rouge(best, references)
    if "source" in test.columns:
        result["per_source"] = _per_source(list(test["source"]), summaries, originals, references)
    return result


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
