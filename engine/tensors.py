"""The tensors of a step, by name, type and dimensions: what the graphs, the executors and the kernels agree on.

Dimensions have the names of `settings.Bucket.sizes`: ``slots`` (articles at a time), ``beams``, ``source`` (tokens of
an article), ``target`` (tokens of the longest summary), ``nodes`` (places of its tree), ``draws`` (``target`` + 2).

A step reads every tensor below and the caches, and writes each tensor ``X`` of `STATE` anew as ``X_next``: two sets of
buffers take turns, since nothing orders the reading of the one against the writing of the other. A cache ``C`` that a
step writes is its output ``C_next`` too, but in the same memory: only one node reads it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

NEXT: Final = "_next"
"""What the output of a step has at the end of its name, beside the input of the same name without it."""
NEVER: Final = -1e9
"""The score of a beam that cannot be chosen, as in ``transformers``."""
MAY_FOLLOW: Final = 1
"""In ``quoted``: the token of this place of the article may come next."""
USED: Final = 2
"""In ``quoted``: the last token of a sentence that is written already."""


@dataclass(frozen=True, kw_only=True)
class StepTensor:
    """One tensor of a step."""

    name: str
    dtype: str
    """``INT64``, ``FLOAT`` or ``BOOL``."""
    dims: tuple[str, ...]
    """Names of dimensions; the first is always ``slots``. A number is written as it is."""

    @property
    def numpy(self) -> np.dtype[np.generic]:
        """The type in numpy."""
        return np.dtype(DTYPES[self.dtype])


DTYPES: Final = {"INT64": np.int64, "FLOAT": np.float32, "BOOL": np.bool_}


def _tensor(name: str, dtype: str, *dims: str) -> StepTensor:
    return StepTensor(name=name, dtype=dtype, dims=("slots", *dims))


WISHES: Final = (
    _tensor("min_length", "INT64"),
    _tensor("max_length", "INT64"),
    _tensor("num_beams", "INT64"),
    _tensor("no_repeat_ngram_size", "INT64"),
    _tensor("early_stopping", "INT64"),
    _tensor("horizon", "INT64"),
    _tensor("spans", "FLOAT", "target"),
)
"""What a summary asks for, written by the host when its article joins.

``early_stopping`` is a value of `EARLY_STOPPING`, and 1 for one beam. ``horizon`` is the length with which a running
beam is compared: ``max_length`` - 1 where the search ends only when none can become better (``never``) and the penalty
is positive, else 0 for the length so far. ``spans`` has at ``t`` what the score of a summary of ``t`` tokens is divided
by, ``t ** length_penalty`` computed in double precision; 1 at 0."""
CHOICES: Final = (
    _tensor("quoting", "BOOL"),
    _tensor("quote_tokens", "INT64", "2", "source"),
    _tensor("quote_ends", "INT64", "source"),
    _tensor("quote_starts", "BOOL", "source"),
    _tensor("quote_lasts", "BOOL", "source"),
    _tensor("sampling", "FLOAT", "draws"),
)
"""What a summary that quotes, or one that is drawn, asks for beside; ``plain.onnx`` has none of these.

``quoting``: whether every token continues a sentence of the article. ``quote_tokens``: the token that each place of
the article brings, [0] where the summary's text begins, [1] elsewhere. ``quote_ends``: where the sentence of the place
ends, -1 where none may be quoted. ``quote_starts``, ``quote_lasts``: where a sentence begins, and where its last token
is. ``sampling``: temperature (0 for a search), ``top_p``, and a number in [0, 1) for each step: the one with ``t``
tokens so far reads ``sampling[1 + t]``."""
STATE: Final = (
    _tensor("length", "INT64"),
    _tensor("newest", "INT64", "beams"),
    _tensor("tokens", "INT64", "beams", "target"),
    _tensor("running", "FLOAT", "beams"),
    _tensor("visible", "BOOL", "beams", "nodes"),
    _tensor("best_tokens", "INT64", "beams", "target"),
    _tensor("best_scores", "FLOAT", "beams"),
    _tensor("finished", "BOOL", "beams"),
    _tensor("improvable", "BOOL"),
    _tensor("done", "BOOL"),
)
"""The searches. ``length``: tokens so far. ``newest``: the newest token of each beam. ``tokens``: all of them, then
padding. ``running``: log probabilities of the beams, best first. ``visible``: the nodes on each beam's path, but for
its newest one, which a step adds itself. ``best_tokens``, ``best_scores``: the finished beams, best first, then
padding. ``finished``: which places hold one. ``improvable``: whether a better one may still be found. ``done``:
whether the search is over; an empty slot is done, and a slot that is done stays as it is."""
QUOTED: Final = _tensor("quoted", "INT64", "beams", "source")
"""State of `CHOICES`: `MAY_FOLLOW`, `USED` or 0 at each place of the article, as of the step before."""
