"""Checkpoints of the full-size architectures with random weights: what a machine without a model hub measures with.

Speed does not depend on the weights, and an fp32 export of random weights can be compared with ``transformers`` as
well as any other. The tokenizers are trained on a handful of sentences, so their vocabularies are small; the models
have the vocabularies of the originals.
"""

from __future__ import annotations

import logging
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from infolens.contract import CONTRACTS, Task

_LOG = logging.getLogger(__name__)

_BART_SPECIALS: Final = ("<s>", "<pad>", "</s>", "<unk>", "<mask>")
_WORDPIECE_SPECIALS: Final = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
_XLNET_SPECIALS: Final = ("<unk>", "<s>", "</s>", "<cls>", "<sep>", "<pad>", "<mask>", "<eod>", "<eop>")


@dataclass(frozen=True, kw_only=True)
class FixtureSize:
    """How large the three models are: parts of the full size, for a test that takes seconds."""

    name: str
    bart: dict[str, int]
    distilbert: dict[str, int]
    xlnet: dict[str, int]


FULL: Final = FixtureSize(
    name="full",
    bart={
        "vocab_size": 50264, "d_model": 1024, "encoder_layers": 12, "decoder_layers": 12, "encoder_ffn_dim": 4096,
        "decoder_ffn_dim": 4096, "encoder_attention_heads": 16, "decoder_attention_heads": 16,
    },
    distilbert={"vocab_size": 30522, "dim": 768, "n_layers": 6, "n_heads": 12, "hidden_dim": 3072},
    xlnet={"vocab_size": 32000, "d_model": 768, "n_layer": 12, "n_head": 12, "d_inner": 3072},
)  # fmt: skip
"""The shapes of facebook/bart-large-cnn, distilbert-base-uncased and xlnet-base-cased."""

SMALL: Final = FixtureSize(
    name="small",
    bart={
        "vocab_size": 2000, "d_model": 64, "encoder_layers": 2, "decoder_layers": 2, "encoder_ffn_dim": 256,
        "decoder_ffn_dim": 256, "encoder_attention_heads": 4, "decoder_attention_heads": 4,
    },
    distilbert={"vocab_size": 2000, "dim": 48, "n_layers": 2, "n_heads": 4, "hidden_dim": 192},
    xlnet={"vocab_size": 2000, "d_model": 48, "n_layer": 2, "n_head": 4, "d_inner": 192},
)  # fmt: skip

SIZES: Final = {size.name: size for size in (FULL, SMALL)}


def make_fixtures(folder: Path, size: FixtureSize, tasks: Sequence[Task] = tuple(Task)) -> dict[Task, Path]:
    """Write a checkpoint for each task into ``folder/<model>``, as ``save_pretrained`` would; one that is there stays.

    Returns:
        The checkpoint's folder of each task.
    """
    found = {}
    for task in tasks:
        target = folder / f"{CONTRACTS[task].model}-{size.name}"
        found[task] = target
        if target.exists():
            _LOG.info("%s is there already", target)
            continue
        model, tokenizer = _MAKERS[task](size)
        partial = target.with_name(target.name + ".partial")
        shutil.rmtree(partial, ignore_errors=True)
        model.save_pretrained(partial)
        tokenizer.save_pretrained(partial)
        partial.rename(target)
        parameters = model.num_parameters()
        _LOG.info("wrote %s: %.1f M random parameters, %.2f GB", target, parameters / 1e6, parameters * 4 / 1e9)
    return found


def _texts() -> list[str]:
    from .server import ROOT

    return [path.read_text(encoding="utf-8") for path in sorted((ROOT / "tests" / "articles").glob("*.txt"))]


def _labelled(task: Task) -> dict[str, Any]:
    labels = CONTRACTS[task].labels
    return {"id2label": dict(enumerate(labels)), "label2id": {label: index for index, label in enumerate(labels)}}


def _bart(size: FixtureSize) -> tuple[Any, Any]:
    import torch
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
    from transformers import BartConfig, BartForConditionalGeneration, BartTokenizerFast

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=1800,
        special_tokens=list(_BART_SPECIALS),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(_texts(), trainer)
    tokenizer.post_processor = processors.RobertaProcessing(sep=("</s>", 2), cls=("<s>", 0), add_prefix_space=False)
    config = BartConfig(
        **size.bart,
        max_position_embeddings=1024,
        bos_token_id=0,
        pad_token_id=1,
        eos_token_id=2,
        decoder_start_token_id=2,
        forced_eos_token_id=2,
        # As in the published configuration, which other tools' converters read.
        normalize_before=False,
        normalize_embedding=True,
        add_final_layer_norm=False,
        add_bias_logits=False,
    )
    torch.manual_seed(0)
    model: Any = BartForConditionalGeneration(config)
    model.generation_config.update(
        forced_bos_token_id=0, num_beams=4, no_repeat_ngram_size=3, early_stopping=True, length_penalty=2.0
    )
    return model, BartTokenizerFast(tokenizer_object=tokenizer, model_max_length=1024)


def _distilbert(size: FixtureSize) -> tuple[Any, Any]:
    import torch
    from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
    from transformers import DistilBertConfig, DistilBertForSequenceClassification, DistilBertTokenizerFast

    tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]"))  # noqa: S106 - no password
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.decoder = decoders.WordPiece()
    trainer = trainers.WordPieceTrainer(vocab_size=1800, special_tokens=list(_WORDPIECE_SPECIALS), show_progress=False)
    tokenizer.train_from_iterator(_texts(), trainer)
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    config = DistilBertConfig(**size.distilbert, pad_token_id=0, **_labelled(Task.CATEGORY))
    torch.manual_seed(0)
    model = DistilBertForSequenceClassification(config)
    return model, DistilBertTokenizerFast(tokenizer_object=tokenizer, model_max_length=512)


def _xlnet(size: FixtureSize) -> tuple[Any, Any]:
    import torch
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
    from transformers import XLNetConfig, XLNetForSequenceClassification, XLNetTokenizerFast

    tokenizer = Tokenizer(models.Unigram())
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    tokenizer.decoder = decoders.Metaspace()
    trainer = trainers.UnigramTrainer(
        vocab_size=1800,
        special_tokens=list(_XLNET_SPECIALS),
        unk_token="<unk>",  # noqa: S106
        show_progress=False,
    )
    tokenizer.train_from_iterator(_texts(), trainer)
    tokenizer.post_processor = processors.TemplateProcessing(
        single="$A:0 <sep>:0 <cls>:2", special_tokens=[("<sep>", 4), ("<cls>", 3)]
    )
    config = XLNetConfig(**size.xlnet, pad_token_id=5, **_labelled(Task.VERACITY))
    torch.manual_seed(0)
    model = XLNetForSequenceClassification(config)
    return model, XLNetTokenizerFast(tokenizer_object=tokenizer, model_max_length=512)


_MAKERS: Final = {Task.SUMMARY: _bart, Task.CATEGORY: _distilbert, Task.VERACITY: _xlnet}
