"""The sentences of news prose, on one line each, as `reading.sentences` finds them for training and serving alike."""

from __future__ import annotations

from reading.sentences import split


def split_sentences(text: str) -> list[str]:
    """Split a text into sentences, in order, stripped and never empty; white space in one is collapsed to blanks."""
    return [" ".join(text[start:end].split()) for start, end in split(text)]
