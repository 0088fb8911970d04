"""A small table to train on: articles of made-up words, the same ones at each call."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Final

import numpy as np

from infolens.contract import CONTRACTS, Task

ROWS: Final = 400
SHORTEST_WORDS: Final = 5
LONGEST_WORDS: Final = 60
"""As headlines with the sentence below them have."""
LABELS: Final = CONTRACTS[Task.CATEGORY].default_labels[:10]
_CONSONANTS: Final = "bdfgklmnprstvz"
_VOWELS: Final = "aeiou"
_COMMON_WORDS: Final = 1500
_OWN_WORDS: Final = 60
"""Words of a label alone."""
_OWN_SHARE: Final = 1 / 3
"""How much of an article is made of its label's own words."""
_SPLITS: Final = ("train",) * 8 + ("validation", "test")


def write_table(path: Path, *, seed: int = 0) -> Path:
    """Write a CSV file with the columns ``text``, ``label`` and ``split``: `ROWS` articles, a tenth of each label.

    Args:
        path: The file; what stands there is replaced.
        seed: Of the words and lengths.

    Returns:
        ``path``.
    """
    rng = np.random.default_rng(seed)
    every = _words(rng, _COMMON_WORDS + _OWN_WORDS * len(LABELS))
    common, own = every[:_COMMON_WORDS], every[_COMMON_WORDS:]
    with path.open("w", encoding="utf-8", newline="") as sink:
        table = csv.writer(sink)
        table.writerow(("text", "label", "split"))
        for row in range(ROWS):
            label = row % len(LABELS)
            theirs = own[label * _OWN_WORDS : (label + 1) * _OWN_WORDS]
            length = int(rng.integers(SHORTEST_WORDS, LONGEST_WORDS + 1))
            drawn = [theirs if rng.random() < _OWN_SHARE else common for _ in range(length)]
            text = [words[rng.integers(len(words))] for words in drawn]
            split = _SPLITS[row // len(LABELS) % len(_SPLITS)]
            table.writerow((f"{' '.join(text).capitalize()}.", LABELS[label], split))
    return path


def _words(rng: np.random.Generator, count: int) -> list[str]:
    """So many different words of two to four syllables."""
    found: dict[str, None] = {}
    while len(found) < count:
        syllables = (
            _CONSONANTS[rng.integers(len(_CONSONANTS))] + _VOWELS[rng.integers(len(_VOWELS))]
            for _ in range(rng.integers(2, 5))
        )
        found["".join(syllables)] = None
    return list(found)
