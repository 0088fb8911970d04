"""What a model that is made of a BERT takes from it: which layers, and whether they fit."""

from __future__ import annotations

from typing import Any

from training.errors import BaseModelError, SettingError


def kept_layers(total: int, keep: int, base: str) -> list[int]:
    """The layers that are kept, evenly spread from the first to the last.

    Args:
        total: Layers of the base.
        keep: How many are kept; 0 keeps all.
        base: Where they come from, for the message.

    Raises:
        SettingError: The base has fewer.
    """
    if keep > total:
        raise SettingError(f"keep_layers is at most {total} for {base}, not {keep}")
    count = keep or total
    return [round(i * (total - 1) / max(1, count - 1)) for i in range(count)]


def require_activation(config: Any, base: str, made: str) -> None:
    """Check that a BERT has an activation that the model made of it can have.

    Args:
        config: Of the BERT.
        base: Where it comes from, for the message.
        made: What it becomes, for the message, with its article.

    Raises:
        BaseModelError: It has another one.
    """
    if config.hidden_act not in {"gelu", "relu"}:
        raise BaseModelError(
            f"{base}: {made} has gelu or relu, not {config.hidden_act}: leave convert_to out, and it stays a BERT"
        )
