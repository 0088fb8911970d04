"""The parity of summaries: tokens that a graph writes against those of its checkpoint, under several settings."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import torch

from export.checkpoint.checkpoint import Checkpoint
from export.checkpoint.tokenization import Batch
from export.graph.precision import Precision
from export.progress import step
from infolens.contract import ATTENTION_MASK, INPUT_IDS, SUMMARY_SETTINGS
from inspection.generation import Search

from .reference import Encode, Feeds, Run
from .report import ParityReport
from .tolerances import Tolerances

_SUMMARY_CASES: Final[tuple[dict[str, float], ...]] = (
    {},
    {"num_beams": 1, "min_length": 0, "max_length": 24},
    {"num_beams": 2, "length_penalty": 2.0, "min_length": 8, "max_length": 40},
    {"num_beams": 3, "length_penalty": -1.0, "min_length": 12, "max_length": 12},
)
"""Settings of the beam search under which summaries are compared; the others have the contract's defaults."""

_F1_HINT: Final = (
    "{0}_token_f1 is the share of tokens that the {0} summaries have in common with the checkpoint's: {1:.3f}, and it "
    "must be at least {2:g}. Weights that are random or trained briefly decide between near ties, which {0} may "
    "decide otherwise: train longer, export with --precision fp32, or accept less with --min-token-f1 F (0 to 1)"
)


@dataclass(frozen=True, kw_only=True)
class SummaryReference:
    """The summaries that a checkpoint writes of articles; see `reference.Reference`."""

    cases: list[tuple[Feeds, list[list[int]]]]
    """Batches with their settings, and the summaries of each without padding."""
    pad_id: int

    @classmethod
    def of(cls, checkpoint: Checkpoint, served: Encode, articles: Sequence[str]) -> SummaryReference:
        """Ask a checkpoint for summaries of ``articles``, which ``served`` encodes as the server does."""
        cases = []
        for number, case in enumerate(_SUMMARY_CASES, start=1):
            # All articles under the default settings; a mixed batch of three under each of the others.
            texts = articles if not case else articles[1 :: max(1, len(articles) // 3)][:3]
            values = {setting.name: case.get(setting.name, setting.default) for setting in SUMMARY_SETTINGS}
            batch = served(texts)
            with step(f"asking transformers for {len(texts)} summaries, case {number} of {len(_SUMMARY_CASES)}"):
                cases.append((with_settings(batch, values), _summaries(checkpoint, batch, values)))
        return cls(cases=cases, pad_id=checkpoint.model.generation_config.pad_token_id)

    def compare(self, report: ParityReport, precision: Precision, name: str, run: Run, limits: Tolerances) -> None:
        """Record the shares of identical summaries, and the mean token F1 where they may differ."""
        exact: list[bool] = []
        alone: list[bool] = []
        scores: list[float] = []
        for feeds, expected in self.cases:
            answers = [_tokens(row, self.pad_id) for row in run(feeds)]
            single = run({name: array[-1:] for name, array in feeds.items()})
            exact += [a == b for a, b in zip(answers, expected, strict=True)]
            alone.append(_tokens(single[0], self.pad_id) == answers[-1])
            scores += [token_f1(a, b) for a, b in zip(answers, expected, strict=True)]
        allowed = precision.number_format
        report.at_least(f"{name}_same_summaries", float(np.mean(exact)), allowed.same_summaries)
        report.at_least(f"{name}_alone_or_in_a_batch", float(np.mean(alone)), allowed.same_alone)
        if allowed.same_summaries < 1:
            mean = float(np.mean(scores))
            hint = _F1_HINT.format(name, mean, limits.token_f1)
            report.at_least(f"{name}_token_f1", mean, limits.token_f1, hint=hint)


def with_settings(batch: Batch, values: dict[str, float]) -> Feeds:
    """The inputs of the BART graph: a batch, and the settings of the beam search as lengths of dummy tensors."""
    rows = len(batch[INPUT_IDS.name])
    dummies = {s.name: np.zeros((rows, s.encode(values[s.name])), np.uint8) for s in SUMMARY_SETTINGS}
    return {**batch, **dummies}


def _summaries(checkpoint: Checkpoint, batch: Batch, values: dict[str, float]) -> list[list[int]]:
    """The summaries of the articles of a batch, asked for one by one and without padding.

    ``transformers`` repeats the keys and values of a padded article for every beam and copies them at every step: ten
    articles at once take 10 GB with bart-large, and several times as long.
    """
    kinds: dict[str, type] = {"INT32": int, "FP32": float}
    settings = {setting.name: kinds[setting.dtype](values[setting.name]) for setting in SUMMARY_SETTINGS}
    generation = checkpoint.model.generation_config
    search = Search.of(generation, checkpoint.config.vocab_size)
    settings["early_stopping"] = generation.early_stopping and settings["num_beams"] > 1
    if settings["num_beams"] == 1:  # Without beams both are meaningless, and transformers warns.
        settings["length_penalty"] = 1.0
    summaries = []
    with torch.inference_mode():
        for ids, mask in zip(batch[INPUT_IDS.name], batch[ATTENTION_MASK.name], strict=True):
            tokens = torch.from_numpy(ids[mask == 1][None]).long()
            row = checkpoint.model.generate(
                tokens,
                attention_mask=torch.ones_like(tokens),
                **settings,
                do_sample=False,
                forced_eos_token_id=search.last_token,
                no_repeat_ngram_size=generation.no_repeat_ngram_size,
            )
            summaries.append(_tokens(row[0].numpy(), search.pad_token))
    return summaries


def _tokens(row: npt.NDArray[Any], pad_id: int) -> list[int]:
    """A summary without its padding."""
    return [int(token) for token in row if token != pad_id]


def token_f1(answer: Sequence[int], expected: Sequence[int]) -> float:
    """Harmonic mean of precision and recall of the tokens of ``answer``, each counted as often as it occurs."""
    common = sum((Counter(answer) & Counter(expected)).values())
    total = len(answer) + len(expected)
    return 2 * common / total if total else 1.0
