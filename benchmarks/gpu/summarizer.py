"""The engine's summarizer over a model of ``transformers`` with random weights."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import torch

from benchmarks.common.shapes import Shape, shape_of
from engine.pytorch.batch import BatchExecutor
from engine.pytorch.model.weights import Weights, load_weights
from engine.pytorch.options import Options
from engine.settings import Architecture, Bucket, Rules, Settings

from .context import Context
from .models import random_ids
from .trial import inputs_of

MODEL_TYPE: Final = "bart"
_LOUDER: Final = 32


@dataclass(frozen=True, kw_only=True)
class Size:
    """The work of one call."""

    batch: int
    beams: int = 4
    tokens_in: int = 512
    tokens_out: int = 60

    @property
    def cells(self) -> dict[str, int]:
        """The columns that say it."""
        return {
            "batch": self.batch,
            "beams": self.beams,
            "tokens_in": self.tokens_in,
            "tokens_out": self.tokens_out,
        }


def exactly(size: Size) -> Settings:
    """A summary of just so many tokens, searched as the published model does."""
    return Settings(
        num_beams=size.beams, min_length=size.tokens_out, max_length=size.tokens_out, length_penalty=2.0,
        no_repeat_ngram_size=3,
    )  # fmt: skip


def rules_of(model: Any) -> Rules:
    """What a model's generation configuration fixes."""
    generation = model.generation_config
    return Rules(
        start_token=model.config.decoder_start_token_id,
        end_tokens=(model.config.eos_token_id,),
        pad_token=model.config.pad_token_id,
        first_token=generation.forced_bos_token_id,
        last_token=generation.forced_eos_token_id,
    )


class Summarizer:
    """The engine with the weights of one model in one number format."""

    def __init__(self, context: Context, model: Any, dtype: torch.dtype) -> None:
        """Arrange the weights.

        Args:
            context: Says the device.
            model: BART.
            dtype: Of the engine's weights.
        """
        self.context = context
        self.shape: Shape = shape_of(MODEL_TYPE)
        self.architecture = Architecture.of(model.config.to_dict())
        self.rules = rules_of(model)
        self.weights: Weights = load_weights(model.state_dict(), self.architecture, dtype, context.device)

    def executor(self, size: Size, options: Options) -> BatchExecutor:
        """An executor for the work of one call, and its graphs where there are any."""
        if options.compiler:
            torch.compiler.reset()  # Code that was compiled for other sizes counts towards a limit.
        bucket = Bucket(slots=size.batch, beams=size.beams, source_length=size.tokens_in, target_length=size.tokens_out)
        return BatchExecutor(self.weights, self.architecture, self.rules, bucket, options)

    def call(self, executor: BatchExecutor, size: Size) -> Callable[[], torch.Tensor]:
        """Whole summaries of a batch without padding: INT64 (batch, tokens_out)."""
        inputs = inputs_of(MODEL_TYPE, random_ids(self.context, MODEL_TYPE, size.batch, size.tokens_in), padded=False)
        settings = [exactly(size)] * size.batch
        return lambda: executor.summarize(inputs["input_ids"], inputs["attention_mask"], settings)


def louder(model: Any) -> None:
    """Make a model with random weights tell words apart.

    As they are made, all words are nearly as good as each other: scores of beams tie within the rounding of fp32, and
    tokens differ for no reason.
    """
    with torch.no_grad():
        for table in (model.model.shared, model.model.encoder.embed_positions, model.model.decoder.embed_positions):
            table.weight.mul_(_LOUDER)


def poison(executor: BatchExecutor) -> None:
    """Fill the buffers with numbers that nothing may read: large ones in the caches, nonsense in the slots."""
    for cache in (executor.caches.past, executor.caches.cross):
        cache.normal_(0, 1e4)
    for tensor in (*executor.slots, *executor.choices):
        tensor.fill_(tensor.dtype == torch.bool or 3)
