"""Which sentences of an article make the summary from which the highest ROUGE may be expected.

A model says for each word of the article how probable it is that the summary has it, for each two neighbouring words
that the summary has them side by side, and how long the summary is. From these follows how many words and pairs of
words a set of sentences shares with the summary, and so the F1 that ROUGE-1 and ROUGE-2 may be expected to find (Lin,
"ROUGE: A Package for Automatic Evaluation of Summaries", 2004). All sets of a few good sentences are tried; that a set
is judged as a whole keeps the same thing from being said twice (as in Gillick and Favre, "A Scalable Global Model for
Summarization", 2009).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from itertools import combinations, pairwise
from typing import Any, Final

import numpy as np
import numpy.typing as npt

if __package__:
    from .quotable import dateline, is_apart, leans
    from .words import Words
else:  # a copy in the folder of one of Triton's backends
    from quotable import dateline, is_apart, leans  # type: ignore[import-not-found, no-redef]
    from words import Words  # type: ignore[import-not-found, no-redef]

Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]

WORDS_SCALE, PROBABILITY_SCALE = 1_000, 1_000_000
"""By what a row of integers has the expected words of a summary, and each probability, multiplied."""


@dataclass(frozen=True, kw_only=True)
class ChoiceRules:
    """How sentences are chosen."""

    repeated: float = -0.2
    """What another occurrence of a word in a summary counts, as a part of the first one: it says nothing new, and takes
    the place of a word that would."""
    pairs: float = 1.5
    """The weight of ROUGE-2 beside ROUGE-1."""
    candidates: int = 8
    """The sentences, the best by themselves, of which all sets are tried."""
    most_sentences: int = 3
    least_words: int = 20
    """A summary of fewer words is worth less,"""
    lacking: float = 0.02
    """by so much for each word that it lacks, where ROUGE is 0 to 1."""
    least_sentence_words: int = 4
    """A sentence of fewer words is quoted where there is nothing else."""
    report_words: int = 80
    """An article of no more words is a report whose first sentence is the news: its summary has that one. Those that
    models learn from are longer."""
    length: float = 0.6
    """By what the words are multiplied that the model expects of the summary: below 1, summaries become shorter."""


RULES: Final = ChoiceRules()
"""Chosen on the validation split of the starter: by the gain over as many words of an article's first sentences."""


@dataclass(frozen=True, kw_only=True)
class Prediction:
    """What a model says of the summary of an article of ``length`` tokens."""

    expected_words: float
    words: Floats
    """The probability that the word which begins at a token is in the summary, (length,)."""
    pairs: Floats
    """The probability that this word and the one before it stand side by side in the summary, (length,)."""

    @classmethod
    def unpack(cls, row: npt.NDArray[np.integer[Any]], length: int) -> Prediction:
        """Read what a graph says, as integers.

        Args:
            row: The expected words times `WORDS_SCALE`, then the probabilities of the words, then those of the pairs,
                times `PROBABILITY_SCALE`, (1 + 2 * length,).
            length: The tokens of the article's row, padding included.

        Raises:
            ValueError: The row has another length, a negative number, or a probability above `PROBABILITY_SCALE`.
        """
        if row.shape != (1 + 2 * length,):
            raise ValueError(f"a row of {length} tokens has {1 + 2 * length} numbers, not {row.size}")
        expected, shares = int(row[0]), row[1:]
        if expected < 0:
            raise ValueError(f"a summary is expected to have no fewer than 0 words, not {expected} thousandths")
        extremes = (int(shares.min()), int(shares.max())) if length else ()
        if wrong := [number for number in extremes if not 0 <= number <= PROBABILITY_SCALE]:
            raise ValueError(f"probabilities are from 0 to {PROBABILITY_SCALE} millionths, not {wrong[0]}")
        words, pairs = np.split(shares / PROBABILITY_SCALE, 2)
        return cls(expected_words=expected / WORDS_SCALE, words=words, pairs=pairs)


@dataclass(frozen=True, kw_only=True)
class Chosen:
    """The sentences of a summary."""

    indices: tuple[int, ...]
    """In the order of the article; none where no sentence was read."""
    whole: bool = True
    """Whether there is room for them: else it is one sentence, of which the beginning has to do."""


@dataclass(frozen=True, kw_only=True)
class Bags:
    """The words and the pairs of words of each sentence, and what they are worth."""

    words: Floats
    """How often each sentence has each word of the article, (sentences, words)."""
    word_worth: Floats
    """The probability of each word: the mean over all places of the article where it stands, (words,)."""
    pairs: Floats
    """How often each sentence has each pair of neighbouring words, (sentences, pairs)."""
    pair_worth: Floats
    """The probability of each pair, a mean as well, (pairs,)."""

    @classmethod
    def of(cls, prediction: Prediction, words: Words) -> Bags:
        """Count the words of an article.

        Args:
            prediction: What the model says of the row of the article.
            words: The words of that row.
        """
        numbers: dict[str, int] = {}
        kinds = np.array([numbers.setdefault(text, len(numbers)) for text in words.texts], np.int64)
        second = words.paired
        pairs, kinds_of_pairs = np.unique(kinds[second - 1] * len(numbers) + kinds[second], return_inverse=True)
        sentences = len(words.sizes)
        return cls(
            words=_counted(words.sentences, kinds, (sentences, len(numbers))),
            word_worth=_means(kinds, prediction.words[words.tokens], len(numbers)),
            pairs=_counted(words.sentences[second], kinds_of_pairs, (sentences, len(pairs))),
            pair_worth=_means(kinds_of_pairs, prediction.pairs[words.tokens[second]], len(pairs)),
        )

    def values(self, sets: Flags, expected_words: float, rules: ChoiceRules = RULES) -> Floats:
        """The ROUGE-1 and ROUGE-2 that may be expected of summaries, added up.

        Args:
            sets: Which sentences each summary has, BOOL (summaries, sentences).
            expected_words: How many words the reference is thought to have.
            rules: What counts how much.

        Returns:
            (summaries,); from 0 to 1 for ROUGE-1, and as much times ``rules.pairs`` for ROUGE-2.
        """
        chosen = sets.astype(np.float64)
        counts = chosen @ self.words
        once = counts > 0
        size = counts.sum(1)
        shared = (once + rules.repeated * (counts - once)) @ self.word_worth
        pairs = ((chosen @ self.pairs) > 0) @ self.pair_worth
        value: Floats = 2 * shared / np.maximum(size + expected_words, 1)
        value += rules.pairs * 2 * pairs / np.maximum(size - chosen.sum(1) + expected_words - 1, 1)
        return value


def choose(
    prediction: Prediction,
    words: Words,
    texts: Sequence[str],
    *,
    room: int,
    least: int = 0,
    rules: ChoiceRules = RULES,
) -> Chosen:
    """Choose the sentences of a summary.

    A sentence that is no part of the story (`quotable.is_apart`) is chosen where there is nothing else, one that has
    the words of an earlier one never, and one that leans on the sentence before it together with that one. A report of
    few words keeps its first sentence.

    Args:
        prediction: What the model says of the row of the article.
        words: The words and sentences of that row.
        texts: The text of each sentence of the article; of those that the row has at least.
        room: How many tokens the summary may have.
        least: How many it shall have, where the article has as many: further sentences are taken until it has them.
        rules: How they are chosen.

    Returns:
        Sentences that were read to their end and fit into ``room``; or else one of which the beginning has to do.

    Raises:
        ValueError: There are fewer texts than sentences in the row.
    """
    count = len(words.sizes)
    if len(texts) < count:
        raise ValueError(f"the row has {count} sentences, and there are texts of {len(texts)}")
    if not count:
        return Chosen(indices=())
    bags = Bags.of(prediction, words)
    expected = prediction.expected_words * rules.length
    alone = bags.values(np.eye(count, dtype=np.bool_), expected, rules)
    texts = [text[dateline(text) :] for text in texts[:count]]
    new = ~_repeats(words)
    story = ~np.array([is_apart(text) for text in texts], np.bool_) & new
    leaning = np.array([leans(text) for text in texts], np.bool_)
    fits = (words.sizes > 0) & (words.sizes <= room)
    enough = bags.words.sum(1) >= rules.least_sentence_words
    short = bags.words.sum() <= rules.report_words

    def best_of(allowed: Flags, tied: Flags) -> tuple[int, ...]:
        candidates = _candidates(alone, allowed, tied, rules)
        if not candidates:
            return ()
        sets = _subsets(len(candidates), rules.most_sentences)
        legal = sets @ words.sizes[candidates] <= room
        first = int(allowed.argmax())
        if short and first == candidates[0]:
            legal &= sets[:, 0]
        for place in np.flatnonzero(tied[candidates]).tolist():  # the one before it is the candidate before it
            legal &= ~sets[:, place] | sets[:, place - 1]
        sets = sets[legal]
        everything = np.zeros((len(sets), count), np.bool_)
        everything[:, candidates] = sets
        value = bags.values(everything, expected, rules)
        value -= rules.lacking * np.maximum(rules.least_words - everything @ bags.words.sum(1), 0)
        best = everything[value.argmax()]
        while words.sizes[best].sum() < least:
            stands = ~tied | np.concatenate(([False], best[:-1]))
            more = np.flatnonzero(allowed & stands & ~best & (words.sizes <= room - words.sizes[best].sum()))
            if not more.size:
                break
            larger = best | np.eye(count, dtype=np.bool_)[more]
            best = larger[bags.values(larger, expected, rules).argmax()]
        return tuple(np.flatnonzero(best).tolist())

    alike = np.zeros(count, np.bool_)
    for allowed, tied in ((fits & story & enough, leaning), (fits & story & enough, alike), (fits & story, alike)):
        if chosen := best_of(allowed, tied):
            return Chosen(indices=chosen)
    if not story.any() and (chosen := best_of(fits & new, alike)):
        return Chosen(indices=chosen)
    for allowed in (story & enough & ~leaning, story, ~alike):
        if allowed.any():
            break
    return Chosen(indices=(int(np.where(allowed, alone, -np.inf).argmax()),), whole=False)


def _candidates(alone: Floats, allowed: Flags, tied: Flags, rules: ChoiceRules) -> list[int]:
    """The best sentences in the order of the article, each that is tied with those before it that it needs."""
    found: set[int] = set()
    for index in np.argsort(-alone, kind="stable").tolist():
        first = index
        while first and tied[first] and index - first < rules.most_sentences:
            first -= 1
        needed = {*range(first, index + 1)}
        stands = not tied[first] and len(needed) <= rules.most_sentences and bool(allowed[first : index + 1].all())
        if stands and len(found | needed) <= rules.candidates:
            found |= needed
    return sorted(found)


@cache
def _subsets(count: int, most: int) -> Flags:
    """All sets of 1 to ``most`` of so many things, the smaller ones first, BOOL (sets, count)."""
    sets = [one for size in range(1, min(count, most) + 1) for one in combinations(range(count), size)]
    found = np.zeros((len(sets), count), np.bool_)
    for row, one in enumerate(sets):
        found[row, list(one)] = True
    found.flags.writeable = False
    return found


def _repeats(words: Words) -> Flags:
    """Which sentences have the words of an earlier one, BOOL (sentences,)."""
    cuts = np.searchsorted(words.sentences, np.arange(len(words.sizes) + 1)).tolist()
    bags = [words.texts[start:end] for start, end in pairwise(cuts)]
    first: dict[tuple[str, ...], int] = {}
    return np.array([first.setdefault(bag, index) != index for index, bag in enumerate(bags)], np.bool_)


def _counted(rows: npt.NDArray[np.int64], columns: npt.NDArray[np.int64], shape: tuple[int, int]) -> Floats:
    """How often each cell of a table is named, ``shape``."""
    counts = np.bincount(rows * shape[1] + columns, minlength=shape[0] * shape[1])
    return counts.reshape(shape).astype(np.float64)


def _means(kinds: npt.NDArray[np.int64], values: Floats, count: int) -> Floats:
    """The mean of the values of each kind, (count,)."""
    means: Floats = np.bincount(kinds, values, count) / np.maximum(np.bincount(kinds, minlength=count), 1)
    return means
