"""Load a trained checkpoint of a run and ask it: class probabilities of articles, without a trainer around it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from transformers import AutoConfig

from infolens.contract import Task
from training.models.adapters import add_adapters, load_adapters, merge_adapters
from training.models.architectures import architecture_of, load_prepared
from training.progress.bars import track
from training.recipes.recipe import Recipe

from .averaging import AVERAGE_FILE, read_average
from .batches import Ids, collate, length_sorted, special_tokens
from .prepared import Prepared


def load_trained(task: Task, prepared: Prepared, checkpoint: Path, recipe: Recipe) -> tuple[Any, Any]:
    """The model that a run ended with, and its tokenizer: averaged weights, adapters merged, in evaluation mode."""
    if recipe.lora:
        model, tokenizer = load_prepared(task, prepared.model)
        averaged = (checkpoint / AVERAGE_FILE).exists()
        model = add_adapters(model, recipe) if averaged else load_adapters(model, checkpoint)
    else:
        model, tokenizer = load_prepared(task, checkpoint, tokenizer=prepared.model)
        _switch_cache_back(model.config, prepared)
    if (checkpoint / AVERAGE_FILE).exists():
        own = dict(model.named_parameters())
        with torch.no_grad():
            for name, value in read_average(checkpoint).items():
                own[name].copy_(value)
    if recipe.lora:
        model = merge_adapters(model)
    return on_device(model), tokenizer


def on_device(model: Any, *, precision: str = "fp32") -> Any:
    """The model in evaluation mode, on the GPU where there is one; with bf16 as ``precision`` its weights are rounded.

    A model that only answers needs no sums in fp32 as one that trains does, and without them it is twice as fast on a
    CPU.
    """
    if precision == "bf16":
        model = model.to(torch.bfloat16)
    return model.to("cuda" if torch.cuda.is_available() else "cpu").eval()


def _switch_cache_back(config: Any, prepared: Prepared) -> None:
    """Have the model keep keys and values again as it did before its training: the trainer switched that off."""
    before = AutoConfig.from_pretrained(prepared.model)
    if hasattr(before, "use_cache"):
        config.use_cache = before.use_cache
    elif hasattr(config, "use_cache"):
        del config.use_cache


def predict(model: Any, tokenizer: Any, items: Sequence[Ids], *, tokens: int, batch: int = 64) -> NDArray[np.float32]:
    """Probabilities float32 (articles, classes) of the articles' first ``tokens`` tokens, special ones included.

    Args:
        model: A classifier of `transformers`.
        tokenizer: Its tokenizer.
        items: Token ids of the articles, without special tokens.
        tokens: How much of an article is read.
        batch: Articles at once.
    """
    model.eval()
    record = architecture_of(model.config.model_type)
    room = tokens - special_tokens(tokenizer)
    short = [item[:room] for item in items]
    result = np.zeros((len(items), model.config.num_labels), dtype=np.float32)
    with torch.inference_mode():
        batches = list(length_sorted([len(item) for item in short], batch=batch))
        for rows in track(batches, "asking the model", unit="inputs", weight=batch):
            inputs = collate(tokenizer, [short[i] for i in rows], types=record.token_types)
            inputs = {name: tensor.to(model.device) for name, tensor in inputs.items()}
            result[rows] = model(**inputs, **record.predict_arguments).logits.float().softmax(-1).cpu().numpy()
    return result
