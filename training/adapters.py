"""Low-rank adapters (LoRA; Hu et al., 2021) through peft: train a few matrices, then fold them into the weights."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

from .recipe import Recipe

_TARGETS: Final = {
    "distilbert": ["q_lin", "k_lin", "v_lin", "out_lin"],
    "bart": ["q_proj", "k_proj", "v_proj", "out_proj"],
    "xlnet": ["layer_1", "layer_2"],
}
"""Dense layers that get adapters; XLNet's attention holds bare tensors, so its feed-forward layers have them."""

_HEADS: Final = {
    "distilbert": ["pre_classifier", "classifier"],
    "bart": None,
    "xlnet": ["sequence_summary", "logits_proj"],
}
"""What begins untrained, and so is trained whole."""


def add_adapters(model: Any, recipe: Recipe) -> Any:
    """The model with adapters, of which only these and the head are trained."""
    from peft import LoraConfig, TaskType, get_peft_model

    kind = model.config.model_type
    task = TaskType.SEQ_2_SEQ_LM if kind == "bart" else TaskType.SEQ_CLS
    return get_peft_model(
        model,
        LoraConfig(
            task_type=task,
            r=recipe.lora_rank,
            lora_alpha=recipe.lora_alpha,
            lora_dropout=recipe.dropout,
            target_modules=_TARGETS[kind],
            modules_to_save=_HEADS[kind],
        ),
    )


def load_adapters(model: Any, folder: Path) -> Any:
    """The model with the adapters of a checkpoint folder."""
    from peft import PeftModel

    return PeftModel.from_pretrained(model, str(folder))


def merge_adapters(model: Any) -> Any:
    """The plain model, with its adapters folded into the weights."""
    return model.merge_and_unload()
