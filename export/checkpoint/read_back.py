"""A summarizer read back from the int8 graph that was exported of it, where its checkpoint is no longer at hand.

Every weight comes as its integers times their scales, in double precision: whoever quantizes it again gets the same
integers and scales. What the graph does not store as such (settings of the search, sizes) is read from its nodes.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import onnx
from google.protobuf.message import DecodeError
from onnx import helper, numpy_helper
from transformers import BartConfig, GenerationConfig

from export.architectures.record import Spacing, Trained
from export.errors import CheckpointError
from export.graph.checkpoint_weights import CheckpointWeights
from export.graph.keep_beams import EARLY

_POSITION_OFFSET: Final = 2
"""Rows of BART's position tables that the graph leaves out."""
_OF_NORMS: Final = {"gamma": "weight", "beta": "bias"}
_LAYER: Final = re.compile(r"model\.(encoder|decoder)\.layers\.(\d+)\.")
_ACTIVATIONS: Final = {"Int8LinearGelu": "gelu", "Int8LinearRelu": "relu"}
_NGRAM, _FIRST, _EARLY, _PAD = "ngram", "first", "early", "pad_token"


class ReadBack(CheckpointWeights):
    """The weights of a graph under their names in ``transformers``: FLOAT, or DOUBLE where they are in int8."""

    def __init__(self, tensors: Mapping[str, npt.NDArray[Any]]) -> None:
        """Take a graph's initialisers by name."""
        super().__init__(dict(_named(tensors)))

    def __getitem__(self, name: str) -> npt.NDArray[Any]:
        """Computed when it is asked for: in double precision all of them together are eight times the graph."""
        make: Callable[[], npt.NDArray[Any]] = self._tensors[name]
        return make()


def read_back(graph: Path, *, max_tokens: int, window: int = 0) -> Trained:
    """Read ``model.onnx`` of a BART in int8, without the head that chooses sentences if it has one.

    Args:
        graph: The file.
        max_tokens: The longest input that is served, as ``artefact.json`` beside it says.
        window: Tokens that its encoder reads at once, likewise.

    Raises:
        CheckpointError: It is no such graph, or has a setting that cannot be read back.
    """
    try:
        model = onnx.load(str(graph))
        tensors = {tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
        nodes = _Nodes(model.graph, tensors)
        return Trained(
            config=_config(nodes, tensors),
            generation=_generation(nodes),
            weights=ReadBack(tensors),
            max_tokens=max_tokens,
            window=window,
            spacing=Spacing(spaced=tensors["spaced"], unspaced=tensors["unspaced"]),
        )
    except (OSError, DecodeError, KeyError, StopIteration, ValueError) as error:
        raise CheckpointError(
            f"{graph} is no summarizer in int8 that this program wrote ({error!r}): export its checkpoint again"
        ) from error


def _named(tensors: Mapping[str, npt.NDArray[Any]]) -> Iterator[tuple[str, Callable[[], npt.NDArray[Any]]]]:
    """What makes each weight, by the names that they have in a checkpoint."""
    for name, tensor in tensors.items():
        stem, _, kind = name.rpartition(".")
        if kind == "weight_int8" and stem == "embedding":
            yield "model.shared.weight", partial(_scaled, tensor, tensors[f"{stem}.scale"][:, None])
        elif kind == "weight_int8":
            # Dense layers stand side by side, (inputs, sum of outputs); a checkpoint has (outputs, inputs) of each.
            names = stem.split("+")
            stored = (tensor.T, tensors[f"{stem}.scale"][:, None], tensors[f"{stem}.bias"])
            for part, weight, scale, bias in zip(names, *(np.split(one, len(names)) for one in stored), strict=True):
                yield f"{part}.weight", partial(_scaled, weight, scale)
                yield f"{part}.bias", partial(np.asarray, bias)
        elif kind in _OF_NORMS:
            yield f"{stem}.{_OF_NORMS[kind]}", partial(np.asarray, tensor)
        elif name.endswith(".embed_positions.weight"):
            yield name, partial(np.pad, tensor, ((_POSITION_OFFSET, 0), (0, 0)))
        elif name == "logits.bias":
            yield "final_logits_bias", partial(np.asarray, tensor[None])


def _scaled(integers: npt.NDArray[np.int8], scales: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
    found: npt.NDArray[np.float64] = integers.astype(np.float64) * scales.astype(np.float64)
    return found


class _Nodes:
    """The nodes of a graph, with those of its branches, and of the body of its loop."""

    def __init__(self, graph: onnx.GraphProto, tensors: Mapping[str, npt.NDArray[Any]]) -> None:
        self.tensors = tensors
        self.outer = list(self.all_of(graph))
        self.loop = self.first(self.outer, "Loop")
        self.body = list(self.attributes(self.loop)["body"].node)

    @classmethod
    def all_of(cls, graph: onnx.GraphProto) -> Iterator[onnx.NodeProto]:
        """The nodes of a graph, and after each ``If`` those of its branches."""
        for node in graph.node:
            yield node
            if node.op_type == "If":
                for branch in cls.attributes(node).values():
                    yield from cls.all_of(branch)

    @staticmethod
    def attributes(node: onnx.NodeProto) -> dict[str, Any]:
        return {attribute.name: helper.get_attribute_value(attribute) for attribute in node.attribute}

    @staticmethod
    def first(nodes: list[onnx.NodeProto], *operators: str) -> Any:
        return next(node for node in nodes if node.op_type in operators)

    def maker(self, tensor: str) -> Any:
        """The node that an output is of."""
        return next(node for node in (*self.outer, *self.body) if tensor in node.output)

    def tokens(self, name: str) -> list[int]:
        return [int(token) for token in self.tensors[name].reshape(-1)]


def _config(nodes: _Nodes, tensors: Mapping[str, npt.NDArray[Any]]) -> BartConfig:
    """The sizes of a model, as its configuration has them."""
    layers: dict[str, set[int]] = {"encoder": set(), "decoder": set()}
    for name in tensors:
        if found := _LAYER.match(name):
            layers[found[1]].add(int(found[2]))
    vocabulary, width = tensors["embedding.weight_int8"].shape
    feed_forward = nodes.first(nodes.outer, *_ACTIVATIONS)
    # The beginning of the encoder: words, scaled or not, and positions.
    words = nodes.maker(nodes.first(nodes.outer, "AddNorm").input[0])
    return BartConfig(
        d_model=width,
        encoder_layers=len(layers["encoder"]),
        decoder_layers=len(layers["decoder"]),
        encoder_attention_heads=nodes.attributes(nodes.first(nodes.outer, "Int8SelfAttention"))["num_heads"],
        decoder_attention_heads=nodes.attributes(nodes.first(nodes.outer, "Int8CrossStore"))["num_heads"],
        vocab_size=vocabulary,
        encoder_ffn_dim=tensors[feed_forward.input[1]].shape[1],
        decoder_ffn_dim=tensors[nodes.first(nodes.body, *_ACTIVATIONS).input[1]].shape[1],
        max_position_embeddings=len(tensors["model.encoder.embed_positions.weight"]),
        activation_function=_ACTIVATIONS[feed_forward.op_type],
        scale_embedding=nodes.maker(words.input[0]).op_type == "Mul",
    )


def _generation(nodes: _Nodes) -> GenerationConfig:
    """The settings of a search, as a generation configuration has them."""
    if any(node.op_type == "ScatterElements" for node in nodes.body):
        raise ValueError("it has a repetition penalty, which is not read back")
    words, keep = (nodes.first(nodes.body, operator) for operator in ("NextWords", "KeepBeams"))
    *_, ends, never, never_first = words.input
    sizes = nodes.attributes(words) | nodes.attributes(keep)
    history = nodes.attributes(nodes.maker(nodes.loop.input[2]))["value"]
    first: int | None = None
    if sizes[_FIRST] > 1:
        forced = next(node for node in nodes.body if node.op_type == "Where" and words.output[1] in node.input)
        (first,) = nodes.tokens(forced.input[1])
    # Behind the loop every beam that runs ends with the last token.
    last = next(
        node.input[0]
        for node in nodes.outer
        if node.op_type == "Expand" and getattr(nodes.tensors.get(node.input[0]), "dtype", None) == np.int32
    )
    found = GenerationConfig(
        decoder_start_token_id=int(numpy_helper.to_array(history)[0]),
        eos_token_id=nodes.tokens(ends),
        pad_token_id=sizes[_PAD],
        forced_bos_token_id=first,
        forced_eos_token_id=nodes.tokens(last)[0],
        no_repeat_ngram_size=sizes[_NGRAM],
        repetition_penalty=1.0,
        suppress_tokens=nodes.tokens(never) or None,
        begin_suppress_tokens=nodes.tokens(never_first) or None,
    )
    stops = {number: stopping for stopping, number in EARLY.items()}
    found.early_stopping = stops[sizes[_EARLY]]  # Given above, it would be warned of.
    return found
