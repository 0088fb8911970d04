"""What a head that chooses sentences learns from: which words of an article its reference has.

A word counts where ROUGE would count it: lower case, stemmed by Porter's algorithm, letters without accents and digits
alone.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from reading.words import Words
from training.data.cleaning import clean_text
from training.data.schema import WEIGHT, weights_of
from training.errors import DataError, SettingError
from training.loop.batches import even_weights
from training.loop.dataset import PAIRS, REFERENCE_WORDS, WORDS
from training.models.choice import LAYERS, add_choice
from training.models.reading import ReadArticle, read_articles, vocabulary_of
from training.progress.bars import track
from training.recipes.kinds import SummarizerRecipe

if TYPE_CHECKING:
    import pandas as pd

logger = logging.getLogger(__name__)

NO_WORD: Final = -100
"""The label of a token with which no word begins."""
_AT_ONCE: Final = 500
"""Articles that the tokenizer reads at once."""

_ENDINGS: Final = frozenset(("s", "t", "d", "m", "ll", "re", "ve"))
"""What stands after an apostrophe, such as the s of "court's": a word to ROUGE, but not in a vocabulary whose tokens
have the apostrophe with it; there the words around it are neighbours."""

Labels = NDArray[np.int8]


@dataclass(frozen=True, kw_only=True)
class Lesson:
    """An article, and what the head is to say of it."""

    ids: NDArray[np.int32]
    """Its tokens, special ones included, (L,)."""
    words: Labels
    """For each token: 1 where a word begins with it that is in the reference, 0 where another one does, else
    `NO_WORD`, (L,)."""
    pairs: Labels
    """For each word but the first of a sentence: 1 where it follows the one before it in the reference too, else 0;
    `NO_WORD` for all other tokens, (L,)."""
    reference_words: int
    """How many words the reference has, as ROUGE counts them; 0 where its length says nothing."""


class Stems:
    """The stems of words, as ROUGE compares them; each word is stemmed once."""

    def __init__(self) -> None:
        from rouge_score.tokenizers import DefaultTokenizer

        self._tokenizer = DefaultTokenizer(use_stemmer=True)
        self._known: dict[str, tuple[str, ...]] = {}

    def of(self, word: str) -> tuple[str, ...]:
        """The stem of a word; several where ROUGE takes signs in it for blanks, or none."""
        if word not in self._known:
            self._known[word] = tuple(self._tokenizer.tokenize(word))
        return self._known[word]

    def of_text(self, text: str) -> list[str]:
        """The stems of the words of a text, in their order."""
        return [stem for word in text.split() for stem in self.of(word)]


def lessons(
    tokenizer: Any, articles: Sequence[str], references: Sequence[str], *, most: int, lengths: bool = True
) -> list[Lesson]:
    """Read articles and mark their words by their references.

    Args:
        tokenizer: Of the model.
        articles: Texts, cleaned, with their line breaks.
        references: A reference for each.
        most: The most tokens of an article that are read, special ones included.
        lengths: Whether the references are of the length that summaries shall have.
    """
    stems, vocabulary = Stems(), vocabulary_of(tokenizer)
    found = []
    for start in track(range(0, len(articles), _AT_ONCE), "marking words", weight=_AT_ONCE):
        read = read_articles(tokenizer, articles[start : start + _AT_ONCE], most=most)
        for one, reference in zip(read, references[start : start + _AT_ONCE], strict=True):
            known = stems.of_text(reference)
            found.append(_lesson(one, vocabulary.words(one.ids, one.ends), known, stems, lengths=lengths))
    return found


def _lesson(read: ReadArticle, words: Words, reference: Sequence[str], stems: Stems, *, lengths: bool) -> Lesson:
    known = set(reference)
    known_pairs = {*pairwise(reference), *pairwise(stem for stem in reference if stem not in _ENDINGS)}
    own = [stems.of(text) for text in words.texts]
    marks = np.full((2, len(read.ids)), NO_WORD, np.int8)
    marks[0, words.tokens] = [bool(word) and known.issuperset(word) for word in own]
    marks[1, words.tokens[words.paired]] = [
        bool(own[i - 1] and own[i]) and (own[i - 1][-1], own[i][0]) in known_pairs for i in words.paired.tolist()
    ]
    return Lesson(ids=read.ids, words=marks[0], pairs=marks[1], reference_words=len(reference) if lengths else 0)


def with_choice(model: Any, recipe: SummarizerRecipe) -> Any:
    """The model with the head that a recipe asks for; one that it has already is kept.

    Raises:
        SettingError: It has another head than ``choice_layers`` says, or none and is to train one.
    """
    has, wanted = getattr(model.config, LAYERS, None), recipe.choice_layers
    if has is None and wanted < 0 and recipe.choice_epochs:
        raise SettingError(
            f"choice_epochs trains a head that chooses sentences, and {recipe.base} has none: give it one of N layers "
            "with --set choice_layers=N (0 or more)"
        )
    if has is not None and wanted not in (-1, has):
        raise SettingError(
            f"choice_layers: {recipe.base} has a head of {has} layers, which is kept, not one of {wanted}: leave the "
            "setting out"
        )
    if has is not None and not recipe.choice_epochs:
        logger.warning("the head that chooses sentences is not trained with the encoder below it: say choice_epochs")
    return model if has is not None or wanted < 0 else add_choice(model, wanted, seed=recipe.seed)


def choice_columns(
    tokenizer: Any, frame: pd.DataFrame, extra: Sequence[tuple[str, str]], recipe: SummarizerRecipe, *, stage: int
) -> dict[str, list[Any]]:
    """The columns of the articles that a head learns from: those with a summary, and those whose title stands for one.

    Args:
        tokenizer: Of the model.
        frame: With the columns ``article`` and ``summary``.
        extra: Articles without summaries: text, cleaned, and title.
        recipe: Says how much is read, and what a title counts.
        stage: The number of the stage.

    Raises:
        DataError: No article has a word.
    """
    articles = [clean_text(text) for text in frame["article"]]
    every = lessons(tokenizer, articles, list(frame["summary"]), most=recipe.max_tokens)
    weights = weights_of(frame)
    counting = [1.0] * len(every) if weights is None else list(weights)
    if titled := [(text, title) for text, title in extra if title] if recipe.choice_title_weight else []:
        texts, titles = ([pair[side] for pair in titled] for side in (0, 1))
        every += lessons(tokenizer, texts, titles, most=recipe.max_tokens, lengths=False)
        counting += [recipe.choice_title_weight] * len(titled)
    kept = [i for i, lesson in enumerate(every) if (lesson.words != NO_WORD).any()]
    if not kept:
        raise DataError("no article has a word to learn a choice of sentences from: check the columns of the data")
    chosen = [every[i] for i in kept]
    columns: dict[str, list[Any]] = {
        "input_ids": [lesson.ids for lesson in chosen],
        "labels": [np.empty(0, np.int32) for _ in chosen],
        "length": [len(lesson.ids) for lesson in chosen],
        "stage": [stage] * len(chosen),
        WORDS: [lesson.words for lesson in chosen],
        PAIRS: [lesson.pairs for lesson in chosen],
        REFERENCE_WORDS: [lesson.reference_words for lesson in chosen],
    }
    if weights is not None or titled:
        parts = [int((lesson.words != NO_WORD).sum()) for lesson in chosen]
        columns[WEIGHT] = even_weights([counting[i] for i in kept], parts)
    return columns


def joined_columns(written: Mapping[str, list[Any]], chosen: Mapping[str, list[Any]]) -> dict[str, list[Any]]:
    """The rows of stages for the decoder, and after them those of a stage for the head."""
    count = len(written["stage"])
    empty: list[Any] = [np.empty(0, np.int8)] * count
    before = {**written, WORDS: empty, PAIRS: empty, REFERENCE_WORDS: [0] * count}
    for name in ("input_ids", "labels"):
        before[name] = [np.asarray(ids, np.int32) for ids in written[name]]
    after = dict(chosen)
    if WEIGHT in before or WEIGHT in after:
        before.setdefault(WEIGHT, [1.0] * count)
        after.setdefault(WEIGHT, [1.0] * len(after["stage"]))
    return {name: [*before[name], *after[name]] for name in after}
