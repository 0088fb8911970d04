"""An article in tokens, and what it writes into its slot: the same for every executor."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from .settings import EARLY_STOPPING, Bucket, Rules, Settings
from .tensors import NEVER

Integers = npt.NDArray[np.int64]
_TEMPERATURES: Final = (1e-20, 1e6)
"""Beyond these, scores that are divided by them are no numbers of 32 bits any more, or all alike."""


@dataclass(frozen=True, kw_only=True)
class Sampling:
    """How one summary is drawn."""

    temperature: float
    top_p: float
    draws: npt.NDArray[np.float32]
    """A number in [0, 1) for each step, FLOAT (max_length,)."""

    def check(self) -> None:
        """Compare with what a word can be drawn by.

        Raises:
            ValueError: A number is out of its range; the message has the range.
        """
        least, greatest = _TEMPERATURES
        if not least <= self.temperature <= greatest:
            raise ValueError(
                f"temperature is {least:g} to {greatest:g} where a summary is drawn, not {self.temperature:g}"
            )
        if not 0 < self.top_p <= 1:
            raise ValueError(f"top_p is greater than 0 and at most 1, not {self.top_p:g}")
        # 1 may come of rounding, and stands for the least likely word.
        outside = self.draws[~((self.draws >= 0) & (self.draws <= 1))]
        if len(outside):
            raise ValueError(f"a summary is drawn by numbers from 0 to 1, not {outside[0]:g}")


@dataclass(frozen=True, kw_only=True)
class Article:
    """What a summary is made of."""

    ids: npt.NDArray[np.int32]
    """Tokens, INT32 (tokens,), without padding behind them."""
    settings: Settings
    mask: npt.NDArray[np.int32] | None = None
    """INT32 (tokens,): 0 at the padding that fills up windows; None where every token is read."""
    sentence_ends: npt.NDArray[np.int32] | None = None
    """Where the sentence of each token ends, INT32 (tokens,), as `infolens.tensors.SENTENCE_ENDS` says; None where the
    summary is free."""
    sampling: Sampling | None = None
    """How it is drawn; None for a search."""

    @property
    def seen(self) -> npt.NDArray[np.int32]:
        """Which tokens are read: INT32 (tokens,), 1 or 0."""
        return np.ones_like(self.ids) if self.mask is None else self.mask

    @property
    def plain(self) -> bool:
        """Whether the summary is free and searched for: what ``plain.onnx`` can do."""
        return self.sentence_ends is None and self.sampling is None


@dataclass(frozen=True, kw_only=True)
class Spacing:
    """The forms of words with and without a space before them; the word itself where there is none."""

    spaced: npt.NDArray[np.int32]
    """INT32 (vocabulary,)."""
    unspaced: npt.NDArray[np.int32]


def check(article: Article, bucket: Bucket, rules: Rules, vocabulary: int) -> None:
    """Compare an article with what the buffers hold, and with the words that the model knows.

    What is let through here must fail in no step: a step that fails takes all articles beside this one with it.

    Raises:
        ValueError: It is too long or empty, a token or a setting is out of its range, or its parts do not fit together.
    """
    tokens = len(article.ids)
    if not 1 <= tokens <= bucket.source_length:
        raise ValueError(f"an article has 1 to {bucket.source_length} tokens in this bucket, not {tokens}")
    article.settings.check(bucket, rules)
    if article.ids.min() < 0 or article.ids.max() >= vocabulary:
        raise ValueError(
            f"a token is 0 to {vocabulary - 1} in this model, not {article.ids.min()} to {article.ids.max()}"
        )
    if article.mask is not None and article.mask.shape != article.ids.shape:
        raise ValueError(f"mask has a number for each of {tokens} tokens, not the shape {article.mask.shape}")
    if not article.seen.any():
        raise ValueError("an article has a token that is read, but its mask is 0 everywhere")
    if article.sentence_ends is not None and len(article.sentence_ends) != tokens:
        raise ValueError(f"sentence_ends has a number for each of {tokens} tokens, not {len(article.sentence_ends)}")
    if article.sampling is not None:
        article.sampling.check()
        if article.settings.num_beams != 1:
            raise ValueError(f"a summary that is drawn has one beam, not {article.settings.num_beams}")
        if len(article.sampling.draws) < article.settings.max_length:
            raise ValueError(
                f"a summary of at most {article.settings.max_length} tokens is drawn by as many numbers, not "
                f"{len(article.sampling.draws)}"
            )


def wishes_of(settings: Settings, bucket: Bucket) -> dict[str, npt.NDArray[np.generic]]:
    """The rows of `tensors.WISHES` for a slot, by name, without the first dimension."""
    single = settings.num_beams == 1
    # One beam is a greedy search, which `transformers` ends at the first end token whatever this setting says.
    early = EARLY_STOPPING[True if single else settings.early_stopping]
    hopeful = early == EARLY_STOPPING["never"] and settings.length_penalty > 0
    lengths = np.arange(bucket.target_length, dtype=np.float64)
    lengths[0] = 1
    whole = {
        "min_length": settings.min_length,
        "max_length": settings.max_length,
        "num_beams": settings.num_beams,
        "no_repeat_ngram_size": settings.no_repeat_ngram_size,
        "early_stopping": early,
        "horizon": settings.max_length - 1 if hopeful else 0,
    }
    rows: dict[str, npt.NDArray[np.generic]] = {name: np.asarray(value, np.int64) for name, value in whole.items()}
    return {**rows, "spans": (lengths**settings.length_penalty).astype(np.float32)}


def choices_of(article: Article, bucket: Bucket, rules: Rules, spacing: Spacing) -> dict[str, npt.NDArray[np.generic]]:
    """The rows of `tensors.CHOICES` for a slot, by name, without the first dimension."""
    sampling = np.zeros(bucket.target_length + 2, np.float32)
    if article.sampling is not None:
        drawn = article.sampling
        count = min(len(drawn.draws), bucket.target_length)
        sampling[:2], sampling[2 : 2 + count] = (drawn.temperature, drawn.top_p), drawn.draws[:count]
    ids = np.full(bucket.source_length, rules.pad_token, np.int64)
    ids[: len(article.ids)] = article.ids
    ends = np.full(bucket.source_length, -1, np.int64)
    if article.sentence_ends is not None:
        ends[: len(article.ids)] = _quotable(article.ids.astype(np.int64), article.sentence_ends, rules)
    edge = np.array([-1])
    known = ends != -1
    starts = known & (ends != np.concatenate([edge, ends[:-1]]))
    lasts = known & (ends != np.concatenate([ends[1:], edge]))
    forms = [np.where(starts, table[ids], ids) for table in (spacing.unspaced, spacing.spaced)]
    return {
        "quoting": np.asarray(article.sentence_ends is not None),
        "quote_tokens": np.stack(forms).astype(np.int64),
        "quote_ends": ends,
        "quote_starts": starts,
        "quote_lasts": lasts,
        "sampling": sampling,
    }


def beginning(bucket: Bucket, rules: Rules) -> dict[str, npt.NDArray[np.generic]]:
    """The rows of `tensors.STATE` and `tensors.QUOTED` with which every search begins, without the first dimension."""
    beams, longest = bucket.beams, bucket.target_length
    tokens = np.full((beams, longest), rules.pad_token, np.int64)
    tokens[:, 0] = rules.start_token
    running = np.full(beams, NEVER, np.float32)
    running[0] = 0
    return {
        "length": np.asarray(1, np.int64),
        "newest": np.full(beams, rules.start_token, np.int64),
        "tokens": tokens,
        "running": running,
        "visible": np.zeros((beams, bucket.nodes), np.bool_),
        "best_tokens": tokens.copy(),
        "best_scores": np.full(beams, NEVER, np.float32),
        "finished": np.zeros(beams, np.bool_),
        "improvable": np.asarray(True),
        "done": np.asarray(False),
        "quoted": np.zeros((beams, bucket.source_length), np.int64),
    }


def _quotable(ids: Integers, sentence_ends: npt.NDArray[np.int32], rules: Rules) -> Integers:
    """The ends of the sentences that may be quoted: -1 in those with a token that no summary has."""
    ends = sentence_ends.astype(np.int64)
    barred = np.unique(ends[np.isin(ids, rules.unquotable)])
    ends[np.isin(ends, barred)] = -1
    return ends
