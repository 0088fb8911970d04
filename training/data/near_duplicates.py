"""Find articles that are nearly the same in different splits: MinHash signatures and locality-sensitive hashing.

Two articles whose sets of three-word runs overlap by 0.8 or more (Jaccard) count as the same (Broder, 1997; Leskovec et
al., Mining of Massive Datasets, ch. 3). A reprint in the test split tells what a model remembers, not what it reads.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

THRESHOLD: Final = 0.8
_PERMUTATIONS: Final = 64
_RANK: Final = {"test": 0, "validation": 1, "train": 2}
_WORD: Final = re.compile(r"\w+")


@dataclass(frozen=True, kw_only=True)
class Pair:
    """Two rows with nearly the same text in two splits."""

    kept: int
    dropped: int
    kept_split: str
    dropped_split: str


class SplitGuard:
    """Takes articles one by one and says which of them must leave a split because another split has them.

    Signatures stay in memory (about 1 kB an article), texts do not.
    """

    def __init__(self, threshold: float = THRESHOLD) -> None:
        from datasketch import MinHashLSH

        self.index = MinHashLSH(threshold=threshold, num_perm=_PERMUTATIONS)
        self.threshold = threshold
        self.signatures: dict[int, Any] = {}
        self.splits: dict[int, str] = {}

    def add(self, row: int, text: str, split: str) -> list[Pair]:
        """Take an article in; returns the pairs that it makes with articles of other splits.

        In each pair the test split keeps its article before the validation split, and that before the training split.
        """
        signature = _signature(text)
        similar = [
            key for key in self.index.query(signature) if self.signatures[key].jaccard(signature) >= self.threshold
        ]
        pairs = []
        for other in similar:
            theirs = self.splits[other]
            if theirs == split:
                continue
            ours_first = _RANK[split] < _RANK[theirs]
            kept, dropped = (row, other) if ours_first else (other, row)
            pairs.append(
                Pair(
                    kept=kept,
                    dropped=dropped,
                    kept_split=self.splits.get(kept, split),
                    dropped_split=self.splits.get(dropped, split),
                )
            )
        self.signatures[row], self.splits[row] = signature, split
        self.index.insert(row, signature)
        return pairs


def cross_split_pairs(rows: Iterable[tuple[int, str, str]], threshold: float = THRESHOLD) -> list[Pair]:
    """Every pair of nearly equal articles in two splits, from ``(row, text, split)``."""
    guard = SplitGuard(threshold)
    return [pair for row, text, split in rows for pair in guard.add(row, text, split)]


def _signature(text: str) -> Any:
    from datasketch import MinHash

    words = _WORD.findall(text.lower())
    runs = {" ".join(words[i : i + 3]).encode() for i in range(max(1, len(words) - 2))}
    signature = MinHash(num_perm=_PERMUTATIONS)
    signature.update_batch(list(runs))
    return signature
