"""A BERT becomes an XLNet that computes the same, as far as an XLNet can."""

from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoTokenizer, BertModel

from infolens.contract import Task
from tests import families
from tests.families import TEXTS
from training.errors import BaseModelError, SettingError
from training.loop.batches import collate, encode
from training.models.architectures import load_base
from training.models.architectures.bert_to_xlnet import sinusoids

LABELS = ("real", "fake")


def _bert(folder: Path, *, same_places: bool, **changes: Any) -> Path:
    """A BERT of three layers; with ``same_places`` it does not know one position from another."""
    model, tokenizer = families.bert(("LABEL_0", "LABEL_1"), num_hidden_layers=3, **changes)
    if same_places:
        with torch.no_grad():
            places = model.bert.embeddings.position_embeddings.weight
            places.copy_(places[0].expand_as(places))
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def _converted(base: Path, **changes: Any) -> tuple[Any, Any]:
    model, tokenizer = load_base(Task.VERACITY, str(base), labels=LABELS, dropout=0.0, convert_to="xlnet", **changes)
    return model.eval(), tokenizer


def _states(base: Path, model: Any, tokenizer: Any) -> tuple[list[torch.Tensor], list[torch.Tensor]]:
    """The last hidden states of both for `TEXTS`, in XLNet's order: BERT's and XLNet's."""
    bert = BertModel.from_pretrained(base).eval()
    old = AutoTokenizer.from_pretrained(base)
    batch = collate(tokenizer, encode(tokenizer, TEXTS), types=True)
    with torch.inference_mode():
        ours = model.transformer(**batch, use_mems=False).last_hidden_state
        theirs = [bert(**old(text, return_tensors="pt")).last_hidden_state[0].roll(-1, dims=0) for text in TEXTS]
    return theirs, [row[mask.bool()] for row, mask in zip(ours, batch["attention_mask"], strict=True)]


@pytest.mark.parametrize("activation", ["gelu", "relu"])
def test_without_positions_it_computes_the_same(activation: str, tmp_path: Path) -> None:
    base = _bert(tmp_path, same_places=True, hidden_act=activation)
    model, tokenizer = _converted(base)
    assert model.config.n_layer == 3
    assert model.logits_proj.out_features == 2
    for theirs, ours in zip(*_states(base, model, tokenizer), strict=True):
        torch.testing.assert_close(ours, theirs, atol=1e-4, rtol=1e-4)


def test_distances_stand_for_positions(tmp_path: Path) -> None:
    """In a layer whose scores of positions are mostly those of distances, as sinusoids give them."""
    bert, tokenizer = families.bert(("LABEL_0", "LABEL_1"), num_hidden_layers=1)
    with torch.no_grad():
        attention, embeddings = bert.bert.encoder.layer[0].attention.self, bert.bert.embeddings
        places = sinusoids(torch.arange(64), 32).float()
        embeddings.position_embeddings.weight.copy_(places)
        for words in (embeddings.word_embeddings, embeddings.token_type_embeddings):
            words.weight.mul_(0.1)
        # Keys look like queries of three places on, so that before and after are not the same.
        ahead = torch.linalg.lstsq(places, sinusoids(torch.arange(3, 67), 32).float()).solution
        attention.key.weight.copy_(attention.query.weight @ ahead.T)
    bert.save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    model, tokenizer = _converted(tmp_path)
    ids = torch.tensor([encode(tokenizer, [" ".join(TEXTS)])[0][:62].tolist()])

    def error() -> float:
        """How far the attention of the text to itself is off."""
        old = BertModel.from_pretrained(tmp_path, attn_implementation="eager").eval()
        with torch.inference_mode():
            theirs = old(ids, position_ids=torch.arange(1, 63)[None], output_attentions=True).attentions[0]
            ours = model.transformer(ids, use_mems=False, output_attentions=True).attentions[0]
        return float((ours.reshape(theirs.shape) - theirs).abs().sum())

    fitted = error()
    for layer in model.transformer.layer:
        layer.rel_attn.r.data.zero_()
    assert fitted < 0.85 * error()


def test_layers_are_kept_evenly_spread(tmp_path: Path) -> None:
    base = _bert(tmp_path, same_places=True)
    whole, _ = _converted(base)
    short, tokenizer = _converted(base, keep_layers=2)
    assert short.config.n_layer == len(short.transformer.layer) == 2
    for kept, number in ((0, 0), (1, 2)):
        assert torch.equal(
            short.transformer.layer[kept].ff.layer_1.weight, whole.transformer.layer[number].ff.layer_1.weight
        )
    # The biases between the layers that are kept are those of a BERT that has but these.
    bert, _ = families.bert(("LABEL_0", "LABEL_1"))
    bert = type(bert).from_pretrained(base)
    bert.bert.encoder.layer = torch.nn.ModuleList([bert.bert.encoder.layer[i] for i in (0, 2)])
    bert.config.num_hidden_layers = 2
    bert.save_pretrained(tmp_path / "short")
    AutoTokenizer.from_pretrained(base).save_pretrained(tmp_path / "short")
    for theirs, ours in zip(*_states(tmp_path / "short", short, tokenizer), strict=True):
        torch.testing.assert_close(ours, theirs, atol=1e-4, rtol=1e-4)


def test_its_tokenizer_has_the_special_tokens_at_the_end(tmp_path: Path) -> None:
    base = _bert(tmp_path / "bert", same_places=True)
    _, tokenizer = _converted(base)
    tokenizer.save_pretrained(tmp_path / "xlnet")
    old, again = (AutoTokenizer.from_pretrained(tmp_path / name) for name in ("bert", "xlnet"))
    for one in (tokenizer, again):
        assert one(TEXTS[0])["input_ids"] == [*old(TEXTS[0])["input_ids"][1:], old.cls_token_id]
        assert one(TEXTS[0])["token_type_ids"][-2:] == [0, 2]
        padded = one(["The council", TEXTS[0]], padding=True)
        assert padded["input_ids"][0][0] == one.pad_token_id
        assert padded["attention_mask"][0][-1] == 1
    assert again.get_vocab() == old.get_vocab()


def test_what_an_xlnet_cannot_have_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BaseModelError, match=r"an XLNet that is served has gelu or relu, not silu: leave convert_to"):
        _converted(_bert(tmp_path / "silu", same_places=True, hidden_act="silu"))
    with pytest.raises(SettingError, match=r"keep_layers is at most 3 for .*, not 4"):
        _converted(_bert(tmp_path / "small", same_places=True), keep_layers=4)
