"""The head of a summarizer that chooses sentences: weights of a checkpoint that its class in ``transformers`` lacks."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

from safetensors import SafetensorError
from safetensors.torch import load_file
from transformers.utils import cached_file

from export.errors import CheckpointError
from export.graph.choice.head import LAYER, LENGTH, WORDS
from inspection.errors import Unfit, first_line
from inspection.weights import require_finite

LAYERS: Final = "choice_layers"
"""The setting of a configuration that says how many layers the head has; without it there is none."""
_FILE: Final = "model.safetensors"
_PREFIX: Final = "choice."


def has_head(config: Any) -> bool:
    """Whether a checkpoint of this configuration has a head that chooses."""
    return getattr(config, LAYERS, None) is not None


def without_head(kind: Any, config: Any) -> Any:
    """A class of ``transformers`` that loads a checkpoint without telling that the head is none of its weights."""
    ignored = {"_keys_to_ignore_on_load_unexpected": [rf"^{_PREFIX}"]}
    return type(kind.__name__, (kind,), ignored) if has_head(config) else kind


def read_head(source: str, model: Any) -> dict[str, Any]:
    """The weights of the head by name, in fp32.

    Args:
        source: The folder or hub id of the checkpoint.
        model: The ``transformers`` model that was loaded from it.

    Raises:
        CheckpointError: It has no head.
        Unfit: The head lacks weights, or some are of another shape or not finite.
    """
    layers = getattr(model.config, LAYERS, None)
    if layers is None:
        raise CheckpointError(
            f"{source!r} has no head that chooses sentences ({LAYERS} in its config.json): train one with `python -m "
            f"training fit summary --set {LAYERS}=2`, or export with --extraction nearest"
        )
    if type(layers) is not int or layers < 0:
        raise Unfit(f"{LAYERS} of its config.json must be a whole number from 0, not {layers!r}")
    found = _tensors(source)
    head = {}
    for name, shape in _shapes(model, layers).items():
        if name not in found:
            raise Unfit(
                f"its config.json says {LAYERS} {layers}, and its {_FILE} lacks {name}; save the whole model again"
            )
        if found[name].shape != shape:
            raise Unfit(
                f"its weights and its config.json are not of one model: {name} has the shape {[*found[name].shape]}, "
                f"and config.json says {[*shape]}; save the whole model again"
            )
        head[name] = found[name].float()
    require_finite(head)
    return head


def _tensors(source: str) -> dict[str, Any]:
    file = cached_file(source, _FILE, _raise_exceptions_for_missing_entries=False)
    if file is None:
        raise Unfit(f"a head that chooses is read from {_FILE}, and there is none; save the model in that one file")
    try:
        return {name: one for name, one in load_file(Path(file)).items() if name.startswith(_PREFIX)}
    except (OSError, SafetensorError) as error:
        raise Unfit(f"its {_FILE} cannot be read ({first_line(error)}); save the model again") from error


def _shapes(model: Any, layers: int) -> dict[str, Any]:
    """The shape of every weight of the head: its layers are as those of the encoder."""
    encoder = model.get_encoder().layers[0].state_dict()
    width = model.config.d_model
    shapes = {f"{LAYER.format(i)}.{name}": one.shape for i in range(layers) for name, one in encoder.items()}
    for name, outputs in ((WORDS, 2), (LENGTH, 1)):
        shapes |= {f"{name}.weight": (outputs, width), f"{name}.bias": (outputs,)}
    return shapes
