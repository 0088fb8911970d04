"""BART (Lewis et al., 2020): writes summaries. The starter's copying weights stand in `copying`."""

from __future__ import annotations

from typing import Any, Final

from infolens.contract import AnswerKind

from .record import Architecture


def _objection(config: Any) -> str:
    if not config.tie_word_embeddings:
        return "its tie_word_embeddings is false, and only a BART that reads and writes with one embedding is served"
    return ""


def _with_choice(config: Any) -> type | None:
    from training.models.choice import BartForChoice, has_choice  # it imports the model's code, which takes a while

    return BartForChoice if has_choice(config) else None


ARCHITECTURE: Final = Architecture(
    model_type="bart",
    answers=AnswerKind.TEXT,
    model_class="BartForConditionalGeneration",
    example="facebook/bart-large-cnn",
    layer_lists={"model.encoder.layers": "encoder_layers", "model.decoder.layers": "decoder_layers"},
    layer_classes=frozenset({"BartEncoderLayer", "BartDecoderLayer"}),
    lora_targets=("q_proj", "k_proj", "v_proj", "out_proj"),
    dropout_fields=("dropout",),
    objection=_objection,
    class_with_more=_with_choice,
)
