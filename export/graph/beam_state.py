"""What a beam search is told, and the tensors that it hands on; all fields are names of tensors, or constants.

Shapes: ``B`` articles, ``K`` beams, ``R = B * K`` rows, ``t`` tokens so far, ``V`` words.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from .graph import Graph


@dataclass(frozen=True, kw_only=True)
class Rules:
    """The tokens and rules that a checkpoint's generation configuration fixes."""

    start: int
    end: int
    pad: int
    first: int | None
    """The token that every summary starts with, after ``start``."""
    no_repeat: int
    """No sequence of so many tokens comes twice; 0 allows it."""
    early_stopping: bool | str
    """True: stop at ``K`` finished beams; False or ``"never"``: when none can become better, guessed or for certain."""


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Names of INT64 (1,) tensors, and of one FLOAT (1,)."""

    least: str
    most: str
    """Lengths count tokens, the start and end tokens included."""
    beams: str
    penalty: str


@dataclass(frozen=True, kw_only=True)
class Step:
    """What a decoder gets for one step."""

    tokens: str
    """The newest token of every beam, INT32 (R, 1)."""
    position: str
    """``t - 1``, INT64 (1,)."""
    caches: list[str]
    """FLOAT (B, heads, K * (t - 1), head size); a key and a value for each layer."""
    ancestors: str
    """What is added to the attention's scores: FLOAT (B, 1, K, K * t), 0 where a beam may look."""


Decoder = Callable[[Graph, Step], tuple[str, list[str]]]
"""One step: logits FLOAT (R, V), and the caches with the new keys and values behind the old ones."""


@dataclass(frozen=True)
class Candidates:
    """Names of tensors (B, 2K): the best continuations of each article, best first."""

    scores: str
    tokens: str
    rows: str
    """Which of the R rows each one continues."""
    ends: str


@dataclass(frozen=True)
class Finished:
    """Names of tensors: the finished beams of each article, best first."""

    sequences: str
    """INT32 (B, K, most)."""
    scores: str
    """FLOAT (B, K)."""
    finished: str
    """BOOL (B, K): which of them there are."""
    improvable: str
    """BOOL (B, 1): whether one may still be added."""
