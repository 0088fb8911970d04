"""Which characters of an article a model does not read: the output ``unread``.

Places of tokens in the text cost time, so they are looked for only where an article was cut: in one that is laid out in
windows they are known anyway, and for one of which the beginning is read `first_unread` encodes that beginning again.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt
from tokenizers import Encoding, Tokenizer

Span = tuple[int, int]
"""The first character and the one past the last."""

_CHARACTERS = 6
"""More characters than a token of English text has on average, which are 4 to 5."""


def first_unread(tokenizer: Tokenizer, text: str, encoding: Encoding, read: int) -> int:
    """Where in a text the first token begins that is not read, in characters.

    Args:
        tokenizer: The tokenizer.
        text: The text.
        encoding: What it made of the text without the blanks around it.
        read: How many tokens at the beginning are read, special ones not counted; the text has more.
    """
    known = [token for token, special in zip(encoding.ids, encoding.special_tokens_mask, strict=True) if not special]
    begin, length = len(text) - len(text.lstrip()), _CHARACTERS * (read + 1)
    body = text.strip()
    while True:
        first = tokenizer.encode(body[:length], add_special_tokens=False)
        chunks = (first, *first.overflowing)
        ids = [token for chunk in chunks for token in chunk.ids]
        # A word that the end of the beginning cuts may have other tokens than in the text: then a longer one is tried.
        if length >= len(body) or (len(ids) > read and ids[:read] == known[:read]):
            return begin + int([start for chunk in chunks for start, _ in chunk.offsets][read])
        length *= 4


def gaps(pieces: Sequence[Span], offsets: npt.NDArray[np.integer[Any]], text: str) -> list[Span]:
    """The characters of the tokens that no piece holds.

    Args:
        pieces: The first token of each piece that is read and the one past its last, ascending.
        offsets: The characters of each token of the text, [tokens, 2].
        text: The text, up to whose end nothing is read after the last piece.
    """
    count = len(offsets)
    runs = [(end, start) for (_, end), (start, _) in pairwise([(0, 0), *pieces, (count, count)]) if start > end]
    return [(int(offsets[a, 0]), int(offsets[b - 1, 1]) if b < count else len(text)) for a, b in runs]


def in_part(spans: Iterable[Span], text: str, part: str) -> list[Span]:
    """Spans of an article as spans of its last part, without blanks at their ends.

    Args:
        spans: In characters of the article, ascending.
        text: The article: its parts without the blanks around them, or the only part as it was sent.
        part: The last part as it was sent, with its blanks.

    Returns:
        What of the spans lies in the part, in characters of it, ascending. Those that touch, or have nothing but blanks
        between them, are one.
    """
    begins = len(part) - len(part.lstrip())
    shift = begins - (len(text.rstrip()) - len(part.strip()))
    found: list[Span] = []
    for first, past in spans:
        start, end = max(first + shift, 0), max(past + shift, 0)
        inside = part[start:end]
        start += len(inside) - len(inside.lstrip())
        end = start + len(inside.strip())
        if start == end:
            continue
        if found and not part[found[-1][1] : start].strip():
            start = found.pop()[0]
        found.append((start, end))
    return found


def to_array(spans: Iterable[Sequence[Span]]) -> npt.NDArray[np.object_]:
    """The spans of each article of a request in JSON, BYTES [n, 1]."""
    written = [json.dumps(found, separators=(",", ":")).encode() for found in spans]
    return np.array(written, np.object_).reshape(-1, 1)
