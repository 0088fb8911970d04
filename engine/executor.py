"""What an executor is: the buffers of one bucket, and whatever continues the searches in them by a token."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from .article import Article, Integers
from .settings import Bucket


class UnavailableError(Exception):
    """This machine cannot run an executor; the message says which library is missing and which wheel brings it."""


class Executor(Protocol):
    """The summarizer over the buffers of one bucket. One thread at a time may use it.

    A slot is empty, or has an article whose search goes on or is done. A step continues all searches; what is done
    stays as it is, and an empty slot costs no more than its share of the step.
    """

    bucket: Bucket
    name: str
    """What runs it, in words: ``onnxruntime CPU``, ``torch CUDA``..."""
    sizes: Sequence[int]
    """In how many slots a step comes, growing up to all: it takes the first ones, the fewest that have all articles
    among them, so that it may pay to `move`. Empty where a step always takes all."""

    def join(self, slot: int, article: Article) -> None:
        """Put an article into an empty slot, and begin its search: it is read now, or with others by the next step.

        Raises:
            ValueError: It does not fit (`article.check`); the slot stays empty.
        """

    def step(self) -> None:
        """Continue every search by a token; may return before the device is done."""

    def done(self) -> Sequence[int]:
        """The slots whose search is known to be over, without waiting: a step or two late on a device.

        A slot is named again until it is left.
        """

    def summary(self, slot: int) -> Integers:
        """The best summary of a slot that is done, INT64 (target_length,), start and end included, then padding."""

    def leave(self, slot: int) -> None:
        """Empty a slot, whether its search is over or not."""

    def move(self, source: int, target: int) -> None:
        """Move the search of a slot to an empty one, where there are `sizes`."""

    def close(self) -> None:
        """Free the buffers."""
