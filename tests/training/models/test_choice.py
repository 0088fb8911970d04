"""A BART with a head that chooses sentences: saved, loaded, and frozen below its head."""

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from transformers import BartConfig, BartForConditionalGeneration

from infolens.contract import Task
from tests.training.models.test_copying import make_bart
from training.models.architectures import load_prepared
from training.models.choice import BartForChoice, add_choice
from training.models.tokenization import train_byte_bpe

IDS = torch.randint(5, 90, (2, 20), generator=torch.Generator().manual_seed(0))
MASK = torch.ones_like(IDS).index_fill(1, torch.arange(14, 20), 0)


def small_bart(layers: int = 2) -> BartForConditionalGeneration:
    return make_bart(vocab_size=90, d_model=32, encoder_layers=layers, encoder_ffn_dim=48, decoder_ffn_dim=48)


def test_a_new_head_begins_with_the_layers_of_the_encoder_and_usual_figures() -> None:
    base = small_bart(layers=3)
    model = add_choice(base, 2)
    encoder = base.model.encoder.layers
    for mine, theirs in zip(model.choice.layers, encoder[1:], strict=True):
        assert all(torch.equal(a, b) for a, b in zip(mine.parameters(), theirs.parameters(), strict=True))
    again, other = add_choice(small_bart(layers=3), 2), add_choice(small_bart(layers=3), 2, seed=1)
    assert torch.equal(again.choice.words.weight, model.choice.words.weight)
    assert not torch.equal(other.choice.words.weight, model.choice.words.weight)
    assert len(add_choice(small_bart(layers=1), 2).choice.layers) == 2
    assert len(add_choice(small_bart(), 0).choice.layers) == 0
    said = model.eval()(input_ids=IDS, attention_mask=MASK, choose=True)
    assert said.logits.shape == (2, 20, 2)
    assert said.length.exp().tolist() == pytest.approx([36.6, 36.6], rel=0.2)


def test_padding_changes_nothing() -> None:
    model = add_choice(small_bart(), 1).eval()
    padded = model(input_ids=IDS, attention_mask=MASK, choose=True)
    alone = model(input_ids=IDS[:, :14], attention_mask=MASK[:, :14], choose=True)
    torch.testing.assert_close(padded.logits[:, :14], alone.logits)
    torch.testing.assert_close(padded.length, alone.length)


def test_it_is_saved_and_loaded_with_its_head_and_is_a_bart_to_others(tmp_path: Path) -> None:
    base = small_bart()
    model = add_choice(base, 1)
    model.save_pretrained(tmp_path)
    train_byte_bpe(["Some text."], vocabulary=90, max_length=64).save_pretrained(tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    assert (config["architectures"], config["choice_layers"]) == (["BartForConditionalGeneration"], 1)
    names = {name for name in load_file(tmp_path / "model.safetensors") if name.startswith("choice.")}
    layer = {f"choice.layers.0.{name}" for name, _ in base.model.encoder.layers[0].named_parameters()}
    assert names == layer | {f"choice.{part}.{kind}" for part in ("words", "length") for kind in ("weight", "bias")}

    again, _ = load_prepared(Task.SUMMARY, tmp_path)
    assert type(again) is BartForChoice
    ours = model.state_dict()
    assert all(torch.equal(value, ours[name]) for name, value in again.state_dict().items())
    plain = BartForConditionalGeneration.from_pretrained(tmp_path)
    written = [one.eval().generate(IDS, attention_mask=MASK, max_length=12) for one in (base, again, plain)]
    assert all(torch.equal(one, written[0]) for one in written)

    BartForConditionalGeneration(BartConfig(**base.config.to_diff_dict() | {"choice_layers": None})).save_pretrained(
        tmp_path / "without"
    )
    train_byte_bpe(["Some text."], vocabulary=90, max_length=64).save_pretrained(tmp_path / "without")
    assert type(load_prepared(Task.SUMMARY, tmp_path / "without")[0]) is BartForConditionalGeneration


def test_a_head_that_learns_alone_leaves_nothing_out_at_random_and_the_rest_alone() -> None:
    model = add_choice(small_bart(), 1)
    model.choose_alone()
    model.train()
    first, second = (model(input_ids=IDS, attention_mask=MASK, choose=True) for _ in range(2))
    assert torch.equal(first.logits, second.logits)
    (first.logits.sum() + first.length.sum()).backward()
    learning = {name for name, parameter in model.named_parameters() if parameter.grad is not None}
    assert learning == {name for name, _ in model.named_parameters() if name.startswith("choice.")}
    assert learning == {name for name, parameter in model.named_parameters() if parameter.requires_grad}

    whole = add_choice(small_bart(), 1).train()
    whole(input_ids=IDS, attention_mask=MASK, choose=True).logits.sum().backward()
    assert whole.model.encoder.layers[0].fc1.weight.grad is not None
