"""The parity of summaries: tokens that a graph writes against those of its checkpoint, under several settings."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import torch
from transformers import LogitsProcessorList
from transformers.modeling_outputs import BaseModelOutput

from export.checkpoint.checkpoint import Checkpoint
from export.checkpoint.tokenization import Batch
from export.graph.precision import Precision
from export.progress import step
from infolens.contract import ATTENTION_MASK, INPUT_IDS, SAMPLING, SENTENCE_ENDS, SUMMARY_SETTINGS
from inspection.generation import Search

from .choice import ChoiceReference
from .quotes import Quotes, Quoting, ends_of, sentences_of
from .reference import Encode, Feeds, Run
from .report import ParityReport
from .sampling import Sample, Sampling
from .tolerances import Tolerances
from .windows import lay_out


@dataclass(frozen=True, kw_only=True)
class _Case:
    """How summaries are written in one comparison."""

    settings: dict[str, float] = field(default_factory=dict)
    """The beam search's; the others have the contract's defaults."""
    quotes: bool = False
    draws: tuple[float, float] | None = None
    """Temperature and top_p of samples; None for a search."""


_CASES: Final = (
    _Case(),
    _Case(settings={"num_beams": 1, "min_length": 0, "max_length": 24}),
    _Case(settings={"num_beams": 2, "length_penalty": 2.0, "min_length": 8, "max_length": 40}),
    _Case(settings={"num_beams": 3, "length_penalty": -1.0, "min_length": 12, "max_length": 12}),
    _Case(quotes=True),
    _Case(settings={"num_beams": 1, "min_length": 40}, quotes=True),
    _Case(settings={"num_beams": 4, "max_length": 24, "length_penalty": 2.0}, quotes=True),
    _Case(settings={"num_beams": 1}, draws=(0.8, 0.9)),
    _Case(settings={"num_beams": 1}, quotes=True, draws=(1.5, 1.0)),
)

_F1_HINT: Final = (
    "{0}_token_f1 is the share of tokens that the {0} summaries have in common with the checkpoint's: {1:.3f}, and it "
    "must be at least {2:g}. Weights that are random or trained briefly decide between near ties, which {0} may "
    "decide otherwise: train longer, export with --precision fp32, or accept less with --min-token-f1 F (0 to 1)"
)


@dataclass(frozen=True, kw_only=True)
class SummaryReference:
    """The summaries that a checkpoint writes of articles; see `reference.Reference`."""

    cases: list[tuple[Feeds, list[list[int]]]]
    """Batches with their settings, and the summaries of each without padding; first all that are searched for."""
    searched: int
    """How many cases are searched for, and not drawn."""
    pad_id: int
    choice: ChoiceReference | None = None
    """What the head says that chooses sentences, which is asked instead of a search that quotes."""

    @classmethod
    def of(cls, checkpoint: Checkpoint, served: Encode, articles: Sequence[str]) -> SummaryReference:
        """Ask a checkpoint for summaries of ``articles``, which ``served`` encodes as the server does."""
        cases = []
        chooses = checkpoint.head is not None
        asked = [case for case in _CASES if not (chooses and case.quotes)]
        for number, case in enumerate(asked, start=1):
            # All articles under the default settings; a mixed batch of three under each of the others.
            texts = articles if case == _CASES[0] else articles[1 :: max(1, len(articles) // 3)][:3]
            values = {s.name: case.settings.get(s.name, s.default) for s in SUMMARY_SETTINGS if s.by_length}
            batch: Batch = lay_out(served(texts), checkpoint)
            if case.quotes:
                batch |= {SENTENCE_ENDS.name: _ends(checkpoint, batch)}
            samplings = _samplings(case, len(texts), int(values["max_length"]))
            feeds = with_settings(batch, values)
            if case.draws:
                feeds |= {SAMPLING.name: np.stack([one.row for one in samplings])}
            with step(f"asking transformers for {len(texts)} summaries, case {number} of {len(asked)}"):
                cases.append((feeds, _summaries(checkpoint, batch, values, samplings)))
        searched = sum(case.draws is None for case in asked)
        choice = None
        if chooses:
            feeds = cases[0][0] | {SENTENCE_ENDS.name: _ends(checkpoint, cases[0][0])}
            choice = ChoiceReference.of(checkpoint, feeds)
        pad_id = checkpoint.model.generation_config.pad_token_id
        return cls(cases=cases, searched=searched, pad_id=pad_id, choice=choice)

    def compare(self, report: ParityReport, precision: Precision, name: str, run: Run, limits: Tolerances) -> None:
        """Record the shares of identical summaries, and the mean token F1 where they may differ."""
        exact: list[bool] = []
        alone: list[bool] = []
        scores: list[float] = []
        for number, (feeds, expected) in enumerate(self.cases):
            answers = [_tokens(row, self.pad_id) for row in run(feeds)]
            single = run({name: array[-1:] for name, array in feeds.items()})
            exact += [a == b for a, b in zip(answers, expected, strict=True)]
            alone.append(_tokens(single[0], self.pad_id) == answers[-1])
            if number < self.searched:  # Samples have little in common once a word differs.
                scores += [token_f1(a, b) for a, b in zip(answers, expected, strict=True)]
        allowed = precision.number_format
        report.at_least(f"{name}_same_summaries", float(np.mean(exact)), allowed.same_summaries)
        report.at_least(f"{name}_alone_or_in_a_batch", float(np.mean(alone)), allowed.same_alone)
        if allowed.same_summaries < 1:
            mean = float(np.mean(scores))
            hint = _F1_HINT.format(name, mean, limits.token_f1)
            report.at_least(f"{name}_token_f1", mean, limits.token_f1, hint=hint)
        if self.choice is not None:
            self.choice.compare(report, precision, name, run, limits)


def with_settings(batch: Batch, values: dict[str, float]) -> Feeds:
    """The inputs of the BART graph: a batch, and the settings of the beam search as lengths of dummy tensors.

    The summaries are free and not sampled, unless the batch says otherwise.
    """
    rows = len(batch[INPUT_IDS.name])
    none = {SENTENCE_ENDS.name: np.zeros((rows, 1), np.int32), SAMPLING.name: np.zeros((rows, 1), np.float32)}
    dummies = {s.name: np.zeros((rows, s.encode(values[s.name])), np.uint8) for s in SUMMARY_SETTINGS if s.by_length}
    return {**none, **batch, **dummies}


def _ends(checkpoint: Checkpoint, batch: Batch) -> npt.NDArray[np.int32]:
    """Where sentences of the articles of a batch end: INT32, as `SENTENCE_ENDS` says."""
    special = set(checkpoint.tokenizer.all_special_ids)
    rows = []
    for ids, mask in zip(batch[INPUT_IDS.name].tolist(), batch[ATTENTION_MASK.name], strict=True):
        words = checkpoint.tokenizer.convert_ids_to_tokens(ids)
        inside = [token not in special for token in ids]
        rows.append(ends_of(words, inside, cut=int(mask.sum()) >= checkpoint.max_tokens))
    return np.stack(rows)


def _samplings(case: _Case, rows: int, steps: int) -> list[Sampling]:
    return [Sampling.of(*case.draws, seed=row, steps=steps) for row in range(rows)] if case.draws else []


def _summaries(
    checkpoint: Checkpoint, batch: Batch, values: dict[str, float], samplings: Sequence[Sampling]
) -> list[list[int]]:
    """The summaries of the articles of a batch, asked for one by one and without padding.

    ``transformers`` repeats the keys and values of a padded article for every beam and copies them at every step: ten
    articles at once take 10 GB with bart-large, and several times as long.
    """
    generation = checkpoint.model.generation_config
    search = Search.of(generation, checkpoint.config.vocab_size)
    quotes = SENTENCE_ENDS.name in batch
    settings: dict[str, Any] = {name: int(values[name]) for name in ("max_length", "num_beams")}
    settings["early_stopping"] = generation.early_stopping and settings["num_beams"] > 1
    # Without beams it is meaningless, and transformers warns.
    settings["length_penalty"] = values["length_penalty"] if settings["num_beams"] > 1 else 1.0
    # A search that quotes has rules of its own.
    settings["min_length"] = 0 if quotes else int(values["min_length"])
    settings["no_repeat_ngram_size"] = 0 if quotes else search.no_repeat_ngram_size
    if quotes:
        settings |= {"repetition_penalty": 1.0, "suppress_tokens": None, "bad_words_ids": None}
        settings |= {"begin_suppress_tokens": None}
    summaries = []
    with torch.inference_mode():
        for row, (ids, mask) in enumerate(zip(batch[INPUT_IDS.name], batch[ATTENTION_MASK.name], strict=True)):
            processors = LogitsProcessorList()
            if quotes:
                rules = _quoting(checkpoint, search, values, ids, batch[SENTENCE_ENDS.name][row])
                processors.append(Quotes(rules))
            if samplings:
                processors.append(Sample(samplings[row]))
            found = checkpoint.model.generate(
                **_read(checkpoint, ids, mask),
                **settings,
                do_sample=False,
                forced_eos_token_id=search.last_token,
                logits_processor=processors,
            )
            summaries.append(_tokens(found[0].numpy(), search.pad_token))
    return summaries


def _quoting(
    checkpoint: Checkpoint,
    search: Search,
    values: dict[str, float],
    ids: npt.NDArray[np.int32],
    ends: npt.NDArray[np.int32],
) -> Quoting:
    spacing = checkpoint.trained.spacing
    if spacing is None:
        raise TypeError(f"a checkpoint for {checkpoint.task} has words with and without a space")
    unquotable = (*search.end_tokens, search.pad_token, *search.never)
    return Quoting(
        sentences=sentences_of(ids.tolist(), ends.tolist(), unquotable),
        spacing=spacing,
        first=1 if search.first_token is None else 2,
        end_tokens=search.end_tokens,
        min_length=int(values["min_length"]),
        max_length=int(values["max_length"]),
    )


def _read(checkpoint: Checkpoint, ids: npt.NDArray[np.int32], mask: npt.NDArray[np.int32]) -> dict[str, Any]:
    """What ``generate`` reads: an article's tokens, or the windows that the encoder has made of them."""
    if not 0 < checkpoint.window < len(ids):
        tokens = torch.from_numpy(ids[mask == 1][None]).long()
        return {"input_ids": tokens, "attention_mask": torch.ones_like(tokens)}
    windows, masks = (torch.from_numpy(x).long().reshape(-1, checkpoint.window) for x in (ids, mask))
    hidden = checkpoint.model.get_encoder()(input_ids=windows, attention_mask=masks).last_hidden_state
    side_by_side = BaseModelOutput(last_hidden_state=hidden.reshape(1, len(ids), -1))
    return {"encoder_outputs": side_by_side, "attention_mask": masks.reshape(1, -1)}


def _tokens(row: npt.NDArray[Any], pad_id: int) -> list[int]:
    """A summary without its padding."""
    return [int(token) for token in row if token != pad_id]


def token_f1(answer: Sequence[int], expected: Sequence[int]) -> float:
    """Harmonic mean of precision and recall of the tokens of ``answer``, each counted as often as it occurs."""
    common = sum((Counter(answer) & Counter(expected)).values())
    total = len(answer) + len(expected)
    return 2 * common / total if total else 1.0
