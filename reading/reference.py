"""What the articles were like that a model learned from: their labels, lengths and words, as ``reference.json``.

Training and the export count it; the server holds the articles that come against it, and says when they have become
others (drift). It has no text: shares, and the commonest words of all articles together.
"""

from __future__ import annotations

import itertools
import json
import math
import re
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any, Final

FILE: Final = "reference.json"
"""Its name beside ``artefact.json``, and in a checkpoint's folder."""
SCHEMA: Final = 1
EDGES: Final = (0, 25, 50, 100, 200, 400, 800, 1600)
"""The lengths of texts at which a bucket begins, in words between blanks; the last bucket is open."""
WORDS: Final = 256
"""How many words of all the vocabulary names; the rest are `OTHER` together."""
OTHER: Final = "other"
"""The bucket of the words that the vocabulary does not name; the word itself is never named, so no count is both."""
_WORD: Final = re.compile(r"[^\W\d_]+")
_DIGITS: Final = 6
"""Decimal places of a share."""
_PRUNE_ABOVE: Final = 1_000_000
"""With more different words in memory those that came once are forgotten; they still count among all words."""


def words_of(*texts: str) -> Iterator[str]:
    """The lower-case words of texts: runs of letters, so that numbers and signs are none."""
    return (found[0] for text in texts for found in _WORD.finditer(text.lower()))


def length_bucket(text: str) -> int:
    """The bucket of a text's length: the largest of `EDGES` that its words between blanks reach."""
    return EDGES[bisect_right(EDGES, len(text.split())) - 1]


class Counts:
    """Counts articles one by one, in bounded memory; `document` says what was counted."""

    def __init__(self) -> None:
        self.articles = 0
        self._labels: Counter[str] = Counter()
        self._lengths: Counter[int] = Counter()
        self._words: Counter[str] = Counter()
        self._all_words = 0

    def add(self, text: str, title: str = "", label: str = "") -> None:
        """Count an article.

        Args:
            text: The article; its length is measured.
            title: Its headline, whose words count too.
            label: Its label; empty for a task without labels.
        """
        self.articles += 1
        self._lengths[length_bucket(text)] += 1
        found = Counter(words_of(title, text))
        self._words.update(found)
        self._all_words += found.total()
        if label:
            self._labels[label] += 1
        if len(self._words) > _PRUNE_ABOVE:
            self._words = Counter({word: count for word, count in self._words.items() if count > 1})

    def document(self) -> dict[str, Any]:
        """The document of ``reference.json``.

        Raises:
            ValueError: Nothing was counted.
        """
        if not self.articles:
            raise ValueError("no article was counted, so there is nothing to compare with")
        named = sorted((word for word in self._words if word != OTHER), key=lambda word: (-self._words[word], word))
        shares = {word: round(self._words[word] / self._all_words, _DIGITS) for word in named[:WORDS]}
        labels = sorted(self._labels, key=lambda label: (-self._labels[label], label))
        return {
            "schema": SCHEMA,
            "articles": self.articles,
            **({"label": {one: round(self._labels[one] / self.articles, _DIGITS) for one in labels}} if labels else {}),
            "words": {
                "edges": list(EDGES),
                "shares": [round(self._lengths[edge] / self.articles, _DIGITS) for edge in EDGES],
            },
            "vocabulary": {"words": shares, OTHER: round(max(0.0, 1 - math.fsum(shares.values())), _DIGITS)},
        }

    def to_json(self) -> str:
        """The text of the file, a table of its words in lines that are short enough to read.

        Raises:
            ValueError: Nothing was counted.
        """
        document = self.document()
        words = [
            f"{json.dumps(word, ensure_ascii=False)}: {share:g}"
            for word, share in document["vocabulary"]["words"].items()
        ]
        lines = ",\n".join("    " + ", ".join(words[start : start + 8]) for start in range(0, len(words), 8))
        head = {name: value for name, value in document.items() if name != "vocabulary"}
        parts = [f"  {json.dumps(name)}: {json.dumps(value, ensure_ascii=False)}" for name, value in head.items()]
        parts.append(f'  "vocabulary": {{"words": {{\n{lines}\n  }}, "{OTHER}": {document["vocabulary"][OTHER]:g}}}')
        return "{\n" + ",\n".join(parts) + "\n}\n"


def parse(text: str) -> dict[str, Any]:
    """Read a ``reference.json``, and check that it is one.

    Raises:
        ValueError: It is no such document; the message says what is wrong with it.
    """
    document = json.loads(text)
    if not isinstance(document, dict) or document.get("schema") != SCHEMA:
        raise ValueError(f"it is no reference of schema {SCHEMA}")
    if type(document.get("articles")) is not int or document["articles"] < 1:
        raise ValueError(f"articles is a whole number above 0, not {document.get('articles')!r}")
    words, vocabulary = document.get("words"), document.get("vocabulary")
    if not isinstance(words, dict) or not isinstance(vocabulary, dict):
        raise ValueError("it has no words or no vocabulary")
    edges, shares = words.get("edges"), words.get("shares")
    if not isinstance(edges, list) or not isinstance(shares, list) or not edges or len(edges) != len(shares):
        raise ValueError("words has as many shares as edges")
    if not all(_number(edge) for edge in edges) or any(one >= other for one, other in itertools.pairwise(edges)):
        raise ValueError("the edges of words are numbers that rise")
    _check_shares("words.shares", dict(enumerate(shares)))
    _check_shares("vocabulary.words", vocabulary.get("words"))
    _check_shares("vocabulary.other", {OTHER: vocabulary.get(OTHER)})
    if "label" in document:
        _check_shares("label", document["label"])
    return document


def _check_shares(name: str, shares: Any) -> None:
    if not isinstance(shares, Mapping) or not all(_number(one) and 0 <= one <= 1 for one in shares.values()):
        raise ValueError(f"{name}: a share is a number from 0 to 1")


def _number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
