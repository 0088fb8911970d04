"""A checkpoint's tokenizer: it is there, and every id that it or the configuration names has an embedding."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

from .errors import Unfit

_FILES: Final = ("tokenizer.json", "vocab.json", "vocab.txt", "spiece.model", "spm.model")
"""A folder with a tokenizer has one of these."""
_COUNT_FROM_PADDING: Final = frozenset({"roberta"})
"""Families whose positions begin after the id of the padding token, and leave that token out."""


def require_tokenizer(source: str | Path) -> None:
    """Check that a folder has a tokenizer; a hub id is not looked at.

    Raises:
        Unfit: It has none.
    """
    folder = Path(source)
    if folder.is_dir() and not any((folder / name).is_file() for name in _FILES):
        raise Unfit(f"it has no tokenizer (none of {', '.join(_FILES)}); save it there with tokenizer.save_pretrained")


def require_known_id(name: str, value: object, vocabulary: int) -> int:
    """Check that a token id is one of the vocabulary, and return it.

    Args:
        name: Of the setting, for the message.
        value: What it is.
        vocabulary: How many tokens the model embeds.

    Raises:
        Unfit: It is no whole number from 0 to ``vocabulary - 1``.
    """
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < vocabulary:
        raise Unfit(f"{name} must be a token id from 0 to {vocabulary - 1} (vocab_size - 1), not {value!r}")
    return value


def require_configured_ids(config: Any) -> None:
    """Check the ids that a configuration gives to the embedding.

    Raises:
        Unfit: One is beyond the vocabulary.
    """
    # Others, such as sep_token_id, are read by nobody: the tokenizer places the special tokens.
    for name in ("pad_token_id", "decoder_start_token_id"):
        value = getattr(config, name, None)
        if value is not None or config.is_encoder_decoder:  # which shifts its answers, and needs both
            require_known_id(f"{name} of its config.json", value, config.vocab_size)


def require_in_step(tokenizer: Any, config: Any) -> None:
    """Check that a model embeds every token that its tokenizer gives, and that texts can be padded.

    Raises:
        Unfit: A token has an id beyond the embedding, or there is no token for padding.
    """
    beyond = {token: number for token, number in _given(tokenizer).items() if number >= config.vocab_size}
    if beyond:
        raise Unfit(
            f"its tokenizer knows {len(tokenizer)} tokens, with ids up to {max(beyond.values())} "
            f"({max(beyond, key=beyond.__getitem__)!r}), but the model embeds only {config.vocab_size}: tokens were "
            "added and the embedding was not resized (model.resize_token_embeddings(len(tokenizer))), or the two are "
            "not from the same training run; save model and tokenizer of one run together"
        )
    if tokenizer.pad_token_id is None:
        raise Unfit("its tokenizer names no padding token; set its pad_token before save_pretrained")
    if config.model_type in _COUNT_FROM_PADDING and config.pad_token_id != tokenizer.pad_token_id:
        raise Unfit(
            f"pad_token_id of its config.json must be the id of its tokenizer's padding token, "
            f"{tokenizer.pad_token_id}, since positions begin after it, not {config.pad_token_id}"
        )


def _given(tokenizer: Any) -> dict[str, int]:
    """The tokens that an article may become, and their ids: words, and the special tokens around every text.

    An article that spells another special token does not contain it, so a mask (of bart-large-cnn, for one) needs no
    embedding.
    """
    special = {number for number, token in tokenizer.added_tokens_decoder.items() if token.special}
    around = {getattr(tokenizer, f"{role}_token_id") for role in ("bos", "eos", "cls", "sep", "pad", "unk")}
    return {t: number for t, number in tokenizer.get_vocab().items() if number not in special or number in around}
