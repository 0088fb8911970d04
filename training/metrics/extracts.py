"""How a summary takes from its article: sentences that the article does not hold, fragments, and new n-grams.

Coverage and density are those of Grusky et al. (2018, "Newsroom"): the mean share of a summary's words in fragments
that the article has too, and the mean length of the fragment that a word stands in.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Sequence
from typing import Final

from training.data.curriculum import leading_words, words_of
from training.data.sentences import split_sentences

ORDERS: Final = (1, 2, 3, 4)
_ELLIPSIS: Final = "\u2026"
_BLANKS: Final = re.compile(r"[\s\x00-\x1f\x7f-\x9f]+")


def _solid(text: str) -> str:
    return _BLANKS.sub("", text)


def sentences_of(summary: str, article: str, spans: Sequence[tuple[int, int]] = ()) -> list[str]:
    """The sentences of a summary.

    Args:
        summary: The summary.
        article: Its article.
        spans: Which characters of the article it says to quote. They are believed where they make up the whole summary,
            white space and the ellipsis of a cut sentence aside, and begin and end between words: one splitter may end
            a sentence where another does not.
    """
    quoted = [article[start:end] for start, end in spans]
    whole = all(quoted) and not any(_tears(article, place) for span in spans for place in span)
    return (
        quoted
        if quoted and whole and _solid("".join(quoted)) == _solid(summary.removesuffix(_ELLIPSIS))
        else split_sentences(summary)
    )


def _tears(text: str, place: int) -> bool:
    """Whether a place lies within a word."""
    return 0 < place < len(text) and text[place - 1].isalnum() and text[place].isalnum()


def foreign_sentences(sentences: Sequence[str], article: str) -> list[str]:
    """The sentences that the article does not hold, white space and control characters aside."""
    whole = _solid(article)
    return [sentence for sentence in sentences if _solid(sentence) not in whole]


def cut_sentences(sentences: Sequence[str], article: str) -> list[str]:
    """The sentences that the article holds, but not as whole sentences of its own."""
    whole = _solid(article)
    own = {_solid(sentence) for sentence in split_sentences(article)}
    found = ((sentence, _solid(sentence)) for sentence in sentences)
    return [sentence for sentence, solid in found if solid in whole and solid not in own]


def fragments(summary: Sequence[str], article: Sequence[str]) -> list[int]:
    """The lengths of the longest fragments of words that a summary shares with its article, found greedily.

    This is the algorithm of figure 3 of Grusky et al. (2018): from left to right, the longest run that begins at the
    summary's next word and stands anywhere in the article.
    """
    places: defaultdict[str, list[int]] = defaultdict(list)
    for place, word in enumerate(article):
        places[word].append(place)
    lengths = []
    start = 0
    while start < len(summary):
        longest = 0
        for place in places.get(summary[start], ()):
            length = 1
            while (
                start + length < len(summary)
                and place + length < len(article)
                and summary[start + length] == article[place + length]
            ):
                length += 1
            longest = max(longest, length)
        if longest:
            lengths.append(longest)
        start += max(longest, 1)
    return lengths


def extraction(summary: str, article: str) -> dict[str, float]:
    """Coverage, density, compression and the share of new n-grams of a summary.

    Returns:
        ``coverage`` (0 to 1), ``density`` (words), ``compression`` (words of the article for each of the summary), and
        ``novel_1`` to ``novel_4``: the share of the summary's n-grams that the article lacks; 0 for a summary that has
        none.
    """
    ours, theirs = words_of(summary), words_of(article)
    lengths = fragments(ours, theirs)
    count = max(len(ours), 1)
    result = {
        "coverage": sum(lengths) / count,
        "density": sum(length**2 for length in lengths) / count,
        "compression": len(theirs) / count,
    }
    for order in ORDERS:
        known = set(_ngrams(theirs, order))
        found = _ngrams(ours, order)
        result[f"novel_{order}"] = sum(one not in known for one in found) / len(found) if found else 0.0
    return result


def _ngrams(words: Sequence[str], order: int) -> list[tuple[str, ...]]:
    return list(zip(*(words[shift:] for shift in range(order)), strict=False))


def lead(article: str, words: int) -> str:
    """The first words of an article, as many as a summary has: what reading on from the top would give."""
    return leading_words(article, words) if words else ""
