"""What summaries are worth: the scores of each row beside the article's lead and an oracle, and the figures of all."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping, Sequence
from typing import Any, Final

import pandas as pd

from training.data.curriculum import SelectionConfig, oracle
from training.data.sentences import split_sentences
from training.metrics import first_sentences
from training.metrics.extracts import ORDERS, cut_sentences, extraction, foreign_sentences, lead, sentences_of
from training.metrics.intervals import Statistic, estimates, mean
from training.metrics.summarization import METRICS

from .answers import Answered
from .groups import groups_of

logger = logging.getLogger(__name__)

SYSTEMS: Final = {
    "": "as served",
    "lead_": "the article's first words, as many",
    "oracle_": "oracle: the article's closest sentences, 44 words",
}
"""What is scored, by how its columns begin."""
_TAKEN: Final = ("words", "foreign", "cut", "coverage", "density", "compression", *(f"novel_{n}" for n in ORDERS))
_PERCENT: Final = 100.0
_PROGRESS_S: Final = 10.0


def scores_of(frame: pd.DataFrame, answers: Sequence[Answered]) -> pd.DataFrame:
    """The scores of the rows that were answered.

    Args:
        frame: The rows, with ``article`` and ``summary``.
        answers: One a row, none of them refused.

    Returns:
        A table without texts: ``row``, ``group``, ``source``, tokens; ROUGE (0 to 100) of the summary, the lead and the
        oracle, and of `metrics.first_sentences`; ``words``; ``foreign`` and ``cut`` (1 where a sentence is not the
        article's, or not a whole one of it); `metrics.extracts.extraction`; ``unsupported``, how many spans the server
        itself found, where it does.
    """
    from rouge_score.rouge_scorer import RougeScorer

    scorer = RougeScorer(list(METRICS), use_stemmer=True)
    rows: list[dict[str, Any]] = []
    told = time.monotonic()
    columns = (frame[name] for name in ("article", "summary"))
    for article, reference, answered in zip(*columns, answers, strict=True):
        summary = str(answered.answer["text"])
        words = len(summary.split())
        spans = [(int(quote["start"]), int(quote["end"])) for quote in answered.answer.get("sentences", ())]
        sentences = sentences_of(summary, article, spans)
        row: dict[str, Any] = {
            "words": words,
            "foreign": float(bool(foreign_sentences(sentences, article))),
            "cut": float(bool(cut_sentences(sentences, article))),
            **extraction(summary, article),
        }
        texts = {
            "": summary,
            "lead_": lead(article, words),
            "oracle_": oracle(article, reference, SelectionConfig()) or lead(article, words),
        }
        wanted = _lines(reference)

        def score(text: str, wanted: str = wanted) -> dict[str, float]:
            found = scorer.score(wanted, _lines(text))
            return {name: _PERCENT * found[name].fmeasure for name in METRICS}

        for system, text in texts.items():
            row |= {system + name: value for name, value in score(text).items()}
        row |= first_sentences.leads(article, score)
        if "unsupported" in answered.answer:
            row["unsupported"] = len(answered.answer["unsupported"])
        rows.append(row)
        if time.monotonic() - told >= _PROGRESS_S:
            told = time.monotonic()
            logger.info("scored %d of %d summaries", len(rows), len(frame))
    table = frame[["row", "group", "source"]].reset_index(drop=True)
    table["tokens"] = [answered.tokens for answered in answers]
    table["truncated_tokens"] = [answered.truncated_tokens for answered in answers]
    return pd.concat([table, pd.DataFrame(rows)], axis=1)


def _lines(text: str) -> str:
    """One sentence a line, as ROUGE-Lsum needs."""
    return "\n".join(split_sentences(text))


def figures_of(scores: pd.DataFrame, by: Sequence[str], draws: int) -> dict[str, Any]:
    """All figures: ``served``, ``lead``, ``first_sentences``, ``oracle``, ``groups``; each with its interval."""
    groups = scores["group"].tolist()
    result: dict[str, Any] = {}
    for system, words in SYSTEMS.items():
        statistics = {name: mean(scores[system + name]) for name in METRICS}
        if not system:
            statistics |= _taken(scores)
        name = system.rstrip("_") or "served"
        result[name] = {"name": words, "rows": len(scores), "figures": estimates(statistics, groups, draws=draws)}
    first = estimates(first_sentences.statistics(scores), groups, draws=draws)
    result["first_sentences"] = {"name": first_sentences.NAME, "rows": len(scores), "figures": first}
    result["gain_over_first_sentences"] = estimates(first_sentences.gains(scores), groups, draws=draws)
    result["gain_over_lead"] = estimates(
        {name: mean(scores[name] - scores["lead_" + name]) for name in METRICS}, groups, draws=draws
    )
    result["groups"] = [
        {"by": by_what, "name": name, **_group(scores[rows], draws)} for by_what, name, rows in groups_of(scores, by)
    ]
    return result


def _taken(scores: pd.DataFrame) -> dict[str, Statistic]:
    statistics = {name: mean(scores[name]) for name in _TAKEN}
    if "unsupported" in scores:
        statistics["unsupported"] = mean(scores["unsupported"] > 0)
    return statistics


def _group(scores: pd.DataFrame, draws: int) -> dict[str, Any]:
    names = [system + name for name in METRICS for system in ("", "lead_")]
    statistics = {name: mean(scores[name]) for name in (*names, "words", "foreign", "coverage", "density", "novel_2")}
    statistics |= {f"first_{name}": one for name, one in first_sentences.statistics(scores).items() if name in METRICS}
    return {"rows": len(scores), "figures": estimates(statistics, scores["group"].tolist(), draws=draws)}


def gated(scores: pd.DataFrame, names: Sequence[str]) -> Mapping[str, Statistic]:  # noqa: ARG001 - summaries have no labels
    """The figures that a promotion looks at, higher being better."""
    return {"rougeLsum": mean(scores["rougeLsum"]), "faithful": mean(1.0 - scores["foreign"])}


def compared(scores: pd.DataFrame, names: Sequence[str]) -> Mapping[str, Statistic]:  # noqa: ARG001 - as above
    """The figures that a comparison shows."""
    return {name: mean(scores[name]) for name in (*METRICS, "words", "foreign", "novel_2", "coverage", "density")}
