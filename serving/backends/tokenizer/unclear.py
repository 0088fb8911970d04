"""Whether a classifier can judge a text at all, seen before any model reads it: the output ``unclear``.

A classifier of two words, or of a text in an alphabet that it has no tokens for, still gives one of its labels, and is
often surer of it than of a whole article's. So the tokenizer says what it saw, and the last model says it aloud.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

OUTPUT = "unclear"
"""Name of the output, INT32 [n, 1]."""
CLEAR, TOO_SHORT, TOO_LITTLE_READ, UNREADABLE = range(4)
"""Its values; the first reason that holds counts."""


@dataclass(frozen=True, kw_only=True)
class Rules:
    """From where on a text is too little to judge by."""

    least_words: int = 0
    """Fewer words are too short a text."""
    least_read: float = 0.0
    """Share of the text's tokens that must be read."""
    most_unknown: float = 0.2
    """Share of the tokens read that may be unknown to the model. Whole articles have 0.1 at most, with a vocabulary
    that lacks curly quotation marks."""

    @classmethod
    def read(cls, parameters: Mapping[str, str]) -> Rules:
        """The rules that the parameters of a configuration set; the others are as above.

        Raises:
            ValueError: A parameter is no number, or out of its range.
        """
        rules = cls(
            least_words=int(parameters.get("least_words", cls.least_words)),
            least_read=float(parameters.get("least_read", cls.least_read)),
            most_unknown=float(parameters.get("most_unknown", cls.most_unknown)),
        )
        if rules.least_words < 0:
            raise ValueError(f"parameter least_words is a number of words from 0, not {rules.least_words}")
        for name, share in (("least_read", rules.least_read), ("most_unknown", rules.most_unknown)):
            if not 0 <= share <= 1:
                raise ValueError(f"parameter {name} is a share between 0 and 1, not {share:g}")
        return rules

    def judge(self, text: str, ids: Sequence[int], cut: int, unknown_id: int | None) -> int:
        """Why no classifier can judge a text, or ``CLEAR``.

        Args:
            text: The text, title included.
            ids: The tokens that are read, special ones included.
            cut: How many tokens are not read.
            unknown_id: The token that stands for what the model has no token for; None where there is none.
        """
        if len(text.split(maxsplit=self.least_words)) < self.least_words:
            return TOO_SHORT
        if len(ids) < self.least_read * (len(ids) + cut):
            return TOO_LITTLE_READ
        unknown = 0 if unknown_id is None else ids.count(unknown_id)
        return UNREADABLE if unknown > self.most_unknown * len(ids) else CLEAR

    def judge_all(
        self, texts: Sequence[str], arrays: Mapping[str, npt.NDArray[Any]], unknown_id: int | None
    ) -> npt.NDArray[np.int32]:
        """What `judge` says of each text, INT32 [n, 1].

        Args:
            texts: The texts, titles included.
            arrays: The tensors that were made of them: `rows.to_arrays`.
            unknown_id: As in `judge`.
        """
        read = zip(arrays["input_ids"], arrays["attention_mask"], strict=True)
        ids = [row[mask == 1].tolist() for row, mask in read]
        cut = arrays["truncated_tokens"].ravel().tolist()
        judged = [self.judge(*row, unknown_id) for row in zip(texts, ids, cut, strict=True)]
        return np.array(judged, np.int32).reshape(-1, 1)


def unknown_token(tokenizer: Path) -> int | None:
    """The id of the unknown token of a ``tokenizer.json``; None where it falls back to bytes, or has none."""
    document = json.loads(tokenizer.read_text(encoding="utf-8"))
    model = document["model"]
    if model.get("byte_fallback"):
        return None
    if isinstance(model.get("unk_id"), int):  # Unigram numbers it, the others name it.
        return int(model["unk_id"])
    vocabulary = model.get("vocab", {})
    return vocabulary.get(model.get("unk_token")) if isinstance(vocabulary, dict) else None
