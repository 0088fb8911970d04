"""Train tokenizers of the same kind as the originals and save them so that ``AutoTokenizer`` loads them.

=============  ==============================  ==============================================
architecture   kind                            special tokens
=============  ==============================  ==============================================
``bart``       byte-level BPE, cased           ``<s> <pad> </s> <unk> <mask>`` (ids 0 to 4)
``distilbert`` WordPiece, uncased              ``[PAD] [UNK] [CLS] [SEP] [MASK]`` (ids 0 to 4)
``xlnet``      Unigram with Metaspace, cased   ``<unk> <s> </s> <cls> <sep> <pad> <mask>`` ...
=============  ==============================  ==============================================

White space and control characters are normalised inside the tokenizer, so serving reads the text as training did.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

BART_SPECIALS: Final = ("<s>", "<pad>", "</s>", "<unk>", "<mask>")
WORDPIECE_SPECIALS: Final = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
XLNET_SPECIALS: Final = ("<unk>", "<s>", "</s>", "<cls>", "<sep>", "<pad>", "<mask>", "<eod>", "<eop>")

_SPACES: Final = normalizers.Sequence(
    [
        normalizers.Replace(Regex(r"\p{Cf}+"), ""),
        normalizers.Replace(Regex(r"[\s\p{Cc}]+"), " "),
        normalizers.Replace(Regex(r"^ +| +$"), ""),
    ]
)
"""Format characters go; any run of white space and control characters is one blank; none at the ends."""


def train_byte_bpe(texts: Iterable[str], *, vocabulary: int, max_length: int) -> Any:
    """A BART tokenizer: byte-level BPE with ``<s> text </s>``; returns a ``BartTokenizerFast``."""
    from transformers import BartTokenizerFast

    tokenizer = Tokenizer(models.BPE())
    tokenizer.normalizer = _SPACES
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=True)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary,
        min_frequency=2,
        special_tokens=list(BART_SPECIALS),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    tokenizer.post_processor = processors.RobertaProcessing(
        sep=("</s>", tokenizer.token_to_id("</s>")),
        cls=("<s>", tokenizer.token_to_id("<s>")),
        trim_offsets=True,
        add_prefix_space=True,
    )
    return BartTokenizerFast(
        tokenizer_object=tokenizer,
        model_max_length=max_length,
        add_prefix_space=True,  # a sentence has the same tokens at the start of a summary and inside the article
        mask_token=AddedToken("<mask>", lstrip=True, special=True),
    )


def train_wordpiece(texts: Iterable[str], *, vocabulary: int, max_length: int) -> Any:
    """A DistilBERT tokenizer: uncased WordPiece with ``[CLS] text [SEP]``; returns a ``DistilBertTokenizerFast``."""
    from transformers import DistilBertTokenizerFast

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
    return DistilBertTokenizerFast(tokenizer_object=tokenizer, model_max_length=max_length, do_lower_case=True)


def train_unigram(texts: Iterable[str], *, vocabulary: int, max_length: int) -> Any:
    """An XLNet tokenizer: Unigram with ``text <sep> <cls>``, ``<cls>`` of type 2, padded on the left with type 3.

    Returns:
        An ``XLNetTokenizerFast``.
    """
    from transformers import XLNetTokenizerFast

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
    tokenizer.post_processor = processors.TemplateProcessing(
        single="$A:0 <sep>:0 <cls>:2",
        pair="$A:0 <sep>:0 $B:1 <sep>:1 <cls>:2",
        special_tokens=[(name, tokenizer.token_to_id(name)) for name in ("<sep>", "<cls>")],
    )
    return XLNetTokenizerFast(tokenizer_object=tokenizer, model_max_length=max_length, padding_side="left")
