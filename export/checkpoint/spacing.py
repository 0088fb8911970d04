"""Words with and without a space before them, as a vocabulary has them: ``Ġthe`` and ``the``, or ``▁the``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import numpy as np

from export.architectures import Spacing

_MARKS: Final = ("\u0120", "\u2581")
"""What stands for a space: in byte-level vocabularies, and in those of SentencePiece."""


def spacing_of(vocabulary: Mapping[str, int]) -> Spacing:
    """The forms of the words of a vocabulary, given as ``get_vocab()`` of a tokenizer returns it."""
    spaced = np.arange(max(vocabulary.values()) + 1, dtype=np.int32)
    unspaced = spaced.copy()
    mark = max(_MARKS, key=lambda one: sum(word.startswith(one) for word in vocabulary))
    for word, number in vocabulary.items():
        other = vocabulary.get(word[1:]) if word.startswith(mark) else None
        if other is not None:
            spaced[other], unspaced[number] = number, other
    return Spacing(spaced=spaced, unspaced=unspaced)
