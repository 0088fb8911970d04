"""Articles that a classifier is asked about, and whether what answers gives the model's own answers to them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import torch

from benchmarks.common.shapes import shape_of

from .context import Context
from .models import SEED
from .timing import synchronize

_PADDING_SIDE: Final = {"bart": "right", "distilbert": "right", "xlnet": "left"}
_CANDIDATES: Final = 8
"""Articles of which the most different ones are taken, at least."""
_SHARE: Final = 0.25
"""An answer may be wrong by this share of what the answers to two articles differ by: models with random weights say
much the same of every article, so a fixed bound would let the answers to other articles pass."""
SPREAD: Final = 0.04
"""``initializer_range`` with which models of full size attend to some tokens more than to others: with the usual 0.02 a
mask that is ignored would hardly be seen. In bf16 their answers are a tenth to a quarter of the bound off."""


class WrongAnswersError(Exception):
    """What is measured does not compute what the model does."""


@dataclass(frozen=True, kw_only=True)
class Score:
    """How near answers are to those of the model in fp32."""

    difference: float
    """Largest difference of a probability."""
    agreement: float
    """Share of the articles with the same most probable label."""


def inputs_of(model_type: str, ids: torch.Tensor, *, padded: bool) -> dict[str, torch.Tensor]:
    """A model's inputs for token ids: a mask beside them, and token types where the model reads them.

    Args:
        model_type: An entry of `benchmarks.common.shapes.SHAPES`.
        ids: INT64 (batch, length) of articles without padding.
        padded: Whether articles after the first are shorter than it, down to half of its length, and padded.
    """
    shape, (batch, length) = shape_of(model_type), ids.shape
    ids, mask = ids.clone(), torch.ones_like(ids)
    for row in range(batch if padded else 0):
        missing = row * length // (2 * batch)
        where = {"right": slice(length - missing, length), "left": slice(0, missing)}[_PADDING_SIDE[model_type]]
        ids[row, where], mask[row, where] = shape.settings["pad_token_id"], 0
    inputs = {"input_ids": ids, "attention_mask": mask}
    if shape.last_type is not None:
        inputs["token_type_ids"] = torch.zeros_like(ids)
        inputs["token_type_ids"][:, -1] = shape.last_type
    return inputs


def probabilities(model: Any, inputs: dict[str, torch.Tensor]) -> torch.Tensor:
    """FP32 (batch, labels)."""
    found: torch.Tensor = model(**inputs).logits.float().softmax(-1)
    return found


class Trial:
    """Two batches of articles for a classifier, and its answers in fp32 without TF32.

    Whatever answers reads `inputs` and writes `probabilities`, which stay where they are: a CUDA graph that goes on
    answering for the articles that it was captured with is found out.
    """

    def __init__(self, context: Context, model: Any, model_type: str, batch: int, tokens: int) -> None:
        """Ask the model.

        Args:
            context: Says the device.
            model: In fp32.
            model_type: Its entry of `benchmarks.common.shapes.SHAPES`.
            batch: Articles.
            tokens: Of each, padding included.
        """
        torch.set_float32_matmul_precision("highest")
        self._device = context.device
        count, words = max(2 * batch, _CANDIDATES), context.sizes(shape_of(model_type))["vocab_size"]
        # Every token is random, also those that the heads read: answers differ more then.
        ids = torch.randint(words, (count + 1, tokens), generator=torch.Generator().manual_seed(SEED))
        # Not the first one, which has no padding: alone in a batch it would be answered by kernels that take no mask.
        asked = {
            name: tensor[1:] for name, tensor in inputs_of(model_type, ids.to(context.device), padded=True).items()
        }
        with torch.inference_mode():
            answers = probabilities(model, asked)
        order = answers[:, 0].argsort()
        halves = (order[:batch], order[-batch:])
        self._articles = [{name: tensor[half] for name, tensor in asked.items()} for half in halves]
        self._expected = [answers[half] for half in halves]
        self._apart = float((self._expected[0] - self._expected[1]).abs().max())
        self.inputs = {name: tensor.clone() for name, tensor in self._articles[0].items()}
        self.probabilities = torch.full(self._expected[0].shape, float("nan"), device=context.device)

    def answer(self, model: Any) -> None:
        """Have a model of ``transformers`` answer."""
        self.probabilities.copy_(probabilities(model, self.inputs))

    def check(self, call: Callable[[], object]) -> Score:
        """Let something answer for both batches, the second one copied over the first.

        Raises:
            WrongAnswersError: An answer is no number, or too far from the model's own.
        """
        differences, agreements = [], []
        for articles, expected in zip(self._articles, self._expected, strict=True):
            for name, tensor in articles.items():
                self.inputs[name].copy_(tensor)
            self.probabilities.fill_(float("nan"))
            call()
            synchronize(self._device)
            differences.append((self.probabilities - expected).abs().max())
            agreements.append((self.probabilities.argmax(-1) == expected.argmax(-1)).float().mean())
        difference = float(torch.stack(differences).max())
        if not difference <= _SHARE * self._apart:  # Also where it is no number.
            raise WrongAnswersError(
                f"a probability is {difference:.2g} off fp32, more than {_SHARE:.0%} of what it differs by between two "
                f"batches of articles ({self._apart:.2g}): not measured"
            )
        return Score(difference=difference, agreement=float(torch.stack(agreements).mean()))
