"""The weights of a checkpoint as numpy arrays, under their names in ``transformers``."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from .graph import Norm


class CheckpointWeights(Mapping[str, npt.NDArray[np.float32]]):
    """A read-only view of a model's ``state_dict``; every weight comes as float32."""

    def __init__(self, state_dict: Mapping[str, Any]) -> None:
        self._tensors = state_dict

    def __getitem__(self, name: str) -> npt.NDArray[np.float32]:
        array: npt.NDArray[np.float32] = self._tensors[name].detach().float().numpy()
        return array

    def __iter__(self) -> Iterator[str]:
        return iter(self._tensors)

    def __len__(self) -> int:
        return len(self._tensors)

    def dense_weight(self, *names: str) -> npt.NDArray[np.float32]:
        """The weights of dense layers side by side, ready for ``x @ weight``: (inputs, sum of outputs)."""
        return np.concatenate([self[f"{name}.weight"] for name in names]).T

    def dense_bias(self, *names: str) -> npt.NDArray[np.float32]:
        """The biases of dense layers side by side: (sum of outputs,)."""
        return np.concatenate([self[f"{name}.bias"] for name in names])

    def norm(self, name: str, epsilon: float) -> Norm:
        """The parameters of a layer normalisation."""
        return Norm(gamma=self[f"{name}.weight"], beta=self[f"{name}.bias"], epsilon=epsilon)
