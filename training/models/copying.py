"""Weights that copy before any training: a start for small BART models that are trained from scratch.

A summarizer must first be able to copy from anywhere in the article. Learned from random weights, that alone takes
most of an hour on a laptop. Here the circuit that trained transformers are known to form for it, the *induction head*
(Olsson et al., 2022, "In-context Learning and Induction Heads"), is written into the weights; training then starts
with a model that continues whatever sentence it has begun, and only has to learn which sentences matter.

The model's width ``d`` is divided into six parts, in sixteenths of ``d``::

    position (4/16) | content (8/16) | codes of the tokens one, two, three and four places back (1/16 each)

- Encoder layer 0: head k attends k + 1 tokens back and writes a code of the token there.
- Decoder layer 0: head k does the same for the token k + 2 places before the one that comes next.
- The last decoder layer's cross attention looks for the place where the article had the decoder's last four tokens
  and reads the content of the token that follows there. The tied output embedding turns it into that token. With
  fewer than four tokens, two places of an article are too often alike, and summaries change sentences midway.

Everything else keeps BART's small random weights, and nothing is frozen.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch

if TYPE_CHECKING:
    from transformers import BartForConditionalGeneration

_EMBEDDING_STD = 0.1
_POSITION_AMPLITUDE = 1.4 * _EMBEDDING_STD
_POSITION_GAIN = 2.2
_MATCH_GAIN = 3.0
_COPY_GAIN = 3.0
_WEIGHTS = (1.0, 0.55, 0.3, 0.17)
"""How much each of the decoder's last tokens, newest first, counts in finding its place in the article.

The newest outweighs the others almost together: at the start of a sentence that does not follow the one before it,
the older tokens point to the wrong place.
"""
_QUIET = 0.1
"""Token embeddings outside the content part, as a share of the standard deviation inside it."""


@dataclass(frozen=True, kw_only=True)
class _Layout:
    """Where the parts lie in a vector of the model's width."""

    position: slice
    content: slice
    back: tuple[slice, ...]
    """The codes of the tokens one place back, two places back..."""


def _layout(width: int) -> _Layout:
    part = width // 16
    return _Layout(
        position=slice(0, 4 * part),
        content=slice(4 * part, 12 * part),
        back=tuple(slice((12 + k) * part, (13 + k) * part) for k in range(len(_WEIGHTS))),
    )


def _orthonormal(rows: int, columns: int, generator: torch.Generator) -> torch.Tensor:
    """A random matrix (rows, columns), rows <= columns, with orthonormal rows."""
    square = torch.linalg.qr(torch.randn(columns, columns, generator=generator))[0]
    return square[:rows]


def _frequencies(count: int) -> torch.Tensor:
    """Angular frequencies (count,), from nearly half a turn a token down to one turn in 1,200 tokens."""
    return torch.logspace(math.log10(2.8), math.log10(2 * math.pi / 1200), count)


@torch.no_grad()
def _write_positions(weight: torch.Tensor, part: slice, offset: int) -> None:
    frequencies = _frequencies((part.stop - part.start) // 2)
    angles = (torch.arange(weight.shape[0]) - offset).unsqueeze(1) * frequencies  # (positions, frequencies)
    pairs = torch.stack((angles.sin(), angles.cos()), dim=-1).flatten(1)
    weight.zero_()
    weight[:, part] = _POSITION_AMPLITUDE * pairs


@torch.no_grad()
def _look_back(attention: Any, *, head: int, steps: int, code: torch.Tensor, lay: _Layout, to: slice) -> None:
    """Make one head attend ``steps`` tokens back and write ``code @ content`` of that token into the part ``to``.

    The dot product of two position vectors depends on their distance alone; turning each pair of the query by
    ``steps`` times its frequency moves the maximum there.
    """
    size = attention.head_dim
    rows = slice(head * size, (head + 1) * size)
    pairs = (lay.position.stop - lay.position.start) // 2
    chosen = torch.linspace(0, pairs - 1, size // 2).round().long()
    angles = _frequencies(pairs)[chosen] * steps
    query, key = attention.q_proj.weight, attention.k_proj.weight
    for projection in (attention.q_proj, attention.k_proj, attention.v_proj):
        projection.weight[rows] = 0
        projection.bias[rows] = 0
    for index, (pair, angle) in enumerate(zip(chosen.tolist(), angles.tolist(), strict=True)):
        sin, cos = lay.position.start + 2 * pair, lay.position.start + 2 * pair + 1
        first, second = rows.start + 2 * index, rows.start + 2 * index + 1
        # sin(a - s) = sin a cos s - cos a sin s;  cos(a - s) = cos a cos s + sin a sin s
        query[first, sin], query[first, cos] = _POSITION_GAIN * math.cos(angle), -_POSITION_GAIN * math.sin(angle)
        query[second, cos], query[second, sin] = _POSITION_GAIN * math.cos(angle), _POSITION_GAIN * math.sin(angle)
        key[first, sin] = key[second, cos] = _POSITION_GAIN
    written = rows.start + len(code)
    attention.v_proj.weight[rows.start : written, lay.content] = code
    attention.out_proj.weight[:, rows] = 0
    attention.out_proj.weight[to, rows.start : written] = torch.eye(len(code))


@torch.no_grad()
def _match_and_copy(attention: Any, *, codes: list[torch.Tensor], lay: _Layout, generator: torch.Generator) -> None:
    """Make a cross attention find the decoder's last tokens in the article and read what follows them there."""
    size, heads = attention.head_dim, attention.num_heads
    part = len(codes[0])
    each = size // len(codes)
    for projection in (attention.q_proj, attention.k_proj, attention.v_proj, attention.out_proj):
        projection.weight.zero_()
        projection.bias.zero_()
    width = lay.content.stop - lay.content.start
    contents = _orthonormal(width, width, generator)
    share = width // heads
    scale = _MATCH_GAIN * math.sqrt(part / each) ** 0.5
    for head in range(heads):
        start = head * size
        for place, (code, back) in enumerate(zip(codes, lay.back, strict=True)):
            rows = slice(start + place * each, start + (place + 1) * each)
            shown = scale * math.sqrt(_WEIGHTS[place]) * _orthonormal(each, part, generator)
            # The newest token is the decoder's own input; the older ones were written by its first layer.
            attention.q_proj.weight[rows, lay.content if place == 0 else back] = shown @ code if place == 0 else shown
            attention.k_proj.weight[rows, back] = shown
        read = contents[head * share : (head + 1) * share]
        attention.v_proj.weight[start : start + share, lay.content] = read
        attention.out_proj.weight[lay.content, start : start + share] = _COPY_GAIN * read.T


@torch.no_grad()
def write_copying_weights(model: BartForConditionalGeneration, *, seed: int = 0) -> None:
    """Write the copying circuit into a freshly made BART, in place.

    Args:
        model: a BART with tied embeddings, at least one encoder and two decoder layers, width a multiple of 16 and
            heads no wider than an eighth of the width.
        seed: of the random codes and embeddings.

    Raises:
        ValueError: the model's shape has no room for the circuit.
    """
    config = model.config
    width, heads = config.d_model, config.encoder_attention_heads
    if width % 16 or width // heads > width // 8 or config.decoder_layers < 2 or config.encoder_layers < 1:
        raise ValueError(
            "the copying start needs a width that is a multiple of 16, at least 8 heads, 1 encoder and 2 decoder "
            f"layers; this model has width {width}, {heads} heads, {config.encoder_layers} encoder and "
            f"{config.decoder_layers} decoder layers: change the preset, or start from random weights"
        )
    generator = torch.Generator().manual_seed(seed)
    lay = _layout(width)
    core: Any = model.model
    embeddings = torch.randn(config.vocab_size, width, generator=generator) * _EMBEDDING_STD * _QUIET
    embeddings[:, lay.content] /= _QUIET
    core.shared.weight.copy_(embeddings)
    for side in (core.encoder, core.decoder):
        _write_positions(side.embed_positions.weight, lay.position, side.embed_positions.offset)
    codes = [_orthonormal(width // 16, width // 2, generator) for _ in lay.back]
    for head, (code, back) in enumerate(zip(codes, lay.back, strict=True)):
        _look_back(core.encoder.layers[0].self_attn, head=head, steps=head + 1, code=code, lay=lay, to=back)
        if head:
            _look_back(core.decoder.layers[0].self_attn, head=head - 1, steps=head, code=code, lay=lay, to=back)
    _match_and_copy(core.decoder.layers[-1].encoder_attn, codes=codes, lay=lay, generator=generator)
