"""The parity of a head that chooses sentences: what a graph says of an article's words, against its checkpoint."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import torch
from torch.nn import functional

from export.checkpoint.checkpoint import Checkpoint
from export.graph.choice.head import LAYER, LENGTH, WORDS
from export.graph.precision import Precision
from infolens.contract import ATTENTION_MASK, INPUT_IDS, SENTENCE_ENDS
from reading.choice import PROBABILITY_SCALE, WORDS_SCALE

from .reference import Feeds, Run
from .report import ParityReport
from .tolerances import Tolerances

_STRICT: Final = 2e-4
"""Maximum difference of a probability, and of the logarithm of a summary's words, in fp32."""
_ACTIVATIONS: Final[dict[str, Callable[[Any], Any]]] = {"gelu": functional.gelu, "relu": functional.relu}
_HINT: Final = (
    "{} says other probabilities of the words than the checkpoint. A head that is random or was trained briefly says "
    "nearly the same of all words: train longer, or export with --precision fp32"
)


@dataclass(frozen=True, kw_only=True)
class ChoiceReference:
    """What a checkpoint's head says of articles."""

    feeds: Feeds
    """A batch of articles of unequal lengths, the shortest first, with the ends of their sentences."""
    window: int
    """Tokens that the encoder reads at once: a longer row consists of such windows."""
    logarithms: npt.NDArray[np.float64]
    """Logarithms of the number of words that each summary is expected to have: (articles,)."""
    odds: npt.NDArray[np.float64]
    """Probabilities of words and of pairs, (articles, 2, length); what stands at padding means nothing."""

    @classmethod
    def of(cls, checkpoint: Checkpoint, feeds: Feeds) -> ChoiceReference:
        """Ask a checkpoint that has a head, article by article and without padding."""
        head = checkpoint.head
        if head is None:
            raise TypeError("the checkpoint was loaded without its head")
        rows = zip(feeds[INPUT_IDS.name], feeds[ATTENTION_MASK.name], strict=True)
        with torch.inference_mode():
            hidden = torch.stack([_states(checkpoint, head, ids, mask) for ids, mask in rows])
            odds = _linear(head, WORDS, hidden).sigmoid().transpose(1, 2)
            logarithms = _linear(head, LENGTH, hidden[:, 0])[:, 0]
        window = checkpoint.window or hidden.shape[1]
        return cls(feeds=feeds, window=window, logarithms=logarithms.double().numpy(), odds=odds.double().numpy())

    def compare(self, report: ParityReport, precision: Precision, name: str, run: Run, limits: Tolerances) -> None:
        """Record how near a graph is; see `reference.Reference`."""
        read = np.broadcast_to(self.feeds[ATTENTION_MASK.name][:, None] != 0, self.odds.shape)
        logarithms, odds = _unpacked(run(self.feeds))
        far, longer = np.abs(odds - self.odds)[read], np.abs(logarithms - self.logarithms)
        if precision.number_format.same_summaries == 1:
            report.at_most(f"{name}_choice_probability", far.max(), _STRICT)
            report.at_most(f"{name}_choice_length", longer.max(), _STRICT)
        else:
            hint = _HINT.format(name)
            report.at_most(f"{name}_choice_mean_probability", far.mean(), limits.choice_probability, hint=hint)
            report.at_most(f"{name}_choice_mean_length", longer.mean(), limits.choice_length, hint=hint)
            rank = _rank_correlation(odds[:, 0][read[:, 0]], self.odds[:, 0][read[:, 0]])
            report.at_least(f"{name}_choice_rank", rank, limits.choice_rank, hint=hint)
        apart = max(self._apart(run, row, odds[row]) for row in (0, len(odds) - 1))
        report.at_most(f"{name}_choice_alone_or_in_a_batch", apart, precision.number_format.alone)

    def _apart(self, run: Run, row: int, together: npt.NDArray[np.float64]) -> float:
        """The largest difference between a row alone, without the padding that it need not have, and in the batch."""
        size = int(np.flatnonzero(self.feeds[ATTENTION_MASK.name][row])[-1]) + 1
        if size > self.window:
            size += -size % self.window
        cut = (INPUT_IDS.name, ATTENTION_MASK.name, SENTENCE_ENDS.name)
        # All other inputs are dummies, which have lengths of their own.
        mine = {name: array[row : row + 1, : size if name in cut else None] for name, array in self.feeds.items()}
        _, alone = _unpacked(run(mine))
        read = self.feeds[ATTENTION_MASK.name][row, :size] != 0
        return float(np.abs(alone[0] - together[:, :size])[:, read].max())


def _unpacked(rows: npt.NDArray[Any]) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """The logarithms of the words, (articles,), and the probabilities, (articles, 2, length), of what a graph says."""
    logarithms = np.log(np.maximum(rows[:, 0], 1) / WORDS_SCALE)
    return logarithms, rows[:, 1:].reshape(len(rows), 2, -1) / PROBABILITY_SCALE


def _states(
    checkpoint: Checkpoint, head: Mapping[str, Any], ids: npt.NDArray[np.int32], mask: npt.NDArray[np.int32]
) -> Any:
    """What the head reads of an article, FLOAT (length, width): each window by itself, and zeros for padding."""
    size = checkpoint.window or len(ids)
    found = torch.zeros(len(ids), checkpoint.config.d_model)
    for start in range(0, len(ids), size):
        kept = start + np.flatnonzero(mask[start : start + size])
        if kept.size:
            x = checkpoint.model.get_encoder()(input_ids=torch.from_numpy(ids[kept][None]).long()).last_hidden_state[0]
            for i in range(checkpoint.trained.choice_layers or 0):
                x = _layer(checkpoint.config, head, LAYER.format(i), x)
            found[kept] = x
    return found


def _layer(config: Any, head: Mapping[str, Any], name: str, x: Any) -> Any:
    """A layer of the encoder's kind, FLOAT (tokens, width): Vaswani et al., "Attention Is All You Need", 2017."""
    heads = config.encoder_attention_heads
    query, key, value = (
        _linear(head, f"{name}.self_attn.{part}_proj", x).unflatten(-1, (heads, -1)).transpose(0, 1) for part in "qkv"
    )
    context = functional.scaled_dot_product_attention(query, key, value).transpose(0, 1).flatten(1)
    x = _norm(head, f"{name}.self_attn_layer_norm", x + _linear(head, f"{name}.self_attn.out_proj", context))
    inner = _ACTIVATIONS[config.activation_function](_linear(head, f"{name}.fc1", x))
    return _norm(head, f"{name}.final_layer_norm", x + _linear(head, f"{name}.fc2", inner))


def _linear(head: Mapping[str, Any], name: str, x: Any) -> Any:
    return functional.linear(x, head[f"{name}.weight"], head[f"{name}.bias"])


def _norm(head: Mapping[str, Any], name: str, x: Any) -> Any:
    return functional.layer_norm(x, x.shape[-1:], head[f"{name}.weight"], head[f"{name}.bias"])


def _rank_correlation(one: npt.NDArray[np.float64], other: npt.NDArray[np.float64]) -> float:
    """Spearman's rank correlation of two lists; the earlier of equals has the lower rank."""
    table: npt.NDArray[np.float64] = np.asarray(
        np.corrcoef([np.argsort(np.argsort(values, kind="stable")) for values in (one, other)])
    )
    return float(table[0, 1])
