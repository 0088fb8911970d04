"""One step of the decoder and of the search, out of the kernels of this folder and PyTorch's large products.

Shapes: ``B`` slots, ``K`` beams, ``R = B K`` rows, width ``W``, ``V`` the padded vocabulary.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

import torch
import torch.nn.functional as F  # noqa: N812 - as everybody writes it

from engine.pytorch.model.layers import ACTIVATIONS
from engine.pytorch.model.weights import DecoderLayer, Dense, Norm, Weights
from engine.pytorch.search.slots import Slots
from engine.settings import Architecture, Rules

from .attention import cross_attention, tree_attention
from .launching import compiling
from .merging import Merging
from .norms import add_norm, embed
from .products import TILES, fits, product
from .search import advance
from .words import bars_of, best_words

Stored = tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]
"""The caches of a layer: keys and values (B, H, N, D), and those of the cross attention (B, H, S, D)."""
Way = Mapping[str, Any]
"""How a product is shared among programs: arguments of `product`."""


@dataclass(frozen=True, kw_only=True)
class Ways:
    """How the products of a layer are computed; None for those of PyTorch."""

    qkv: Way | None = None
    query: Way | None = None
    output: Way | None = None
    inner: Way | None = None
    outer: Way | None = None
    tree: Way = field(default_factory=lambda: {"block": 128})
    cross: Way = field(default_factory=lambda: {"block": 128, "num_stages": 2})


FEW: Final = Ways(
    qkv={"block": 16},
    query={"block": 8},
    output={"block": 8, "parts": 1},
    inner={"block": 16},
    outer={"block": 16, "parts": 4},
)
SOME: Final = Ways(
    qkv={"block": 16},
    query={"block": 16},
    output={"block": 16, "parts": 2},
    inner={"block": 16},
    outer={"block": 16, "parts": 4},
)
MANY: Final = Ways(outer={"block": 64, "parts": 8, "chunk": 128}, tree={"block": 64, "num_stages": 2})
REST: Final = Ways(tree={"block": 64, "num_stages": 2})
BY_ROWS: Final[Mapping[int, Ways]] = {16: FEW, 32: SOME, 128: MANY}
"""What was fastest on an H100 for so many rows or fewer, with weights of BART large; `REST` is for more rows, and for
weights of other sizes."""
_LITTLE: Final[Mapping[str, Way]] = {"tree": {"block": 64, "num_stages": 2}, "cross": {"block": 64, "num_stages": 2}}
BY_ROWS_TIGHT: Final[Mapping[int, Ways]] = {16: replace(FEW, **_LITTLE)}
"""The same where a multiprocessor has less than `ROOM_BYTES` of shared memory for a program; not measured."""
REST_TIGHT: Final = replace(REST, **_LITTLE)
ROOM_BYTES: Final = 160 * 1024


def ways_of(x: torch.Tensor, layer: DecoderLayer, *, tight: bool) -> Ways:
    """How such rows go through such a layer; ``tight`` where there is less shared memory than `ROOM_BYTES`."""
    table, rest = (BY_ROWS_TIGHT, REST_TIGHT) if tight else (BY_ROWS, REST)
    if not (fits(x, layer.qkv) and fits(x, layer.feed_forward.outer)):
        return rest
    return next((ways for rows, ways in table.items() if len(x) <= rows), rest)


class StepKernels:
    """A step on the buffers of one bucket, or on as many of its first slots as it is called with."""

    def __init__(
        self,
        architecture: Architecture,
        rules: Rules,
        slots: Slots,
        device: str,
        *,
        overlap: bool = False,
        tight: bool = False,
        ways: Ways | None = None,
    ) -> None:
        """Make room for what the kernels leave for one another.

        Args:
            architecture: Sizes of the model.
            rules: Of the checkpoint.
            slots: The searches, all slots of the buffers.
            device: Where they are.
            overlap: Whether a kernel may begin while the one before it ends; for compute capability 9.0 and later.
            tight: Whether a program has less than `ROOM_BYTES` of shared memory.
            ways: How a layer is computed; None chooses by its rows.
        """
        self._architecture, self._rules, self._ways, self._tight = architecture, rules, ways, tight
        heads = architecture.decoder_heads
        self._slots, self._beams, _ = slots.tokens.shape
        self._merging = Merging(self._slots, heads, self._beams, architecture.width // heads, device)
        self._bars = bars_of(rules, device)
        self._ends = torch.tensor(rules.end_tokens, dtype=torch.int64, device=device)
        self._launch: dict[str, Any] = {"OVERLAP": overlap}
        if overlap:
            self._launch["launch_pdl"] = True

    @property
    def counts(self) -> list[int]:
        """In how many slots a step comes that has kernels which no smaller one has."""
        wanted = [1, *(rows // self._beams + 1 for rows in TILES)]
        return sorted({count for count in wanted if count <= self._slots})

    def compile(
        self, steps: Iterable[tuple[Slots, Sequence[Stored], torch.Tensor]], weights: Weights, *, threads: int = 0
    ) -> None:
        """Compile the kernels of some steps; nothing is computed.

        Args:
            steps: Slots, caches and biases, as `hidden` takes them.
            weights: Of the model.
            threads: As `compiling` takes them.

        Raises:
            Exception: A kernel cannot be compiled, or several could not be side by side, see `compiling`.
        """
        # All layers have the same kernels.
        first = weights._replace(decoder=weights.decoder[:1])
        with compiling(threads):
            for slots, stored, bias in steps:
                self.search(self.hidden(slots, stored[:1], bias, first), slots, weights)

    def can_search(self, *, plain: bool) -> bool:
        """Whether `search` knows the rules; ``plain`` where no slot quotes or draws."""
        return plain and self._rules.repetition_penalty == 1

    def hidden(self, slots: Slots, stored: Iterable[Stored], bias: torch.Tensor, weights: Weights) -> torch.Tensor:
        """Run the decoder for the newest token of each beam, whose keys and values are written.

        Args:
            slots: The searches.
            stored: The caches of each layer.
            bias: 0 where an article has a token, minus infinity where it has none, (B, 1, K, S).
            weights: Of the model.

        Returns:
            The last layer's output, (R, W).
        """
        scale = self._architecture.width**0.5 if self._architecture.scale_embedding else 1.0
        positions, norm = weights.decoder_positions, weights.decoder_norm
        x, extents = embed(slots.newest, slots.length, weights.words, positions, norm, bias, scale, **self._launch)
        ways = self._ways or ways_of(x, weights.decoder[0], tight=self._tight)
        for layer, caches in zip(weights.decoder, stored, strict=True):
            x = self._layer(x, layer, caches, slots, bias, extents, ways)
        return x

    def _layer(
        self,
        x: torch.Tensor,
        layer: DecoderLayer,
        stored: Stored,
        slots: Slots,
        bias: torch.Tensor,
        extents: torch.Tensor,
        ways: Ways,
    ) -> torch.Tensor:
        keys, values, cross_keys, cross_values = stored
        launch, merging = self._launch, self._merging
        qkv = self._dense(x, layer.qkv, ways.qkv)
        context = tree_attention(
            qkv, keys, values, slots.visible, slots.length, slots.done, merging, **ways.tree, **launch
        )
        x = self._dense_norm(context, layer.output, x, layer.norm, ways.output)
        query = self._dense(x, layer.cross_query, ways.query)
        context = cross_attention(
            query, cross_keys, cross_values, bias, extents, slots.done, merging, **ways.cross, **launch
        )
        x = self._dense_norm(context, layer.cross_output, x, layer.cross_norm, ways.output)
        forward, activation = layer.feed_forward, self._architecture.activation
        inner = self._dense(x, forward.inner, ways.inner, activation)
        return self._dense_norm(inner, forward.outer, x, forward.norm, ways.outer)

    def _dense(self, x: torch.Tensor, layer: Dense, way: Way | None, activation: str = "") -> torch.Tensor:
        if way is not None:
            return product(x, layer, activation=activation, **way, **self._launch)
        y = F.linear(x, layer.weight, layer.bias)
        return ACTIVATIONS[activation](y) if activation else y

    def _dense_norm(
        self, x: torch.Tensor, layer: Dense, skip: torch.Tensor, norm: Norm, way: Way | None
    ) -> torch.Tensor:
        if way is None:
            return add_norm(F.linear(x, layer.weight, layer.bias), skip, norm, **self._launch)
        y = product(x, layer, **way, **self._launch)
        return add_norm(y, skip, norm, layer.bias if "parts" in way else None, **self._launch)

    def search(self, x: torch.Tensor, slots: Slots, weights: Weights) -> None:
        """Continue the beams of every slot by a token; no slot quotes or draws, see `can_search`.

        Args:
            x: What `hidden` returns.
            slots: Changed in place.
            weights: Of the model.
        """
        words = weights.words.t()
        wide = x.is_cuda and x.dtype != torch.float32
        logits = torch.mm(x, words, out_dtype=torch.float32) if wide else torch.mm(x, words).float()
        best = best_words(logits, weights.logits_bias, slots, self._bars, self._rules, **self._launch)
        advance(slots, best, self._ends, self._rules, **self._launch)
