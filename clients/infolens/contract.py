"""The contract between the rooms of Info Lens: tasks, models, tensors, settings and length buckets.

This is the one place that names them. The exporter builds every ``config.pbtxt`` from it, the client packs and
unpacks requests with it, and the tests check that the committed repository is in step with it. It imports nothing
but the standard library.
"""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any, Final

from .tasks import (
    CONTRACTS,
    EVIDENCE_MODEL,
    INFO_LENS,
    AnswerKind,
    ServedModel,
    Task,
    TaskContract,
    register,
    register_classifier,
)
from .tensors import (
    ATTENTION_MASK,
    EVIDENCE,
    FAILED,
    INPUT_IDS,
    NEVER_ENDS,
    SAMPLING,
    SENTENCE_ENDS,
    SEQUENCES,
    SETTING_INPUTS,
    SOURCE,
    SUMMARY_SETTINGS,
    TEXT,
    TITLE,
    TOKEN_TYPE_IDS,
    TOKENS,
    TRUNCATED_TOKENS,
    UNCLEAR,
    UNCLEAR_REASONS,
    UNREAD,
    SummarySetting,
    Tensor,
)

__all__ = [
    "ATTENTION_MASK",
    "CATEGORIES",
    "CONTRACTS",
    "EVIDENCE",
    "EVIDENCE_MODEL",
    "EVIDENCE_PARAMETER",
    "FAILED",
    "INFO_LENS",
    "INPUT_IDS",
    "LABELS_PARAMETER",
    "LENGTH_BUCKETS",
    "MAX_ARTICLE_BYTES",
    "NEVER_ENDS",
    "PARTIAL",
    "SAMPLING",
    "SENTENCE_ENDS",
    "SEQUENCES",
    "SERVED_PARAMETER",
    "SETTING_INPUTS",
    "SOURCE",
    "SUMMARY_SETTINGS",
    "TEXT",
    "TITLE",
    "TOKENS",
    "TOKEN_TYPE_IDS",
    "TRUNCATED_TOKENS",
    "UNCLEAR",
    "UNCLEAR_REASONS",
    "UNREAD",
    "VERACITIES",
    "AnswerKind",
    "ServedModel",
    "SummarySetting",
    "Task",
    "TaskContract",
    "Tensor",
    "buckets_up_to",
    "register",
    "register_classifier",
]

CATEGORIES: Final = (
    "Business",
    "Politics",
    "Food & Drink",
    "Travel",
    "Parenting",
    "Style & Beauty",
    "Wellness",
    "World News",
    "Sports",
    "Entertainment",
)
"""The categories of the starter; the index is the class id. Other checkpoints bring labels of their own."""

VERACITIES: Final = ("real", "fake")
"""The verdicts of the starter; the index is the class id."""

LENGTH_BUCKETS: Final = (64, 128, 192, 256, 320, 384, 448, 512, 768, 1024)
"""Token lengths that inputs are padded to, so that requests meet in a batch (Triton batches equal shapes only).

A model whose limit is smaller uses the buckets below its limit, and the limit itself.
"""

MAX_ARTICLE_BYTES: Final = 262_144
"""Largest title plus text that the server tokenizes, in UTF-8 bytes; a longer one is refused with a clear error."""

PARTIAL: Final = "partial"
"""The request parameter of the model `INFO_LENS`, true or false, that asks for the answers that there are when another
task fails; the output `FAILED` then says which and why."""

EVIDENCE_PARAMETER: Final = "evidence"
"""The request parameter of the model `INFO_LENS`, true or false, that asks for the output `EVIDENCE`: a request that
names no outputs must not cost several times as much."""

LABELS_PARAMETER: Final = "labels"
"""The parameter of a task's ensemble that lists its labels, in JSON: `/v2/models/<ensemble>/config` shows it."""

SERVED_PARAMETER: Final = "served"
"""The parameter that a server's door adds to the configuration of a task's ensemble, in JSON: which model answers it,
in which version and revision, and where that comes from, as an entry of `/v1/models` says it."""


Task.SUMMARY = register(
    "summary",
    answers=AnswerKind.TEXT,
    ensemble="summarize",
    model="bart",
    architecture="bart",
    reads=(TEXT.name,),
    inputs=(TEXT, *SETTING_INPUTS),
    settings=SUMMARY_SETTINGS,
)
Task.CATEGORY = register_classifier(
    "category",
    ensemble="classify",
    model="distilbert",
    architecture="distilbert",
    default_labels=CATEGORIES,
    # Of unseen whole articles it is right about 79 % where it read 30 % of the text or more, and 61 % below.
    least_read=0.3,
)
Task.VERACITY = register_classifier(
    "veracity",
    ensemble="verify",
    model="xlnet",
    architecture="xlnet",
    default_labels=VERACITIES,
    doubt_word="no clear signal",
    # The fewer the words, the surer the starter and the less often right: 8 words 0.82 sure and 52 % right, 48 words
    # 0.75 and 59 % (unseen collections).
    least_words=48,
)


if not TYPE_CHECKING:  # a type checker would take every name for one of this module

    def __getattr__(name: str) -> Any:
        if name == "ENSEMBLE":
            warnings.warn("ENSEMBLE is now INFO_LENS: the model is no ensemble", DeprecationWarning, stacklevel=2)
            return INFO_LENS
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def buckets_up_to(limit: int, buckets: tuple[int, ...] = LENGTH_BUCKETS) -> tuple[int, ...]:
    """The length buckets of a model that reads at most ``limit`` tokens; the last one is ``limit`` itself.

    Raises:
        ValueError: ``limit`` is not positive.
    """
    if limit < 1:
        raise ValueError(f"a model reads at least 1 token, not {limit}")
    return (*(bucket for bucket in buckets if bucket < limit), limit)
