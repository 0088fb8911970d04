"""Runs the summarizer in PyTorch: on a GPU as CUDA graphs, of the encoder and of a step; elsewhere as it is."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

import numpy as np
import torch

from engine.article import Article, Integers, Spacing, check, choices_of, wishes_of
from engine.pytorch.model.decoder import decoder_layer, logits_of, make_caches, newest
from engine.pytorch.model.encoder import encode, encoder_layer, store_articles
from engine.pytorch.model.layers import ACTIVATIONS
from engine.pytorch.model.weights import Weights
from engine.pytorch.search.advance import advance
from engine.pytorch.search.slots import fresh_rows, make_choices, make_lists, make_slots, shape_of
from engine.settings import Architecture, Bucket, Rules, Settings
from engine.tensors import CHOICES, WISHES

from .capture import capture
from .options import Options
from .reports import Reports
from .staging import Field, Staging

_SHORTEST: Final = 128
"""An article is read as one of so many tokens, or twice as many, or twice as many again: a CUDA graph for each."""


@dataclass(kw_only=True)
class Tenant:
    """An article in a slot."""

    plain: bool
    since: int
    """How many steps there had been when it came."""
    summary: Integers | None = None
    """What is known to be its summary."""


class TorchExecutor:
    """The summarizer over the buffers of one bucket, an `engine.executor.Executor`; several may share weights.

    One thread at a time may use it. Its CUDA graphs are captured when they are first needed, or by `warm`.
    """

    packed = False

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
        words = np.arange(architecture.vocabulary, dtype=np.int32)
        self._spacing = spacing or Spacing(spaced=words, unspaced=words)
        self.device = weights.words.device.type
        self.name = f"torch {self.device.upper()}"
        self._wide = self.device == "cuda" and weights.words.dtype in (torch.float16, torch.bfloat16)
        self.caches = make_caches(architecture, bucket, weights.words.dtype, self.device)
        self.slots = make_slots(bucket, rules, self.device)
        self.choices = make_choices(bucket, self.device)
        self._lists = make_lists(rules, self.device)
        self.fresh = fresh_rows(bucket, rules, self.device)
        self.reports = Reports(self.slots, late=self.device == "cuda")
        self.tenants: dict[int, Tenant] = {}
        article = {"slot": (np.int64, ()), "ids": (np.int64, (self.room,)), "mask": (np.bool_, (self.room,))}
        self._staging = Staging(
            [
                *(Field(name, np.dtype(dtype), size) for name, (dtype, size) in article.items()),
                *(Field(tensor.name, tensor.numpy, shape_of(tensor, bucket)) for tensor in (*WISHES, *CHOICES)),
            ],
            bucket.slots,
            self.device,
        )
        self._joins: dict[int, Callable[[], object]] = {}
        self._steps: dict[bool, Callable[[], object]] = {}
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
            store_articles(hidden, mask, self.caches, weights, architecture, slots)

    def continue_searches(self, *, plain: bool) -> None:
        """One step; ``plain`` where no slot quotes or draws."""
        with torch.no_grad():
            self._continue(plain=plain)

    def _continue(self, *, plain: bool) -> None:
        slots, caches = self.slots, self.caches
        x, places, seen, bias = self._newest(slots, self.weights, self.architecture)
        activation = ACTIVATIONS[self.architecture.activation]
        stored = (caches.keys, caches.values, caches.cross_keys, caches.cross_values)
        for layer, *parts in zip(self.weights.decoder, *stored, strict=True):
            x = self._layer(x, layer, tuple(parts), places, bias, caches.cross_bias, activation, self.options.attention)
        logits = self._logits(x, self.weights, wide=self._wide)
        choices = None if plain else self.choices
        self._advance(slots, choices, logits, seen, self._lists, self.rules, chunked=self.options.chunked)
        self.reports.write(slots)

    def begin_one(self, length: int) -> None:
        """Begin the search of the article that came last."""
        came = self._staging.tensors
        place = came["slot"]
        self.read_articles(came["ids"][:, :length], came["mask"][:, :length], place)
        with torch.no_grad():
            for group in (self.slots, self.choices):
                for name, tensor in zip(group._fields, group, strict=True):
                    tensor.index_copy_(0, place, self.fresh[name] if name in self.fresh else came[name])

    def _compiled(self, call: Callable[..., Any], *, tuned: bool = False) -> Callable[..., Any]:
        backend = self.options.compiler
        if not backend:
            return call
        mode = "max-autotune-no-cudagraphs" if tuned else None
        made: Callable[..., Any] = torch.compile(call, backend=backend, mode=mode, dynamic=False, fullgraph=True)
        return made

    def captured(self, call: Callable[[], None]) -> Callable[[], object]:
        """Work as a CUDA graph, where there are any."""
        return capture(call) if self.device == "cuda" and self.options.graphs else call

    # -- one article after another ------------------------------------------------------------------------------

    def join(self, slot: int, article: Article) -> None:
        """Put an article into an empty slot, see `engine.executor.Executor.join`.

        Raises:
            ValueError: The slot is not empty, or the article does not fit.
        """
        if slot in self.tenants:
            raise ValueError(f"slot {slot} has an article: leave it before another one joins")
        check(article, self.bucket, self.rules, self.architecture.vocabulary)
        tokens = len(article.ids)
        ids = np.full(self.room, self.rules.pad_token, np.int64)
        ids[:tokens] = article.ids
        mask = np.zeros(self.room, np.bool_)
        mask[:tokens] = article.seen
        wishes = wishes_of(article.settings, self.bucket)
        choices = choices_of(article, self.bucket, self.rules, self._spacing)
        self._staging.send(slot, {"slot": np.asarray(slot), "ids": ids, "mask": mask, **wishes, **choices})
        length = self._length_of(tokens)
        if length not in self._joins:
            self._joins[length] = self.captured(partial(self.begin_one, length))
        self._joins[length]()
        self.tenants[slot] = Tenant(plain=article.plain, since=self.reports.sent)

    def step(self) -> None:
        """Continue every slot that is not done by a token; where the device is behind, waits for an earlier step."""
        plain = all(tenant.plain or tenant.summary is not None for tenant in self.tenants.values())
        if plain not in self._steps:
            self._steps[plain] = self._captured_step(plain=plain)
        self._steps[plain]()
        self.reports.send()
        self._learn()

    def _captured_step(self, *, plain: bool) -> Callable[[], object]:
        """A step as it is captured; the searches stand still meanwhile."""
        done = self.slots.done.clone()
        self.slots.done.fill_(True)
        try:
            return self.captured(partial(self.continue_searches, plain=plain))
        finally:
            self.slots.done.copy_(done)

    def done(self) -> Sequence[int]:
        """The slots whose search is known to be over, see `engine.executor.Executor.done`."""
        self.reports.poll()
        self._learn()
        return [slot for slot, tenant in self.tenants.items() if tenant.summary is not None]

    def _learn(self) -> None:
        for slot, tenant in self.tenants.items():
            # What is known of earlier steps is about the article before.
            if tenant.summary is None and self.reports.known > tenant.since and self.reports.done(slot):
                tenant.summary = self.reports.summary(slot)

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
        if self.tenants.pop(slot, None) is not None:
            self.slots.done[slot].fill_(True)

    def move(self, source: int, target: int) -> None:
        """Not of use here: a step costs all slots, whichever have an article.

        Raises:
            ValueError: Always.
        """
        raise ValueError(f"slot {source} stays where it is: a step costs every slot, so nothing is gained in {target}")

    def warm(self) -> None:
        """Capture all that later calls need, with an article of one token; the slots must be empty."""
        for length in self._lengths:
            ids = np.full(length, self.rules.start_token, np.int32)
            self.join(0, Article(ids=ids, settings=Settings(max_length=2)))
            self.leave(0)
        for plain in (True, False):
            self._steps[plain] = self._captured_step(plain=plain)

    def close(self) -> None:
        """Free the buffers and the graphs; nothing may be called afterwards."""
        if self.device == "cuda":
            torch.cuda.synchronize()
        self._joins.clear()
        self._steps.clear()
        self.tenants.clear()
        del self.caches, self.slots, self.choices, self.fresh, self._staging, self.reports

    @property
    def room(self) -> int:
        """Tokens of the longest article, up to the end of its last window."""
        window, source = self.architecture.window, self.bucket.source_length
        return -(-source // window) * window if window and source > window else source

    @property
    def _lengths(self) -> list[int]:
        """How many tokens articles are read as, on a device that captures."""
        window = self.architecture.window
        once = min(window, self.room) if window else self.room
        short = [_SHORTEST << i for i in range(32) if _SHORTEST << i < once]
        return [*short, *range(once, self.room + 1, once)]

    def _length_of(self, tokens: int) -> int:
        if self.device == "cuda":
            return next(length for length in self._lengths if length >= tokens)
        window = self.architecture.window
        return -(-tokens // window) * window if window and tokens > window else tokens
