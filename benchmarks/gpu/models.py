"""Models of ``transformers`` in the shapes of the published ones, with random weights, made on the device itself."""

from __future__ import annotations

from importlib import import_module
from typing import Any

import torch

from benchmarks.common.shapes import shape_of

from .context import Context

SEED = 0


def make_model(context: Context, model_type: str, dtype: torch.dtype, **entries: Any) -> Any:
    """A model in evaluation mode on the context's device.

    Args:
        context: Says the device, and whether the model is a small one.
        model_type: ``bart``, ``distilbert`` or ``xlnet``: an entry of `benchmarks.common.shapes.SHAPES`.
        dtype: Of the weights.
        entries: Further ones of the configuration, such as ``num_labels``.
    """
    shape, library = shape_of(model_type), import_module("transformers")
    config = getattr(library, shape.config_class)(**context.sizes(shape), **shape.settings, **entries)
    torch.manual_seed(SEED)
    with torch.device(context.device):
        model = getattr(library, shape.model_class)(config)
    if shape.generation:
        model.generation_config.update(**shape.generation)
    return model.to(dtype=dtype, device=context.device).eval()


def random_ids(context: Context, model_type: str, batch: int, length: int) -> torch.Tensor:
    """Token ids as those of an article without padding, special tokens around them: INT64 (batch, length).

    The same for the same arguments.
    """
    shape = shape_of(model_type)
    first, last = shape.first, shape.last
    generator = torch.Generator().manual_seed(SEED + batch * length)
    words = context.sizes(shape)[shape.vocabulary]
    inner = length - len(first) - len(last)
    ids = torch.randint(10, words, (batch, inner), generator=generator)
    parts = [torch.tensor(first).repeat(batch, 1).long(), ids, torch.tensor(last).repeat(batch, 1).long()]
    return torch.cat(parts, dim=1).to(context.device)
