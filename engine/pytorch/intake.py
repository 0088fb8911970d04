"""Articles between the moment when they join and the encoder, which reads those of one length together."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

import numpy as np

from engine.article import Article, Spacing, choices_of, wishes_of
from engine.pytorch.search.slots import shape_of
from engine.settings import Bucket, Rules
from engine.tensors import CHOICES, WISHES

from .sizes import TOGETHER, groups, least, lengths_of, powers_of_two, room_of
from .staging import Field, Staging


class Intake:
    """Articles that have joined and are not read yet."""

    def __init__(self, bucket: Bucket, rules: Rules, spacing: Spacing, window: int, device: str) -> None:
        """Begin empty.

        Args:
            bucket: The sizes of the buffers.
            rules: Of the checkpoint.
            spacing: For summaries that quote.
            window: Tokens that the encoder reads at a time; 0 for a whole article.
            device: The kind of device: ``cuda``, ``cpu``.
        """
        self._bucket, self._rules, self._spacing, self._window = bucket, rules, spacing, window
        self.room = room_of(bucket.source_length, window)
        """Tokens of the longest article, with its padding."""
        together = min(TOGETHER, bucket.slots)
        self.lengths = lengths_of(self.room, window) if device == "cuda" else ()
        """As how many tokens articles are read; empty where it is as many as they have."""
        self.counts = tuple(sorted({*powers_of_two(together), *groups(together)}))
        """How many are read together."""
        article = {"slot": (np.int64, ()), "ids": (np.int64, (self.room,)), "mask": (np.bool_, (self.room,))}
        self._staging = Staging(
            [
                *(Field(name, np.dtype(dtype), size) for name, (dtype, size) in article.items()),
                *(Field(tensor.name, tensor.numpy, shape_of(tensor, bucket)) for tensor in (*WISHES, *CHOICES)),
            ],
            bucket.slots,
            together,
            device,
        )
        self.tensors = self._staging.tensors
        """What is read next, by name: ``slot``, ``ids``, ``mask``, and the rows of `engine.tensors` for the slot."""
        self.waiting: dict[int, int] = {}
        """Slots whose articles are to be read, and as how many tokens."""

    def put(self, slot: int, article: Article) -> None:
        """Keep an article until `bring`."""
        rows, tokens = self._staging.rows(slot), len(article.ids)
        length = self._length_of(tokens)
        rows["slot"][...] = slot
        rows["ids"][:tokens], rows["ids"][tokens:length] = article.ids, self._rules.pad_token
        rows["mask"][:tokens], rows["mask"][tokens:length] = article.seen, False
        brought = wishes_of(article.settings, self._bucket)
        if article.plain:
            # What else an earlier article has left there, nothing reads.
            rows["quoting"][...] = rows["sampling"][...] = 0
        else:
            brought |= choices_of(article, self._bucket, self._rules, self._spacing)
        for name, row in brought.items():
            rows[name][...] = row
        self.waiting[slot] = length

    def bring(self) -> Iterator[tuple[int, int]]:
        """Bring articles to the device, group by group, until none waits.

        Yields:
            As how many tokens the articles in `tensors` are read, and how many there are: the next ones take their
            place.
        """
        by_length: defaultdict[int, list[int]] = defaultdict(list)
        for slot, length in self.waiting.items():
            by_length[length].append(slot)
        self.waiting.clear()
        for length, slots in by_length.items():
            for count in groups(len(slots)):
                self._staging.send(slots[:count])
                del slots[:count]
                yield length, count

    def _length_of(self, tokens: int) -> int:
        if self.lengths:
            return least(self.lengths, tokens)
        window = self._window
        return -(-tokens // window) * window if window and tokens > window else tokens
