"""The tokenizer as it is served: one ``tokenizer.json`` that adds the special tokens, and padding by the buckets."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from tokenizers import Tokenizer

from infolens.contract import ATTENTION_MASK, INPUT_IDS, TOKEN_TYPE_IDS, Task, buckets_up_to

from .checkpoint import ARCHITECTURES, Checkpoint
from .errors import CheckpointError

_XLNET_PAD_TYPE = 3

Batch = dict[str, npt.NDArray[np.int32]]


@dataclass(frozen=True, kw_only=True)
class Padding:
    """How a batch is filled up to a length bucket."""

    side: str
    """``left`` or ``right``."""
    pad_id: int
    pad_type_id: int


def padding_of(checkpoint: Checkpoint) -> Padding:
    """How inputs of the checkpoint are padded."""
    side = ARCHITECTURES[checkpoint.task].padding_side
    pad_id = checkpoint.tokenizer.pad_token_id
    if pad_id is None:
        raise CheckpointError(f"the tokenizer of {checkpoint.source!r} names no padding token; set its pad_token")
    type_id = _XLNET_PAD_TYPE if checkpoint.task is Task.VERACITY else 0
    return Padding(side=side, pad_id=int(pad_id), pad_type_id=type_id)


def serving_tokenizer(checkpoint: Checkpoint) -> str:
    """The text of the ``tokenizer.json`` that is served: no truncation, no padding, special tokens by template.

    Raises:
        CheckpointError: A special token is missing from the tokenizer.
    """
    document = json.loads(checkpoint.tokenizer.backend_tokenizer.to_str())
    document["truncation"] = None
    document["padding"] = None
    document["post_processor"] = _template(checkpoint)
    return json.dumps(document, ensure_ascii=False, separators=(",", ":"))


def _template(checkpoint: Checkpoint) -> dict[str, Any]:
    """``<s> A </s>``, ``[CLS] A [SEP]``, or ``A <sep> <cls>`` with token type 2 for XLNet's ``<cls>``."""
    tokenizer = checkpoint.tokenizer
    bos, eos, cls, sep = tokenizer.bos_token, tokenizer.eos_token, tokenizer.cls_token, tokenizer.sep_token
    before, after = {
        Task.SUMMARY: ([(cls or bos, 0)], [(sep or eos, 0)]),
        Task.CATEGORY: ([(cls, 0)], [(sep, 0)]),
        Task.VERACITY: ([], [(sep, 0), (cls, 2)]),
    }[checkpoint.task]
    ids = {}
    for token, _ in before + after:
        found = tokenizer.convert_tokens_to_ids(token) if token else None
        if found is None or (found == tokenizer.unk_token_id and token != tokenizer.unk_token):
            raise CheckpointError(
                f"the tokenizer of {checkpoint.source!r} lacks a special token that the {checkpoint.task.value} task "
                f"needs (bos {bos!r}, eos {eos!r}, cls {cls!r}, sep {sep!r}); set it before save_pretrained"
            )
        ids[token] = found

    def special(token: str, kind: int) -> dict[str, Any]:
        return {"SpecialToken": {"id": token, "type_id": kind}}

    first = {"Sequence": {"id": "A", "type_id": 0}}
    second = {"Sequence": {"id": "B", "type_id": 1}}
    single = [*(special(*token) for token in before), first, *(special(*token) for token in after)]
    return {
        "type": "TemplateProcessing",
        "single": single,
        "pair": [*single, second],
        "special_tokens": {token: {"id": token, "ids": [i], "tokens": [token]} for token, i in ids.items()},
    }


def encode(tokenizer_json: str, texts: Sequence[str], padding: Padding, *, max_tokens: int, with_types: bool) -> Batch:
    """Encode texts as the serving side does: truncated at the end, special tokens kept, padded to one bucket.

    Returns:
        ``input_ids``, ``attention_mask`` and, where asked for, ``token_type_ids``; INT32 (texts, bucket).
    """
    tokenizer = Tokenizer.from_str(tokenizer_json)
    tokenizer.encode_special_tokens = True
    tokenizer.enable_truncation(max_tokens)
    encodings = tokenizer.encode_batch(list(texts))
    longest = max(len(encoding.ids) for encoding in encodings)
    bucket = next(size for size in buckets_up_to(max_tokens) if size >= longest)
    for encoding in encodings:
        encoding.pad(bucket, direction=padding.side, pad_id=padding.pad_id, pad_type_id=padding.pad_type_id)
    batch = {
        INPUT_IDS.name: np.array([encoding.ids for encoding in encodings], np.int32),
        ATTENTION_MASK.name: np.array([encoding.attention_mask for encoding in encodings], np.int32),
    }
    if with_types:
        batch[TOKEN_TYPE_IDS.name] = np.array([encoding.type_ids for encoding in encodings], np.int32)
    return batch
