"""BART as one ONNX graph: encoder, beam search and decoder, written straight from a checkpoint's weights.

What is special about this graph, and why:

* The encoder and the keys and values of the cross attention stand in the OUTER graph. ``BeamSearch`` hands its
  decoder whatever its encoder subgraph returns, repeated for every beam; the decoder here ignores that (the encoder
  subgraph returns single zeros) and reads the keys and values from the outer graph, where they stand once for each
  article. The beams of an article become the query positions of one attention: memory traffic falls by the number
  of beams.
* Each layer is a handful of fused operators, because at small widths a step costs as much as it has operators.
* All weights are initialisers of the outer graph, and the tied embedding is stored once: the session transposes it at
  load for the output layer.
* ``BeamSearch`` neither forces the end token at ``max_length`` nor returns it: the search runs to one token less, and
  the graph puts the end token behind every summary itself.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import onnx
from onnx import helper

from infolens.contract import ATTENTION_MASK, INPUT_IDS, SEQUENCES, SUMMARY_SETTINGS

from . import int8_attention
from .graph import MICROSOFT, Graph, Precision, model_of, value
from .state import State
from .weights import Weights

_CERTAIN: Final = 1e6
"""Added to a logit, makes its probability 1."""
_POSITION_OFFSET: Final = 2
"""BART's position table starts at the third row (a relic of the padding row of its ancestors)."""


def build_bart(config: Any, generation: Any, state: State, precision: Precision, weights: Weights) -> onnx.ModelProto:
    """Write the graph.

    Args:
        config: ``transformers.BartConfig`` of the checkpoint.
        generation: ``transformers.GenerationConfig``: start, end, padding and forced tokens, n-gram size.
        state: The weights of ``BartForConditionalGeneration``.
        precision: Number format of the weights; int8 has one scale per output column.
        weights: Where the weights go; empty.

    Returns:
        A model with the contract's inputs (``input_ids`` and ``attention_mask`` INT32 (batch, length), one UINT8
        dummy (batch, n) for each setting) and the output ``sequences`` INT32 (batch, max_length).
    """
    return _Bart(config, generation, state, precision, weights).build()


class _Bart:
    def __init__(self, config: Any, generation: Any, state: State, precision: Precision, weights: Weights) -> None:
        self.config = config
        self.generation = generation
        self.state = state
        self.width: int = config.d_model
        self.layers: int = config.decoder_layers
        self.heads: int = config.decoder_attention_heads
        self.head_size = self.width // self.heads
        self.vocabulary: int = state["model.shared.weight"].shape[0]
        self.precision = precision
        self.weights = weights
        self.outer = Graph(self.weights, prefix="", precision=precision)
        self.decoder = Graph(self.weights, prefix="decoder_", precision=precision)
        self.table = self.outer.store_embedding("embedding", state["model.shared.weight"])

    # -- layers -------------------------------------------------------------------------------------------------

    def product(self, graph: Graph, x: str, *names: str) -> str:
        """One matrix product for the layers ``names`` side by side: (..., width) -> (..., sum of their widths)."""
        return graph.matmul(x, "+".join(names), self.state.weight(*names), single=graph is self.decoder)

    def bias(self, *names: str) -> str:
        """Name of the stored biases of the layers ``names``, side by side."""
        return self.weights.add(f"{'+'.join(names)}.bias", self.state.bias(*names))

    def output(self, graph: Graph, x: str, skip: str, dense: str, norm: str) -> str:
        """The end of a block: dense layer, residual, normalisation."""
        mixed = self.product(graph, x, dense)
        return graph.layer_norm(mixed, skip, norm, self.state.norm(norm, 1e-5), bias=self.bias(dense))

    def feed_forward(self, graph: Graph, x: str, layer: str) -> str:
        name = f"{layer}.fc1"
        inner = self.product(graph, x, name)
        active = graph.activation(inner, self.config.activation_function, name, self.state.bias(name))
        return self.output(graph, active, x, f"{layer}.fc2", f"{layer}.final_layer_norm")

    def self_attention(
        self, graph: Graph, x: str, layer: str, rest: list[str], heads: int, outputs: int | list[str]
    ) -> str:
        names = [f"{layer}.self_attn.{part}_proj" for part in "qkv"]
        parts = graph.add("Split", [self.product(graph, x, *names)], outputs=3, axis=-1)
        context = graph.attention([*parts, self.bias(*names), *rest], heads, outputs=outputs)[0]
        return self.output(graph, context, x, f"{layer}.self_attn.out_proj", f"{layer}.self_attn_layer_norm")

    def embed(self, graph: Graph, ids: str, positions: str, side: str) -> str:
        """Tokens (batch, length) and position vectors (length, width) -> hidden state (batch, length, width)."""
        tokens = graph.embedding(self.table, ids)
        if self.config.scale_embedding:
            tokens = graph.one("Mul", tokens, self.weights.constant(self.width**0.5, np.float32))
        name = f"model.{side}.layernorm_embedding"
        return graph.layer_norm(tokens, positions, name, self.state.norm(name, 1e-5))

    def positions(self, graph: Graph, side: str, start: str, count: str) -> str:
        """Rows ``start`` to ``start + count`` of a position table: (count, width)."""
        name = f"model.{side}.embed_positions.weight"
        table = self.weights.add(name, self.state[name][_POSITION_OFFSET:])
        return graph.one("Slice", table, start, graph.one("Add", start, count), graph.ints([0]))

    # -- encoder ------------------------------------------------------------------------------------------------

    def encode(self) -> None:
        """The encoder, then the keys and values of the cross attention: (batch, heads, length, head size)."""
        graph = self.outer
        graph.read_shape(INPUT_IDS.name)
        positions = self.positions(graph, "encoder", graph.ints([0]), graph.dimension(INPUT_IDS.name, 1))
        x = self.embed(graph, INPUT_IDS.name, positions, "encoder")
        for i in range(self.config.encoder_layers):
            layer = f"model.encoder.layers.{i}"
            x = self.self_attention(graph, x, layer, [ATTENTION_MASK.name], self.config.encoder_attention_heads, 1)
            x = self.feed_forward(graph, x, layer)
        batch = graph.dimension(INPUT_IDS.name, 0)
        # Layer by layer: one product for all of them is larger than the caches, and gains nothing.
        if self.precision is Precision.INT8:
            self.stored = [int8_attention.store(graph, self.cross(graph, x, i)) for i in range(self.layers)]
            self.mask_bias = int8_attention.mask_bias(graph, ATTENTION_MASK.name)
            self.grouped = graph.one("Concat", batch, graph.ints([-1, self.heads, self.head_size]), axis=0)
        else:
            self.keys_values = []
            for i in range(self.layers):
                by_part = graph.one("Transpose", self.cross(graph, x, i), perm=[2, 0, 3, 1, 4])
                parts = graph.add("Split", [by_part], outputs=2, axis=0)
                pair = [graph.one("Squeeze", part, graph.ints([0])) for part in parts]
                if self.precision is Precision.FP16:  # Once for each article, and not at every step.
                    pair = [graph.half(part) for part in pair]
                self.keys_values.append(pair)
            self.grouped = graph.one("Concat", batch, graph.ints([-1, self.width]), axis=0)

    def cross(self, graph: Graph, x: str, i: int) -> str:
        """The keys and the values of layer ``i``: (batch, length, 2, heads, head size)."""
        names = [f"model.decoder.layers.{i}.encoder_attn.{part}_proj" for part in "kv"]
        both = graph.one("Add", self.product(graph, x, *names), self.bias(*names))
        return graph.reshape(both, [0, 0, 2, self.heads, self.head_size])

    # -- the subgraphs of BeamSearch ----------------------------------------------------------------------------

    def caches(self, stem: str, kind: str, length: str) -> list[onnx.ValueInfoProto]:
        """The key and value of every layer; heads and head size must be constants for BeamSearch."""
        shape = ["rows", self.heads, length, self.head_size]
        names = [f"{stem}_{part}_{kind}_{i}" for i in range(self.layers) for part in ("key", "value")]
        return [value(name, "FLOAT", shape) for name in names]

    def encoder_subgraph(self) -> onnx.GraphProto:
        """What BeamSearch wants of an encoder: for every layer a key and a value, here single zeros."""
        graph = Graph(self.weights, prefix="encoder_", precision=Precision.FP32)
        batch = graph.dimension("encoder_input_ids", 0)
        shape = graph.one("Concat", batch, graph.ints([self.heads, 1, self.head_size]), axis=0)
        outputs = self.caches("present", "cross", "one")
        for output in outputs:
            graph.one("Expand", self.weights.constant([[[[0.0]]]], np.float32), shape, output=output.name)
        inputs = [value(name, "INT32", ["rows", "one"]) for name in ("encoder_input_ids", "encoder_attention_mask")]
        return helper.make_graph(graph.nodes, "encoder", inputs, outputs)

    def decoder_subgraph(self) -> onnx.GraphProto:
        """One step: the newest token of every beam (batch * beams, 1) -> logits (batch * beams, 1, vocabulary)."""
        graph = self.decoder
        past = graph.dimension("past_key_self_0", 2)
        positions = self.positions(graph, "decoder", past, graph.ints([1]))
        x = self.embed(graph, "input_ids", positions, "decoder")
        for i in range(self.layers):
            x = self.decoder_layer(graph, x, i)
        if self.table.scales:
            product = graph.matmul_int8(x, self.output_weight, self.table.scales, single=True)
        else:
            product = graph.product(x, self.output_weight)
        graph.one("Add", product, self.logits_bias(past), output="logits")
        inputs = [
            value("input_ids", "INT32", ["rows", 1]),
            value("encoder_attention_mask", "INT32", ["rows", "one"]),
            *self.caches("past", "self", "past"),
            *self.caches("past", "cross", "one"),
        ]
        logits = value("logits", "FLOAT", ["rows", 1, self.vocabulary])
        return helper.make_graph(graph.nodes, "decoder", inputs, [logits, *self.caches("present", "self", "present")])

    def logits_bias(self, past: str) -> str:
        """The bias of the logits (1, vocabulary) after ``past`` steps.

        ``transformers`` forces the first token with a log probability of 0. A mask would leave the token its own
        log probability, a constant that changes which length wins; so the first step has a bias of its own.
        """
        bias = self.state["final_logits_bias"].reshape(-1)
        first = bias.copy()
        if self.generation.forced_bos_token_id is not None:
            first[self.generation.forced_bos_token_id] += _CERTAIN
        table = self.weights.add("logits.bias", np.stack([first, bias]))
        return self.decoder.one("Gather", table, self.decoder.one("Min", past, self.decoder.ints([1])))

    def decoder_layer(self, graph: Graph, x: str, i: int) -> str:
        layer = f"model.decoder.layers.{i}"
        past = ["", "", f"past_key_self_{i}", f"past_value_self_{i}"]
        present = [f"decoder_context_{i}", f"present_key_self_{i}", f"present_value_self_{i}"]
        x = self.self_attention(graph, x, layer, past, self.heads, present)
        # The beams of an article are the query positions of one attention over the article: (batch, beams, width).
        name = f"{layer}.encoder_attn.q_proj"
        query = graph.one("Add", self.product(graph, x, name), self.bias(name))
        query = graph.one("Reshape", query, self.grouped)
        if self.precision is Precision.INT8:
            query = graph.one("Transpose", query, perm=[0, 2, 1, 3])
            query = graph.one("Mul", query, self.weights.constant(self.head_size**-0.5, np.float32))
            context = int8_attention.attend(graph, query, self.stored[i], self.mask_bias)
            context = graph.one("Transpose", context, perm=[0, 2, 1, 3])
        else:
            context = graph.attention([query, *self.keys_values[i], "", ATTENTION_MASK.name], self.heads)[0]
        context = graph.reshape(context, [-1, 1, self.width])
        x = self.output(graph, context, x, f"{layer}.encoder_attn.out_proj", f"{layer}.encoder_attn_layer_norm")
        return self.feed_forward(graph, x, layer)

    # -- the outer graph ----------------------------------------------------------------------------------------

    def setting(self, index: int) -> str:
        """The value of a request's setting, shape (1,), from the length of its dummy: `SummarySetting.decode`."""
        graph, setting = self.outer, SUMMARY_SETTINGS[index]
        whole = setting.dtype == "INT32"
        dtype = np.dtype(np.int32 if whole else np.float32)
        to = onnx.TensorProto.INT32 if whole else onnx.TensorProto.FLOAT
        units = graph.one("Cast", graph.dimension(setting.name, 1), to=to)
        steps = graph.one("Sub", units, self.weights.constant([1], dtype))
        scaled = graph.one("Div", steps, self.weights.constant([setting.steps_per_unit], dtype))
        return graph.one("Add", scaled, self.weights.constant([setting.minimum], dtype))

    def search(self) -> str:
        """The beam search: INT32 (batch, max_length - 1)."""
        graph, weights, generation = self.outer, self.weights, self.generation
        minimum, maximum, beams, penalty = (self.setting(i) for i in range(len(SUMMARY_SETTINGS)))
        one = weights.constant([1], np.int32)
        maximum = graph.one("Sub", maximum, one)
        minimum = graph.one("Min", minimum, maximum)
        # The encoder subgraph only counts the articles: it gets the first token of each.
        sliced = [graph.ints([0]), graph.ints([1]), graph.ints([1])]
        token, mask = (graph.one("Slice", tensor.name, *sliced) for tensor in (INPUT_IDS, ATTENTION_MASK))
        repetition = weights.constant([1.0], np.float32)
        found = graph.one(
            "BeamSearch",
            *[token, maximum, minimum, beams, one, penalty, repetition, "", "", mask],
            domain=MICROSOFT,
            model_type=1,
            encoder=self.encoder_subgraph(),
            decoder=self.decoder_subgraph(),
            vocab_size=self.vocabulary,
            decoder_start_token_id=generation.decoder_start_token_id,
            eos_token_id=generation.eos_token_id,
            pad_token_id=generation.pad_token_id,
            no_repeat_ngram_size=generation.no_repeat_ngram_size or 0,
            early_stopping=int(bool(generation.early_stopping)),
        )  # (batch, 1, max_length - 1)
        return graph.one("Squeeze", found, graph.ints([1]))

    def build(self) -> onnx.ModelProto:
        graph, weights, generation = self.outer, self.weights, self.generation
        self.output_weight = graph.one("Transpose", self.table.rows, perm=[1, 0])
        self.encode()
        sequences = self.search()
        # The search returns summaries without their end token: it goes where the padding starts, if only here.
        pad = weights.constant(generation.pad_token_id, np.int32)
        column = graph.one("Expand", pad, graph.one("Concat", graph.dimension(sequences, 0), graph.ints([1]), axis=0))
        padded = graph.one("Concat", sequences, column, axis=1)
        filled = graph.one("Not", graph.one("Equal", padded, pad))
        bounds = [graph.ints([0]), graph.ints([-1]), graph.ints([1])]
        before = graph.one("Slice", filled, *bounds)
        start = graph.one("Slice", filled, graph.ints([0]), graph.ints([1]), graph.ints([1]))
        after_token = graph.one("Concat", start, before, axis=1)
        last = graph.one("And", after_token, graph.one("Not", filled))
        end = weights.constant(generation.eos_token_id, np.int32)
        graph.one("Where", last, end, padded, output=SEQUENCES.name)
        inputs = [value(tensor.name, "INT32", ["batch", "length"]) for tensor in (INPUT_IDS, ATTENTION_MASK)]
        inputs += [value(setting.name, "UINT8", ["batch", f"{setting.name}_code"]) for setting in SUMMARY_SETTINGS]
        outputs = [value(SEQUENCES.name, "INT32", ["batch", "max_length"])]
        return model_of("bart", graph, inputs, outputs)
