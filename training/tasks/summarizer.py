"""Fine-tune BART to summarize, or train a small one from scratch that copies the sentences that matter.

A base with trained weights sees the summaries that people wrote, in one stage. The preset ``starter`` begins with the
copying circuit of `copying` and goes through the stages of `curriculum`. A head that chooses sentences is trained in a
stage of its own, the last one.
"""

from __future__ import annotations

import itertools
import logging
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import torch

from infolens.contract import AnswerKind
from training.data.cleaning import clean_text
from training.data.curriculum import SelectionConfig, collapse, faithful_pairs, gap_pairs, oracle_pairs
from training.data.schema import WEIGHT, weights_of
from training.errors import BaseModelError, DataError
from training.loop.batches import even_weights
from training.loop.prepared import Prepared, read_prepared, write_prepared
from training.metrics.choosing import evaluate_choice
from training.metrics.summarization import evaluate, generate_settings
from training.models.architectures import answering, architecture_of, load_writer, read_config, require_length
from training.models.choice import has_choice
from training.models.copying import write_copying_weights
from training.models.tokenization import train_byte_bpe
from training.progress.bars import track
from training.recipes.kinds import SummarizerRecipe
from training.recipes.recipe import STARTER

from .choosing import choice_columns, joined_columns, with_choice
from .starter import key_of

if TYPE_CHECKING:
    import pandas as pd

logger = logging.getLogger(__name__)

Pair = tuple[str, str]
Frames = dict[str, "pd.DataFrame"]
_AT_ONCE: Final = 1000
"""Texts that the tokenizer reads at once."""


@dataclass(frozen=True, kw_only=True)
class Stage:
    """One part of the curriculum: what is learned, how long, and how much of an article is read."""

    name: str
    pairs: list[Pair]
    epochs: float
    source_tokens: int
    weights: list[float] | None = None
    """How much each pair counts; None where all count the same."""


def new_starter(texts: Sequence[str], recipe: SummarizerRecipe) -> tuple[Any, Any]:
    """A small BART with copying weights and a byte-level BPE tokenizer trained on ``texts``.

    Returns:
        The model (``BartForConditionalGeneration``) and its tokenizer.
    """
    from transformers import BartConfig, BartForConditionalGeneration

    tokenizer = train_byte_bpe(texts, vocabulary=recipe.vocabulary, max_length=recipe.max_tokens)
    torch.manual_seed(recipe.seed)
    shape = BartConfig(
        vocab_size=len(tokenizer),
        d_model=recipe.width,
        encoder_layers=recipe.encoder_layers,
        decoder_layers=recipe.decoder_layers,
        encoder_attention_heads=recipe.heads,
        decoder_attention_heads=recipe.heads,
        encoder_ffn_dim=recipe.feed_forward,
        decoder_ffn_dim=recipe.feed_forward,
        max_position_embeddings=recipe.max_tokens,
        dropout=recipe.dropout,
        bos_token_id=tokenizer.bos_token_id,
        pad_token_id=tokenizer.pad_token_id,
        eos_token_id=tokenizer.eos_token_id,
        decoder_start_token_id=tokenizer.eos_token_id,
        forced_eos_token_id=tokenizer.eos_token_id,
    )
    model: Any = BartForConditionalGeneration(shape)
    model.generation_config.forced_bos_token_id = tokenizer.bos_token_id
    write_copying_weights(model, seed=recipe.seed)
    return model, tokenizer


def load_base(base: str) -> tuple[Any, Any]:
    """A trained model that writes texts, in fp32, and its tokenizer, from a local folder or a hub id.

    Raises:
        BaseModelError: It cannot be found, is of no architecture that writes texts, or something of it is missing,
            broken or not in step.
    """
    kinds = answering(AnswerKind.TEXT)
    hint = f"try {kinds[0].example} or {STARTER}"
    config = read_config(base, hint)
    record = next((record for record in kinds if record.model_type == config.model_type), None)
    if record is None:
        wanted = " or ".join(record.model_type for record in kinds)
        raise BaseModelError(
            f"a summary needs a model of type {wanted}, and {base} is of type {config.model_type!r}: {hint}"
        )
    return load_writer(base, config, record)


def _stages(train: pd.DataFrame, extra: Sequence[Pair], recipe: SummarizerRecipe, *, starter: bool) -> list[Stage]:
    rows = [(clean_text(article), summary) for article, summary in zip(train["article"], train["summary"], strict=True)]
    weights = weights_of(train)
    if not starter:
        pairs = [(collapse(article), collapse(summary)) for article, summary in rows]
        return [
            Stage(
                name="pairs",
                pairs=pairs,
                epochs=recipe.num_train_epochs,
                source_tokens=recipe.max_tokens,
                weights=weights,
            )
        ]
    selection = SelectionConfig()
    read, gap_read = int(recipe.max_tokens * 0.72), int(recipe.gap_tokens * 0.72)  # words a token: 0.72
    articles = [(article, "") for article, _ in rows] + [(clean_text(text), title) for text, title in extra]
    more = None if weights is None else [*weights, *[1.0] * len(extra)]
    gaps = partial(gap_pairs, read_words=gap_read, config=selection)
    oracles = partial(oracle_pairs, read_words=read, config=selection)
    faithful = partial(
        faithful_pairs, read_words=read, min_coverage=recipe.min_coverage, min_bigrams=recipe.min_bigrams
    )
    stages = []
    for name, epochs, tokens, what, choose, these, their in (
        ("gap sentences", recipe.gap_epochs, recipe.gap_tokens, "choosing gap sentences", gaps, articles, more),
        ("oracle", recipe.oracle_epochs, recipe.max_tokens, "choosing the oracle's sentences", oracles, rows, weights),
        ("pairs", recipe.num_train_epochs, recipe.max_tokens, "choosing faithful pairs", faithful, rows, weights),
    ):
        pairs, counting = _chosen(these, their, choose, what) if epochs else ([], None)
        stages.append(Stage(name=name, pairs=pairs, epochs=epochs, source_tokens=tokens, weights=counting))
    return [stage for stage in stages if stage.epochs > 0 and stage.pairs]


def _chosen(
    rows: Sequence[Pair], weights: Sequence[float] | None, choose: Callable[[Iterable[Pair]], list[Pair]], what: str
) -> tuple[list[Pair], list[float] | None]:
    """The pairs that are chosen of rows, each with the weight of its row."""
    if weights is None:
        return choose(track(rows, what)), None
    found = [(pair, weight) for row, weight in zip(track(rows, what), weights, strict=True) for pair in choose([row])]
    return [pair for pair, _ in found], [weight for _, weight in found]


_PREPARES: Final = (
    *("base", "seed", "max_tokens", "num_train_epochs", "gap_epochs", "oracle_epochs", "gap_tokens", "dropout"),
    *("max_target_tokens", "min_coverage", "min_bigrams", "vocabulary", "width", "encoder_layers", "decoder_layers"),
    *("heads", "feed_forward", "num_beams", "choice_layers", "choice_epochs", "choice_only", "choice_title_weight"),
)
"""What of a recipe the prepared folder depends on; the rest may be tuned over the same folder."""


def prepare(frames: Frames, recipe: SummarizerRecipe, work: Path, *, extra: Sequence[Pair] = ()) -> Prepared:
    """Make what the workers read, in ``work/prepared``; kept as it is when nothing has changed.

    Args:
        frames: ``train``, ``validation`` and ``test``, each with the columns ``article`` and ``summary``.
        recipe: How to train.
        work: The run's folder.
        extra: More articles without summaries (text, title), for the starter's gap sentences.

    Raises:
        BaseModelError: The base cannot be loaded or does not write texts.
        DataError: Nothing is left to train on.
        SettingError: The base reads less than ``max_tokens``, or its head is not what ``choice_layers`` says.
    """
    key = key_of(
        itertools.chain(*(frame[name] for frame in frames.values() for name in ("article", "summary")), *extra),
        *(getattr(recipe, name) for name in _PREPARES),
        *([] if (weights := weights_of(frames["train"])) is None else [weights]),
    )
    folder = work / "prepared"
    known = read_prepared(folder)
    if known is not None and known.key == key:
        logger.info("pairs, tokens and first weights: from %s", folder)
        return known
    base = None if recipe.starter else load_base(recipe.base)  # first: what is wrong with it is said at once
    logger.info("preparing the pairs")
    stages = [] if recipe.choice_only else _stages(frames["train"], extra, recipe, starter=recipe.starter)
    if not stages and not recipe.choice_epochs:
        raise DataError("no article of the training split gives a pair to learn from: check its columns and lengths")
    if base is None:
        texts = [collapse(text) for text in (*frames["train"]["article"], *frames["train"]["summary"])]
        model, tokenizer = new_starter(texts, recipe)
    else:
        model, tokenizer = base
        require_length(model, recipe.base, max_tokens=recipe.max_tokens)
        for name in architecture_of(model.config.model_type).dropout_fields:
            setattr(model.config, name, recipe.dropout)
    model = with_choice(model, recipe)
    for stage in stages:
        logger.info("stage %s: %d pairs, %g passes", stage.name, len(stage.pairs), stage.epochs)
    generate_settings(model, num_beams=recipe.num_beams, max_tokens=recipe.max_target_tokens)
    tokenizer.model_max_length = recipe.max_tokens
    # The validation split is learned from nowhere; its pairs are those of the last stage.
    plain = frames["validation"].drop(columns=WEIGHT, errors="ignore")  # and measured with, all articles alike
    last = [] if recipe.choice_epochs else _stages(plain, (), recipe, starter=recipe.starter)
    if not last and not recipe.choice_epochs:
        raise DataError("no article of the validation split gives a pair to measure with: give more of them")
    tables = {
        "train": _columns(tokenizer, stages, recipe),
        "validation": _columns(tokenizer, last[-1:], recipe),
    }
    passes = [stage.epochs for stage in stages]
    if recipe.choice_epochs:
        choosing = choice_columns(tokenizer, frames["train"], extra, recipe, stage=len(stages))
        logger.info("stage choice: %d articles, %g passes", len(choosing["stage"]), recipe.choice_epochs)
        tables["train"] = joined_columns(tables["train"], choosing)
        tables["validation"] = choice_columns(tokenizer, plain, (), recipe, stage=0)
        passes.append(recipe.choice_epochs)
    return write_prepared(folder, model=model, tokenizer=tokenizer, tables=tables, passes=passes, key=key)


def measure(frames: Frames, recipe: SummarizerRecipe, model: Any, tokenizer: Any) -> dict[str, Any]:
    """ROUGE of a trained model on the test split, beside the article's lead (see `metrics.summarization.evaluate`).

    Where the model has a head that chooses sentences, ``choice`` has the figures of what it chooses
    (`metrics.choosing.evaluate_choice`).
    """
    test = frames["test"]
    if recipe.evaluate_rows and len(test) > recipe.evaluate_rows:
        test = test.sample(recipe.evaluate_rows, random_state=0)
    figures = evaluate(model, tokenizer, test, max_tokens=recipe.max_tokens)
    if has_choice(model.config):
        room = recipe.max_target_tokens
        leads = {k: figures[f"lead_{k}"] for k in (1, 2, 3)}
        figures["choice"] = evaluate_choice(
            model, tokenizer, test, max_tokens=recipe.max_tokens, room=room, leads=leads
        )
    return figures


def _columns(tokenizer: Any, stages: Sequence[Stage], recipe: SummarizerRecipe) -> dict[str, list[Any]]:
    columns: dict[str, list[Any]] = {"input_ids": [], "labels": [], "length": [], "stage": []}
    weighted = any(stage.weights is not None for stage in stages)
    if weighted:
        columns[WEIGHT] = []
    for number, stage in enumerate(stages):
        articles, targets = ([pair[side] for pair in stage.pairs] for side in (0, 1))
        sources = _ids(tokenizer, articles, stage.source_tokens)
        columns["input_ids"] += sources
        answers = _ids(tokenizer, targets, recipe.max_target_tokens)
        columns["labels"] += answers
        if weighted:
            columns[WEIGHT] += even_weights(stage.weights or [1.0] * len(answers), [len(ids) for ids in answers])
        columns["length"] += [len(ids) for ids in sources]
        columns["stage"] += [number] * len(sources)
    return columns


def _ids(tokenizer: Any, texts: Sequence[str], limit: int) -> list[list[int]]:
    """Token ids of texts, special ones included; a special token that a text spells is text, as it is to the server."""
    ids: list[list[int]] = []
    for start in track(range(0, len(texts), _AT_ONCE), "reading tokens", weight=_AT_ONCE):
        part = texts[start : start + _AT_ONCE]
        ids += tokenizer(part, truncation=True, max_length=limit, split_special_tokens=True)["input_ids"]
    return ids
