"""Which tokens are words: the same for the labels that a model learns from and for the sentences chosen by its answer.

A word begins at a token that opens with a letter or a digit and that stands after a blank, or is the first of its
sentence, or follows a token without letters. It goes on over the tokens that follow without a blank and open with
letters or digits too. So words are what ROUGE counts, nearly: "3.5" is two, and so is "court's".
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

if __package__:
    from .windows import NEVER_ENDS, opens
else:  # a copy in the folder of one of Triton's backends
    from windows import NEVER_ENDS, opens  # type: ignore[import-not-found, no-redef]

_BYTES, _PIECES, _SUFFIX = "\u0120", "\u2581", "##"
"""What opens a token after a blank in a byte-level vocabulary and in one of SentencePiece; and a token that is none in
one of WordPiece."""
_PLAIN: Final = (*range(33, 127), *range(161, 173), *range(174, 256))
"""The bytes that byte-level vocabularies write as the character of that number; the others are written as those from
256 on, in their order (Radford et al., "Language Models are Unsupervised Multitask Learners", 2019)."""
_BYTE_OF: Final = {
    **{chr(byte): byte for byte in _PLAIN},
    **{chr(256 + place): byte for place, byte in enumerate(sorted({*range(256)} - {*_PLAIN}))},
}


@dataclass(frozen=True, kw_only=True)
class Words:
    """The words of the article in a row of tokens, in their order."""

    texts: tuple[str, ...]
    """Each word in small letters; equal ones are the same word."""
    tokens: npt.NDArray[np.int64]
    """The place in the row of the first token of each word, (words,)."""
    sentences: npt.NDArray[np.int64]
    """The sentence that each word stands in, counted from 0, (words,)."""
    sizes: npt.NDArray[np.int64]
    """How many tokens each sentence has, (sentences,); 0 for one that was not read to its end."""

    @property
    def paired(self) -> npt.NDArray[np.int64]:
        """The words, by index, that have another word before them in their sentence."""
        return np.flatnonzero(self.sentences[1:] == self.sentences[:-1]) + 1


class Vocabulary:
    """The tokens of a tokenizer, as parts of words.

    Args:
        tokens: The string of each token, by its id, as the tokenizer's file has it: byte-level, SentencePiece or
            WordPiece, which are told apart by their marks; where there are no marks, each token is a word. Ids without
            a token have an empty string.
    """

    def __init__(self, tokens: Sequence[str]) -> None:
        counts = {mark: sum(one.startswith(mark) for one in tokens) for mark in (_BYTES, _PIECES, _SUFFIX)}
        mark = max(counts, key=lambda one: counts[one]) if any(counts.values()) else ""
        opening = [token.startswith(mark) for token in tokens]
        plain = [token[len(mark) :] if opens else token for token, opens in zip(tokens, opening, strict=True)]
        if mark == _BYTES:
            plain = [_decoded(token) for token in plain]
        self._after_blank = np.array(opening, np.bool_) ^ (mark == _SUFFIX)
        self._letters = np.array([token[:1].isalnum() for token in plain], np.bool_)
        self._lower = [token.lower() for token in plain]

    def __len__(self) -> int:
        return len(self._lower)

    def words(self, ids: npt.NDArray[np.integer[Any]], ends: npt.NDArray[np.integer[Any]]) -> Words:
        """Find the words of a row.

        Args:
            ids: The tokens, (length,).
            ends: For each the place of the last token of its sentence, (length,): see `windows.place`. Tokens of -1,
                which are of no sentence, have no words.

        Raises:
            IndexError: The vocabulary has no such token.
        """
        first = opens(ends)
        sentence = np.cumsum(first) - 1
        letters = self._letters[ids] & (ends >= 0)
        after_letters = np.concatenate(([False], letters[:-1]))[: len(letters)]
        begins = letters & (self._after_blank[ids] | first | ~after_letters)
        places = np.flatnonzero(begins)
        # A token with letters that begins no word belongs to the last one that began.
        counts = np.bincount(np.cumsum(begins)[letters] - 1, minlength=len(places))
        pieces = [self._lower[token] for token in ids.tolist()]
        texts = [
            pieces[place] if count == 1 else "".join(pieces[place : place + count])
            for place, count in zip(places.tolist(), counts.tolist(), strict=True)
        ]
        starts = np.flatnonzero(first)
        sizes = np.where(ends[starts] == NEVER_ENDS, 0, ends[starts].astype(np.int64) + 1 - starts)
        return Words(texts=tuple(texts), tokens=places, sentences=sentence[places], sizes=sizes)


def _decoded(token: str) -> str:
    """The text of a byte-level token; bytes that are only a part of a character are no letters."""
    try:
        return bytes(map(_BYTE_OF.__getitem__, token)).decode(errors="replace")
    except KeyError:  # a token that was added as it is
        return token
