"""The tokenizer and the two ONNX graphs of the stand-in models, a few nodes each.

* ``echo`` looks its ids up in a table (ids outside of it fail), and tells with how many rows it ran and which settings
  it got (the lengths of its dummy tensors);
* ``vote`` gives the probabilities of two classes: the share of known tokens decides.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from tokenizers import Tokenizer, models, pre_tokenizers, processors

WORDS = ("<s>", "<pad>", "</s>", "<unk>", "a", "goal", "in", "the", "last", "minute", "won", "match")
SETTINGS = {
    "num_beams": {"minimum": 1, "maximum": 8, "default": 4, "steps_per_unit": 1},
    "length_penalty": {"minimum": -2, "maximum": 2, "default": 1, "steps_per_unit": 10},
}


def write_tokenizer(path: Path, *, left: bool = False) -> None:
    """A word-level ``tokenizer.json`` that puts ``<s>`` before and ``</s>`` after the text."""
    tokenizer = Tokenizer(models.WordLevel({word: index for index, word in enumerate(WORDS)}, unk_token="<unk>"))
    tokenizer.add_special_tokens(list(WORDS[:4]))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>:2" if left else "<s> $A </s>", special_tokens=[("<s>", 0), ("</s>", 2)]
    )
    tokenizer.enable_padding(direction="left" if left else "right", pad_id=1, pad_token="<pad>", pad_type_id=3 * left)
    tokenizer.save(str(path))


def write_echo(path: Path) -> None:
    """``echo``: ids [B, L] and dummies [B, n] -> sequences [B, L], rows [B, 1], settings [B, 2], all INT32."""
    table = numpy_helper.from_array(np.arange(len(WORDS), dtype=np.int32), "table")
    nodes = [
        helper.make_node("Gather", ["table", "input_ids"], ["sequences"]),
        helper.make_node("Slice", ["input_ids", "zero", "one", "one"], ["column"]),
        helper.make_node("Mul", ["column", "no"], ["blank"]),
        helper.make_node("Shape", ["input_ids"], ["batch"], start=0, end=1),
        helper.make_node("Cast", ["batch"], ["batch32"], to=TensorProto.INT32),
        helper.make_node("Add", ["blank", "batch32"], ["rows"]),
    ]
    parts = []
    for name in SETTINGS:
        nodes += [
            helper.make_node("Shape", [name], [f"{name}_shape"], start=1, end=2),
            helper.make_node("Cast", [f"{name}_shape"], [f"{name}_32"], to=TensorProto.INT32),
            helper.make_node("Add", ["blank", f"{name}_32"], [f"{name}_column"]),
        ]
        parts.append(f"{name}_column")
    nodes.append(helper.make_node("Concat", parts, ["settings"], axis=1))
    graph = helper.make_graph(
        nodes,
        "echo",
        [
            helper.make_tensor_value_info("input_ids", TensorProto.INT32, ["B", "L"]),
            helper.make_tensor_value_info("attention_mask", TensorProto.INT32, ["B", "L"]),
            *(helper.make_tensor_value_info(name, TensorProto.UINT8, ["B", f"{name}_n"]) for name in SETTINGS),
        ],
        [
            helper.make_tensor_value_info("sequences", TensorProto.INT32, ["B", "L"]),
            helper.make_tensor_value_info("rows", TensorProto.INT32, ["B", 1]),
            helper.make_tensor_value_info("settings", TensorProto.INT32, ["B", len(SETTINGS)]),
        ],
        [
            table,
            numpy_helper.from_array(np.array([0, 0], np.int64), "zero"),
            numpy_helper.from_array(np.array([np.iinfo(np.int32).max, 1], np.int64), "one_end"),
            numpy_helper.from_array(np.array([0], np.int32), "no"),
        ],
    )
    # Slice takes the first column of every row: starts [0, 0], ends [max, 1].
    graph.node[1].input[2] = "one_end"
    del graph.node[1].input[3:]
    _save(graph, path)


def write_vote(path: Path) -> None:
    """``vote``: ids, mask and types [B, L] -> probabilities [B, 2]; the first class is the share of known tokens."""
    nodes = [
        helper.make_node("Greater", ["input_ids", "unknown"], ["known"]),
        helper.make_node("Cast", ["known"], ["known_float"], to=TensorProto.FLOAT),
        helper.make_node("Cast", ["attention_mask"], ["mask"], to=TensorProto.FLOAT),
        helper.make_node("Mul", ["known_float", "mask"], ["counted"]),
        helper.make_node("ReduceSum", ["counted", "axis"], ["sum"], keepdims=1),
        helper.make_node("ReduceSum", ["mask", "axis"], ["tokens"], keepdims=1),
        helper.make_node("Max", ["tokens", "one_float"], ["tokens_or_one"]),
        helper.make_node("Div", ["sum", "tokens_or_one"], ["share"]),
        helper.make_node("Sub", ["one_float", "share"], ["rest"]),
        helper.make_node("Concat", ["share", "rest"], ["probabilities"], axis=1),
    ]
    graph = helper.make_graph(
        nodes,
        "vote",
        [
            helper.make_tensor_value_info(name, TensorProto.INT32, ["B", "L"])
            for name in ("input_ids", "attention_mask", "token_type_ids")
        ],
        [helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, ["B", 2])],
        [
            numpy_helper.from_array(np.array(3, np.int32), "unknown"),
            numpy_helper.from_array(np.array([1], np.int64), "axis"),
            numpy_helper.from_array(np.array(1, np.float32), "one_float"),
        ],
    )
    _save(graph, path)


def _save(graph: onnx.GraphProto, path: Path) -> None:
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    onnx.checker.check_model(model)
    onnx.save(model, str(path))
