"""BART as one ONNX graph: encoder, beam search and decoder, written straight from a checkpoint's weights.

What is special about this graph, and why:

* The encoder and the keys and values of the cross attention are computed in the OUTER graph, once for each article;
  the loop of the search reads them from there. The beams of an article are the query positions of one attention, which
  divides the memory traffic by the number of beams.
* Each layer is a handful of fused operators, because at small widths the time of a step grows with their number.
* An input that is longer than a window is encoded window by window, and the decoder looks at all of them.
* Where the checkpoint has a head that chooses sentences, requests that quote run it instead of the search.
* All weights are initialisers of the outer graph; the session transposes the tied embedding for the output layer.
"""

from __future__ import annotations

from dataclasses import asdict
from functools import partial
from typing import Any, Final

import numpy as np
import onnx
from onnx import TensorProto

from export.graph.beam_search import BeamSearch
from export.graph.beam_state import BY_LENGTH, Found, Rules, Settings, Source, Step
from export.graph.branches import either, single, where_asked
from export.graph.checkpoint_weights import CheckpointWeights
from export.graph.choice.head import LAYER, write_head
from export.graph.cross.attention import CrossAttention
from export.graph.functions import function
from export.graph.graph import ACTIVATIONS, Graph, Layout, model_of, value
from export.graph.initializers import Initializers
from export.graph.precision import Precision
from infolens.contract import (
    ATTENTION_MASK,
    INPUT_IDS,
    SAMPLING,
    SENTENCE_ENDS,
    SEQUENCES,
    SUMMARY_SETTINGS,
    AnswerKind,
)
from inspection.generation import Search, searched

from .bart_steps import write_steps
from .record import Architecture, Spacing, SpecialToken, Trained, known_values

_POSITION_OFFSET: Final = 2
"""The first two rows of BART's position table are unused; position 0 is the third row."""
_NEVER: Final = -1e6
"""A logit that makes a token's probability 0."""
DEFAULT_NGRAM: Final = 3
"""No n-gram of this size occurs twice in a summary, unless the checkpoint's generation config has another size."""


def prepare(model: Any, tokenizer: Any) -> None:
    """Change a loaded checkpoint into the model that is served: the rules of its search, and the tokens it may write.

    With early stopping, a search ends as soon as it has as many finished summaries as beams. That takes the fewest
    steps, and with one beam gives the same answer as greedy search. Rows of the embedding beyond the tokenizer's
    vocabulary have no text, so their tokens are never written.
    """
    import torch

    generation = model.generation_config = searched(model.generation_config)
    generation.early_stopping = True
    generation.no_repeat_ngram_size = generation.no_repeat_ngram_size or DEFAULT_NGRAM
    with torch.no_grad():
        model.final_logits_bias[:, len(tokenizer) :] = _NEVER


def write(trained: Trained, precision: Precision, initializers: Initializers) -> onnx.ModelProto:
    """Write the graph.

    Args:
        trained: The configuration, the generation configuration (what `Search` has of it) and the weights of
            ``BartForConditionalGeneration``.
        precision: Number format of the weights; int8 has one scale per output column.
        initializers: Where the weights are stored; empty at first.

    Returns:
        A model with the contract's inputs (``input_ids`` and ``attention_mask`` INT32 (batch, length),
        ``sentence_ends`` INT32 (batch, length) or (batch, 1), ``sampling`` FLOAT (batch, 2 + steps) or (batch, 1), one
        UINT8 dummy (batch, n) for each setting that travels by length) and the output ``sequences`` INT32
        (batch, max_length); from a head that chooses, where rows quote, what `write_head` returns.
    """
    return _Bart(trained, precision, initializers).build()


class _Bart:
    def __init__(self, trained: Trained, precision: Precision, initializers: Initializers) -> None:
        self.config = config = trained.config
        self.window = trained.window
        self.choice_layers = trained.choice_layers
        self.spacing = trained.spacing
        self.weights: CheckpointWeights = trained.weights
        self.width: int = config.d_model
        self.layers: int = config.decoder_layers
        self.heads: int = config.decoder_attention_heads
        self.head_size = self.width // self.heads
        self.vocabulary: int = self.weights["model.shared.weight"].shape[0]
        found = asdict(Search.of(trained.generation, self.vocabulary))
        self.rules = Rules(**found, early_stopping=trained.generation.early_stopping)
        self.numbers = precision.number_format
        self.initializers = initializers
        self.outer = Graph(self.initializers, prefix="", precision=precision)
        self.decoder = Graph(self.initializers, prefix="decoder_", precision=precision)
        self.table = self.outer.store_embedding("embedding", self.weights["model.shared.weight"])

    # -- layers -------------------------------------------------------------------------------------------------

    def linear(self, graph: Graph, x: str, *names: str, activation: str = "") -> str:
        """The dense layers ``names`` side by side: (..., width) -> (..., sum of their widths)."""
        weight, bias = self.weights.dense_weight(*names), self.weights.dense_bias(*names)
        layout: Layout = "rows" if graph is self.decoder else "batch"
        return graph.linear(x, "+".join(names), weight, bias, layout=layout, activation=activation)

    def output(self, graph: Graph, x: str, skip: str, dense: str, norm: str) -> str:
        """The end of a block: dense layer, residual connection, layer normalisation."""
        return graph.layer_norm(self.linear(graph, x, dense), skip, norm, self.weights.norm(norm, 1e-5))

    def feed_forward(self, graph: Graph, x: str, layer: str) -> str:
        active = self.linear(graph, x, f"{layer}.fc1", activation=self.config.activation_function)
        return self.output(graph, active, x, f"{layer}.fc2", f"{layer}.final_layer_norm")

    def embed(self, graph: Graph, ids: str, positions: str, side: str) -> str:
        """Tokens (batch, length) and position vectors (length, width) -> hidden state (batch, length, width)."""
        tokens = graph.embedding(self.table, ids)
        if self.config.scale_embedding:
            tokens = graph.one("Mul", tokens, self.initializers.constant(self.width**0.5, np.float32))
        name = f"model.{side}.layernorm_embedding"
        return graph.layer_norm(tokens, positions, name, self.weights.norm(name, 1e-5))

    def positions(self, graph: Graph, side: str, start: str, count: str) -> str:
        """Rows ``start`` to ``start + count`` of a position table: (count, width)."""
        name = f"model.{side}.embed_positions.weight"
        table = self.initializers.add(name, self.weights[name][_POSITION_OFFSET:])
        return graph.one("Slice", table, start, graph.one("Add", start, count), graph.ints([0]))

    # -- encoder ------------------------------------------------------------------------------------------------

    def encode(self) -> tuple[str, str]:
        """The encoder: hidden states (windows of all articles, window, width), and the mask of these."""
        graph = self.outer
        ids, mask = self.windows(INPUT_IDS.name), self.windows(ATTENTION_MASK.name)
        graph.read_shape(ids)
        positions = self.positions(graph, "encoder", graph.ints([0]), graph.dimension(ids, 1))
        x = self.embed(graph, ids, positions, "encoder")
        for i in range(self.config.encoder_layers):
            x = self.encoder_layer(graph, x, mask, f"model.encoder.layers.{i}")
        return x, mask

    def encoder_layer(self, graph: Graph, x: str, mask: str, layer: str) -> str:
        parts = self.linear(graph, x, *(f"{layer}.self_attn.{part}_proj" for part in "qkv"))
        context = graph.self_attention(parts, mask, self.config.encoder_attention_heads)
        x = self.output(graph, context, x, f"{layer}.self_attn.out_proj", f"{layer}.self_attn_layer_norm")
        return self.feed_forward(graph, x, layer)

    def side_by_side(self, graph: Graph, x: str) -> str:
        """The hidden states of windows as those of articles: (batch, length, width)."""
        if not self.window:
            return x
        graph.read_shape(INPUT_IDS.name)
        return graph.one("Reshape", x, graph.batch_shape)

    def windows(self, tensor: str) -> str:
        """A tensor (batch, length) as windows (windows of all articles, window), where it is longer than one."""
        graph = self.outer
        if not self.window:
            return tensor
        length = graph.one("Min", graph.dimension(tensor, 1), graph.ints([self.window]))
        return graph.one("Reshape", tensor, graph.one("Concat", graph.ints([-1]), length, axis=0))

    def store(self, graph: Graph, x: str) -> list[str]:
        """What the cross attention of all layers needs: `CrossAttention.stored`."""
        x = self.side_by_side(graph, x)  # The decoder looks at all windows of an article.
        found = []
        for i in range(self.layers):
            # Layer by layer: one product for all layers is larger than the processor's caches, and no faster.
            both = self.linear(graph, x, *(f"model.decoder.layers.{i}.encoder_attn.{part}_proj" for part in "kv"))
            found += self.across.store(graph, both)
        return found

    # -- the decoder --------------------------------------------------------------------------------------------

    def decode(self, graph: Graph, step: Step) -> tuple[str, list[str]]:
        """Write one step of the decoder; see `beam_state.Decoder`."""
        x = self.embed(graph, step.tokens, self.positions(graph, "decoder", step.position, graph.ints([1])), "decoder")
        x = graph.reshape(x, [-1, self.width])
        grown: list[str] = []
        for i in range(self.layers):
            x, present = self.decoder_layer(graph, x, i, step)
            grown += present
        bias = self.weights["final_logits_bias"].reshape(-1)
        if self.table.scales:
            shape = (self.width, self.vocabulary)
            return graph.int8_linear(
                x, "logits", self.output_weight, self.table.scales, bias, shape, layout="rows"
            ), grown
        product = graph.product(x, self.output_weight)
        return (graph.bias(product, "logits", bias) if bias.any() else product), grown

    def decoder_layer(self, graph: Graph, x: str, i: int, step: Step) -> tuple[str, list[str]]:
        layer = f"model.decoder.layers.{i}"
        parts = self.linear(graph, x, *(f"{layer}.self_attn.{part}_proj" for part in "qkv"))
        inputs = [parts, self.cache, *step.caches[2 * i : 2 * i + 2], step.ancestors]
        outputs = [f"decoder_context_{i}", *(f"grown_{part}_{i}" for part in ("key", "value"))]
        context = graph.fused("BeamAttention", *inputs, outputs=outputs, num_heads=self.heads, layer=i)
        x = self.output(graph, context, x, f"{layer}.self_attn.out_proj", f"{layer}.self_attn_layer_norm")
        query = self.linear(graph, x, f"{layer}.encoder_attn.q_proj")
        context = self.across.look(graph, query, i, self.by_beam)
        x = self.output(graph, context, x, f"{layer}.encoder_attn.out_proj", f"{layer}.encoder_attn_layer_norm")
        return self.feed_forward(graph, x, layer), outputs[1:]

    # -- the outer graph ----------------------------------------------------------------------------------------

    def search(self, asked: str = "") -> tuple[BeamSearch, Found]:
        """All steps of the beam search; of none where ``asked`` BOOL (1,) is false."""
        graph, none = self.outer, np.empty(0, np.int32)
        settings, spacing = Settings.read(graph), self.spacing or Spacing(spaced=none, unspaced=none)
        source = Source.read(self.initializers, spacing.spaced, spacing.unspaced, self.vocabulary)
        batch = graph.dimension(INPUT_IDS.name, 0)
        sizes = {"layers": self.layers, "num_heads": self.heads, "head_size": self.head_size}
        self.cache = graph.fused("BeamCache", batch, settings.num_beams, settings.max_length, **sizes)
        search = BeamSearch(graph, self.decoder, self.rules, settings, source, batch)
        self.by_beam = search.by_beam
        return search, search.write(self.decode, self.layers, self.heads, self.head_size, asked=asked)

    def choice(self, graph: Graph, x: str, mask: str) -> str:
        """What the head says of an article's words: see `write_head`."""
        for i in range(self.choice_layers or 0):
            x = self.encoder_layer(graph, x, mask, LAYER.format(i))
        return write_head(graph, self.side_by_side(graph, x), self.weights)

    def answer(self) -> str:
        """Summaries in words, INT32 (batch, max_length); or the choice, where there is a head and rows quote."""
        graph = self.outer
        x, mask = self.encode()
        self.across = CrossAttention(graph, heads=self.heads, head_size=self.head_size)
        if self.choice_layers is None:
            self.across.stored = self.store(graph, x)
            search, found = self.search()
            return search.forced_end(graph, found)
        # The loop stays in the outer graph: inside a branch, ONNX Runtime packs the decoder's weights at every step.
        free = single(graph, SENTENCE_ENDS.name)
        kinds = self.across.kinds * self.layers
        names = [f"stored_{i}" for i in range(len(kinds))]
        self.across.stored = where_asked(graph, free, partial(self.store, x=x), kinds=kinds, outputs=names)
        search, found = self.search(free)
        ways = (lambda one: (search.forced_end(one, found),), lambda one: (self.choice(one, x, mask),))
        return either(graph, free, *ways, kinds=(TensorProto.INT32,), outputs=("answer",))[0]

    def build(self) -> onnx.ModelProto:
        graph = self.outer
        self.output_weight = graph.one("Transpose", self.table.rows, perm=[1, 0])
        graph.one("Identity", self.answer(), output=SEQUENCES.name)
        inputs = [value(tensor.name, "INT32", ["batch", "length"]) for tensor in (INPUT_IDS, ATTENTION_MASK)]
        inputs += [value(SENTENCE_ENDS.name, "INT32", ["batch", "ends"])]
        inputs += [value(SAMPLING.name, "FLOAT", ["batch", "numbers"])]
        inputs += [value(setting.name, "UINT8", ["batch", f"{setting.name}_code"]) for setting in BY_LENGTH]
        outputs = [value(SEQUENCES.name, "INT32", ["batch", "max_length"])]
        sizes = {"heads": self.heads, "head_size": self.head_size, "encoder_heads": self.config.encoder_attention_heads}
        return model_of("bart", graph, inputs, outputs, partial(function, **sizes, rules=self.rules))


def _unsupported(config: Any) -> list[str]:
    longest = max(int(s.maximum) for s in SUMMARY_SETTINGS if s.name == "max_length")
    positions = config.max_position_embeddings
    few = f"max_position_embeddings={positions} (known: {longest} and more, the longest summary of a request)"
    known = known_values(
        config, activation_function=ACTIVATIONS, tie_word_embeddings=(True,), is_encoder_decoder=(True,)
    )
    return known + ([few] if positions < longest else [])


ARCHITECTURE: Final = Architecture(
    model_type="bart",
    answers=AnswerKind.TEXT,
    model_class="BartForConditionalGeneration",
    example="facebook/bart-large-cnn",
    write=write,
    write_steps=write_steps,
    before=(SpecialToken(roles=("cls_token", "bos_token")),),
    after=(SpecialToken(roles=("sep_token", "eos_token")),),
    positions=lambda config: int(config.max_position_embeddings),
    unsupported=_unsupported,
    prepare=prepare,
    windows=True,
)
