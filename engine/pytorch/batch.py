"""A batch of articles from its beginning to its end: what benchmarks and comparisons ask for."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property

import numpy as np
import torch

from engine.article import wishes_of
from engine.settings import Settings
from engine.tensors import WISHES

from .executor import TorchExecutor
from .reports import Tenant


class BatchExecutor(TorchExecutor):
    """An executor whose slots begin together, with one call of the encoder."""

    @cached_property
    def ids(self) -> torch.Tensor:
        """The articles of all slots, INT64 (slots, tokens)."""
        shape = (self.bucket.slots, self.room)
        return torch.full(shape, self.rules.pad_token, dtype=torch.int64, device=self.device)

    @cached_property
    def mask(self) -> torch.Tensor:
        """Which places of ``ids`` hold a token, BOOL (slots, tokens)."""
        return torch.zeros(self.ids.shape, dtype=torch.bool, device=self.device)

    @cached_property
    def encode(self) -> Callable[[], object]:
        """Read all of ``ids`` and ``mask``, and write the keys and values of the cross attentions."""
        return self.captured(self.read_all)

    def read_all(self) -> None:
        """What `encode` does, whether it is captured or not."""
        self.read_articles(self.ids, self.mask, torch.arange(self.bucket.slots, device=self.device))

    def begin(self, ids: torch.Tensor, mask: torch.Tensor, settings: Sequence[Settings]) -> None:
        """Put articles into the first slots and empty the others, and compute all that a step needs of them.

        Args:
            ids: Token ids, INT64 (articles, tokens), on any device.
            mask: INT64, of the same shape: 0 where an article is padded. One without any token is read as its first.
            settings: For each article.

        Raises:
            ValueError: There are more articles or tokens than the bucket holds, or a setting is out of its range.
        """
        articles, tokens = ids.shape
        if articles > self.bucket.slots or tokens > self.bucket.source_length or len(settings) != articles:
            raise ValueError(
                f"this bucket holds {self.bucket.slots} articles of {self.bucket.source_length} tokens, with settings "
                f"for each, not {articles} of {tokens} with {len(settings)} settings"
            )
        for wishes in settings:
            wishes.check(self.bucket, self.rules)
        self.ids.fill_(self.rules.pad_token)
        self.ids[:articles, :tokens] = ids
        self.mask.fill_(False)
        self.mask[:articles, :tokens] = mask != 0
        self._write_settings(settings)
        self.encode()
        self.tenants = {slot: Tenant(plain=True) for slot in range(articles)}

    def _write_settings(self, settings: Sequence[Settings]) -> None:
        rows = [wishes_of(wishes, self.bucket) for wishes in settings]
        for name in (tensor.name for tensor in WISHES):
            stacked = torch.from_numpy(np.stack([row[name] for row in rows]))
            getattr(self.slots, name)[: len(rows)].copy_(stacked)
        for name, fresh in self.fresh.items():
            if name in self.slots._fields:
                getattr(self.slots, name).copy_(fresh.expand_as(getattr(self.slots, name)))
        self.slots.done[len(rows) :].fill_(True)

    def finish(self) -> torch.Tensor:
        """Take steps until all slots are done.

        Returns:
            The best summary of every slot, INT64 (slots, target_length), padded; a view of the buffers, which the next
            `begin` overwrites.
        """
        while len(self.done()) < len(self.tenants):
            self.step()
        return self.slots.best_tokens[:, 0]

    def summarize(self, ids: torch.Tensor, mask: torch.Tensor, settings: Sequence[Settings]) -> torch.Tensor:
        """Summaries of some articles, INT64 (articles, target_length) on the device, padded; as `begin` takes them."""
        self.begin(ids, mask, settings)
        found = self.finish()[: len(settings)].clone()
        self.tenants.clear()
        return found
