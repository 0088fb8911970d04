"""The weights of a checkpoint as the layers of a step store them."""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from engine.settings import Architecture
from export.graph.checkpoint_weights import CheckpointWeights
from export.graph.initializers import Initializers

EPSILON: Final = 1e-5
"""Added to the variance in BART's normalisations."""
_POSITION_OFFSET: Final = 2
"""The first rows of BART's position tables are unused."""
_COLUMNS_MULTIPLE: Final = 128
"""The scores of a row are a multiple of so many columns, and more than there are words."""


class Weights:
    """The weights of a checkpoint as the layers store them: dense layers (inputs, outputs), words padded."""

    def __init__(self, weights: CheckpointWeights, architecture: Architecture, initializers: Initializers) -> None:
        """Take a checkpoint.

        Args:
            weights: As ``transformers`` names them.
            architecture: Its sizes.
            initializers: Where they are stored.
        """
        self.checkpoint, self.architecture, self.initializers = weights, architecture, initializers
        words = weights["model.shared.weight"]
        columns = (len(words) // _COLUMNS_MULTIPLE + 1) * _COLUMNS_MULTIPLE
        self.words = np.concatenate([words, np.zeros((columns - len(words), words.shape[1]), np.float32)])
        bias = weights["final_logits_bias"].reshape(-1)
        self.logits_bias = np.concatenate([bias, np.full(columns - len(bias), -np.inf, np.float32)])

    @property
    def columns(self) -> int:
        """Scores of a row."""
        return len(self.words)

    def position_table(self, side: str) -> npt.NDArray[np.float32]:
        """A position table; the decoder's row ``t`` is that of the newest of ``t`` tokens."""
        table = self.checkpoint[f"model.{side}.embed_positions.weight"]
        return table[{"encoder": _POSITION_OFFSET, "decoder": _POSITION_OFFSET - 1}[side] :]
