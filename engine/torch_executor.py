"""Runs the summarizer in PyTorch: on a GPU as two CUDA graphs, of the encoder and of a step; elsewhere as it is."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import torch

from .model import ATTENTION, decoder_layer, encode, encoder_layer, logits_of, make_caches, newest, store_article
from .search import advance, begin, make_slots
from .settings import ACTIVATIONS, Architecture, Bucket, Rules, Settings
from .weights import Weights

_WARMUP: Final = 3
_LAG: Final = 2
"""Steps that are given to a GPU before the end of an earlier one is asked for, so that it never waits for the host."""


@dataclass(frozen=True, kw_only=True)
class Options:
    """How the same tokens are computed."""

    graphs: bool = True
    """Capture CUDA graphs where the device is a GPU."""
    compiler: str = ""
    """A backend of ``torch.compile`` for the layers and the search, such as ``inductor``; empty for none."""
    attention: str = "any"
    """A key of `ATTENTION`."""
    chunked: bool = True
    """Whether the best words are searched for part by part of the vocabulary."""

    def __post_init__(self) -> None:
        if self.attention not in ATTENTION:
            raise ValueError(f"attention is one of {', '.join(ATTENTION)}, not {self.attention!r}")


class TorchExecutor:
    """The summarizer over the buffers of one bucket; several executors may share weights.

    One thread at a time may use it.
    """

    def __init__(
        self, weights: Weights, architecture: Architecture, rules: Rules, bucket: Bucket, options: Options | None = None
    ) -> None:
        """Make the buffers, and capture the graphs where there are any.

        Raises:
            ValueError: A text of the bucket is longer than the model's positions.
        """
        for name in ("source_length", "target_length"):
            if getattr(bucket, name) > architecture.positions:
                raise ValueError(
                    f"{name} is at most {architecture.positions}, the positions of this model, not "
                    f"{getattr(bucket, name)}"
                )
        self.weights, self.architecture, self.rules, self.bucket = weights, architecture, rules, bucket
        self.options = options or Options()
        words = weights.words
        self.device = words.device.type
        self._wide = self.device == "cuda" and words.dtype in (torch.float16, torch.bfloat16)
        self.caches = make_caches(architecture, bucket, words.dtype, self.device)
        self.slots = make_slots(bucket, rules, self.device)
        shape = (bucket.slots, bucket.source_length)
        self.ids = torch.full(shape, rules.pad_token, dtype=torch.int64, device=self.device)
        self.mask = torch.ones(shape, dtype=torch.int64, device=self.device)
        self.over = torch.zeros((), dtype=torch.bool, device=self.device)
        """BOOL (): whether all slots are done, as of the last step."""
        # Read by the host while later steps run: one for each step, in memory that the device writes to by itself.
        self._flags = torch.zeros(bucket.target_length, dtype=torch.bool, pin_memory=self.device == "cuda")
        self._layer: Callable[..., torch.Tensor] = self._compiled(decoder_layer)
        self._logits: Callable[..., torch.Tensor] = self._compiled(logits_of)
        self._advance: Callable[..., None] = self._compiled(advance)
        self._newest: Callable[..., Any] = self._compiled(newest)
        self._encoder_layer: Callable[..., torch.Tensor] = self._compiled(encoder_layer)
        self.encode: Callable[[], object] = self._captured(self._encode_now)
        """Read ``ids`` and ``mask``, write the keys and values of the cross attentions."""
        self.step: Callable[[], object] = self._captured(self._step_now)
        """Continue every slot that is not done by a token."""

    # -- what is captured ---------------------------------------------------------------------------------------

    def _encode_now(self) -> None:
        with torch.no_grad():
            self._write_articles()

    def _step_now(self) -> None:
        with torch.no_grad():
            self._continue_beams()

    def _write_articles(self) -> None:
        hidden = encode(self.ids, self.mask, self.weights, self.architecture, self._encoder_layer)
        store_article(hidden, self.mask, self.caches, self.weights, self.architecture)

    def _continue_beams(self) -> None:
        slots, caches = self.slots, self.caches
        x, places, seen = self._newest(slots, self.weights, self.architecture)
        activation = ACTIVATIONS[self.architecture.activation]
        stored = (caches.keys, caches.values, caches.cross_keys, caches.cross_values)
        for layer, *parts in zip(self.weights.decoder, *stored, strict=True):
            x = self._layer(x, layer, tuple(parts), places, seen, caches.cross_bias, activation, self.options.attention)
        self._advance(slots, self._logits(x, self.weights, wide=self._wide), self.rules, chunked=self.options.chunked)
        self.over.copy_(slots.done.all())

    def _compiled(self, call: Callable[..., Any]) -> Callable[..., Any]:
        if not self.options.compiler:
            return call
        made: Callable[..., Any] = torch.compile(call, backend=self.options.compiler, dynamic=False, fullgraph=True)
        return made

    def _captured(self, call: Callable[[], None]) -> Callable[[], object]:
        if self.device != "cuda" or not self.options.graphs:
            return call
        stream = torch.cuda.Stream()
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):
            for _ in range(_WARMUP):
                call()
        torch.cuda.current_stream().wait_stream(stream)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            call()
        replay: Callable[[], object] = graph.replay
        return replay

    # -- what is called -----------------------------------------------------------------------------------------

    def begin(self, ids: torch.Tensor, mask: torch.Tensor, settings: Sequence[Settings]) -> None:
        """Put articles into the first slots, and compute all that a step needs of them.

        Args:
            ids: Token ids, INT64 (articles, tokens), on any device.
            mask: INT64, of the same shape: 0 where an article is padded.
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
        # An empty slot sees one token: attention over none is not a number.
        self.mask.fill_(0)
        self.mask[:, 0] = 1
        self.mask[:articles, :tokens] = mask
        begin(self.slots, self.rules, settings)
        self.encode()

    def finish(self) -> torch.Tensor:
        """Take steps until all slots are done.

        Returns:
            The best summary of every slot, INT64 (slots, target_length), padded; a view of the buffers, which the next
            `begin` overwrites.
        """
        if self.device == "cuda":
            self._finish_ahead()
        else:
            while not bool(self.slots.done.all()):
                self.step()
        return self.slots.best_tokens[:, 0]

    def _finish_ahead(self) -> None:
        waiting: deque[tuple[torch.cuda.Event, torch.Tensor]] = deque()
        # As many steps as the longest summary takes end every search.
        for flag in self._flags:
            self.step()
            flag.copy_(self.over, non_blocking=True)
            event = torch.cuda.Event()
            event.record()
            waiting.append((event, flag))
            if len(waiting) > _LAG:
                event, oldest = waiting.popleft()
                event.synchronize()
                if bool(oldest):
                    break
        torch.cuda.synchronize()

    def summarize(self, ids: torch.Tensor, mask: torch.Tensor, settings: Sequence[Settings]) -> torch.Tensor:
        """Summaries of some articles, INT64 (articles, target_length) on the device, padded; as `begin` takes them."""
        self.begin(ids, mask, settings)
        return self.finish()[: len(settings)].clone()
