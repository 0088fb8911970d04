"""A BERT as an XLNet: the same layers, with distances between tokens in place of absolute positions.

Both normalise after each sublayer, so nearly all weights go over as they are. What does not:

* XLNet's attention has no biases. The key's drops out of the softmax; the query's becomes ``r_w_bias``; those of value
  and output add one vector ``c`` to every token, which the layer gets by way of its input: where all tokens are moved
  by ``b`` with ``(I + Wo Wv) b = c``, the sum before the normalisation moves by ``c``. The layer before moves them, in
  the bias of its last normalisation, and the first layer's input in the word embeddings.
* Positions: the embeddings have the mean of BERT's. What positions do to attention scores is fitted as a function of
  the distance, layer by layer and head by head, and written as ``r_r_bias . W_r R(distance)``, with the sinusoids
  ``R`` of Transformer-XL (Dai et al., 2019). Texts of random tokens are enough to measure it.

So a BERT whose positions are all the same becomes an XLNet that computes the same; others, nearly.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import torch
from torch.nn.functional import layer_norm

from training.models.tokenization import load_tokenizer, with_specials_last

from .layers import load_bert

_ARTICLES: Final = 4
"""Texts of random tokens on which scores are measured."""
_TOKENS: Final = 256
"""Tokens of each, special ones included."""
_LEAST_SINGULAR: Final = 0.015
"""Directions that ``I + Wo Wv`` shrinks more are left out of a shift: it would be many times as long as the tokens."""
_RIDGE: Final = 1.0
_AMPLITUDE: Final = 3.0
"""How far ``r_r_bias`` reaches: the more, the less the queries themselves change what a distance does."""


def from_bert(base: str, *, labels: int, keep_layers: int = 0) -> tuple[Any, Any]:
    """Load a BERT as an ``XLNetForSequenceClassification`` with a new head: ``(model, tokenizer)``, in fp32.

    Args:
        base: A hub id or a checkpoint folder of model type ``bert``.
        labels: How many labels the new head tells.
        keep_layers: How many layers are kept, evenly spread; 0 keeps all.

    Raises:
        Unfit: It cannot be loaded.
        SettingError: It has fewer layers than ``keep_layers``.
        BaseModelError: It has what an XLNet cannot have.
    """
    from transformers import XLNetConfig, XLNetForSequenceClassification

    bert, kept = load_bert(base, keep_layers=keep_layers, made="an XLNet that is served")
    bert.eval()
    tokenizer = load_tokenizer(base)
    shape = bert.config
    words = _words(bert, tokenizer)
    distances = _distances(bert, tokenizer, words, layers=kept[-1] + 1)
    layers = [_layer(bert.encoder.layer[number], distances[number], shape.num_attention_heads) for number in kept]
    model: Any = XLNetForSequenceClassification(
        XLNetConfig(
            vocab_size=shape.vocab_size,
            n_layer=len(kept),
            n_head=shape.num_attention_heads,
            d_model=shape.hidden_size,
            d_inner=shape.intermediate_size,
            ff_activation=shape.hidden_act,
            layer_norm_eps=shape.layer_norm_eps,
            initializer_range=shape.initializer_range,
            mem_len=None,
            pad_token_id=shape.pad_token_id,
            bos_token_id=tokenizer.bos_token_id,
            eos_token_id=tokenizer.eos_token_id,
            num_labels=labels,
        )
    )
    state = {"mask_emb": model.transformer.mask_emb, "word_embedding.weight": words + layers[0].shift}
    for place, layer in enumerate(layers):
        state |= {f"layer.{place}.{name}": tensor for name, tensor in layer.weights.items()}
        if place:
            state[f"layer.{place - 1}.ff.layer_norm.bias"] = layers[place - 1].end + layer.shift
    model.transformer.load_state_dict({name: tensor.float() for name, tensor in state.items()})
    return model, with_specials_last(tokenizer)


@dataclass(frozen=True, kw_only=True)
class _Layer:
    weights: dict[str, torch.Tensor]
    """Name within a layer of XLNet -> tensor; the last normalisation's bias is BERT's."""
    shift: torch.Tensor
    """What every token of its input must be moved by: (width,)."""

    @property
    def end(self) -> torch.Tensor:
        """The bias of its last normalisation."""
        return self.weights["ff.layer_norm.bias"]


@dataclass(frozen=True, kw_only=True)
class _Distance:
    """What a distance between tokens adds to the scores of a layer, in XLNet's terms; both before the scaling."""

    keys: torch.Tensor
    """``W_r``: (width, heads, head size)."""
    bias: torch.Tensor
    """``r_r_bias`` where queries have their bias: (heads, head size)."""


def _words(bert: Any, tokenizer: Any) -> torch.Tensor:
    """What XLNet reads for each token, float64 (vocabulary, width): BERT's embeddings at no place in particular.

    Only ``[CLS]`` keeps its place, the first.
    """
    parts = bert.embeddings
    positions = parts.position_embeddings.weight.detach().double()
    words = parts.word_embeddings.weight.detach().double() + parts.token_type_embeddings.weight[0].detach().double()
    placed = words + positions[1:_TOKENS].mean(0)
    placed[tokenizer.cls_token_id] = words[tokenizer.cls_token_id] + positions[0]
    norm = parts.LayerNorm
    return layer_norm(placed, placed.shape[-1:], norm.weight.detach().double(), norm.bias.detach().double(), norm.eps)


def _layer(layer: Any, distance: _Distance, heads: int) -> _Layer:
    """A layer of BERT in XLNet's terms."""
    attention, output = layer.attention.self, layer.attention.output
    query, key, value, mixed = (
        part.weight.detach().double() for part in (attention.query, attention.key, attention.value, output.dense)
    )
    width = query.shape[0]
    constant = mixed @ attention.value.bias.detach().double() + output.dense.bias.detach().double()
    shift = _shift(mixed @ value, constant)
    # The shift reaches the queries too, and is taken back in their biases.
    moved = (query @ shift).reshape(heads, -1)
    weights = {
        **{f"rel_attn.{n}": w.T.reshape(width, heads, -1) for n, w in (("q", query), ("k", key), ("v", value))},
        "rel_attn.o": mixed.reshape(width, heads, -1),
        "rel_attn.r": distance.keys,
        "rel_attn.r_w_bias": attention.query.bias.detach().double().reshape(heads, -1) - moved,
        "rel_attn.r_r_bias": distance.bias - moved,
        "rel_attn.r_s_bias": torch.zeros(heads, width // heads),
        "rel_attn.seg_embed": torch.zeros(2, heads, width // heads),
    }
    dense = {
        "rel_attn.layer_norm": output.LayerNorm,
        "ff.layer_1": layer.intermediate.dense,
        "ff.layer_2": layer.output.dense,
        "ff.layer_norm": layer.output.LayerNorm,
    }
    weights |= {
        f"{name}.{part}": getattr(module, part).detach().double()
        for name, module in dense.items()
        for part in ("weight", "bias")
    }
    return _Layer(weights=weights, shift=shift)


def _shift(mixing: torch.Tensor, constant: torch.Tensor) -> torch.Tensor:
    """The shortest ``b`` with ``(I + mixing) b = constant``, up to a multiple of ones, which a normalisation drops."""
    width = len(constant)
    centring = torch.eye(width, dtype=constant.dtype) - 1 / width
    left, sizes, right = torch.linalg.svd(centring @ (torch.eye(width, dtype=constant.dtype) + mixing))
    inverse = torch.where(sizes > _LEAST_SINGULAR, 1 / sizes.clamp_min(_LEAST_SINGULAR), 0.0)
    return right.T @ (inverse * (left.T @ (centring @ constant)))


@torch.no_grad()
def _distances(bert: Any, tokenizer: Any, words: torch.Tensor, *, layers: int) -> list[_Distance]:
    """Measure what distances do in the first layers: BERT with its positions beside BERT without, layer by layer."""
    ids = _random_texts(bert.config, tokenizer)
    length = ids.shape[1]
    # The order of XLNet: the first position, that of [CLS], comes last.
    places = torch.arange(1, length + 1) % length
    whole = bert.embeddings(input_ids=ids, position_ids=places[None])
    ours = words[ids].float()
    apart = torch.arange(length)[:, None] - torch.arange(length)[None]
    waves = sinusoids(torch.arange(1 - length, length), bert.config.hidden_size)
    norm, found = bert.embeddings.LayerNorm, []
    for layer in bert.encoder.layer[:layers]:
        attention = layer.attention.self
        steps = _fit(_scores(attention, whole), _scores(attention, ours), apart + length - 1, waves)
        found.append(_written(attention, norm, steps, bert.config.num_attention_heads))
        added = (steps @ waves.T)[:, apart + length - 1].float() / attention.attention_head_size**0.5
        whole, ours = layer(whole), layer(ours, added[None])
        norm = layer.output.LayerNorm
    return found


def _random_texts(config: Any, tokenizer: Any) -> torch.Tensor:
    """Token ids (texts, tokens) of ``text [SEP] [CLS]``."""
    plain = torch.tensor(sorted({*range(config.vocab_size)} - {*tokenizer.all_special_ids}))
    length = min(_TOKENS, config.max_position_embeddings)
    drawn = torch.randint(len(plain), (_ARTICLES, length), generator=torch.Generator().manual_seed(0))
    ids = plain[drawn]
    ids[:, -2], ids[:, -1] = tokenizer.sep_token_id, tokenizer.cls_token_id
    return ids


def _scores(attention: Any, x: torch.Tensor) -> torch.Tensor:
    """Attention scores before the scaling, without special tokens: float64 (texts, heads, queries, keys)."""
    shape = (*x.shape[:2], -1, attention.attention_head_size)
    query, key = (part(x).view(shape)[:, :-2].double() for part in (attention.query, attention.key))
    return torch.einsum("bind,bjnd->bnij", query, key)


def _fit(whole: torch.Tensor, ours: torch.Tensor, place: torch.Tensor, waves: torch.Tensor) -> torch.Tensor:
    """How much of each sinusoid makes up for the difference of two scores: float64 (heads, width).

    Pairs count as the attention of ``whole`` weighs them. ``place`` is the row of ``waves`` for each query and key.
    """
    heads, length = whole.shape[1:3]
    place = place[:length, :length]
    weights = (whole / (waves.shape[1] / heads) ** 0.5).softmax(-1) + 0.1 / length
    off = whole - ours
    off -= (weights * off).sum(-1, keepdim=True) / weights.sum(-1, keepdim=True)  # a query's own constant has no effect
    total, count = (torch.zeros(heads, len(waves), dtype=whole.dtype) for _ in range(2))
    total.index_add_(1, place.flatten(), (weights * off).sum(0).flatten(1))
    count.index_add_(1, place.flatten(), weights.sum(0).flatten(1))
    share = count.sum(1, keepdim=True)
    square = torch.einsum("nk,kd,ke->nde", count / share, waves, waves)
    square += _RIDGE / len(waves) * torch.eye(waves.shape[1], dtype=waves.dtype)
    return torch.cholesky_solve(((total / share) @ waves)[:, :, None], torch.linalg.cholesky(square))[:, :, 0]


def sinusoids(distances: torch.Tensor, width: int) -> torch.Tensor:
    """XLNet's embeddings of distances, float64 (distances, width): the sines, then the cosines."""
    angles = distances.double()[:, None] / 10000 ** (torch.arange(0, width, 2, dtype=torch.float64) / width)
    return torch.cat([angles.sin(), angles.cos()], dim=1)


def _written(attention: Any, norm: Any, steps: torch.Tensor, heads: int) -> _Distance:
    """Write a function of the distance into the direction of a head in which its queries differ least.

    Args:
        attention: Of the layer.
        norm: The normalisation that its input comes from, which tells how inputs spread.
        steps: What `_fit` has found.
        heads: Of the layer.
    """
    weight = attention.query.weight.double().reshape(heads, -1, steps.shape[1])
    left, _, _ = torch.linalg.svd(weight * norm.weight.double(), full_matrices=False)
    direction = left[:, :, -1]
    usual = weight @ norm.bias.double() + attention.query.bias.double().reshape(heads, -1)
    size = (_AMPLITUDE - (direction * usual).sum(-1))[:, None]
    bias = attention.query.bias.double().reshape(heads, -1) + size * direction
    return _Distance(keys=torch.einsum("nw,nd->wnd", steps / _AMPLITUDE, direction), bias=bias)
