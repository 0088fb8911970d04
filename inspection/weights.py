"""The weights of a checkpoint: all of them there, of the model's shapes, and finite."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from .errors import Unfit


def require_complete(loading: Mapping[str, Any], *, untrained: Sequence[str] = ()) -> None:
    """Check that no weight of a model was made up when it was loaded.

    Args:
        loading: What ``from_pretrained`` tells of it with ``output_loading_info``.
        untrained: Modules that may begin with random weights: the head of a base.

    Raises:
        Unfit: A weight is missing or has another shape.
    """
    allowed = tuple(f"{name}." for name in untrained)

    def unexpected(names: Sequence[str]) -> list[str]:
        return sorted(name for name in names if not (allowed and name.startswith(allowed)))

    if missing := unexpected([*loading["missing_keys"]]):
        raise Unfit(
            f"its weights lack {len(missing)} tensors, {missing[0]} for one, which would be random; save the whole "
            "model with save_pretrained"
        )
    shapes = {name: (found, wanted) for name, found, wanted in loading.get("mismatched_keys") or ()}
    if wrong := unexpected([*shapes]):
        found, wanted = ([*shape] for shape in shapes[wrong[0]])
        raise Unfit(
            f"its weights and its config.json are not of one model: {wrong[0]} has the shape {found}, and config.json "
            f"says {wanted}; save the whole model with save_pretrained"
        )


def require_finite(weights: Mapping[str, Any]) -> None:
    """Check that all weights are numbers: a NaN or an infinity makes every answer one.

    Args:
        weights: A ``state_dict`` of torch tensors.

    Raises:
        Unfit: One is not finite.
    """
    broken = {}
    for name, tensor in weights.items():
        if tensor.is_floating_point() and (count := tensor.numel() - int(tensor.isfinite().sum())):
            broken[name] = count
    if broken:
        name = next(iter(broken))
        others = f", and {len(broken) - 1} more tensors have some" if len(broken) > 1 else ""
        raise Unfit(
            f"its weights are not finite: {name} has {broken[name]} NaN or infinite of {weights[name].numel()}"
            f"{others}. A training that diverged writes such: take an earlier checkpoint, or train with a lower "
            "learning_rate or without fp16"
        )
