"""What a measurement must know of an architecture: one record each, keyed by the ``model_type`` of a checkpoint.

A record says how a checkpoint with random weights is made, which tokens stand around an article, how much one call is
given, and from which entries of the configuration the minimum time is computed. Only what is measured beside
other engines needs one: a running server is measured whatever it serves. It imports the standard library alone, since
the peers' environment reads it too.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from .server import BenchmarkError


@dataclass(frozen=True, kw_only=True)
class Shape:
    """One architecture."""

    model_type: str
    """As ``config.json`` of a checkpoint says it."""
    name: str
    """As people write it."""
    published: str
    """The published model that the size ``full`` has the shape of, in words."""
    sizes: Mapping[str, Mapping[str, int]]
    """Entries of the configuration that say how large it is, by the names of `fixtures.FixtureSize`."""
    width: str = "d_model"
    """Which of these entries is the width of a layer; the next ones likewise."""
    inner: str
    """The inner width of its feed-forward part."""
    layers: str
    """The number of layers (of the encoder, where there is a decoder)."""
    decoder_inner: str = ""
    decoder_layers: str = ""
    vocabulary: str = "vocab_size"
    products: int = 2
    """Products of length by length in the attention of a layer: scores and weighted values, and what comes on top."""
    tokens_in: int
    """Tokens of an article that is measured; none of them is padding."""
    batches: tuple[int, ...]
    """Articles in one call."""
    first: tuple[int, ...] = ()
    """Ids of the special tokens before an article, in the checkpoints of `fixtures`."""
    last: tuple[int, ...]
    """Ids of those after it."""
    last_type: int | None = None
    """``token_type_ids`` of the last token, where the others have 0; None where the model reads none."""
    decoder_first: tuple[int, ...] = ()
    """Ids of the tokens with which every text begins that the model writes."""
    model_class: str
    """A class of ``transformers``, as the next two."""
    config_class: str
    tokenizer_class: str
    tokenizer: str
    """How its tokenizer is trained: a name of `fixtures.TOKENIZERS`."""
    maximum_tokens: int
    """Longest input of the published model."""
    settings: Mapping[str, Any]
    """Further entries of the configuration."""
    generation: Mapping[str, Any] = field(default_factory=dict)
    """Entries of the generation configuration, where the model writes text."""


_BART: Final = Shape(
    model_type="bart",
    name="BART",
    published="bart-large (406 M weights)",
    sizes={
        "full": {
            "vocab_size": 50264, "d_model": 1024, "encoder_layers": 12, "decoder_layers": 12, "encoder_ffn_dim": 4096,
            "decoder_ffn_dim": 4096, "encoder_attention_heads": 16, "decoder_attention_heads": 16,
        },
        "small": {
            "vocab_size": 2000, "d_model": 64, "encoder_layers": 2, "decoder_layers": 2, "encoder_ffn_dim": 256,
            "decoder_ffn_dim": 256, "encoder_attention_heads": 4, "decoder_attention_heads": 4,
        },
    },
    inner="encoder_ffn_dim",
    layers="encoder_layers",
    decoder_inner="decoder_ffn_dim",
    decoder_layers="decoder_layers",
    tokens_in=512,
    batches=(1, 4),
    first=(0,),
    last=(2,),
    decoder_first=(2, 0),
    model_class="BartForConditionalGeneration",
    config_class="BartConfig",
    tokenizer_class="BartTokenizerFast",
    tokenizer="bytes",
    maximum_tokens=1024,
    settings={
        "max_position_embeddings": 1024,
        "bos_token_id": 0,
        "pad_token_id": 1,
        "eos_token_id": 2,
        "decoder_start_token_id": 2,
        "forced_eos_token_id": 2,
        # As in the published configuration, which other tools' converters read.
        "normalize_before": False,
        "normalize_embedding": True,
        "add_final_layer_norm": False,
        "add_bias_logits": False,
    },
    generation={
        "forced_bos_token_id": 0,
        "num_beams": 4,
        "no_repeat_ngram_size": 3,
        "early_stopping": True,
        "length_penalty": 2.0,
    },
)  # fmt: skip

_DISTILBERT: Final = Shape(
    model_type="distilbert",
    name="DistilBERT",
    published="distilbert-base (67 M weights)",
    sizes={
        "full": {"vocab_size": 30522, "dim": 768, "n_layers": 6, "n_heads": 12, "hidden_dim": 3072},
        "small": {"vocab_size": 2000, "dim": 48, "n_layers": 2, "n_heads": 4, "hidden_dim": 192},
    },
    width="dim",
    inner="hidden_dim",
    layers="n_layers",
    tokens_in=128,
    batches=(1, 8),
    first=(2,),
    last=(3,),
    model_class="DistilBertForSequenceClassification",
    config_class="DistilBertConfig",
    tokenizer_class="DistilBertTokenizerFast",
    tokenizer="wordpiece",
    maximum_tokens=512,
    settings={"pad_token_id": 0},
)

_XLNET: Final = Shape(
    model_type="xlnet",
    name="XLNet",
    published="xlnet-base (117 M weights)",
    sizes={
        "full": {"vocab_size": 32000, "d_model": 768, "n_layer": 12, "n_head": 12, "d_inner": 3072},
        "small": {"vocab_size": 2000, "d_model": 48, "n_layer": 2, "n_head": 4, "d_inner": 192},
    },
    inner="d_inner",
    layers="n_layer",
    # The scores of the relative positions are as many again as those of the content.
    products=3,
    tokens_in=512,
    batches=(1, 4),
    last=(4, 3),
    last_type=2,
    model_class="XLNetForSequenceClassification",
    config_class="XLNetConfig",
    tokenizer_class="XLNetTokenizerFast",
    tokenizer="unigram",
    maximum_tokens=512,
    settings={"pad_token_id": 5},
)

SHAPES: Final = {shape.model_type: shape for shape in (_BART, _DISTILBERT, _XLNET)}


def shape_of(model_type: str) -> Shape:
    """The record of an architecture.

    Raises:
        BenchmarkError: There is none.
    """
    if model_type not in SHAPES:
        raise BenchmarkError(
            f"what is measured beside other engines is one of {', '.join(SHAPES)}, not {model_type!r}; add its record "
            "to benchmarks/common/shapes.py, or name other tasks with --task"
        )
    return SHAPES[model_type]
