"""What a model that is made of a BERT takes from it: which layers, and whether they fit."""

from __future__ import annotations

from typing import Any

from training.errors import BaseModelError, SettingError

from .inspected import load_whole


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


def load_bert(base: str, *, keep_layers: int, made: str) -> tuple[Any, list[int]]:
    """Load a BERT that another model is made of: ``(BertModel without pooler, the layers that are kept)``.

    Args:
        base: A hub id or a checkpoint folder of model type ``bert``.
        keep_layers: How many layers are kept, evenly spread; 0 keeps all.
        made: What it becomes, for the message, with its article.

    Raises:
        Unfit: It cannot be loaded.
        SettingError: It has fewer layers than ``keep_layers``.
        BaseModelError: It has an activation that the model made of it cannot have.
    """
    from transformers import BertModel

    bert = load_whole(BertModel, base, add_pooling_layer=False)
    if bert.config.hidden_act not in {"gelu", "relu"}:
        raise BaseModelError(
            f"{base}: {made} has gelu or relu, not {bert.config.hidden_act}: leave convert_to out, and it stays a BERT"
        )
    return bert, kept_layers(bert.config.num_hidden_layers, keep_layers, base)
