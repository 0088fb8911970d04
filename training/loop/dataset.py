"""Training articles as torch datasets: cropped, thinned out and joined, the same for the same seed, pass and article.

Augmentation draws from a generator of its own for each pass and article, so a run that goes on from a checkpoint, or
on another number of workers, sees the very same inputs.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch.utils.data import Dataset, Sampler

from training.data.schema import WEIGHT
from training.recipes.kinds import ClassifierRecipe
from training.recipes.recipe import Recipe

from .batches import Ids, collate, crop, drop_tokens, length_sorted

Article = dict[str, Any]
"""``input_ids`` int32 (L,) and ``labels``: float32 (classes,) for a classifier, int (T,) for a summarizer; and `WEIGHT`
where articles do not all count the same."""
SOURCE: Final = "source"
"""A column of the validation articles, where the best checkpoint is the one that is good in every source."""
WEIGHTS: Final = "weights"
"""In a batch: how much each article counts, float32 (B,)."""
WORDS: Final = "words"
"""Column of a summarizer's table that has rows for a head that chooses: what `tasks.choosing.Lesson` has; empty in a
row for the decoder."""
PAIRS: Final = "pairs"
"""The same for pairs; in a batch int64 (B, L)."""
REFERENCE_WORDS: Final = "reference_words"
"""The same for the reference's length; in a batch int64 (B,)."""


class Articles(Dataset[Article]):
    """Rows of a tokenized table (``datasets.Dataset``), as they are."""

    def __init__(self, table: Any) -> None:
        self.table = table.with_format("numpy")
        self.lengths: NDArray[np.int64] = np.asarray(self.table["length"])
        self.epoch = 0

    def __len__(self) -> int:
        return len(self.lengths)

    def set_epoch(self, epoch: int) -> None:
        """Say which pass begins."""
        self.epoch = epoch

    @property
    def sources(self) -> list[str] | None:
        """Where each article comes from; None where the table does not say."""
        return list(self.table[SOURCE]) if SOURCE in self.table.column_names else None

    def lengths_now(self) -> NDArray[np.int64]:
        """How long each article is in this pass, in tokens, near enough to put like lengths together."""
        return self.lengths

    def __getitem__(self, index: int) -> Article:
        row: Article = self.table[int(index)]
        return row


class AugmentedArticles(Articles):
    """What a classifier trains on: each pass another crop, other tokens left out, other neighbours."""

    def __init__(self, table: Any, recipe: ClassifierRecipe, *, room: int) -> None:
        super().__init__(table)
        self.recipe, self.room = recipe, room
        classes = np.asarray(self.table["class"])
        self.classes = classes
        self.by_class = {int(c): np.flatnonzero(classes == c) for c in np.unique(classes)}

    def lengths_now(self) -> NDArray[np.int64]:
        """How long each article is in this pass, with those that follow it, before tokens are left out."""
        if not self.recipe.join and not self.recipe.least_train_tokens:
            return np.minimum(self.lengths, self.room)
        return np.fromiter((self._length_now(index) for index in range(len(self))), dtype=np.int64, count=len(self))

    def _length_now(self, index: int) -> int:
        rng = self._draws(index)
        more = self._more(index, rng)
        return min(int(self.lengths[index] + self.lengths[more].sum()), self._room_now(rng))

    def _draws(self, index: int) -> np.random.Generator:
        return np.random.default_rng((self.recipe.seed, self.epoch, int(index)))

    def _more(self, index: int, rng: np.random.Generator) -> NDArray[np.int64]:
        """The articles of its class that follow an article in this pass; the first that is drawn."""
        if not self.recipe.join or rng.random() >= self.recipe.join:
            return np.empty(0, dtype=np.int64)
        return np.asarray(rng.choice(self.by_class[int(self.classes[index])], size=int(rng.integers(1, 3))))

    def _room_now(self, rng: np.random.Generator) -> int:
        """The most tokens that an article has in this pass; the second that is drawn."""
        if not self.recipe.least_train_tokens:
            return self.room
        return int(rng.integers(self.room - (self.recipe.longest - self.recipe.least_train_tokens), self.room + 1))

    def __getitem__(self, index: int) -> Article:
        row = super().__getitem__(index)
        rng = self._draws(index)
        ids: Ids = row["input_ids"]
        more = self._more(index, rng)
        if len(more):
            ids = np.concatenate(
                [ids, *(super(AugmentedArticles, self).__getitem__(int(i))["input_ids"] for i in more)]
            )
        row["input_ids"] = drop_tokens(crop(ids, self._room_now(rng), rng), self.recipe.token_dropout, rng)
        return row


class LengthGrouped(Sampler[int]):
    """Indexes such that each run of ``batch`` of them has like lengths; another order each pass."""

    def __init__(self, articles: Articles, *, batch: int, seed: int) -> None:
        self.articles, self.batch, self.seed = articles, batch, seed

    def __len__(self) -> int:
        return len(self.articles)

    def set_epoch(self, epoch: int) -> None:
        """Say which pass begins.

        The articles keep it for both: with several workers accelerate tells only the sampler, and in the pass in which
        a run goes on from a checkpoint only the articles.
        """
        self.articles.set_epoch(epoch)

    def __iter__(self) -> Iterator[int]:
        rng = np.random.default_rng((self.seed, self.articles.epoch))
        for rows in length_sorted(self.articles.lengths_now().tolist(), batch=self.batch, rng=rng):
            yield from rows.tolist()


class Curriculum(LengthGrouped):
    """Stage after stage, each for its passes; all of them are one pass of the trainer.

    Args:
        articles: With the column ``stage``: the number of each row's stage.
        batch: Articles of like length in a row.
        seed: Of the order.
        passes: How often each stage is gone through, by its number; a fraction takes a part of it.
    """

    def __init__(self, articles: Articles, *, batch: int, seed: int, passes: Sequence[float]) -> None:
        super().__init__(articles, batch=batch, seed=seed)
        stages = np.asarray(articles.table["stage"])
        self.order: list[int] = []
        for stage, count in enumerate(passes):
            rows = np.flatnonzero(stages == stage)
            if WORDS in articles.table.column_names:
                # A batch is for the decoder or for the head: what a stage lacks to whole batches is taken from before.
                self.order.extend(np.resize(self.order, -len(self.order) % batch).tolist())
            for number in range(int(np.ceil(count))):
                rng = np.random.default_rng((seed, stage, number))
                chosen = rows[rng.permutation(len(rows))[: max(1, round(len(rows) * min(1.0, count - number)))]]
                lengths = articles.lengths[chosen].tolist()
                for part in length_sorted(lengths, batch=batch, rng=rng):
                    self.order.extend(chosen[part].tolist())

    def __len__(self) -> int:
        return len(self.order)

    def __iter__(self) -> Iterator[int]:
        return iter(self.order)


def _weights(rows: Sequence[Article]) -> dict[str, torch.Tensor]:
    if WEIGHT not in rows[0]:
        return {}
    return {WEIGHTS: torch.tensor([float(row[WEIGHT]) for row in rows], dtype=torch.float32)}


class ClassifierCollator:
    """Pads to the longest article: ``input_ids``, ``attention_mask`` (B, L), ``labels`` float32 (B, classes)."""

    def __init__(self, tokenizer: Any, *, types: bool) -> None:
        self.tokenizer, self.types = tokenizer, types

    def __call__(self, rows: Sequence[Article]) -> dict[str, Any]:
        """Make a batch of rows."""
        batch: dict[str, Any] = collate(self.tokenizer, [row["input_ids"] for row in rows], types=self.types)
        batch["labels"] = torch.from_numpy(np.stack([row["labels"] for row in rows]).astype(np.float32))
        return batch | _weights(rows)


def _padded(values: Sequence[NDArray[np.integer[Any]]], fill: int) -> torch.Tensor:
    full = np.full((len(values), max(map(len, values))), fill, dtype=np.int64)
    for i, value in enumerate(values):
        full[i, : len(value)] = value
    return torch.from_numpy(full)


class SummaryCollator:
    """Pads: ``input_ids``, ``attention_mask`` (B, L), ``labels`` (-100 is padding), ``decoder_input_ids`` (B, T).

    Rows for a head that chooses have ``labels`` (B, L), `PAIRS`, `REFERENCE_WORDS` and ``choose`` instead of these.
    """

    def __init__(self, *, pad: int, start: int) -> None:
        self.pad, self.start = pad, start

    def __call__(self, rows: Sequence[Article]) -> dict[str, Any]:
        """Make a batch of rows."""
        inputs = [row["input_ids"] for row in rows]
        batch = {
            "input_ids": _padded(inputs, self.pad),
            "attention_mask": _padded([np.ones_like(ids) for ids in inputs], 0),
            **_weights(rows),
        }
        if len(rows[0].get(WORDS, ())):
            lengths = torch.tensor([int(row[REFERENCE_WORDS]) for row in rows])
            words, pairs = (_padded([row[name] for row in rows], -100) for name in (WORDS, PAIRS))
            return {**batch, "labels": words, PAIRS: pairs, REFERENCE_WORDS: lengths, "choose": True}
        labels = _padded([row["labels"] for row in rows], -100)
        shifted = torch.nn.functional.pad(labels[:, :-1], (1, 0), value=self.start)
        return {**batch, "labels": labels, "decoder_input_ids": shifted.masked_fill(shifted == -100, self.pad)}


def sampler_of(articles: Articles, recipe: Recipe, passes: Sequence[float]) -> LengthGrouped:
    """The order of a run's articles: a curriculum where there are ``passes``, else by length."""
    batch = recipe.per_device_train_batch_size * max(1, recipe.workers)
    if passes:
        return Curriculum(articles, batch=batch, seed=recipe.seed, passes=passes)
    return LengthGrouped(articles, batch=batch, seed=recipe.seed)
