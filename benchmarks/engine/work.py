"""What both sides are asked: articles in tokens, and the wishes of their summaries."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt
from tokenizers import Tokenizer

from benchmarks.common.articles import compose, length_words
from benchmarks.common.server import BenchmarkError
from engine.article import Article, Sampling
from engine.settings import Settings
from infolens.contract import NEVER_ENDS

_SENTENCE: Final = re.compile(r"[^.!?]*[.!?]*\s*")
_KINDS: Final = ("free", "free", "quoting", "drawn")
"""Wishes of `Articles.mixed`, each as probable as another."""


@dataclass(frozen=True, kw_only=True)
class Defaults:
    """What a summary is where its request says nothing."""

    settings: Settings
    quotes: bool
    """Whether it consists of sentences of the article."""
    searched: bool = True
    """Whether these are found by the search, as both forms of a model have it; not by a head that only one has."""


class Articles:
    """Random articles of one seed, in the tokens of a served model.

    Args:
        tokenizer: Its ``tokenizer.json``.
        defaults: What its summaries are.
        longest: Tokens that it reads at most.
        seed: Of lengths, words and wishes.

    Raises:
        BenchmarkError: The tokenizer cannot be read.
    """

    def __init__(self, tokenizer: Path, defaults: Defaults, *, longest: int, seed: int) -> None:
        try:
            self._tokenizer = Tokenizer.from_file(str(tokenizer))
        except Exception as error:  # The library raises plain exceptions.
            raise BenchmarkError(f"cannot read {tokenizer} ({error}): export the model again") from error
        self._tokenizer.no_padding()
        self._tokenizer.no_truncation()
        self._defaults, self._longest = defaults, longest
        self._rng = np.random.default_rng([seed, 1])

    def usual(self, tokens: int | None = None) -> Article:
        """An article with the model's own settings.

        Args:
            tokens: Its length, special tokens included; None for one as long as real articles are.
        """
        ids, ends = self._read(tokens)
        quotes = self._defaults.quotes
        return Article(ids=ids, settings=self._defaults.settings, sentence_ends=ends if quotes else None)

    def mixed(self) -> Article:
        """An article as long as a real one, with wishes of its own: half free, a quarter quotes, a quarter is drawn."""
        rng = self._rng
        ids, ends = self._read(None)
        settings = replace(
            self._defaults.settings,
            min_length=int(rng.choice([4, 16, 32])),
            max_length=int(rng.choice([48, 64, 80, 128])),
            num_beams=int(rng.choice([1, 2, 4])),
            length_penalty=float(rng.choice([-1.0, 0.0, 1.0, 2.0])),
        )
        kind = rng.choice(_KINDS)
        if kind == "drawn":
            draws = rng.random(settings.max_length, np.float32)
            sampling = Sampling(temperature=float(rng.choice([0.5, 1.0])), top_p=0.9, draws=draws)
            return Article(ids=ids, settings=replace(settings, num_beams=1), sampling=sampling)
        quotes = kind == "quoting" and self._defaults.searched
        return Article(ids=ids, settings=settings, sentence_ends=ends if quotes else None)

    def _read(self, tokens: int | None) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int32]]:
        """The tokens of a new article, cut to ``tokens``, and where the sentence of each ends."""
        text = compose(self._rng, tokens or length_words(self._rng)).text  # A word has at least a token.
        encoding = self._tokenizer.encode(text)
        count = min(tokens or self._longest, self._longest, len(encoding.ids))
        ids = np.array([*encoding.ids[: count - 1], encoding.ids[-1]], np.int32)  # A special token ends every article.
        ends = sentence_ends(text, encoding.offsets)[:count]
        ends[-1] = -1
        ends[ends >= count - 1] = NEVER_ENDS
        return ids, ends


def sentence_ends(text: str, offsets: list[tuple[int, int]]) -> npt.NDArray[np.int32]:
    """The place of the last token of each token's sentence; -1 for tokens without characters, the special ones."""
    limits = [found.end() for found in _SENTENCE.finditer(text)]
    sentences = np.searchsorted(limits, [end - 1 for _, end in offsets], side="right")
    sentences[[end <= start for start, end in offsets]] = -1
    ends = np.full(len(offsets), -1, np.int32)
    for number in np.unique(sentences[sentences >= 0]):
        (places,) = np.nonzero(sentences == number)
        ends[places] = places[-1]
    return ends


def random_articles(count: int, tokens: int, vocabulary: int, settings: Settings) -> list[Article]:
    """Articles of random words without padding, with BART's special tokens around them; the same at every call."""
    found = []
    for number in range(count):
        ids = np.random.default_rng([0, number]).integers(10, vocabulary, tokens).astype(np.int32)
        ids[0], ids[-1] = 0, 2
        found.append(Article(ids=ids, settings=settings))
    return found
