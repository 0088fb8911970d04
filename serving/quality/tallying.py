"""What is counted of an article towards drift, before its text is thrown away."""

from __future__ import annotations

import time
from bisect import bisect_right
from collections import Counter
from collections.abc import Callable, Iterable
from typing import Final

from reading.reference import EDGES, OTHER, words_of
from serving.feedback.records import Answered, Prediction, Tally

from .references import NoReferenceError, References

LABEL: Final = "label"
SHOWN: Final = "shown"
WORDS: Final = "words"
VOCABULARY: Final = "vocabulary"
SHOWN_BUCKET: Final = "shown"
DOUBT_BUCKET: Final = "doubt"
MAX_CHARACTERS: Final = 100_000
"""No more of a text is read for its words: that is a book's first chapters, and takes ten milliseconds."""


WORDS_AT_ONCE: Final = 100
"""The words of so many articles are counted one after another, and then of one in `WORDS_EVERY_S`."""
WORDS_EVERY_S: Final = 5.0
"""An article has a hundred common words, each of them a count of its own in the database, and in the spool before it:
the words of all articles of a busy server would be most of what is written, and tell no more than those of some."""


class Tallies:
    """Counts articles by the references of the models that answered. One thread calls it.

    Labels and lengths are counted of every article, words of a sample of them.

    Args:
        references: What the models' articles were like in training.
        clock: Seconds that only go forward.
    """

    def __init__(self, references: References, clock: Callable[[], float] = time.monotonic) -> None:
        self._references = references
        self._clock = clock
        self._left: float = WORDS_AT_ONCE
        self._at_s = clock()

    def __call__(self, prediction: Prediction, text: str, title: str | None) -> tuple[Tally, ...]:
        """What a prediction adds to the counts; nothing in them is a piece of the text but single common words.

        Args:
            prediction: What was answered.
            text: The article's text; empty where it is not at hand: then its words are not counted.
            title: Its title.
        """
        counted: Counter[str] | None = None
        if (text or title) and self._takes_words():
            counted = Counter(words_of(title or "", text[:MAX_CHARACTERS]))
        found: list[Tally] = []
        for answer in prediction.answers:
            if answer.label:
                shown = SHOWN_BUCKET if answer.signal in ("", answer.label) else DOUBT_BUCKET
                found += _tallies(answer, LABEL, ((answer.label, 1),))
                found += _tallies(answer, SHOWN, ((shown, 1),))
            length = EDGES[bisect_right(EDGES, prediction.words) - 1]
            found += _tallies(answer, WORDS, ((str(length), 1),))
            if counted is not None:
                found += _tallies(answer, VOCABULARY, self._words(answer, counted))
        return tuple(found)

    def _takes_words(self) -> bool:
        """Whether an article is of the sample."""
        now_s = self._clock()
        self._left = min(WORDS_AT_ONCE, self._left + (now_s - self._at_s) / WORDS_EVERY_S)
        self._at_s = now_s
        if self._left < 1:
            return False
        self._left -= 1
        return True

    def _words(self, answer: Answered, counted: Counter[str]) -> Iterable[tuple[str, int]]:
        """The counts of the words that the model's reference names, and of all others together."""
        try:
            named = self._references.find(answer.model, answer.version)["vocabulary"]["words"]
        except NoReferenceError:
            return ()
        words = {word: count for word, count in counted.items() if word in named and word != OTHER}
        other = counted.total() - sum(words.values())
        return (*words.items(), *([(OTHER, other)] if other else []))


def _tallies(answer: Answered, what: str, counts: Iterable[tuple[str, int]]) -> list[Tally]:
    return [
        Tally(task=answer.task, model=answer.model, revision=answer.revision, what=what, bucket=bucket, count=count)
        for bucket, count in counts
    ]
