"""Token ids to batches: joining title and text, augmentation, batches of like length, padding."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from infolens.types import is_blank
from training.progress.bars import track

Ids = NDArray[np.int32]


_CONTROL: Final = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ufeff]")
"""What the server's tokenizer reads as a blank."""


def joined(frame: pd.DataFrame) -> list[str]:
    """What a classifier reads of each row: title and text, as the server joins them (see `join_article`)."""
    return [join_article(pair) for pair in zip(frame["title"], frame["text"], strict=True)]


def join_article(parts: Iterable[str]) -> str:
    """The parts of an article that are not blank, joined with a line break; control characters are blanks.

    The server's tokenizer has the same rule in code of its own; a test holds the two together.
    """
    kept = (_CONTROL.sub(" ", part).strip() for part in parts)
    return "\n".join(part for part in kept if not is_blank(part))


def encode(tokenizer: Any, texts: Sequence[str], *, limit: int = 4096) -> list[Ids]:
    """Token ids of texts, without special tokens, at most ``limit`` each.

    A text that spells a special token, such as ``</s>``, is read as text, as the server reads it.
    """
    backend = tokenizer.backend_tokenizer
    backend.no_truncation()
    backend.no_padding()
    result: list[Ids] = []
    before, backend.encode_special_tokens = backend.encode_special_tokens, True
    try:
        for start in track(range(0, len(texts), 1000), "reading tokens", unit="articles", weight=1000):
            encodings = backend.encode_batch(list(texts[start : start + 1000]), add_special_tokens=False)
            result += [np.asarray(encoding.ids[:limit], dtype=np.int32) for encoding in encodings]
    finally:
        backend.encode_special_tokens = before
    return result


def even_weights(weights: Sequence[float], parts: Sequence[int] | None = None) -> list[float]:
    """Weights that are 1 on average, so that they change how articles count beside each other and not the rate.

    An article of weight 2 then counts as one that stands there twice.

    Args:
        weights: Above 0.
        parts: How many terms of the loss each has, such as the tokens of a summary; 1 each by default.
    """
    terms = np.ones(len(weights)) if parts is None else np.asarray(parts, dtype=np.float64)
    plain = np.asarray(weights, dtype=np.float64)
    even: list[float] = (plain * terms.sum() / (plain * terms).sum()).tolist()
    return even


def special_tokens(tokenizer: Any) -> int:
    """How many special tokens the tokenizer adds to one text."""
    return int(tokenizer.num_special_tokens_to_add(pair=False))


def crop(ids: Ids, length: int, rng: np.random.Generator) -> Ids:
    """The beginning (every second time) or a random window of ``length`` tokens."""
    if len(ids) <= length:
        return ids
    start = 0 if rng.random() < 0.5 else int(rng.integers(0, len(ids) - length + 1))
    return ids[start : start + length]


def drop_tokens(ids: Ids, fraction: float, rng: np.random.Generator) -> Ids:
    """The ids without a random ``fraction`` of them; at least one stays."""
    if fraction <= 0 or len(ids) < 4:
        return ids
    kept = ids[rng.random(len(ids)) >= fraction]
    return kept if len(kept) else ids[:1]


def length_sorted(
    lengths: Sequence[int], *, batch: int, rng: np.random.Generator | None = None, pool: int = 40
) -> Iterator[NDArray[np.int64]]:
    """Batches of indexes of like length: sorted within shuffled pools, in random order; without ``rng`` just sorted.

    A batch with fewer indexes than ``batch`` comes last.
    """
    lengths_array = np.asarray(lengths)
    if rng is None:
        order = np.argsort(lengths_array, kind="stable")
        yield from (order[start : start + batch] for start in range(0, len(order), batch))
        return
    order = rng.permutation(len(lengths_array))
    batches = []
    for start in range(0, len(order), batch * pool):
        part = order[start : start + batch * pool]
        part = part[np.argsort(lengths_array[part], kind="stable")]
        batches += [part[i : i + batch] for i in range(0, len(part), batch)]
    whole = [rows for rows in batches if len(rows) == batch]
    yield from (whole[i] for i in rng.permutation(len(whole)))
    yield from (rows for rows in batches if len(rows) < batch)


@dataclass(frozen=True, kw_only=True)
class _Template:
    """The special tokens that a tokenizer puts around one text, with the type of each token."""

    before: tuple[int, ...]
    after: tuple[int, ...]
    types_before: tuple[int, ...]
    types_after: tuple[int, ...]
    text_type: int


def _template_of(tokenizer: Any) -> _Template:
    backend = tokenizer.backend_tokenizer
    backend.no_truncation()
    backend.no_padding()
    probe = backend.encode("a", add_special_tokens=True)
    text = [i for i, special in enumerate(probe.special_tokens_mask) if not special]
    first, end = text[0], text[-1] + 1
    return _Template(
        before=tuple(probe.ids[:first]),
        after=tuple(probe.ids[end:]),
        types_before=tuple(probe.type_ids[:first]),
        types_after=tuple(probe.type_ids[end:]),
        text_type=probe.type_ids[first],
    )


def collate(tokenizer: Any, items: Sequence[Ids], *, types: bool) -> dict[str, torch.Tensor]:
    """Pad items with their special tokens on the tokenizer's side.

    Returns:
        ``input_ids`` and ``attention_mask``, int64 (B, L), and ``token_type_ids`` where ``types`` asks for it.
    """
    around = _template_of(tokenizer)
    rows = [[*around.before, *item.tolist(), *around.after] for item in items]
    longest = max(map(len, rows))
    left = tokenizer.padding_side == "left"
    ids = np.full((len(rows), longest), tokenizer.pad_token_id, dtype=np.int64)
    mask = np.zeros((len(rows), longest), dtype=np.int64)
    kinds = np.full((len(rows), longest), tokenizer.pad_token_type_id, dtype=np.int64)
    for i, row in enumerate(rows):
        place = slice(longest - len(row), longest) if left else slice(0, len(row))
        ids[i, place] = row
        mask[i, place] = 1
        kinds[i, place] = [*around.types_before, *[around.text_type] * len(items[i]), *around.types_after]
    result = {"input_ids": torch.from_numpy(ids), "attention_mask": torch.from_numpy(mask)}
    if types:
        result["token_type_ids"] = torch.from_numpy(kinds)
    return result
