"""A small BART with random weights whose summaries end at different lengths, and articles of different lengths."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from transformers import BartConfig, BartForConditionalGeneration, LogitsProcessorList

from engine.article import Article, Spacing
from engine.pytorch.batch import BatchExecutor
from engine.pytorch.model.weights import Weights, load_weights
from engine.pytorch.options import Options
from engine.settings import Architecture, Bucket, Rules, Settings

PAD, END = 1, 2
RULES = Rules(start_token=END, end_tokens=(END,), pad_token=PAD, first_token=0, last_token=END)
LENGTHS = (24, 13, 9, 20, 4)
TARGET = 24


@dataclass(frozen=True, kw_only=True)
class Small:
    model: Any
    architecture: Architecture
    weights: Weights
    ids: torch.Tensor
    mask: torch.Tensor

    def executor(
        self,
        rules: Rules = RULES,
        beams: int = 4,
        slots: int = 5,
        *,
        spacing: Spacing | None = None,
        **options: Any,
    ) -> BatchExecutor:
        bucket = Bucket(slots=slots, beams=beams, source_length=self.ids.shape[1], target_length=TARGET)
        return BatchExecutor(self.weights, self.architecture, rules, bucket, Options(**options), spacing=spacing)

    def generate(
        self, rules: Rules, settings: Settings, *, rows: slice = slice(None), processors: Sequence[Any] = ()
    ) -> torch.Tensor:
        """What `transformers` writes of some of the articles, padded to the bucket's length."""
        beams = settings.num_beams
        found = self.model.generate(
            input_ids=self.ids[rows],
            attention_mask=self.mask[rows],
            do_sample=False,
            num_beams=beams,
            min_length=settings.min_length,
            max_length=settings.max_length,
            # A greedy search has neither, and says so.
            length_penalty=settings.length_penalty if beams > 1 else None,
            early_stopping=settings.early_stopping if beams > 1 else None,
            no_repeat_ngram_size=settings.no_repeat_ngram_size,
            forced_bos_token_id=rules.first_token,
            forced_eos_token_id=rules.last_token,
            eos_token_id=list(rules.end_tokens),
            repetition_penalty=rules.repetition_penalty,
            suppress_tokens=list(rules.never) or None,
            begin_suppress_tokens=list(rules.never_first) or None,
            logits_processor=LogitsProcessorList(processors),
        )
        return torch.nn.functional.pad(found, (0, TARGET - found.shape[1]), value=PAD)

    def article(self, row: int, settings: Settings, **choices: Any) -> Article:
        """One of the articles, without padding."""
        return Article(ids=self.ids[row, : LENGTHS[row]].numpy().astype(np.int32), settings=settings, **choices)


def small_bart(dtype: torch.dtype = torch.float32) -> Small:
    torch.manual_seed(0)
    config = BartConfig(
        vocab_size=200,
        d_model=32,
        encoder_layers=2,
        decoder_layers=2,
        encoder_ffn_dim=64,
        decoder_ffn_dim=64,
        encoder_attention_heads=4,
        decoder_attention_heads=2,
        max_position_embeddings=64,
        bos_token_id=0,
        pad_token_id=PAD,
        eos_token_id=END,
        decoder_start_token_id=END,
    )
    model = BartForConditionalGeneration(config).eval()
    with torch.no_grad():
        for module in model.modules():
            for name, parameter in module.named_parameters(recurse=False):
                parameter.normal_(0, 0.35 if parameter.dim() > 1 else 0.1)
                if isinstance(module, torch.nn.LayerNorm) and name == "weight":
                    parameter.add_(1)
        # Often enough the best word for some beams and not for others.
        model.final_logits_bias[0, END] = 4.5
    model.tie_weights()
    architecture = Architecture.of(config.to_dict())
    ids = torch.randint(5, 200, (len(LENGTHS), max(LENGTHS)))
    ids[:, 0] = 0
    mask = torch.ones_like(ids)
    for row, length in enumerate(LENGTHS):
        ids[row, length:], mask[row, length:] = PAD, 0
    return Small(
        model=model,
        architecture=architecture,
        weights=load_weights(model.state_dict(), architecture, dtype, "cpu"),
        ids=ids,
        mask=mask,
    )
