"""The settings of a beam search and the tensors of its steps; fields are names of tensors, or constants.

Shapes: ``B`` articles, ``K`` beams, ``R = B * K`` rows, ``C`` candidates (twice as many as beams, and as many more as
there are further end tokens), ``t`` tokens so far, ``V`` words.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
from onnx import TensorProto

from infolens.contract import INPUT_IDS, SAMPLING, SENTENCE_ENDS, SUMMARY_SETTINGS, SummarySetting

from .graph import Graph
from .initializers import Initializers

BY_LENGTH: Final = tuple(setting for setting in SUMMARY_SETTINGS if setting.by_length)
"""The settings that come as lengths of dummies: those of `Settings`, in the order of the inputs."""


@dataclass(frozen=True, kw_only=True)
class Rules:
    """The tokens and rules that a checkpoint's generation configuration fixes."""

    start_token: int
    end_tokens: tuple[int, ...]
    """A summary ends at the first of any of these."""
    last_token: int
    """One of ``end_tokens``: what a summary of the greatest length ends with."""
    pad_token: int
    first_token: int | None
    """The token that every summary must have after ``start_token``; None for any."""
    no_repeat_ngram_size: int
    """No sequence of so many tokens occurs twice; 0 allows all."""
    repetition_penalty: float = 1.0
    """The score of a token that is there already is divided by it, or multiplied where it is below 0."""
    never: tuple[int, ...] = ()
    """Tokens that no summary has."""
    never_first: tuple[int, ...] = ()
    """Tokens that no summary begins with, after ``start_token`` and ``first_token``."""
    early_stopping: bool | str
    """When an article's search ends, as in ``transformers``. True: at ``K`` finished beams. False: when no running beam
    is likely to become better than a finished one. ``"never"``: when none can become better."""

    @property
    def before(self) -> int:
        """How many tokens stand before the text of every summary."""
        return 1 if self.first_token is None else 2

    @property
    def unquotable(self) -> tuple[int, ...]:
        """Tokens that no quoted sentence has."""
        return tuple(dict.fromkeys((*self.end_tokens, self.pad_token, *self.never)))


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Names of the tensors that hold the settings of a request: INT64 (1,), and FLOAT (1,) for the penalty.

    Lengths count tokens, the start and end tokens included.
    """

    min_length: str
    max_length: str
    num_beams: str
    length_penalty: str
    sampling: str
    """FLOAT (B, 1) for a search; (B, 2 + n) for a sample: temperature, top_p, and a uniform number for each step."""

    @classmethod
    def read(cls, graph: Graph) -> Settings:
        """Write into a graph what reads them from the inputs of a request."""
        return cls(**{setting.name: _value(graph, setting) for setting in BY_LENGTH}, sampling=SAMPLING.name)


def _value(graph: Graph, setting: SummarySetting) -> str:
    """The value of a request's setting, shape (1,), from the length of its dummy: `SummarySetting.decode`."""
    whole = setting.dtype == "INT32"
    dtype, to = (np.int64, TensorProto.INT64) if whole else (np.float32, TensorProto.FLOAT)
    units = graph.one("Cast", graph.dimension(setting.name, 1), to=to)
    steps = graph.one("Sub", units, graph.initializers.constant([1], dtype))
    scaled = graph.one("Div", steps, graph.initializers.constant([setting.steps_per_unit], dtype))
    return graph.one("Add", scaled, graph.initializers.constant([setting.minimum], dtype))


@dataclass(frozen=True, kw_only=True)
class Source:
    """Names of the tensors that say what a summary may quote."""

    ids: str
    """The tokens of the articles, INT32 (B, L)."""
    ends: str
    """Where the sentence of every position ends, INT32 (B, L), as `infolens.tensors.SENTENCE_ENDS`; (B, 1) where a
    summary is free."""
    spaced: str
    """For each word the one with a space before it, INT32 (V); the word itself where there is none."""
    unspaced: str
    """The same without a space."""

    @classmethod
    def read(
        cls,
        initializers: Initializers,
        spaced: npt.NDArray[np.int32],
        unspaced: npt.NDArray[np.int32],
        vocabulary: int,
    ) -> Source:
        """Store the tables of words, INT32 (words,); words up to ``vocabulary`` that they lack stand for themselves."""
        tables = {}
        for name, table in (("spaced", spaced), ("unspaced", unspaced)):
            rest = np.arange(len(table), vocabulary, dtype=np.int32)
            tables[name] = initializers.add(name, np.concatenate([table, rest]))
        return cls(ids=INPUT_IDS.name, ends=SENTENCE_ENDS.name, **tables)


@dataclass(frozen=True, kw_only=True)
class Step:
    """The inputs of a decoder in one step."""

    tokens: str
    """The newest token of every beam, INT32 (R, 1)."""
    position: str
    """``t - 1``, INT64 (1,)."""
    caches: list[str]
    """FLOAT (B, heads, K * (t - 1), head size); a key and a value for each layer."""
    ancestors: str
    """The bias of the attention's scores: FLOAT (B, 1, K, K * t), 0 where a beam may look."""


Decoder = Callable[[Graph, Step], tuple[str, list[str]]]
"""Writes one step: returns the logits FLOAT (R, V), and the caches with the new keys and values appended."""


@dataclass(frozen=True)
class Candidates:
    """Names of tensors (B, C): the best continuations of each article, best first."""

    scores: str
    tokens: str
    rows: str
    """The row, of the R rows, that each one continues."""
    ends: str


@dataclass(frozen=True)
class Finished:
    """Names of tensors: the finished beams of each article, best first."""

    sequences: str
    """INT32 (B, K, max_length)."""
    scores: str
    """FLOAT (B, K)."""
    finished: str
    """BOOL (B, K): which places hold a finished beam."""
    improvable: str
    """BOOL (B, 1): whether a better one may still be found."""


@dataclass(frozen=True)
class Found:
    """Names of tensors: what a search has found when its steps are over."""

    history: str
    """The tokens of every beam that runs on, INT32 (R, t)..."""
    running: str
    """...and its score, FLOAT (B, K)."""
    finished: Finished
