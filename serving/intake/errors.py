"""Why something was not read."""

from __future__ import annotations


class ReadError(Exception):
    """A file cannot be read as what was asked; the words are for its sender: the rule, the value, the way out."""

    def __init__(self, words: str) -> None:
        super().__init__(words)
        self.words = words


class ReadersBusyError(ReadError):
    """As many files as may are being read or wait for it; later there is room."""


class ReadersAwayError(ReadError):
    """The processes that read files cannot be started, or are being ended: no fault of the file."""
