"""Find articles that are nearly the same: MinHash signatures and locality-sensitive hashing.

Two articles whose sets of three-word runs overlap by 0.8 or more (Jaccard) count as the same (Broder, 1997; Leskovec et
al., Mining of Massive Datasets, ch. 3). A reprint in the test split tells what a model remembers, not what it reads.
"""

from __future__ import annotations

import re
from typing import Any, Final

THRESHOLD: Final = 0.8
_PERMUTATIONS: Final = 64
_WORD: Final = re.compile(r"\w+")


class NearDuplicates:
    """Takes articles one by one and finds the earlier ones that are nearly the same.

    Signatures stay in memory (about 1 kB an article), texts do not.
    """

    def __init__(self, threshold: float = THRESHOLD) -> None:
        from datasketch import MinHashLSH

        self.index = MinHashLSH(threshold=threshold, num_perm=_PERMUTATIONS)
        self.threshold = threshold
        self.signatures: dict[int, Any] = {}

    def add(self, row: int, text: str) -> list[int]:
        """Take an article in; returns the rows of those before it that are nearly the same."""
        signature = _signature(text)
        similar = [
            other
            for other in sorted(self.index.query(signature))
            if self.signatures[other].jaccard(signature) >= self.threshold
        ]
        self.signatures[row] = signature
        self.index.insert(row, signature)
        return similar


def _signature(text: str) -> Any:
    from datasketch import MinHash

    words = _WORD.findall(text.lower())
    runs = {" ".join(words[i : i + 3]).encode() for i in range(max(1, len(words) - 2))}
    signature = MinHash(num_perm=_PERMUTATIONS)
    signature.update_batch(list(runs))
    return signature
