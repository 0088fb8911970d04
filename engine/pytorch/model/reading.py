"""The weights of a served summarizer: those that its graphs have, read from the same file."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import numpy as np
import torch

from engine.artefact import ENCODER, STEP, Artefact
from engine.executor import UnavailableError

from .weights import Dense, Norm, Weights, arranged

DTYPES: Final = {"fp32": torch.float32, "fp16": torch.float16, "bf16": torch.bfloat16}
"""By the precision of a folder."""
_STORED: Final = {"FLOAT": torch.float32, "FLOAT16": torch.float16, "BFLOAT16": torch.bfloat16}
"""By the name of a type of ONNX."""


def read_weights(artefact: Artefact, dtype: torch.dtype, device: str) -> Weights:
    """Read the weights of a folder.

    Args:
        artefact: The folder.
        dtype: Of the weights; `DTYPES` has the one that they are stored in.
        device: Where they go.

    Raises:
        UnavailableError: The package ``onnx`` is not installed.
        ValueError: They are stored in int8, or one is missing; the message says what helps.
    """
    if artefact.precision not in DTYPES:
        raise ValueError(
            f"PyTorch reads weights in {', '.join(DTYPES)}, and those of {artefact.folder} are in "
            f"{artefact.precision}: export the model in one of these precisions"
        )
    tensors = _Tensors(artefact)

    def put(name: str) -> torch.Tensor:
        return tensors[name].to(device=device, dtype=dtype).contiguous()

    def dense(*names: str) -> Dense:
        name = "+".join(names)
        weight = tensors[f"{name}.weight"].t().to(device=device, dtype=dtype).contiguous()
        return Dense(weight, put(f"{name}.bias"))

    def norm(name: str) -> Norm:
        return Norm(put(f"{name}.gamma"), put(f"{name}.beta"))

    return arranged(
        artefact.architecture,
        dense,
        norm,
        words=put("words.weight"),
        logits_bias=tensors["logits.bias"].float().to(device),
        encoder_positions=put("encoder_positions.weight"),
        # The first row is that of a text without tokens.
        decoder_positions=put("decoder_positions.weight")[1:],
    )


class _Tensors:
    """The weights of both graphs by name, without what reading whole files would cost."""

    def __init__(self, artefact: Artefact) -> None:
        try:
            import onnx
        except ModuleNotFoundError as error:
            raise UnavailableError(
                "PyTorch takes its weights from ONNX graphs, and the package onnx is missing: install onnx"
            ) from error
        self._folder, self._kind = artefact.folder, onnx.TensorProto.DataType.Name
        self._inline = onnx.numpy_helper.to_array
        self._found: dict[str, Any] = {}
        for name in (ENCODER, STEP):
            model = onnx.load(artefact.path(name), load_external_data=False)
            self._found |= {tensor.name: tensor for tensor in model.graph.initializer}
        self._files: dict[Path, np.ndarray[Any, np.dtype[np.uint8]]] = {}

    def __getitem__(self, name: str) -> torch.Tensor:
        if name not in self._found:
            raise ValueError(f"{self._folder} has no weight {name}: export the model again")
        tensor = self._found[name]
        if not tensor.external_data:
            return torch.tensor(self._inline(tensor).astype(np.float32))
        where = {entry.key: entry.value for entry in tensor.external_data}
        path = self._folder / where["location"]
        if path not in self._files:
            # PyTorch takes no memory that must not be written; what is written here would stay here.
            self._files[path] = np.memmap(path, np.uint8, mode="c")
        start = int(where.get("offset", 0))
        part = torch.from_numpy(self._files[path][start : start + int(where["length"])])
        return part.view(_STORED[self._kind(tensor.data_type)]).view(*tensor.dims)
