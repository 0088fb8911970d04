"""What a small summarizer learns from, and in which order: gap sentences first, then oracles, then people's summaries.

All three are lists of pairs (article, target):

- *gap sentences*: any article, no summary needed. The target is the sentences that share most with the rest of the
  article, in their order (the "principal" selection of PEGASUS, Zhang et al., 2020). They are not masked: a model that
  starts with the copying circuit is to choose and copy.
- *oracle*: an article with a summary. The target is the article's own sentences that together come closest to the
  summary, found greedily (Nallapati et al., 2017, SummaRuNNer).
- *pairs*: the summary that a person wrote, where nearly all of its words stand in the article; a small model that is
  taught the others learns to invent.
"""

from __future__ import annotations

import itertools
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from .sentences import split_sentences

_WORD = re.compile(r"[a-z0-9]+")
_WELL_FORMED = re.compile(r"^[\"'“\u2018(]?[A-Z0-9$£€].*[.!?][\"'”\u2019)]*$", re.DOTALL)


@dataclass(frozen=True, kw_only=True)
class SelectionConfig:
    """Which sentences may stand in a target, and how many."""

    max_sentences: int = 3
    max_words: int = 44
    """Words of the whole target: it then fits into the 80 tokens of a summary by default, to its last full stop."""
    min_words: int = 18
    """Sentences are added until the target has this many words, also when they do not bring it closer."""
    min_sentence_words: int = 6
    max_sentence_words: int = 42


def words_of(text: str) -> list[str]:
    """The lower-case alphanumeric words of a text, as ROUGE counts them."""
    return _WORD.findall(text.lower())


def _bigrams(words: Sequence[str]) -> Counter[tuple[str, str]]:
    return Counter(itertools.pairwise(words))


def _f1(overlap: int, left: int, right: int) -> float:
    return 2 * overlap / (left + right) if overlap else 0.0


def candidates(article: str, config: SelectionConfig) -> list[tuple[int, str]]:
    """The article's whole, well-formed sentences of a fit length, each with its place in the article."""
    found = []
    seen: set[str] = set()
    for place, sentence in enumerate(split_sentences(article)):
        count = len(sentence.split())
        fits = config.min_sentence_words <= count <= config.max_sentence_words
        if fits and _WELL_FORMED.match(sentence) and sentence not in seen:
            seen.add(sentence)
            found.append((place, sentence))
    return found


def oracle(article: str, summary: str, config: SelectionConfig) -> str | None:
    """The article's sentences that come closest to ``summary`` by ROUGE-1 plus ROUGE-2 F1, in the article's order.

    Returns:
        The sentences joined by blanks; None when no sentence qualifies or none shares a bigram with the summary.
    """
    options = candidates(article, config)
    reference = words_of(summary)
    one, two = Counter(reference), _bigrams(reference)
    counts = {place: (Counter(w := words_of(text)), _bigrams(w), len(w)) for place, text in options}
    chosen: list[int] = []
    have_one: Counter[str] = Counter()
    have_two: Counter[tuple[str, str]] = Counter()
    best, length = 0.0, 0
    texts = dict(options)
    while len(chosen) < config.max_sentences:
        step: tuple[float, int] | None = None
        for place, (c_one, c_two, size) in counts.items():
            if place in chosen or length + size > config.max_words:
                continue
            overlap_one = sum(((have_one + c_one) & one).values())
            overlap_two = sum(((have_two + c_two) & two).values())
            total = length + size
            score = _f1(overlap_one, total, len(reference)) + _f1(overlap_two, total - 1, len(reference) - 1)
            if step is None or score > step[0]:
                step = (score, place)
        if step is None or (step[0] <= best and length >= config.min_words):
            break
        best, place = max(step[0], best), step[1]
        chosen.append(place)
        have_one += counts[place][0]
        have_two += counts[place][1]
        length += counts[place][2]
    if not chosen or not sum((have_two & two).values()):
        return None
    return " ".join(texts[place] for place in sorted(chosen))


def gap_sentences(article: str, title: str, config: SelectionConfig) -> str | None:
    """The sentences that share most with the rest of the article and with its title, in the article's order.

    Returns:
        The sentences joined by blanks; None when fewer than three sentences qualify.
    """
    options = candidates(article, config)
    if len(options) < 3:
        return None
    bags = {place: Counter(words_of(text)) for place, text in options}
    whole: Counter[str] = Counter()
    for bag in bags.values():
        whole += bag
    heading = Counter(words_of(title))
    scores = {}
    for place, bag in bags.items():
        rest, size = whole - bag, bag.total()
        score = _f1(sum((bag & rest).values()), size, min(rest.total(), 4 * size))
        if heading:
            score += _f1(sum((bag & heading).values()), size, heading.total())
        scores[place] = score
    chosen: list[int] = []
    length = 0
    for place in sorted(scores, key=lambda p: -scores[p]):
        size = bags[place].total()
        if len(chosen) < config.max_sentences and length + size <= config.max_words:
            chosen.append(place)
            length += size
        if length >= 2 * config.min_words:
            break
    texts = dict(options)
    return " ".join(texts[place] for place in sorted(chosen)) if chosen else None


def coverage(summary: str, article: str) -> float:
    """The share of the summary's words that also stand in the article (Grusky et al., 2018); 0 for no words."""
    words = words_of(summary)
    known = set(words_of(article))
    return sum(word in known for word in words) / len(words) if words else 0.0


def copied_bigrams(summary: str, article: str) -> float:
    """The share of the summary's bigrams that stand in the article: a simple measure of faithfulness; 0 for none."""
    found = _bigrams(words_of(summary))
    known = set(_bigrams(words_of(article)))
    total = found.total()
    return sum(count for pair, count in found.items() if pair in known) / total if total else 0.0


def collapse(text: str) -> str:
    """The text with every run of white space and control characters as one blank."""
    return " ".join(re.sub(r"[\x00-\x1f\x7f]", " ", text).split())


def leading_words(text: str, count: int) -> str:
    """The first ``count`` words with the white space between them."""
    for index, match in enumerate(re.finditer(r"\S+", text), start=1):
        if index == count:
            return text[: match.end()]
    return text


def oracle_pairs(rows: Iterable[tuple[str, str]], *, read_words: int, config: SelectionConfig) -> list[tuple[str, str]]:
    """Pairs (article, oracle) of the rows (article, summary) that have one within the first ``read_words`` words."""
    pairs = []
    for article, summary in rows:
        target = oracle(leading_words(article, read_words), summary, config)
        if target:
            pairs.append((collapse(article), target))
    return pairs


def gap_pairs(rows: Iterable[tuple[str, str]], *, read_words: int, config: SelectionConfig) -> list[tuple[str, str]]:
    """Pairs (article, gap sentences) of the rows (article, title)."""
    pairs = []
    for article, title in rows:
        target = gap_sentences(leading_words(article, read_words), title, config)
        if target:
            pairs.append((collapse(article), target))
    return pairs


def faithful_pairs(
    rows: Iterable[tuple[str, str]], *, read_words: int, min_coverage: float, min_bigrams: float
) -> list[tuple[str, str]]:
    """The rows (article, summary) whose summary's words and bigrams nearly all stand in what the model reads."""
    pairs = []
    for article, summary in rows:
        read = leading_words(article, read_words)
        if coverage(summary, read) >= min_coverage and copied_bigrams(summary, read) >= min_bigrams:
            pairs.append((collapse(article), collapse(summary)))
    return pairs
