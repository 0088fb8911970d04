"""How far two collections of articles lie apart: labels, lengths, words."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

_TOP_WORDS: Final = 20_000


@dataclass(frozen=True, kw_only=True)
class Drift:
    """Distances between two collections, each 0 for equal ones, and a verdict in words."""

    labels: float
    """Total variation distance of the label distributions, 0 to 1: the share of articles that would have to change."""
    length: float
    """Kolmogorov-Smirnov distance of the article lengths in words, 0 to 1."""
    vocabulary: float
    """Jensen-Shannon distance of the word distributions (base 2), 0 to 1."""
    unknown_words: float
    """Share of the second collection's words that the first one does not have among its most frequent."""

    def verdict(self) -> list[str]:
        """What stands out, in sentences; empty when the collections are alike."""
        found = []
        if self.labels > 0.1:
            found.append(
                f"the labels differ: {self.labels:.0%} of the articles would have to change theirs (limit 10 %)"
            )
        if self.length > 0.15:
            found.append(f"the lengths differ: distance {self.length:.2f} (limit 0.15)")
        if self.vocabulary > 0.35:
            found.append(f"the words differ: distance {self.vocabulary:.2f} (limit 0.35)")
        if self.unknown_words > 0.1:
            found.append(f"{self.unknown_words:.0%} of the words are new (limit 10 %)")
        return found


def measure_drift(first: Any, second: Any) -> Drift:
    """The drift from one collection to another; both are `statistics.TableStatistics`."""
    return Drift(
        labels=total_variation(first.labels, second.labels),
        length=kolmogorov_smirnov(first.lengths, second.lengths),
        vocabulary=jensen_shannon(first.words, second.words),
        unknown_words=_unknown(first.words, second.words),
    )


def total_variation(first: Counter[Any], second: Counter[Any]) -> float:
    """Half the sum of the differences of two distributions, given as counts."""
    a, b = max(1, first.total()), max(1, second.total())
    return math.fsum(abs(first[key] / a - second[key] / b) for key in first.keys() | second.keys()) / 2


def kolmogorov_smirnov(first: Counter[int], second: Counter[int]) -> float:
    """The largest difference of two cumulative distributions of whole numbers, given as counts."""
    values = sorted(first.keys() | second.keys())
    if not values:
        return 0.0
    sums = [np.cumsum([counts[value] for value in values]) / max(1, counts.total()) for counts in (first, second)]
    return float(np.abs(sums[0] - sums[1]).max())


def jensen_shannon(first: Counter[str], second: Counter[str]) -> float:
    """The Jensen-Shannon distance (Lin, 1991) of two distributions, given as counts, with logarithms to base 2."""
    a, b = max(1, first.total()), max(1, second.total())
    terms = []
    for key in first.keys() | second.keys():
        p, q = first[key] / a, second[key] / b
        middle = (p + q) / 2
        terms.append((p * math.log2(p / middle) if p else 0.0) / 2 + (q * math.log2(q / middle) if q else 0.0) / 2)
    # The order of the words differs from run to run; the sum of `math.fsum` does not depend on it.
    return math.sqrt(max(0.0, math.fsum(terms)))


def _unknown(first: Counter[str], second: Counter[str]) -> float:
    known = {word for word, _ in first.most_common(_TOP_WORDS)}
    return sum(count for word, count in second.items() if word not in known) / max(1, second.total())
