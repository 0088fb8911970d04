"""Train tokenizers of the same kinds as the originals, and load those of checkpoints just as they were written.

=============  ==============================  ==============================================
architecture   kind                            special tokens
=============  ==============================  ==============================================
``bart``       byte-level BPE, cased           ``<s> <pad> </s> <unk> <mask>`` (ids 0 to 4)
``distilbert`` WordPiece, uncased              ``[PAD] [UNK] [CLS] [SEP] [MASK]`` (ids 0 to 4)
``xlnet``      Unigram with Metaspace, cased   ``<unk> <s> </s> <cls> <sep> <pad> <mask>`` ...
=============  ==============================  ==============================================

White space and control characters are normalised inside the tokenizer, so serving reads the text as training did.

All are of the class that takes ``tokenizer.json`` as it is. The classes with an architecture's name build normaliser
and splitter anew whenever they are loaded, and take no more than the vocabulary from the file.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

BART_SPECIALS: Final = ("<s>", "<pad>", "</s>", "<unk>", "<mask>")
WORDPIECE_SPECIALS: Final = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
XLNET_SPECIALS: Final = ("<unk>", "<s>", "</s>", "<cls>", "<sep>", "<pad>", "<mask>", "<eod>", "<eop>")

_BART_ROLES: Final = {
    "bos_token": "<s>",
    "eos_token": "</s>",
    "cls_token": "<s>",
    "sep_token": "</s>",
    "unk_token": "<unk>",
    "pad_token": "<pad>",
    "mask_token": "<mask>",
}
_WORDPIECE_ROLES: Final = {f"{name.strip('[]').lower()}_token": name for name in WORDPIECE_SPECIALS}
_XLNET_ROLES: Final = _BART_ROLES | {"cls_token": "<cls>", "sep_token": "<sep>"}
"""What each special token is for, in the words of `transformers`."""

_XLNET_INPUTS: Final = ["input_ids", "token_type_ids", "attention_mask"]

_SPACES: Final = normalizers.Sequence(
    [
        normalizers.Replace(Regex(r"\p{Cf}+"), ""),
        normalizers.Replace(Regex(r"[\s\p{Cc}]+"), " "),
        normalizers.Replace(Regex(r"^ +| +$"), ""),
    ]
)
"""Format characters go; any run of white space and control characters is one blank; none at the ends."""


def load_tokenizer(source: str | Path) -> Any:
    """A checkpoint's tokenizer, which reads a text just as the checkpoint's ``tokenizer.json`` says.

    Args:
        source: A checkpoint folder or a hub id.

    Returns:
        A ``PreTrainedTokenizerFast``; saved and loaded again it is the same, also through ``AutoTokenizer``.

    Raises:
        OSError: There is no tokenizer.
        ValueError: It has no backend of the package `tokenizers`, which is what serves.
    """
    from transformers import AutoTokenizer

    named = AutoTokenizer.from_pretrained(source)
    backend = getattr(named, "backend_tokenizer", None)
    if backend is None:
        raise ValueError(
            f"{source}: a tokenizer has a tokenizer.json, or files that give one, and this {type(named).__name__} does "
            "not: convert it first"
        )
    if file := _file(source, "tokenizer.json"):
        backend = Tokenizer.from_file(file)
    elif not any(_file(source, name) for name in named.vocab_files_names.values()):
        # The class would go on with an empty vocabulary.
        raise OSError(f"{source}: has no tokenizer: put tokenizer.json and tokenizer_config.json beside the weights")
    return with_backend(named, backend)


def with_backend(named: Any, backend: Tokenizer) -> Any:
    """A tokenizer of `transformers` with the special tokens and settings of another one, around a backend as it is."""
    return _as_it_is(
        backend,
        named.special_tokens_map,
        extra_special_tokens=list(named.extra_special_tokens),
        model_max_length=named.model_max_length,
        padding_side=named.padding_side,
        truncation_side=named.truncation_side,
        model_input_names=list(named.model_input_names),
        clean_up_tokenization_spaces=named.clean_up_tokenization_spaces,
    )


def _file(source: str | Path, name: str) -> str | None:
    """Path of a checkpoint's file on this machine, fetched where it is not here; None where it has no such file."""
    from transformers.utils import cached_file

    try:
        return str(cached_file(str(source), name))
    except OSError:
        return None


def _as_it_is(backend: Tokenizer, roles: Mapping[str, str], **settings: Any) -> Any:
    """A tokenizer of `transformers` around a backend, whose special tokens stay as the backend has them."""
    from transformers import PreTrainedTokenizerFast

    known = {token.content: token for token in backend.get_added_tokens_decoder().values()}
    special = {role: known.get(token, token) for role, token in roles.items()}
    return PreTrainedTokenizerFast(tokenizer_object=backend, **special, **settings)


def train_byte_bpe(texts: Iterable[str], *, vocabulary: int, max_length: int) -> Any:
    """A BART tokenizer: byte-level BPE with ``<s> text </s>``."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.normalizer = _SPACES
    # With the blank before it, a sentence has the same tokens at the start of a summary and inside the article.
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=True)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary,
        min_frequency=2,
        special_tokens=[*BART_SPECIALS[:-1], AddedToken(BART_SPECIALS[-1], lstrip=True, special=True)],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    end, start = ((name, BART_SPECIALS.index(name)) for name in ("</s>", "<s>"))
    tokenizer.post_processor = processors.RobertaProcessing(end, start, trim_offsets=True, add_prefix_space=True)
    return _as_it_is(
        tokenizer,
        _BART_ROLES,
        model_max_length=max_length,
        model_input_names=["input_ids", "attention_mask"],
    )


def train_wordpiece(texts: Iterable[str], *, vocabulary: int, max_length: int) -> Any:
    """A DistilBERT tokenizer: uncased WordPiece with ``[CLS] text [SEP]``."""
    tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]"))  # noqa: S106
    tokenizer.normalizer = normalizers.Sequence(
        [_SPACES, normalizers.BertNormalizer(clean_text=True, strip_accents=True, lowercase=True)]
    )
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.decoder = decoders.WordPiece()
    trainer = trainers.WordPieceTrainer(
        vocab_size=vocabulary, min_frequency=2, special_tokens=list(WORDPIECE_SPECIALS), show_progress=False
    )
    tokenizer.train_from_iterator(texts, trainer)
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS]:0 $A:0 [SEP]:0",
        pair="[CLS]:0 $A:0 [SEP]:0 $B:1 [SEP]:1",
        special_tokens=[(name, tokenizer.token_to_id(name)) for name in ("[CLS]", "[SEP]")],
    )
    return _as_it_is(
        tokenizer,
        _WORDPIECE_ROLES,
        model_max_length=max_length,
        model_input_names=["input_ids", "attention_mask"],
    )


def train_unigram(texts: Iterable[str], *, vocabulary: int, max_length: int) -> Any:
    """An XLNet tokenizer: Unigram with ``text <sep> <cls>``, ``<cls>`` of type 2, padded on the left."""
    tokenizer = Tokenizer(models.Unigram())
    tokenizer.normalizer = normalizers.Sequence(
        [
            normalizers.Replace("``", '"'),
            normalizers.Replace("''", '"'),
            normalizers.NFKD(),
            normalizers.StripAccents(),
            _SPACES,
        ]
    )
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    tokenizer.decoder = decoders.Metaspace()
    trainer = trainers.UnigramTrainer(
        vocab_size=vocabulary,
        special_tokens=list(XLNET_SPECIALS),
        unk_token="<unk>",  # noqa: S106
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    tokenizer.post_processor = _specials_last(tokenizer, "<sep>", "<cls>")
    return _as_it_is(
        tokenizer,
        _XLNET_ROLES,
        model_max_length=max_length,
        model_input_names=_XLNET_INPUTS,
        padding_side="left",
        extra_special_tokens=["<eod>", "<eop>"],
    )


def _specials_last(tokenizer: Tokenizer, separator: str, classifier: str) -> Any:
    return processors.TemplateProcessing(
        single=f"$A:0 {separator}:0 {classifier}:2",
        pair=f"$A:0 {separator}:0 $B:1 {separator}:1 {classifier}:2",
        special_tokens=[(name, tokenizer.token_to_id(name)) for name in (separator, classifier)],
    )


def with_specials_last(tokenizer: Any) -> Any:
    """A tokenizer that reads a text as a BERT's does and puts its special tokens where an XLNet has them.

    Args:
        tokenizer: With a ``cls_token`` and a ``sep_token``, such as ``[CLS] text [SEP]``.

    Returns:
        ``text [SEP] [CLS]``, ``[CLS]`` of type 2, padded on the left.
    """
    backend = Tokenizer.from_str(tokenizer.backend_tokenizer.to_str())
    backend.post_processor = _specials_last(backend, tokenizer.sep_token, tokenizer.cls_token)
    return _as_it_is(
        backend,
        tokenizer.special_tokens_map,
        model_max_length=tokenizer.model_max_length,
        model_input_names=_XLNET_INPUTS,
        padding_side="left",
    )
