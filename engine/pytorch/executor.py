"""Runs the summarizer in PyTorch: on a GPU as CUDA graphs, of the encoder and of a step; elsewhere as it is."""

from __future__ import annotations

import itertools
import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, Final

import numpy as np
import torch

from engine.article import Article, Integers, Spacing, check
from engine.pytorch.model.decoder import Caches, decoder_layer, logits_of, make_caches, newest, seen_of
from engine.pytorch.model.encoder import encode, encoder_layer, store_articles
from engine.pytorch.model.layers import ACTIVATIONS
from engine.pytorch.model.weights import Weights
from engine.pytorch.search.advance import advance
from engine.pytorch.search.slots import Moves, Slots, fresh_rows, make_choices, make_lists, make_slots
from engine.settings import Architecture, Bucket, Rules

from .capture import Captures
from .intake import Intake
from .kernels.opening import open_kernels
from .options import AUTO, Options, best_attention
from .reports import Reports, Tenant
from .sizes import choosing_sizes, least, slot_sizes

_MOST_SIZES: Final = 256
"""For so many sizes a function is compiled at most."""
_LOG: Final = logging.getLogger(__name__)


class TorchExecutor:
    """The summarizer over the buffers of one bucket, an `engine.executor.Executor`; several may share weights.

    One thread at a time may use it. A step takes as many of the first slots as it must, in one of `sizes`, and reads
    articles that have joined together, by twos or fours. Each size has a CUDA graph, which is captured when it is first
    needed, or by `warm`.
    """

    def __init__(
        self,
        weights: Weights,
        architecture: Architecture,
        rules: Rules,
        bucket: Bucket,
        options: Options | None = None,
        *,
        spacing: Spacing | None = None,
    ) -> None:
        """Make the buffers.

        Args:
            weights: Of the model.
            architecture: Its sizes.
            rules: Of the checkpoint.
            bucket: The sizes of the buffers.
            options: How the same tokens are computed.
            spacing: For summaries that quote; None where no word has two forms.

        Raises:
            ValueError: A text of the bucket is longer than the model's positions.
        """
        read_at_once = min(architecture.window or bucket.source_length, bucket.source_length)
        for name, length in (("source_length", read_at_once), ("target_length", bucket.target_length)):
            if length > architecture.positions:
                raise ValueError(
                    f"{name} is at most {architecture.positions}, the positions of this model, not {length}"
                )
        self.weights, self.architecture, self.rules, self.bucket = weights, architecture, rules, bucket
        self.options = options or Options()
        if self.options.attention == AUTO:
            attention = best_attention(weights.words.device.type, weights.words.dtype)
            self.options = replace(self.options, attention=attention)
        words = np.arange(architecture.vocabulary, dtype=np.int32)
        self.device = weights.words.device.type
        self.name = f"torch {self.device.upper()}"
        self.sizes: Sequence[int] = slot_sizes(bucket.slots)
        self._wide = self.device == "cuda" and weights.words.dtype in (torch.float16, torch.bfloat16)
        self.caches = make_caches(architecture, bucket, weights.words.dtype, self.device)
        self.slots = make_slots(bucket, rules, self.device)
        self.choices = make_choices(bucket, self.device)
        self._lists = make_lists(rules, self.device)
        self.fresh = fresh_rows(bucket, rules, self.device)
        self.reports = Reports(self.slots, late=self.device == "cuda")
        self.tenants: dict[int, Tenant] = {}
        self._intake = Intake(
            bucket, rules, spacing or Spacing(spaced=words, unspaced=words), architecture.window, self.device
        )
        self.room = self._intake.room
        self._moves = Moves(self.slots, self.choices)
        self._captures = Captures()
        self._joins: dict[tuple[int, int], Callable[[], object]] = {}
        self._steps: dict[tuple[int, bool], Callable[[], object]] = {}
        self._kernels = open_kernels(self.options, architecture, rules, weights, self.slots, self.caches)
        tuned = self.options.tuned
        self._layer: Callable[..., torch.Tensor] = self._compiled(decoder_layer, tuned=tuned)
        self._logits: Callable[..., torch.Tensor] = self._compiled(logits_of, tuned=tuned)
        self._advance: Callable[..., None] = self._compiled(advance)
        self._newest: Callable[..., Any] = self._compiled(newest)
        self._encoder_layer: Callable[..., torch.Tensor] = self._compiled(encoder_layer)

    # -- what is captured ---------------------------------------------------------------------------------------

    def read_articles(self, ids: torch.Tensor, mask: torch.Tensor, slots: torch.Tensor) -> None:
        """Run the encoder, and write what a step needs of it into some slots; as `encode` takes articles."""
        weights, architecture, kernels = self.weights, self.architecture, self.options.attention
        with torch.no_grad():
            hidden = encode(ids, mask, weights, architecture, self._encoder_layer, kernels)
            store_articles(hidden, mask, self.caches, weights, slots)

    def continue_searches(self, count: int, *, plain: bool) -> None:
        """One step of the first slots, of so many; ``plain`` where none of them quotes or draws."""
        with torch.no_grad():
            self._continue(count, plain=plain)

    def _continue(self, count: int, *, plain: bool) -> None:
        slots, caches = self.slots.first(count), self.caches.first(count)
        if self._kernels is not None:
            x = self._kernels.hidden(slots, caches.layers, caches.cross_bias, self.weights)
            if self._kernels.can_search(plain=plain):
                self._kernels.search(x, slots, self.weights)
                self.reports.write(slots)
                return
            seen = seen_of(slots)
        else:
            x, seen = self._decode(slots, caches)
        logits = self._logits(x, self.weights, wide=self._wide)
        choices = None if plain else self.choices.first(count)
        self._advance(slots, choices, logits, seen, self._lists, self.rules, chunked=self.options.chunked)
        self.reports.write(slots)

    def _decode(self, slots: Slots, caches: Caches) -> tuple[torch.Tensor, torch.Tensor]:
        """PyTorch's operators: the last layer's output, (R, W), and the nodes that each beam sees, BOOL (B, K, N)."""
        x, places, seen, bias = self._newest(slots, self.weights, self.architecture)
        activation = ACTIVATIONS[self.architecture.activation]
        for layer, parts in zip(self.weights.decoder, caches.layers, strict=True):
            x = self._layer(x, layer, parts, places, bias, caches.cross_bias, activation, self.options.attention)
        return x, seen

    def begin_some(self, length: int, count: int) -> None:
        """Begin the searches of the articles that came last, ``count`` of them, which are read as ``length`` tokens."""
        came = {name: tensor[:count] for name, tensor in self._intake.tensors.items()}
        places = came["slot"]
        self.read_articles(came["ids"][:, :length], came["mask"][:, :length], places)
        with torch.no_grad():
            for group in (self.slots, self.choices):
                for name, tensor in zip(group._fields, group, strict=True):
                    fresh = self.fresh.get(name)
                    tensor.index_copy_(0, places, came[name] if fresh is None else fresh.expand_as(tensor[:count]))

    def _compiled(self, call: Callable[..., Any], *, tuned: bool = False) -> Callable[..., Any]:
        backend = self.options.compiler
        if not backend:
            return call
        mode = "max-autotune-no-cudagraphs" if tuned else None
        made: Callable[..., Any] = torch.compile(call, backend=backend, mode=mode, dynamic=False, fullgraph=True)

        def compiled(*arguments: Any, **keywords: Any) -> Any:
            # PyTorch would give up after eight sizes, of all executors together.
            with torch._dynamo.config.patch(recompile_limit=_MOST_SIZES):  # noqa: SLF001 - as its messages say
                return made(*arguments, **keywords)

        return compiled

    def captured(self, call: Callable[[], None]) -> Callable[[], object]:
        """Work as a CUDA graph, where there are any."""
        return self._captures.capture(call) if self.device == "cuda" and self.options.graphs else call

    # -- one article after another ------------------------------------------------------------------------------

    def join(self, slot: int, article: Article) -> None:
        """Put an article into an empty slot, see `engine.executor.Executor.join`.

        Raises:
            ValueError: The slot is not empty, or the article does not fit.
        """
        if slot in self.tenants:
            raise ValueError(f"slot {slot} has an article: leave it before another one joins")
        check(article, self.bucket, self.rules, self.architecture.vocabulary)
        self._intake.put(slot, article)
        self.tenants[slot] = Tenant(plain=article.plain)

    def _read(self) -> None:
        """Read the articles that have joined since the last step."""
        for size in self._intake.bring():
            if size not in self._joins:
                self._joins[size] = self.captured(partial(self.begin_some, *size))
            self._joins[size]()

    def step(self) -> None:
        """Continue every slot that is not done by a token; where the device is behind, waits for an earlier step."""
        self._read()
        count, plain = 1 + max(self.tenants, default=0), True
        for tenant in self.tenants.values():
            plain = plain and (tenant.plain or tenant.summary is not None)
        size = least(self.sizes if plain else choosing_sizes(self.sizes), count)
        if (size, plain) not in self._steps:
            self._steps[size, plain] = self._captured_step(size, plain=plain)
        self._steps[size, plain]()
        self.reports.send([self.tenants.get(slot) for slot in range(size)])

    def _captured_step(self, size: int, *, plain: bool) -> Callable[[], object]:
        """A step as it is captured; the searches stand still meanwhile."""
        done = self.slots.done.clone()
        self.slots.done.fill_(True)
        try:
            return self.captured(partial(self.continue_searches, size, plain=plain))
        finally:
            self.slots.done.copy_(done)

    def done(self) -> Sequence[int]:
        """The slots whose search is known to be over, see `engine.executor.Executor.done`."""
        self.reports.poll()
        return [slot for slot, tenant in self.tenants.items() if tenant.summary is not None]

    def summary(self, slot: int) -> Integers:
        """The best summary of a slot that is done, INT64 (target_length,), padded.

        Raises:
            ValueError: Its search is not known to be over.
        """
        tenant = self.tenants.get(slot)
        if tenant is None or tenant.summary is None:
            raise ValueError(f"slot {slot} has no summary yet: ask for one that done() names")
        return tenant.summary

    def leave(self, slot: int) -> None:
        """Empty a slot, whether its search is over or not."""
        tenant = self.tenants.pop(slot, None)
        unread = self._intake.waiting.pop(slot, None) is not None
        if tenant is not None and tenant.summary is None and not unread:
            self.slots.done[slot].fill_(True)

    def move(self, source: int, target: int) -> None:
        """Move an article to an empty slot, see `engine.executor.Executor.move`.

        Raises:
            ValueError: There is none to move, or the other slot is not empty.
        """
        if source not in self.tenants or target in self.tenants:
            raise ValueError(f"slot {source} moves to {target} only if the one has an article and the other has none")
        self._read()
        self.move_slot(source, target)
        self.tenants[target] = self.tenants.pop(source)

    def move_slot(self, source: int, target: int) -> None:
        """Copy all that the buffers hold of a slot to another one, and end the search in the first."""
        self.caches.move(source, target)
        self._moves.move(source, target)

    def warm(self) -> None:
        """Capture all that later calls need; the slots must be empty."""
        before_s = time.monotonic()
        for length, count in itertools.product(self._intake.lengths, self._intake.counts):
            self._joins[length, count] = self.captured(partial(self.begin_some, length, count))
        self.slots.done.fill_(True)
        for plain, sizes in ((True, self.sizes), (False, choosing_sizes(self.sizes))):
            for size in sizes:
                self._steps[size, plain] = self._captured_step(size, plain=plain)
        _LOG.info(
            "%s: %d graphs for %s in %.1f s",
            self.name, len(self._joins) + len(self._steps), self.bucket, time.monotonic() - before_s,
        )  # fmt: skip

    def close(self) -> None:
        """Free the buffers and the graphs; nothing may be called afterwards."""
        if self.device == "cuda":
            torch.cuda.synchronize()
        self._joins.clear()
        self._steps.clear()
        self.tenants.clear()
        del self.caches, self.slots, self.choices, self.fresh, self._intake, self._moves, self.reports
