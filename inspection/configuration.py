"""The configuration of a checkpoint: a model can be built from it."""

from __future__ import annotations

from copy import deepcopy
from typing import Any, Final

from .errors import Unfit, first_line
from .vocabulary import require_configured_ids

_SIZES: Final = (
    *("vocab_size", "hidden_size", "num_hidden_layers", "num_attention_heads", "intermediate_size", "hidden_dim"),
    *("d_inner", "encoder_ffn_dim", "decoder_ffn_dim", "encoder_attention_heads", "decoder_attention_heads"),
    *("decoder_layers", "max_position_embeddings"),
)
"""What counts something of a model: none of them may be 0, though `transformers` builds a model of no layers."""


def require_buildable(config: Any, model_class: str) -> None:
    """Check that a configuration describes a model, before its weights are blamed for what is wrong with it.

    Args:
        config: The ``transformers`` configuration.
        model_class: Name of the class in ``transformers``.

    Raises:
        Unfit: A value is out of range, or does not go with the others; or the weights are quantized.
    """
    import torch
    import transformers

    if quantized := getattr(config, "quantization_config", None):
        method = quantized.get("quant_method") if isinstance(quantized, dict) else quantized
        raise Unfit(
            f"its config.json has a quantization_config (quant_method {method!r}), and only weights that are plain "
            "numbers are read; save it with model.dequantize().save_pretrained, or take the checkpoint from before"
        )
    values = config.to_dict()
    for field in (config.attribute_map.get(name, name) for name in _SIZES):
        value = values.get(field, 1)  # A family has those that it needs.
        if isinstance(value, bool) or not isinstance(value, int) or value < 1:
            raise Unfit(f"{field} of its config.json must be a whole number from 1, not {value!r}")
    require_configured_ids(config)
    try:
        # Shapes alone: no memory, no time, and no number of the generator from which a new head is drawn.
        with torch.random.fork_rng(devices=[]), torch.device("meta"):
            getattr(transformers, model_class)(deepcopy(config))
    except Exception as error:  # the library checks little, and fails wherever a value is used
        raise Unfit(
            f"its config.json describes no {model_class} ({type(error).__name__}: {first_line(error)}); put back what "
            "was changed, or save the model again with save_pretrained"
        ) from error


def plain(config: Any) -> Any:
    """Change a configuration in place, and return it: a model returns its answers by name and nothing else.

    What else it returned where it was trained, and in how many pieces it computed, says nothing of its answers.
    """
    config.return_dict = True
    config.output_hidden_states = False
    config.output_attentions = False
    config.chunk_size_feed_forward = 0
    return config
