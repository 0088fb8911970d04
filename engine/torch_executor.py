"""Runs the summarizer in PyTorch: on a GPU as two CUDA graphs, of the encoder and of a step; elsewhere as it is."""

from __future__ import annotations

import contextlib
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
    tuned: bool = False
    """Whether the compiler times several kernels for each product of a step; it takes a minute."""
    attention: str = "efficient"
    """A key of `ATTENTION`."""
    chunked: bool = True
    """Whether the best words are searched for part by part of the vocabulary."""

    def __post_init__(self) -> None:
        if self.attention not in ATTENTION:
            raise ValueError(f"attention is one of {', '.join(ATTENTION)}, not {self.attention!r}")
        if self.tuned and self.compiler != "inductor":
            raise ValueError(f"tuned needs the compiler 'inductor', which has such kernels, not {self.compiler!r}")


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
        tuned = self.options.tuned
        self._layer: Callable[..., torch.Tensor] = self._compiled(decoder_layer, tuned=tuned)
        self._logits: Callable[..., torch.Tensor] = self._compiled(logits_of, tuned=tuned)
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
        weights, architecture, kernels = self.weights, self.architecture, self.options.attention
        hidden = encode(self.ids, self.mask, weights, architecture, self._encoder_layer, kernels)
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

    def _compiled(self, call: Callable[..., Any], *, tuned: bool = False) -> Callable[..., Any]:
        backend = self.options.compiler
        if not backend:
            return call
        mode = "max-autotune-no-cudagraphs" if tuned else None
        made: Callable[..., Any] = torch.compile(call, backend=backend, mode=mode, dynamic=False, fullgraph=True)
        return made

    def _captured(self, call: Callable[[], None]) -> Callable[[], object]:
        return capture(call) if self.device == "cuda" and self.options.graphs else call

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
        # Nor may an article have none: it is read as its first one.
        self.mask[:, 0] |= self.mask.sum(dim=1) == 0
        # What is masked still counts where it is no number, such as what an overflow has left.
        for cache in (*self.caches.keys, *self.caches.values):
            cache.zero_()
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


def capture(call: Callable[[], object]) -> Callable[[], object]:
    """Work as a CUDA graph, to be replayed.

    A capture that fails leaves no trace: what comes after it in the process runs as if it had not been tried.

    Args:
        call: Reads and writes tensors that stay where they are, and never waits for the device.
    """
    current, stream = torch.cuda.current_stream(), torch.cuda.Stream()
    stream.wait_stream(current)
    with torch.cuda.stream(stream):
        for _ in range(_WARMUP):
            call()
    current.wait_stream(stream)
    graph, pool = torch.cuda.CUDAGraph(), torch.cuda.graph_pool_handle()
    try:
        with torch.cuda.graph(graph, pool=pool):
            call()
    except BaseException:
        _forget_capture(current, pool)
        raise
    replay: Callable[[], object] = graph.replay
    return replay


def _forget_capture(current: torch.cuda.Stream, pool: Any) -> None:
    """Undo what PyTorch 2.11 leaves behind where a capture is not valid, since its end raises before it cleans up.

    The capturing stream stays the current one; the allocator believes in a capture, and returns no memory to the card;
    and the generator raises at the next random number.
    """
    torch.cuda.set_stream(current)
    device = current.device_index
    with contextlib.suppress(RuntimeError):  # Where the capture was valid, and the work alone raised, it has ended.
        torch._C._cuda_endAllocateToPool(device, pool)  # noqa: SLF001 - there is no public way
    anew = torch.Generator(f"cuda:{device}")
    torch.cuda.default_generators[device].graphsafe_set_state(anew.graphsafe_get_state())
