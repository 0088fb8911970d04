"""BART's encoder, a step of its decoder and search, and the beginning of a search, as graphs: see `engine.artefact`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Final

import onnx
from onnx import helper

from engine.settings import Architecture, Rules
from engine.tensors import CHOICES, NEVER, NEXT, QUOTED, STATE, WISHES, StepTensor
from export.graph.checkpoint_weights import CheckpointWeights
from export.graph.functions import function
from export.graph.graph import DOMAIN, MICROSOFT, Graph, operators_of, value
from export.graph.initializers import Initializers
from export.graph.precision import Precision

from .float_layers import FLOATS, FloatLayers
from .functions import advance_slots, slot_attention, slot_store
from .integer_layers import ROOM, STORED, IntegerLayers
from .layers import Layers
from .logic import Logic
from .weights import Weights

_OPSET: Final = 24
_INTEGER_OPSET: Final = 17
"""The fused operators are functions of this operator set, which the graph around them must have too."""
_IR_VERSIONS: Final = {_OPSET: 11, _INTEGER_OPSET: 8}
_DECIMALS: Final = {"fp32": "FLOAT", "fp16": "FLOAT16", "bf16": "BFLOAT16", "int8": "FLOAT"}


class Summarizer:
    """Writes the graphs of one checkpoint."""

    def __init__(
        self,
        weights: CheckpointWeights,
        architecture: Architecture,
        rules: Rules,
        precision: str,
        initializers: Initializers,
    ) -> None:
        """Take a checkpoint.

        Args:
            weights: As ``transformers`` names them.
            architecture: Its sizes.
            rules: Its search.
            precision: One of `engine.artefact.PRECISIONS`.
            initializers: Where all graphs store their weights.
        """
        if precision not in _DECIMALS:
            raise ValueError(f"the precision is one of {', '.join(_DECIMALS)}, not {precision!r}")
        self.architecture, self.rules, self.precision = architecture, rules, precision
        self.weights = Weights(weights, architecture, initializers)
        self.head_size = architecture.width // architecture.decoder_heads

    @property
    def choices_cost(self) -> bool:
        """Whether quoting and drawing cost slots that do neither, so that a graph without them is of use."""
        return self.precision in FLOATS

    def _layers(self) -> Layers:
        initializers = self.weights.initializers
        if self.precision in FLOATS:
            graph = Graph(initializers, prefix="", precision=Precision.FP32, opset=_OPSET)
            return FloatLayers(graph, self.weights, self.rules, self.precision)
        graph = Graph(initializers, prefix="", precision=Precision.INT8, opset=_INTEGER_OPSET)
        return IntegerLayers(graph, self.weights, self.rules)

    # -- the encoder ------------------------------------------------------------------------------------------------

    def encoder(self) -> onnx.ModelProto:
        """``encoder.onnx``."""
        layers, architecture = self._layers(), self.architecture
        logic, graph = layers.logic, layers.logic.graph
        ids, mask = (self._windows(logic, name) for name in ("input_ids", "attention_mask"))
        graph.read_shape(ids)
        x = layers.embed(ids, logic.range(logic.size(ids, 1)), "encoder")
        for i in range(architecture.encoder_layers):
            layer = f"model.encoder.layers.{i}"
            parts = layers.dense(x, *(f"{layer}.self_attn.{part}_proj" for part in "qkv"))
            context = layers.attend_all(parts, mask, architecture.encoder_heads)
            x = self._output(layers, context, x, f"{layer}.self_attn.out_proj", f"{layer}.self_attn_layer_norm")
            x = self._feed_forward(layers, x, layer)
        if architecture.window:  # Side by side again: the decoder looks at all windows of an article.
            graph.read_shape("input_ids")
            x = graph.one("Reshape", x, graph.batch_shape)
        found = layers.cross_mask("attention_mask")
        for i in range(architecture.decoder_layers):
            names = (f"model.decoder.layers.{i}.encoder_attn.{part}_proj" for part in "kv")
            found |= layers.cross_store(layers.dense(x, *names), i)
        inputs = [value(name, "INT32", ["slots", "tokens" if self._has_room else "source"]) for name in _TEXT]
        if self._has_room:
            inputs.append(value(ROOM, "INT64", [1]))
        return self._model("encoder", graph, inputs, self._outputs(graph, found, self._cross()))

    @property
    def _has_room(self) -> bool:
        return self.precision not in FLOATS

    def _windows(self, logic: Logic, tensor: str) -> str:
        """A text (slots, length) as windows (windows of all slots, window), where it is longer than one."""
        window = self.architecture.window
        if not window:
            return tensor
        length = logic.one("Min", logic.size(tensor, 1), logic.graph.ints([window]))
        return logic.one("Reshape", tensor, logic.shape(-1, length))

    def _output(self, layers: Layers, x: str, skip: str, dense: str, norm: str) -> str:
        return layers.add_norm(layers.dense(x, dense), skip, norm)

    def _feed_forward(self, layers: Layers, x: str, layer: str) -> str:
        active = layers.dense(x, f"{layer}.fc1", activation=self.architecture.activation)
        return self._output(layers, active, x, f"{layer}.fc2", f"{layer}.final_layer_norm")

    # -- a step -----------------------------------------------------------------------------------------------------

    def step(self, *, choices: bool = True) -> onnx.ModelProto:
        """``step.onnx``, or ``plain.onnx`` without `engine.tensors.CHOICES`."""
        layers = self._layers()
        logic, graph = layers.logic, layers.logic.graph
        layers.prepare_step()
        rows = logic.one("Expand", logic.wide("length", 1), logic.one("Shape", "newest"))
        x = layers.embed("newest", rows, "decoder")
        grown: dict[str, str] = {}
        for i in range(self.architecture.decoder_layers):
            layer = f"model.decoder.layers.{i}"
            parts = layers.dense(x, *(f"{layer}.self_attn.{part}_proj" for part in "qkv"))
            context, caches = layers.attend_beams(parts, i)
            grown |= caches
            x = self._output(layers, context, x, f"{layer}.self_attn.out_proj", f"{layer}.self_attn_layer_norm")
            context = layers.attend_cross(layers.dense(x, f"{layer}.encoder_attn.q_proj"), i)
            x = self._output(layers, context, x, f"{layer}.encoder_attn.out_proj", f"{layer}.encoder_attn_layer_norm")
            x = self._feed_forward(layers, x, layer)
        found = layers.advance(layers.logits(x), choices=choices)
        state = [*STATE, *([QUOTED] if choices else [])]
        told = [*WISHES, *(CHOICES if choices else ()), *state]
        kept = [*(_value(tensor) for tensor in state), *self._caches()]
        inputs = [*(_value(tensor) for tensor in told), *self._caches(), *self._cross()]
        return self._model("step", graph, inputs, self._outputs(graph, found | grown, kept, NEXT))

    def begin(self) -> onnx.ModelProto:
        """``begin.onnx``."""
        graph = Graph(self.weights.initializers, prefix="", precision=Precision.FP32, opset=_OPSET)
        logic, rules = Logic(graph), self.rules
        first_beam = logic.one("Equal", logic.range(logic.size("running", 1)), logic.number(0))
        zero, never = (logic.number(score, "float32") for score in (0.0, NEVER))
        at_start = logic.one("Equal", logic.range(logic.size("tokens", 2)), logic.number(0))
        text = logic.where(at_start, logic.number(rules.start_token), logic.number(rules.pad_token))
        no, yes = (logic.number(flag, "bool") for flag in (False, True))
        beginnings = {
            "length": logic.number(1),
            "newest": logic.number(rules.start_token),
            "tokens": text,
            "running": logic.where(first_beam, zero, never),
            "visible": no,
            "best_tokens": text,
            "best_scores": never,
            "finished": no,
            "improvable": yes,
            "done": no,
            "quoted": logic.number(0),
        }
        state = [*STATE, QUOTED]
        found = {}
        for tensor in state:
            axes = range(1, len(tensor.dims))
            fresh = logic.wide("fresh", *axes) if axes else "fresh"
            found[tensor.name] = logic.choose(fresh, beginnings[tensor.name], tensor.name, tensor.dtype)
        values = [_value(tensor) for tensor in state]
        inputs = [value("fresh", "BOOL", ["slots"]), *values]
        return self._model("begin", graph, inputs, self._outputs(graph, found, values, NEXT))

    # -- inputs and outputs -----------------------------------------------------------------------------------------

    def _caches(self) -> list[onnx.ValueInfoProto]:
        shape: Sequence[int | str] = ["slots", self.architecture.decoder_heads, "nodes", self.head_size]
        kind, layers = _DECIMALS[self.precision], range(self.architecture.decoder_layers)
        return [value(f"{part}_{i}", kind, shape) for i in layers for part in ("key", "value")]

    def _cross(self) -> list[onnx.ValueInfoProto]:
        heads, size, layers = self.architecture.decoder_heads, self.head_size, range(self.architecture.decoder_layers)
        if self.precision in FLOATS:
            shape: Sequence[int | str] = ["slots", heads, "source", size]
            kind = _DECIMALS[self.precision]
            stored = [value(f"cross_{part}_{i}", kind, shape) for i in layers for part in ("key", "value")]
            return [value("cross_mask", "BOOL", ["slots", "source"]), *stored]
        # Native kernels store them in a layout of their own.
        stored = [
            value(f"cross_{part}_{i}", kind, ["slots", heads, f"{part}_rows", f"{part}_columns"])
            for i in layers
            for part, kind in zip(STORED, _STORED_AS, strict=True)
        ]
        return [value("cross_mask", "FLOAT", ["slots", 1, 1, "source"]), *stored]

    @staticmethod
    def _outputs(
        graph: Graph, found: Mapping[str, str], values: Sequence[onnx.ValueInfoProto], ending: str = ""
    ) -> list[onnx.ValueInfoProto]:
        """Outputs of the types of ``values``, under their names with an ending.

        Nodes write them under these names: TensorRT wants a cache that grows to be an output itself.
        """
        names = {found[like.name]: f"{like.name}{ending}" for like in values}
        for node in graph.nodes:
            for tensors in (node.input, node.output):
                tensors[:] = [names.get(tensor, tensor) for tensor in tensors]
        outputs = []
        for like in values:
            output = onnx.ValueInfoProto()
            output.CopyFrom(like)
            output.name = f"{like.name}{ending}"
            outputs.append(output)
        return outputs

    def _model(
        self, name: str, graph: Graph, inputs: Sequence[onnx.ValueInfoProto], outputs: Sequence[onnx.ValueInfoProto]
    ) -> onnx.ModelProto:
        read = {tensor for node in graph.nodes for tensor in node.input}
        initializers = [tensor for tensor in graph.initializers.tensors.values() if tensor.name in read]
        proto = helper.make_graph(graph.nodes, name, list(inputs), list(outputs), initializer=initializers)
        opsets = [helper.make_opsetid("", graph.opset), *(helper.make_opsetid(d, 1) for d in (MICROSOFT, DOMAIN))]
        functions = [self._function(operator) for operator in sorted(operators_of(proto))]
        model = helper.make_model(proto, producer_name="infolens", opset_imports=opsets, functions=functions)
        model.ir_version = _IR_VERSIONS[graph.opset]
        return model

    def _function(self, operator: str) -> onnx.FunctionProto:
        heads = self.architecture.decoder_heads
        own = {
            "Int8SlotStore": partial(slot_store, heads),
            "SlotAttention": partial(slot_attention, heads),
            "AdvanceSlots": partial(advance_slots, self.rules, self.weights.columns),
        }
        if operator in own:
            return own[operator]()
        encoder_heads = self.architecture.encoder_heads
        return function(operator, heads=heads, head_size=self.head_size, encoder_heads=encoder_heads)


_STORED_AS: Final = ("INT8", "FLOAT", "INT8", "FLOAT")
_TEXT: Final = ("input_ids", "attention_mask")


def _value(tensor: StepTensor) -> onnx.ValueInfoProto:
    dims = [int(dim) if dim.isdecimal() else dim for dim in tensor.dims]
    return value(tensor.name, tensor.dtype, dims)
