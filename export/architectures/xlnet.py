"""XLNet (Yang et al., 2019) with its classification head; `xlnet_graph` writes it, and `xlnet_gpu` for GPUs."""

from __future__ import annotations

from typing import Any, Final

import onnx

from export.graph.graph import ACTIVATIONS, Graph
from infolens.contract import AnswerKind

from .record import Architecture, SpecialToken, Trained, known_values, on_cpu
from .xlnet_gpu import write_gpu
from .xlnet_graph import XLNet

_PAD_TYPE: Final = 3


def write(trained: Trained, graph: Graph) -> onnx.ModelProto:
    """Write the graph.

    Args:
        trained: The configuration and the weights of ``XLNetForSequenceClassification``; ``max_tokens`` bounds the
            relative positions that are prepared at load.
        graph: Empty at first; it chooses the operators and the number format.

    Returns:
        A model: ``input_ids``, ``attention_mask``, ``token_type_ids`` INT32 (batch, length), padded on the left ->
        ``probabilities`` FLOAT (batch, classes).
    """
    return XLNet(trained, graph).build()


def _unsupported(config: Any) -> list[str]:
    return known_values(
        config,
        ff_activation=ACTIVATIONS,
        attn_type=("bi",),
        bi_data=(False,),
        summary_type=("last",),
        untie_r=(True,),
        summary_activation=("tanh", None),
    )


ARCHITECTURE: Final = Architecture(
    model_type="xlnet",
    answers=AnswerKind.LABELS,
    model_class="XLNetForSequenceClassification",
    example="xlnet-base-cased",
    write=on_cpu(write),
    write_on=write,
    write_gpu=write_gpu,
    before=(),
    after=(SpecialToken(roles=("sep_token",)), SpecialToken(roles=("cls_token",), type_id=2)),
    positions=lambda _: None,
    padding_side="left",
    token_types=True,
    pad_type_id=_PAD_TYPE,
    unsupported=_unsupported,
)
