"""The document of quality: every model revision with its figures, and what they are worth."""

from __future__ import annotations

import datetime
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from reading.reference import EDGES, OTHER
from serving.feedback.keeping import FeedbackRead, Judgment

from .agreement import agreement
from .drift import Drift, drift
from .figures import Figures
from .intervals import Interval
from .references import NoReferenceError, References
from .tallying import LABEL, VOCABULARY, WORDS

MAX_JUDGMENTS: Final = 3_000
MIN_WORDS: Final = 10_000
"""Fewer words are those of a few articles, and say what these were about."""
MIN_ARTICLES: Final = 100
"""No drift is told from fewer articles."""
WORDS_DESIGN_EFFECT: Final = 3.0
"""Words vary by so much more from article to article than independent draws: the mean over the 256 commonest was 2.8 in
news articles of 500 words, 1.1 in headlines."""
BIAS: Final = (
    "Ratings are volunteered, and people rate sooner what annoys them: these figures are of the rated answers, "
    "not of all; blind audits ask about articles picked by chance, before our answer is shown."
)
_DAY_S: Final = 86_400


@dataclass(frozen=True, kw_only=True, slots=True)
class Serving:
    """A model that serves now."""

    task: str
    model: str
    version: str
    revision: str
    labels: bool
    """Whether its answers are labels; they are texts otherwise."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Terms:
    """On which terms the figures are made."""

    days: int
    """Back to this many days ago, today included."""
    batch: int
    """Ratings of a batch."""
    trust: float
    """What the lower bound of the accuracy in blind audits must reach."""


def make_document(
    read: FeedbackRead, terms: Terms, *, serving: Sequence[Serving], references: References, now_s: float
) -> dict[str, Any]:
    """The document, as ``/v1/quality`` gives it.

    Revisions come by task, in the order of `serving`; of a task first the one that serves, then the others, the one
    that was used last first.

    Args:
        read: The store.
        terms: The terms.
        serving: The models that serve now.
        references: What their articles were like in training.
        now_s: Seconds since 1970.

    Raises:
        FeedbackError: The store cannot be read.
    """
    since_day = int(now_s // _DAY_S) - terms.days + 1
    found: defaultdict[tuple[str, str, str], Figures] = defaultdict(Figures)
    for one in serving:
        found[one.task, one.model, one.revision]  # is told of without a rating too
    for rated in read.aggregates(batch=terms.batch, since_day=since_day):
        found[rated.task, rated.model, rated.revision].add_ratings(rated)
    for population in read.populations(since_day=since_day):
        found[population.task, population.model, population.revision].add_population(population)
    for tally in read.tallies(since_day=since_day):
        found[tally.task, tally.model, tally.revision].add_tally(tally)
    judged: defaultdict[tuple[str, str, str], list[Judgment]] = defaultdict(list)
    for judgment in read.judgments(since_day=since_day, limit=MAX_JUDGMENTS):
        judged[judgment.task, judgment.model, judgment.revision].append(judgment)
    now = {(one.task, one.model, one.revision): one for one in serving}
    tasks = list(dict.fromkeys([*(one.task for one in serving), *sorted(task for task, _, _ in found)]))
    ordered = sorted(found, key=lambda key: (tasks.index(key[0]), key not in now, -found[key].last_day, key))
    return {
        "made": datetime.datetime.fromtimestamp(now_s, datetime.UTC).isoformat(timespec="seconds"),
        "days": terms.days,
        "batch": terms.batch,
        "trust_bar": terms.trust,
        "bias": BIAS,
        "models": [_model(key, found[key], terms, now.get(key), judged.get(key, ()), references) for key in ordered],
    }


def _model(
    key: tuple[str, str, str],
    figures: Figures,
    terms: Terms,
    serving: Serving | None,
    judgments: Sequence[Judgment],
    references: References,
) -> dict[str, Any]:
    task, model, revision = key
    texts = not serving.labels if serving else any(figures.volunteered.stars)
    trusted, trusted_why = trust(figures.audited.accuracy, terms.trust, texts=texts)
    moved, drift_why = _drift(figures, serving, references)
    agreed = agreement(judgments, ordered=texts)
    return {
        "task": task,
        "model": model,
        "revision": revision,
        "serving": serving is not None,
        **figures.document(),
        "trusted": trusted,
        "trusted_why": trusted_why,
        "drift": moved and {name: one.document() for name, one in moved.items()},
        "drift_why": drift_why,
        "agreement": agreed and agreed.document(),
    }


def trust(audit: Interval | None, bar: float, *, texts: bool = False) -> tuple[bool | None, str]:
    """Whether a model is trusted, and why; None where nobody can tell yet.

    Args:
        audit: Its accuracy in blind audits.
        bar: What the lower bound must reach.
        texts: Whether it writes texts, about which nobody is asked blindly.
    """
    if texts:
        return None, "blind audits are of labels; of a text people say how they like it"
    if audit is None:
        return None, "no blind audit was answered yet"
    between = f"in blind audits it is right {audit.low:.0%} to {audit.high:.0%} of the time, from {audit.count} of them"
    if audit.low >= bar:
        return True, f"{between}: at least the {bar:.0%} that are asked"
    if audit.high < bar:
        return False, f"{between}: less than the {bar:.0%} that are asked"
    return None, f"{between}: too few to say whether that reaches {bar:.0%}"


def _drift(figures: Figures, serving: Serving | None, references: References) -> tuple[dict[str, Drift] | None, str]:
    """How far the articles have moved, by what was counted; or why that cannot be told."""
    if serving is None:
        return None, "this revision serves no more: articles are held against the reference of the one that serves"
    try:
        reference = references.find(serving.model, serving.version)
    except NoReferenceError as error:
        return None, str(error)
    articles = sum(figures.counts[WORDS].values())
    if articles < MIN_ARTICLES:
        return None, f"{articles} articles came in this time: drift is told from {MIN_ARTICLES} on"
    found = {
        name: moved
        for name, shares in _expected(reference).items()
        if sum(shares.values()) > 0
        and sum(figures.counts[name].values()) >= _LEAST.get(name, 0)
        and (moved := drift(shares, figures.counts[name], design_effect=_EFFECTS.get(name, 1.0)))
    }
    return (found, "") if found else (None, f"the reference of {serving.model} says nothing that was counted")


_LEAST: Final[Mapping[str, int]] = {VOCABULARY: MIN_WORDS}
_EFFECTS: Final[Mapping[str, float]] = {VOCABULARY: WORDS_DESIGN_EFFECT}


def _expected(reference: Mapping[str, Any]) -> dict[str, dict[str, float]]:
    """The shares of a reference by bucket, as `tallying` names buckets."""
    words, vocabulary = reference["words"], reference["vocabulary"]
    found: dict[str, dict[str, float]] = {}
    if "label" in reference:
        found[LABEL] = dict(reference["label"])
    if tuple(words["edges"]) == EDGES:
        found[WORDS] = {str(edge): one for edge, one in zip(EDGES, words["shares"], strict=True)}
    found[VOCABULARY] = {**vocabulary["words"], OTHER: vocabulary[OTHER]}
    return found
