"""What ``transformers`` writes when it may only quote, or draws, by the plain form of the rules."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from transformers import LogitsProcessorList

from export.parity.quotes import Quotes, Quoting, sentences_of
from export.parity.sampling import Sample, Sampling
from infolens.contract import ATTENTION_MASK, INPUT_IDS, SENTENCE_ENDS

from .rows import END, PAD, WORDS, Arrays, row_of, spacing


def batch_of(lengths: tuple[int, ...], *, words: int = WORDS, seed: int = 0) -> Arrays:
    ids = np.full((len(lengths), max(lengths)), PAD, np.int32)
    ends = np.full_like(ids, -1)
    for i, length in enumerate(lengths):
        ids[i, :length], ends[i, :length] = row_of(np.random.default_rng([seed, i]), length, words)
    return {INPUT_IDS.name: ids, ATTENTION_MASK.name: (ids != PAD).astype(np.int32), SENTENCE_ENDS.name: ends}


def expected_of(
    model: Any,
    inputs: Arrays,
    values: dict[str, float],
    samplings: Sequence[Sampling | None],
    *,
    quotes: bool = True,
    never: tuple[int, ...] = (),
) -> list[list[int]]:
    """The summaries of ``transformers``, one by one, without padding."""
    summaries = []
    for i, (ids, mask) in enumerate(zip(inputs[INPUT_IDS.name], inputs[ATTENTION_MASK.name], strict=True)):
        processors = LogitsProcessorList()
        if quotes:
            first = 1 if model.generation_config.forced_bos_token_id is None else 2
            quoting = Quoting(
                sentences=sentences_of(ids.tolist(), inputs[SENTENCE_ENDS.name][i].tolist(), (END, PAD, *never)),
                spacing=spacing(),
                first=first,
                end_tokens=(END,),
                min_length=int(values["min_length"]),
                max_length=int(values["max_length"]),
            )
            processors.append(Quotes(quoting))
        if sampling := samplings[i]:
            processors.append(Sample(sampling))
        found = model.generate(
            torch.from_numpy(ids[mask == 1][None]).long(),
            attention_mask=torch.ones(1, int(mask.sum()), dtype=torch.long),
            logits_processor=processors,
            num_beams=int(values["num_beams"]),
            min_length=0 if quotes else int(values["min_length"]),
            max_length=int(values["max_length"]),
            length_penalty=values["length_penalty"] if values["num_beams"] > 1 else None,
            no_repeat_ngram_size=0 if quotes else model.generation_config.no_repeat_ngram_size,
            early_stopping=True if values["num_beams"] > 1 else None,
            do_sample=False,
        )
        summaries.append(without_padding(found[0].tolist()))
    return summaries


def without_padding(row: list[int]) -> list[int]:
    return [token for token in row if token != PAD]
