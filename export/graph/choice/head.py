"""The head on an encoder that says of every word of an article whether its summary has it.

From these numbers whoever reads them chooses the set of sentences with the greatest expected ROUGE; no word is decoded.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from onnx import TensorProto

from export.graph.checkpoint_weights import CheckpointWeights
from export.graph.graph import Graph
from reading.choice import PROBABILITY_SCALE, WORDS_SCALE

LAYER: Final = "choice.layers.{}"
"""The name of a layer between the encoder and the head, in a checkpoint."""
WORDS: Final = "choice.words"
"""The dense layer for the probabilities of a word and of a pair: 2 outputs..."""
LENGTH: Final = "choice.length"
"""...and the one for the logarithm of the summary's words: 1 output."""
_LONGEST: Final = 14.0
"""The largest logarithm of a summary's words: what it stands for is still within INT32."""


def write_head(graph: Graph, hidden: str, weights: CheckpointWeights) -> str:
    """Write the head, in fp32 at every precision.

    Args:
        graph: Where it goes.
        hidden: Hidden states FLOAT (batch, length, width).
        weights: Of the checkpoint.

    Returns:
        INT32 (batch, 1 + 2 * length). The first number is how many words the summary is expected to have, in
        thousandths; then comes for every token, in millionths, the probability that the word that begins there is in
        the summary, and then for every token the one that this word and the word before it stand there side by side.
    """
    logits = _dense(graph, hidden, WORDS, weights)
    odds = graph.one("Transpose", graph.one("Sigmoid", logits), perm=[0, 2, 1])
    logarithm = graph.reshape(_dense(graph, graph.token(hidden, 0), LENGTH, weights), [0, 1])
    longest = graph.initializers.constant(_LONGEST, np.float32)
    words = graph.one("Exp", graph.one("Min", logarithm, longest))
    numbers = [_whole(graph, words, WORDS_SCALE), _whole(graph, graph.reshape(odds, [0, -1]), PROBABILITY_SCALE)]
    return graph.one("Concat", *numbers, axis=1)


def _dense(graph: Graph, x: str, name: str, weights: CheckpointWeights) -> str:
    return graph.dense(x, name, weights.dense_weight(name), weights.dense_bias(name))


def _whole(graph: Graph, x: str, units: int) -> str:
    scaled = graph.one("Mul", x, graph.initializers.constant(units, np.float32))
    return graph.one("Cast", graph.one("Round", scaled), to=TensorProto.INT32)
