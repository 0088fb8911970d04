"""Tiny checkpoints with random weights, one for each task, as the training room would write them; and their exports."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

import pytest
import torch
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
from transformers import (
    BartConfig,
    BartForConditionalGeneration,
    BartTokenizerFast,
    DistilBertConfig,
    DistilBertForSequenceClassification,
    DistilBertTokenizerFast,
    XLNetConfig,
    XLNetForSequenceClassification,
    XLNetTokenizerFast,
)

from export.checkpoint.checkpoint import Checkpoint, load_checkpoint
from export.exporter import ExportResult, export
from export.options import ExportOptions
from export.parity.articles import ARTICLES
from export.parity.tolerances import Tolerances
from infolens.contract import CONTRACTS, Task

RANDOM: Final = Tolerances(token_f1=0.1, agreement=0.5)
"""The answers of random weights are nearly ties, which int8 may decide otherwise."""


@pytest.fixture(scope="package", autouse=True)
def one_thread() -> Iterator[None]:
    """PyTorch computes in one thread: for models as small as these, handing out the work takes ten times as long."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OMP_NUM_THREADS", "1")  # For the processes that tests start.
        yield
    torch.set_num_threads(before)


def _labels(labels: tuple[str, ...]) -> dict[str, Any]:
    return {"id2label": dict(enumerate(labels)), "label2id": {label: i for i, label in enumerate(labels)}}


def _train(tokenizer: Tokenizer, trainer: Any, template: str) -> Tokenizer:
    """Train on the built-in articles; ``template`` places the special tokens."""
    tokenizer.train_from_iterator(ARTICLES, trainer)
    special = {part.split(":")[0] for part in template.split() if not part.startswith("$")}
    tokenizer.post_processor = processors.TemplateProcessing(
        single=template, special_tokens=[(token, tokenizer.token_to_id(token)) for token in sorted(special)]
    )
    return tokenizer


def _byte_level_bpe() -> BartTokenizerFast:
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    special = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=500, special_tokens=special, initial_alphabet=alphabet, show_progress=False
    )
    trained = _train(tokenizer, trainer, "<s> $A </s>")
    return BartTokenizerFast(tokenizer_object=trained, model_max_length=160)


def _word_piece() -> DistilBertTokenizerFast:
    tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    trainer = trainers.WordPieceTrainer(vocab_size=500, special_tokens=special, show_progress=False)
    trained = _train(tokenizer, trainer, "[CLS] $A [SEP]")
    return DistilBertTokenizerFast(tokenizer_object=trained, model_max_length=160)


def _unigram() -> XLNetTokenizerFast:
    tokenizer = Tokenizer(models.Unigram())
    tokenizer.normalizer = normalizers.NFKC()
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    tokenizer.decoder = decoders.Metaspace()
    special = ["<unk>", "<s>", "</s>", "<cls>", "<sep>", "<pad>", "<mask>", "<eod>", "<eop>"]
    trainer = trainers.UnigramTrainer(vocab_size=400, special_tokens=special, unk_token="<unk>", show_progress=False)
    trained = _train(tokenizer, trainer, "$A <sep> <cls>:2")
    return XLNetTokenizerFast(tokenizer_object=trained, model_max_length=160)


def _bart(size: int, _: tuple[str, ...]) -> BartForConditionalGeneration:
    config = BartConfig(
        vocab_size=size,
        d_model=32,
        encoder_layers=2,
        decoder_layers=2,
        encoder_attention_heads=4,
        decoder_attention_heads=2,
        encoder_ffn_dim=64,
        decoder_ffn_dim=64,
        max_position_embeddings=256,
        init_std=0.4,
        bos_token_id=0,
        pad_token_id=1,
        eos_token_id=2,
        decoder_start_token_id=2,
    )
    model = BartForConditionalGeneration(config)
    model.generation_config.update(forced_bos_token_id=0, forced_eos_token_id=2)
    with torch.no_grad():  # Random weights hardly ever choose to end a summary; some should.
        model.final_logits_bias[0, 2] = 3.0
    return model


def _distilbert(size: int, labels: tuple[str, ...]) -> DistilBertForSequenceClassification:
    config = DistilBertConfig(
        vocab_size=size,
        dim=32,
        n_layers=2,
        n_heads=2,
        hidden_dim=64,
        max_position_embeddings=160,
        initializer_range=0.2,
        **_labels(labels),
    )
    return DistilBertForSequenceClassification(config)


def _xlnet(size: int, labels: tuple[str, ...]) -> XLNetForSequenceClassification:
    config = XLNetConfig(
        vocab_size=size, d_model=32, n_layer=2, n_head=2, d_inner=64, initializer_range=0.2, **_labels(labels)
    )
    return XLNetForSequenceClassification(config)


_MAKERS: dict[str, tuple[Callable[[], Any], Callable[[int, tuple[str, ...]], Any]]] = {
    "bart": (_byte_level_bpe, _bart),
    "distilbert": (_word_piece, _distilbert),
    "xlnet": (_unigram, _xlnet),
}
"""By the architecture of a task's starter."""


def write_checkpoint(task: Task, folder: Path) -> Path:
    """Write a checkpoint for a task into a folder, which is returned."""
    contract = CONTRACTS[task]
    make_tokenizer, make_model = _MAKERS[contract.architecture]
    torch.manual_seed(0)
    tokenizer = make_tokenizer()
    make_model(len(tokenizer), contract.default_labels).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def checkpoints(tmp_path_factory: pytest.TempPathFactory) -> dict[Task, Path]:
    """A folder with a checkpoint for each task."""
    return {task: write_checkpoint(task, tmp_path_factory.mktemp(task.value) / "checkpoint") for task in CONTRACTS}


def add_head(folder: Path, layers: int) -> Path:
    """Give a summarizer's checkpoint a random head that chooses sentences; returns the folder."""
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "choice_layers": layers}))
    tensors = load_file(folder / "model.safetensors")
    made = torch.Generator().manual_seed(layers)
    encoder = "model.encoder.layers.0."
    for name, one in [item for item in tensors.items() if item[0].startswith(encoder)]:
        for i in range(layers):
            noise = 0.2 * torch.randn(one.shape, generator=made)
            tensors[f"choice.layers.{i}.{name.removeprefix(encoder)}"] = one + noise
    for name, outputs, bias in (("words", 2, -1.0), ("length", 1, 3.6)):
        tensors[f"choice.{name}.weight"] = 0.2 * torch.randn(outputs, config["d_model"], generator=made)
        tensors[f"choice.{name}.bias"] = torch.full((outputs,), bias)
    save_file(tensors, folder / "model.safetensors", {"format": "pt"})
    return folder


@pytest.fixture(scope="session")
def choosing(checkpoints: dict[Task, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The checkpoint of a summarizer with a head of one layer; not to be changed."""
    folder = tmp_path_factory.mktemp("choosing") / "checkpoint"
    shutil.copytree(checkpoints[Task.SUMMARY], folder)
    return add_head(folder, layers=1)


@pytest.fixture(scope="session")
def loaded(checkpoints: dict[Task, Path]) -> dict[Task, Checkpoint]:
    """The same checkpoints in memory; not to be changed."""
    return {task: load_checkpoint(task, str(folder)) for task, folder in checkpoints.items()}


@pytest.fixture(scope="session")
def exported(
    checkpoints: dict[Task, Path], tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, dict[Task, ExportResult]]:
    """A repository with an int8 export of every checkpoint, and the results; not to be changed."""
    repository = tmp_path_factory.mktemp("exported") / "model_repository"
    results = {
        task: export(ExportOptions(task=task, checkpoint=str(folder), repository=repository, tolerances=RANDOM))
        for task, folder in checkpoints.items()
    }
    return repository, results
