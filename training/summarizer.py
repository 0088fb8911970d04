"""Fine-tune BART to summarize, or train a small one from scratch that copies the sentences that matter.

A base with trained weights sees the summaries that people wrote, in one stage. The preset ``starter`` begins with the
copying circuit of `copying` and goes through the stages of `curriculum`. The state of a run is kept, so that the same
command goes on where an interrupted one stopped.
"""

from __future__ import annotations

import json
import logging
import random
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from .architectures import STARTER
from .cleaning import clean_text
from .copying import write_copying_weights
from .curriculum import SelectionConfig, collapse, faithful_pairs, gap_pairs, oracle_pairs
from .errors import BaseModelError, DataError, SettingError
from .output import work_folder
from .summarizer_config import SummarizerConfig
from .summarizer_loop import Encoded, Run, make_batches, train
from .summary_metrics import evaluate
from .tokenization import train_byte_bpe

if TYPE_CHECKING:
    import pandas as pd

logger = logging.getLogger(__name__)

Pair = tuple[str, str]


@dataclass(frozen=True, kw_only=True)
class Stage:
    """One part of the curriculum: what is learned, how long, and how much of an article is read."""

    name: str
    pairs: list[Pair]
    epochs: float
    source_tokens: int


def new_starter(texts: Sequence[str], config: SummarizerConfig) -> tuple[Any, Any]:
    """A small BART with copying weights and a byte-level BPE tokenizer trained on ``texts``.

    Returns:
        The model (``BartForConditionalGeneration``) and its tokenizer (``BartTokenizerFast``).
    """
    from transformers import BartConfig, BartForConditionalGeneration

    tokenizer = train_byte_bpe(texts, vocabulary=config.vocabulary, max_length=config.max_source_tokens)
    torch.manual_seed(config.seed)
    shape = BartConfig(
        vocab_size=len(tokenizer),
        d_model=config.width,
        encoder_layers=config.encoder_layers,
        decoder_layers=config.decoder_layers,
        encoder_attention_heads=config.heads,
        decoder_attention_heads=config.heads,
        encoder_ffn_dim=config.feed_forward,
        decoder_ffn_dim=config.feed_forward,
        max_position_embeddings=config.max_source_tokens,
        dropout=config.dropout,
        bos_token_id=tokenizer.bos_token_id,
        pad_token_id=tokenizer.pad_token_id,
        eos_token_id=tokenizer.eos_token_id,
        decoder_start_token_id=tokenizer.eos_token_id,
        forced_eos_token_id=tokenizer.eos_token_id,
    )
    model: Any = BartForConditionalGeneration(shape)
    model.generation_config.forced_bos_token_id = tokenizer.bos_token_id
    write_copying_weights(model, seed=config.seed)
    return model, tokenizer


def load_base(base: str) -> tuple[Any, Any]:
    """A trained BART and its tokenizer, from a local folder or a hub id.

    Raises:
        BaseModelError: it cannot be found, or is not a BART.
    """
    from transformers import AutoConfig, AutoTokenizer, BartForConditionalGeneration

    try:
        kind = AutoConfig.from_pretrained(base).model_type
        if kind != "bart":
            raise BaseModelError(
                f"a summary needs a BART, and {base} is of type {kind!r}: try facebook/bart-large-cnn or starter"
            )
        return BartForConditionalGeneration.from_pretrained(base), AutoTokenizer.from_pretrained(base)
    except (OSError, ValueError) as error:
        raise BaseModelError(
            f"cannot load the base {base!r}: it must be a checkpoint folder with its tokenizer, a hub id that can be "
            f"reached, or the preset {STARTER!r} ({str(error).splitlines()[0]})"
        ) from error


def _stages(
    frames: dict[str, pd.DataFrame], extra: Sequence[Pair], config: SummarizerConfig, *, starter: bool
) -> list[Stage]:
    train = frames["train"]
    rows = [(clean_text(article), summary) for article, summary in zip(train["article"], train["summary"], strict=True)]
    if not starter:
        pairs = [(collapse(article), collapse(summary)) for article, summary in rows]
        return [Stage(name="pairs", pairs=pairs, epochs=config.pairs_epochs, source_tokens=config.max_source_tokens)]
    selection = SelectionConfig()
    read, gap_read = int(config.max_source_tokens * 0.72), int(config.gap_tokens * 0.72)  # words a token: 0.72
    articles = [(article, "") for article, _ in rows] + [(clean_text(text), title) for text, title in extra]
    stages = [
        Stage(
            name="gap sentences",
            pairs=gap_pairs(articles, read_words=gap_read, config=selection) if config.gap_epochs else [],
            epochs=config.gap_epochs,
            source_tokens=config.gap_tokens,
        ),
        Stage(
            name="oracle",
            pairs=oracle_pairs(rows, read_words=read, config=selection) if config.oracle_epochs else [],
            epochs=config.oracle_epochs,
            source_tokens=config.max_source_tokens,
        ),
        Stage(
            name="pairs",
            pairs=faithful_pairs(
                rows, read_words=read, min_coverage=config.min_coverage, min_bigrams=config.min_bigrams
            )
            if config.pairs_epochs
            else [],
            epochs=config.pairs_epochs,
            source_tokens=config.max_source_tokens,
        ),
    ]
    return [stage for stage in stages if stage.epochs > 0 and stage.pairs]


def _encode(tokenizer: Any, stage: Stage, config: SummarizerConfig) -> list[Encoded]:
    sources = tokenizer([a for a, _ in stage.pairs], truncation=True, max_length=stage.source_tokens)["input_ids"]
    targets = tokenizer([t for _, t in stage.pairs], truncation=True, max_length=config.max_target_tokens)["input_ids"]
    return list(zip(sources, targets, strict=True))


def _plan(
    stages: Sequence[Stage], tokenizer: Any, config: SummarizerConfig
) -> Iterator[tuple[str, list[Encoded], list[list[int]]]]:
    rng = random.Random(config.seed)  # noqa: S311 - an order, no secret
    for stage in stages:
        encoded = _encode(tokenizer, stage, config)
        yield stage.name, encoded, make_batches(encoded, epochs=stage.epochs, batch_tokens=config.batch_tokens, rng=rng)


def fit(
    frames: dict[str, pd.DataFrame],
    *,
    base: str,
    out: Path,
    config: SummarizerConfig,
    extra: Sequence[Pair] = (),
) -> dict[str, Any]:
    """Train a summarizer, save it in ``out`` and measure it on the test split.

    Args:
        frames: ``train``, ``validation`` and ``test``, each with the columns ``article`` and ``summary``.
        base: a hub id, a checkpoint folder or ``starter``.
        out: the checkpoint folder, with the model, the tokenizer and ``metrics.json``; written as ``<out>.partial``
            and renamed at the end. A run that was cut off goes on from there.
        config: the settings.
        extra: more articles without summaries (text, title), for the starter's gap sentences.

    Returns:
        What ``metrics.json`` holds.

    Raises:
        BaseModelError: the base cannot be loaded or is no BART.
        DataError: nothing is left to train on.
        TrainingError: the output folder is taken, or the base reads less than ``max_source_tokens``.
    """
    work = work_folder(out)
    if config.threads:
        torch.set_num_threads(config.threads)
    starter = base == STARTER
    logger.info("preparing the pairs")
    stages = _stages(frames, extra, config, starter=starter)
    if not stages:
        raise DataError("no article of the training split gives a pair to learn from: check its columns and lengths")
    if starter:
        texts = [collapse(text) for text in (*frames["train"]["article"], *frames["train"]["summary"])]
        model, tokenizer = new_starter(texts, config)
    else:
        model, tokenizer = load_base(base)
        limit = model.config.max_position_embeddings
        if config.max_source_tokens > limit:
            raise SettingError(f"max_source_tokens is at most {limit} for {base}, not {config.max_source_tokens}")
    plan = list(_plan(stages, tokenizer, config))
    run = Run(model, tokenizer, sum(len(batches) for _, _, batches in plan), config, work)
    run.resume()
    for name, encoded, batches in plan:
        logger.info("stage %s: %d pairs, %d steps", name, len(encoded), len(batches))
    train(run, plan)
    model.generation_config.update(
        max_length=config.max_target_tokens,
        num_beams=config.num_beams,
        no_repeat_ngram_size=3,
        early_stopping=config.num_beams > 1,
        length_penalty=1.0,
    )
    model.save_pretrained(work)
    tokenizer.save_pretrained(work)
    metrics = {
        "task": "summary",
        "base": base,
        "parameters": sum(p.numel() for p in model.parameters()),
        "config": asdict(config),
        "stages": {name: {"pairs": len(encoded), "steps": len(batches)} for name, encoded, batches in plan},
        **evaluate(model, tokenizer, frames["test"], config),
    }
    (work / "metrics.json").write_text(json.dumps(metrics, indent=2) + "\n", encoding="utf-8")
    run.finish()
    shutil.move(work, out)
    return metrics
