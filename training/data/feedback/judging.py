"""What people think of an article, all together: the right label, or good summaries, each with a weight.

Everybody has one voice about an article: what was said last counts, and what was said blindly (an audit) before what
was said of an answer that was shown. A voice counts 1, in an audit `Voices.audit_weight`; a text that a person wrote
counts `BETTER`. The weight of a label is what it has more than the next one, that of a text what speaks for it less
what speaks against it; at most `MOST`.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from training.data.cleaning import fingerprint

from .reading import Rated

BETTER: Final = 2.0
"""The weight of a text that a person wrote: it says more than five stars for a model's."""
MOST: Final = 5.0
"""No article has more, so that a few that many people read do not rule the rest."""
POOR: Final = 2
"""So many stars, or fewer, speak against a text."""
WRONG_ONLY: Final = "called wrong, without the right label"
NEITHER: Final = "neither enough stars nor a better text"
DISAGREE: Final = "people disagree"
TIE: Final = "people disagree: a tie"


class Conflicts(StrEnum):
    """What becomes of an article about which people disagree."""

    MAJORITY = "majority"
    """The label with the most weight, or the texts that more speak for than against; a tie is left out."""
    DROP = "drop"
    """It is left out."""


@dataclass(frozen=True, kw_only=True)
class Voices:
    """How voices count."""

    audit_weight: float = 2.0
    """What a blind audit counts, where a volunteered rating counts 1."""
    least_stars: int = 5
    """From so many stars on a model's own text is one to learn from."""
    conflicts: Conflicts = Conflicts.MAJORITY
    labels: tuple[str, ...] = ()
    """The labels of the model; where there are two, what one was wrongly called is the other."""


@dataclass(frozen=True, kw_only=True)
class Lesson:
    """What is to be learned from an article."""

    answer: str = field(repr=False)
    """The right label, or a good summary."""
    weight: float
    by: Rated
    """The latest voice for it, one of an audit first."""
    voices: int
    """How many people say so."""


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """What comes of all that was said of an article."""

    lessons: tuple[Lesson, ...] = ()
    said: Mapping[str, float] = field(default_factory=dict)
    """Where people disagree: what each label has for it; of texts, what speaks ``for`` and ``against`` them."""
    reason: str = ""
    """Why nothing is learned from it; empty where something is."""


def judge_labels(rows: Sequence[Rated], voices: Voices) -> Verdict:
    """The right label of an article.

    Args:
        rows: All that was said of it.
        voices: How that counts.
    """
    told = [(row, label) for row in rows if (label := _right_label(row, voices.labels))]
    if not told:
        return Verdict(reason=WRONG_ONLY)
    heard = _one_each(told)
    points: dict[str, float] = defaultdict(float)
    for row, label in heard:
        points[label] += _counts(row, voices)
    ordered = sorted(points.items(), key=lambda one: (-one[1], one[0]))
    (first, most), next_best = ordered[0], ordered[1][1] if len(ordered) > 1 else 0.0
    said = dict(ordered) if next_best else {}
    if next_best and (voices.conflicts is Conflicts.DROP or most == next_best):
        return Verdict(said=said, reason=TIE if most == next_best else DISAGREE)
    for_it = [row for row, label in heard if label == first]
    return Verdict(lessons=(_lesson(first, most - next_best, for_it),), said=said)


def judge_texts(rows: Sequence[Rated], voices: Voices) -> Verdict:
    """The good summaries of an article: those that people wrote, and a model's with enough stars.

    Args:
        rows: All that was said of it.
        voices: How that counts.
    """
    written = _one_each([(row, row.better.strip()) for row in rows if row.better.strip()])
    starred: dict[str, list[tuple[Rated, str]]] = defaultdict(list)
    for row in rows:
        if row.stars is not None and row.output_text.strip():
            starred[fingerprint(row.output_text)].append((row, row.output_text.strip()))
    good: dict[str, tuple[str, float, list[Rated]]] = {}
    for row, text in written:
        _, weight, by = good.get(fingerprint(text), ("", 0.0, []))
        good[fingerprint(text)] = (text, weight + BETTER, [*by, row])
    said, reason = Counter[str](), NEITHER
    for mark, heard in ((mark, _one_each(ratings)) for mark, ratings in starred.items()):
        for_it = [row for row, _ in heard if (row.stars or 0) >= voices.least_stars]
        against = [row for row, _ in heard if (row.stars or 0) <= POOR]
        if not for_it:
            continue
        points = float(len(for_it) - len(against))
        if against:
            said.update({"for": len(for_it), "against": len(against)})
            if voices.conflicts is Conflicts.DROP or points <= 0:
                reason = DISAGREE if points else TIE
                continue
        text, weight, by = good.get(mark, (heard[0][1], 0.0, []))
        good[mark] = (text, weight + points, [*by, *for_it])
    lessons = tuple(_lesson(text, weight, by) for text, weight, by in good.values())
    return Verdict(lessons=lessons, said=dict(said), reason="" if lessons else reason)


def _right_label(row: Rated, labels: Sequence[str]) -> str:
    """The label that a person thinks right; empty where that is not said."""
    if row.right_label:
        return row.right_label
    if row.right:
        return row.label
    if row.right is False and len(labels) == 2 and row.label in labels:
        return next(label for label in labels if label != row.label)
    return ""


def _one_each(told: Iterable[tuple[Rated, str]]) -> list[tuple[Rated, str]]:
    """Everybody's one voice. Those who give no name are one person: they may be."""
    found: dict[tuple[str, str], tuple[Rated, str]] = {}
    for row, what in told:
        who = row.key, row.rater
        if who not in found or _rank(row) >= _rank(found[who][0]):
            found[who] = row, what
    return list(found.values())


def _rank(row: Rated) -> tuple[bool, str]:
    return row.audit, row.rated


def _counts(row: Rated, voices: Voices) -> float:
    return voices.audit_weight if row.audit else 1.0


def _lesson(answer: str, weight: float, by: Sequence[Rated]) -> Lesson:
    return Lesson(
        answer=answer,
        weight=round(min(weight, MOST), 3),
        by=max(by, key=_rank),
        voices=len({(row.key, row.rater) for row in by}),
    )
