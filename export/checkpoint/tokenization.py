"""The tokenizer as it is served: one ``tokenizer.json`` that adds the special tokens, and padding by the buckets."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt
from tokenizers import Tokenizer

from export.architectures import SpecialToken
from export.errors import CheckpointError
from infolens.contract import ATTENTION_MASK, INPUT_IDS, TOKEN_TYPE_IDS, buckets_up_to

from .checkpoint import Checkpoint

Batch = dict[str, npt.NDArray[np.int32]]


@dataclass(frozen=True, kw_only=True)
class Padding:
    """How a batch is filled up to a length bucket."""

    side: str
    """``left`` or ``right``."""
    pad_id: int
    pad_type_id: int
    token_types: bool
    """Whether the model takes ``token_type_ids``."""


def padding_of(checkpoint: Checkpoint) -> Padding:
    """How inputs of the checkpoint are padded.

    Raises:
        CheckpointError: The tokenizer has no padding token.
    """
    architecture = checkpoint.architecture
    pad_id = checkpoint.tokenizer.pad_token_id
    if pad_id is None:
        raise CheckpointError(f"the tokenizer of {checkpoint.source!r} names no padding token; set its pad_token")
    return Padding(
        side=architecture.padding_side,
        pad_id=int(pad_id),
        pad_type_id=architecture.pad_type_id,
        token_types=architecture.token_types,
    )


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
    architecture = checkpoint.architecture
    ids: dict[str, int] = {}

    def special(token: SpecialToken) -> dict[str, Any]:
        text, ids[text] = _text_and_id(checkpoint, token)
        return {"SpecialToken": {"id": text, "type_id": token.type_id}}

    first = {"Sequence": {"id": "A", "type_id": 0}}
    second = {"Sequence": {"id": "B", "type_id": 1}}
    single = [*map(special, architecture.before), first, *map(special, architecture.after)]
    return {
        "type": "TemplateProcessing",
        "single": single,
        "pair": [*single, second],
        "special_tokens": {text: {"id": text, "ids": [i], "tokens": [text]} for text, i in ids.items()},
    }


def _text_and_id(checkpoint: Checkpoint, token: SpecialToken) -> tuple[str, int]:
    tokenizer, architecture = checkpoint.tokenizer, checkpoint.architecture
    for role in token.roles:
        text = getattr(tokenizer, role, None)
        found = tokenizer.convert_tokens_to_ids(text) if text else None
        if found is not None and (found != tokenizer.unk_token_id or text == tokenizer.unk_token):
            return str(text), int(found)
    every = ", ".join(" or ".join(one.roles) for one in (*architecture.before, *architecture.after))
    raise CheckpointError(
        f"the tokenizer of {checkpoint.source!r} lacks the {' or '.join(token.roles)}, and a {architecture.model_type} "
        f"needs {every}; set it before save_pretrained"
    )


@lru_cache(maxsize=1)
def _tokenizer(tokenizer_json: str, max_tokens: int) -> Tokenizer:
    """The last tokenizer that was asked for; a large vocabulary takes longer to read than a text to encode."""
    tokenizer = Tokenizer.from_str(tokenizer_json)
    tokenizer.encode_special_tokens = True  # A text that spells a special token does not contain that token.
    tokenizer.enable_truncation(max_tokens)
    return tokenizer


def encode(tokenizer_json: str, texts: Sequence[str], padding: Padding, *, max_tokens: int) -> Batch:
    """Encode texts as the serving side does: truncated at the end, special tokens kept, padded to one bucket.

    Returns:
        ``input_ids``, ``attention_mask`` and, where the model takes them, ``token_type_ids``; INT32 (texts, bucket).
    """
    encodings = _tokenizer(tokenizer_json, max_tokens).encode_batch(list(texts))
    longest = max(len(encoding.ids) for encoding in encodings)
    bucket = next(size for size in buckets_up_to(max_tokens) if size >= longest)
    for encoding in encodings:
        encoding.pad(bucket, direction=padding.side, pad_id=padding.pad_id, pad_type_id=padding.pad_type_id)
    batch = {
        INPUT_IDS.name: np.array([encoding.ids for encoding in encodings], np.int32),
        ATTENTION_MASK.name: np.array([encoding.attention_mask for encoding in encodings], np.int32),
    }
    if padding.token_types:
        batch[TOKEN_TYPE_IDS.name] = np.array([encoding.type_ids for encoding in encodings], np.int32)
    return batch
