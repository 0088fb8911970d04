"""Low-rank adapters (LoRA; Hu et al., 2021) through peft: train a few matrices, then fold them into the weights."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from infolens.contract import AnswerKind
from training.recipes.kinds import SummarizerRecipe
from training.recipes.recipe import Recipe

from .architectures import architecture_of
from .choice import has_choice

_KINDS: Final = {AnswerKind.TEXT: "SEQ_2_SEQ_LM", AnswerKind.LABELS: "SEQ_CLS"}
"""What peft calls them."""


def learning_part(model: Any, recipe: Recipe) -> Any:
    """The model with all frozen that a recipe does not train: with adapters, or with a head that learns alone."""
    if recipe.lora:
        return add_adapters(model, recipe)
    if isinstance(recipe, SummarizerRecipe) and recipe.choice_only:
        model.choose_alone()
    return model


def skips_parts(config: Any, recipe: Recipe) -> bool:
    """Whether parameters that are trained may have no gradient in a step.

    So it is where a model leaves out layers at random (LayerDrop), as a BART's configuration may ask; and where it has
    a decoder and a head that chooses, of which a batch is for one.
    """
    drops = ("layerdrop", "encoder_layerdrop", "decoder_layerdrop")
    both = has_choice(config) and not (isinstance(recipe, SummarizerRecipe) and recipe.choice_only)
    return both or any(getattr(config, name, 0) for name in drops)


def add_adapters(model: Any, recipe: Recipe) -> Any:
    """The model with adapters, of which only these and the head are trained.

    Raises:
        BaseModelError: The model's architecture has no record.
    """
    from peft import LoraConfig, get_peft_model

    record = architecture_of(model.config.model_type)
    settings = LoraConfig(
        task_type=_KINDS[record.answers],
        r=recipe.lora_rank,
        lora_alpha=recipe.lora_alpha,
        lora_dropout=recipe.dropout,
        target_modules=list(record.lora_targets),
        modules_to_save=list(record.head) or None,
    )
    with _quiet():
        return get_peft_model(model, settings)


def load_adapters(model: Any, folder: Path) -> Any:
    """The model with the adapters of a checkpoint folder."""
    from peft import PeftModel

    with _quiet():
        return PeftModel.from_pretrained(model, str(folder))


@contextmanager
def _quiet() -> Iterator[None]:
    """Without what transformers says of a property that peft still asks for."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "`is_gradient_checkpointing` is deprecated", FutureWarning)
        yield


def merge_adapters(model: Any) -> Any:
    """The plain model, with its adapters folded into the weights."""
    return model.merge_and_unload()
