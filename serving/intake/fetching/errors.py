"""Why a link is not read."""

from __future__ import annotations


class FetchError(Exception):
    """A page is not read.

    Attributes:
        words: What whoever gave the link reads: the rule, the value and the way out.
    """

    def __init__(self, words: str) -> None:
        super().__init__(words)
        self.words = words
