"""The copying start: a model that no one has trained continues what it has begun to copy."""

import pytest
import torch
from transformers import BartConfig, BartForConditionalGeneration

from training.models.copying import write_copying_weights


def make_bart(**changes: int) -> BartForConditionalGeneration:
    torch.manual_seed(0)
    settings = {
        "vocab_size": 1000,
        "d_model": 256,
        "encoder_layers": 2,
        "decoder_layers": 2,
        "encoder_attention_heads": 8,
        "decoder_attention_heads": 8,
        "encoder_ffn_dim": 256,
        "decoder_ffn_dim": 256,
        "max_position_embeddings": 256,
    }
    return BartForConditionalGeneration(BartConfig(**(settings | changes))).eval()


def copy_accuracy(model: BartForConditionalGeneration, start: int) -> float:
    """The share of next tokens right while 16 tokens from place ``start`` of a random article are copied."""
    article = torch.randint(5, 1000, (8, 200), generator=torch.Generator().manual_seed(1))
    span = article[:, start : start + 16]
    with torch.inference_mode():
        logits = model(input_ids=article, decoder_input_ids=span).logits
    # The first token has no token before it to be found by.
    return (logits[:, 1:-1].argmax(-1) == span[:, 2:]).float().mean().item()


@pytest.mark.parametrize("start", [1, 90, 180])
def test_copies_from_anywhere_in_the_article_without_training(start: int) -> None:
    model = make_bart()
    assert copy_accuracy(model, start) < 0.05
    write_copying_weights(model)
    assert copy_accuracy(model, start) > 0.95


def test_is_the_same_for_the_same_seed() -> None:
    one, two = make_bart(), make_bart()
    write_copying_weights(one, seed=3)
    write_copying_weights(two, seed=3)
    assert torch.equal(one.model.shared.weight, two.model.shared.weight)
    assert one.lm_head.weight is one.model.shared.weight or torch.equal(one.lm_head.weight, one.model.shared.weight)


@pytest.mark.parametrize(
    "changes",
    [{"decoder_layers": 1}, {"encoder_attention_heads": 4, "decoder_attention_heads": 4}],
)
def test_refuses_a_shape_without_room(changes: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="at least 8 heads, 1 encoder and 2 decoder"):
        write_copying_weights(make_bart(**changes))
