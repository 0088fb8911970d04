"""Fine-tune BART to summarize, or train a small one from scratch that copies the sentences that matter.

A base with trained weights sees the summaries that people wrote, in one stage. The preset ``starter`` begins with the
copying circuit of `copying` and goes through the stages of `curriculum`. Every stage ends with a checkpoint, and the
state of a run is kept beside it, so that an interrupted run goes on where it stopped.
"""

from __future__ import annotations

import json
import logging
import random
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import torch

from .cleaning import clean_text
from .copying import write_copying_weights
from .curriculum import SelectionConfig, collapse, faithful_pairs, gap_pairs, oracle_pairs
from .errors import BaseModelError, DataError, SettingError
from .summary_metrics import evaluate
from .tokenization import train_byte_bpe

if TYPE_CHECKING:
    import pandas as pd

logger = logging.getLogger(__name__)

STARTER: Final = "starter"
Pair = tuple[str, str]


@dataclass(frozen=True, kw_only=True)
class SummarizerConfig:
    """Settings of a summary run; the defaults are those of the starter model."""

    seed: int = 0
    threads: int = 0
    """CPU threads; 0 takes what torch chooses."""
    gap_epochs: float = 1.0
    """Passes over the gap sentences of all articles (starter only)."""
    oracle_epochs: float = 2.0
    """Passes over the oracle sentences of the articles with summaries (starter only)."""
    pairs_epochs: float = 0.0
    """Passes over the summaries that people wrote; a starter sees only those that stay close to the article."""
    gap_tokens: int = 256
    """Article tokens read while learning from gap sentences: short articles make cheap steps."""
    max_source_tokens: int = 512
    max_target_tokens: int = 96
    batch_tokens: int = 8192
    """Article tokens in a batch, padding included."""
    learning_rate: float = 5e-4
    warmup_share: float = 0.05
    weight_decay: float = 0.01
    max_gradient_norm: float = 1.0
    vocabulary: int = 8192
    width: int = 256
    encoder_layers: int = 3
    decoder_layers: int = 2
    heads: int = 8
    feed_forward: int = 768
    dropout: float = 0.1
    min_coverage: float = 0.9
    """A starter learns from a person's summary only when this share of its words stands in the article..."""
    min_bigrams: float = 0.5
    """...and this share of its bigrams."""
    evaluate_rows: int = 400
    """Test articles that are summarized for ``metrics.json``; 0 takes all."""
    num_beams: int = 4
    log_every_steps: int = 25
    save_every_steps: int = 200

    def __post_init__(self) -> None:
        for name in ("gap_epochs", "oracle_epochs", "pairs_epochs"):
            if getattr(self, name) < 0:
                raise ValueError(f"{name} is at least 0, not {getattr(self, name)}")
        if self.max_source_tokens < 16 or self.batch_tokens < self.max_source_tokens:
            raise ValueError(
                "batch_tokens holds at least one article of max_source_tokens (16 or more), not "
                f"{self.batch_tokens} for {self.max_source_tokens}"
            )
        if not 0 < self.learning_rate < 1:
            raise ValueError(f"learning_rate lies between 0 and 1, not {self.learning_rate}")


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
        forced_bos_token_id=tokenizer.bos_token_id,
        forced_eos_token_id=tokenizer.eos_token_id,
    )
    model = BartForConditionalGeneration(shape)
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
        return [
            Stage(name="pairs", pairs=pairs, epochs=config.pairs_epochs or 1.0, source_tokens=config.max_source_tokens)
        ]
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


def _encode(tokenizer: Any, stage: Stage, config: SummarizerConfig) -> list[tuple[list[int], list[int]]]:
    sources = tokenizer([a for a, _ in stage.pairs], truncation=True, max_length=stage.source_tokens)["input_ids"]
    targets = tokenizer([t for _, t in stage.pairs], truncation=True, max_length=config.max_target_tokens)["input_ids"]
    return list(zip(sources, targets, strict=True))


def _batches(
    encoded: Sequence[tuple[list[int], list[int]]], *, epochs: float, batch_tokens: int, rng: random.Random
) -> list[list[int]]:
    """Indices of batches of articles of about equal length, in random order, over ``epochs`` passes."""
    batches: list[list[int]] = []
    remaining = epochs
    while remaining > 0:
        order = sorted(range(len(encoded)), key=lambda i: len(encoded[i][0]) + rng.uniform(0, 24))
        epoch: list[list[int]] = []
        batch: list[int] = []
        longest = 0
        for index in order:
            longest = max(longest, len(encoded[index][0]))
            if batch and longest * (len(batch) + 1) > batch_tokens:
                epoch.append(batch)
                batch, longest = [], len(encoded[index][0])
            batch.append(index)
        epoch.append(batch)
        rng.shuffle(epoch)
        batches.extend(epoch[: max(1, round(len(epoch) * min(1.0, remaining)))])
        remaining -= 1
    return batches


def collate(items: Sequence[tuple[list[int], list[int]]], pad: int) -> dict[str, torch.Tensor]:
    """Pad a batch: ``input_ids``, ``attention_mask`` (batch, source), ``labels`` (batch, target; -100 is padding)."""
    source = max(len(ids) for ids, _ in items)
    target = max(len(ids) for _, ids in items)
    return {
        "input_ids": torch.tensor([ids + [pad] * (source - len(ids)) for ids, _ in items]),
        "attention_mask": torch.tensor([[1] * len(ids) + [0] * (source - len(ids)) for ids, _ in items]),
        "labels": torch.tensor([ids + [-100] * (target - len(ids)) for _, ids in items]),
    }


class _Run:
    """The optimizer and where the run stands; saved beside the checkpoint."""

    def __init__(self, model: Any, tokenizer: Any, steps: int, config: SummarizerConfig, out: Path) -> None:
        self.model, self.tokenizer, self.config, self.out = model, tokenizer, config, out
        decayed = [p for p in model.parameters() if p.ndim > 1]
        plain = [p for p in model.parameters() if p.ndim <= 1]
        self.optimizer = torch.optim.AdamW(
            [{"params": decayed, "weight_decay": config.weight_decay}, {"params": plain, "weight_decay": 0.0}],
            lr=config.learning_rate,
            betas=(0.9, 0.98),
        )
        warmup = max(1, round(steps * config.warmup_share))
        self.schedule = torch.optim.lr_scheduler.LambdaLR(
            self.optimizer,
            lambda step: min((step + 1) / warmup, max(0.02, (steps - step) / max(1, steps - warmup))),
        )
        self.step, self.steps = 0, steps

    @property
    def _state(self) -> Path:
        return self.out / "run_state.pt"

    def save(self) -> None:
        """Write the state beside the old one, then rename."""
        self.out.mkdir(parents=True, exist_ok=True)
        partial = self._state.with_suffix(".partial")
        torch.save(
            {
                "step": self.step,
                "steps": self.steps,
                "model": self.model.state_dict(),
                "optimizer": self.optimizer.state_dict(),
                "schedule": self.schedule.state_dict(),
            },
            partial,
        )
        partial.replace(self._state)

    def resume(self) -> None:
        """Go on from a saved state of the same length, when there is one."""
        if not self._state.exists():
            return
        state = torch.load(self._state, weights_only=True)
        if state["steps"] != self.steps:
            logger.warning("%s is of a run with other settings; starting anew", self._state)
            return
        self.model.load_state_dict(state["model"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.schedule.load_state_dict(state["schedule"])
        self.step = state["step"]
        logger.info("resuming at step %d of %d", self.step, self.steps)

    def finish(self) -> None:
        """Drop the state of a run that is complete."""
        self._state.unlink(missing_ok=True)

    def train_step(self, batch: dict[str, torch.Tensor]) -> float:
        """One optimizer step; returns the loss."""
        self.model.train()
        loss = self.model(**batch).loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), self.config.max_gradient_norm)
        self.optimizer.step()
        self.schedule.step()
        self.optimizer.zero_grad(set_to_none=True)
        self.step += 1
        return float(loss.detach())


def _plan(
    stages: Sequence[Stage], tokenizer: Any, config: SummarizerConfig
) -> Iterator[tuple[str, list[Any], list[list[int]]]]:
    rng = random.Random(config.seed)  # noqa: S311 - an order, no secret
    for stage in stages:
        encoded = _encode(tokenizer, stage, config)
        yield stage.name, encoded, _batches(encoded, epochs=stage.epochs, batch_tokens=config.batch_tokens, rng=rng)


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
        out: the checkpoint folder; it gets the model, the tokenizer and ``metrics.json``.
        config: the settings.
        extra: more articles without summaries (text, title), for the starter's gap sentences.

    Returns:
        What ``metrics.json`` holds.

    Raises:
        BaseModelError: the base cannot be loaded or is no BART.
        DataError: nothing is left to train on.
    """
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
    run = _Run(model, tokenizer, sum(len(batches) for _, _, batches in plan), config, out)
    run.resume()
    for name, encoded, batches in plan:
        logger.info("stage %s: %d pairs, %d steps", name, len(encoded), len(batches))
    _train(run, plan, out)
    model.generation_config.update(
        max_length=config.max_target_tokens,
        num_beams=config.num_beams,
        no_repeat_ngram_size=3,
        early_stopping=True,
        length_penalty=1.0,
    )
    model.save_pretrained(out)
    tokenizer.save_pretrained(out)
    metrics = {
        "task": "summary",
        "base": base,
        "parameters": sum(p.numel() for p in model.parameters()),
        "config": asdict(config),
        "stages": {name: {"pairs": len(encoded), "steps": len(batches)} for name, encoded, batches in plan},
        **evaluate(model, tokenizer, frames["test"], config),
    }
    partial = out / "metrics.json.partial"
    partial.write_text(json.dumps(metrics, indent=2) + "\n", encoding="utf-8")
    partial.replace(out / "metrics.json")
    run.finish()
    return metrics


def _train(run: _Run, plan: Sequence[tuple[str, list[Any], list[list[int]]]], out: Path) -> None:
    pad = run.tokenizer.pad_token_id
    started, first, losses = time.monotonic(), run.step, []
    position = 0
    for name, encoded, batches in plan:
        for batch in batches:
            position += 1
            if position <= run.step:
                continue
            losses.append(run.train_step(collate([encoded[i] for i in batch], pad)))
            if run.step % run.config.log_every_steps == 0:
                elapsed_s = time.monotonic() - started
                left_s = elapsed_s / (run.step - first) * (run.steps - run.step)
                recent = losses[-run.config.log_every_steps :]
                logger.info(
                    "%s: step %d of %d, loss %.3f, %.0f s gone, about %.0f s left",
                    name, run.step, run.steps, sum(recent) / len(recent), elapsed_s, left_s,
                )  # fmt: skip
            if run.step % run.config.save_every_steps == 0:
                run.save()
        run.model.save_pretrained(out / "stages" / name.replace(" ", "_"))
        run.tokenizer.save_pretrained(out / "stages" / name.replace(" ", "_"))
