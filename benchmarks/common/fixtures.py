"""Checkpoints of the full-size architectures with random weights: what a machine without a model hub measures with.

Speed does not depend on the weights, and an fp32 export of random weights can be compared with ``transformers`` as
well as any other. The tokenizers are trained on a handful of sentences, so their vocabularies are small; the models
have the vocabularies of the originals. What is special to an architecture stands in `shapes`.
"""

from __future__ import annotations

import argparse
import logging
import shutil
from collections.abc import Callable, Sequence
from enum import StrEnum
from importlib import import_module
from pathlib import Path
from typing import Any, Final

from infolens.contract import CONTRACTS, AnswerKind, Task, TaskContract

from .server import ROOT, BenchmarkError
from .shapes import Shape, shape_of

_LOG = logging.getLogger(__name__)

_BYTES_SPECIALS: Final = ("<s>", "<pad>", "</s>", "<unk>", "<mask>")
_WORDPIECE_SPECIALS: Final = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
_UNIGRAM_SPECIALS: Final = ("<unk>", "<s>", "</s>", "<cls>", "<sep>", "<pad>", "<mask>", "<eod>", "<eop>")
_TOKENS: Final = 1800
"""Maximum tokens of a vocabulary."""


class FixtureSize(StrEnum):
    """How large the models are."""

    FULL = "full"
    """The shapes of the published models: facebook/bart-large-cnn, distilbert-base-uncased, xlnet-base-cased."""
    SMALL = "small"
    """For a test that takes seconds."""


FULL: Final = FixtureSize.FULL
SMALL: Final = FixtureSize.SMALL
SIZES: Final = {size.value: size for size in FixtureSize}


def add_size(parser: argparse.ArgumentParser) -> None:
    """Add the option ``--size``, a name of `SIZES`."""
    parser.add_argument("--size", choices=list(SIZES), default="full", help="small is for tests (default: %(default)s)")


def add_task(parser: argparse.ArgumentParser) -> None:
    """Add the option ``--task``, which `tasks_of` reads."""
    tasks = [task.value for task in Task]
    parser.add_argument("--task", action="append", choices=tasks, help="repeat it for several (default: all)")


def tasks_of(args: argparse.Namespace) -> tuple[Task, ...]:
    """The tasks that ``--task`` named, each once; all without it."""
    return tuple(Task(task) for task in dict.fromkeys(args.task)) if args.task else tuple(Task)


def make_fixtures(folder: Path, size: FixtureSize, tasks: Sequence[Task] | None = None) -> dict[Task, Path]:
    """Write a checkpoint for each task into ``folder/<model>``, as ``save_pretrained`` would; one that is there stays.

    Args:
        folder: Holds ``<model>-<size>`` of each task afterwards.
        size: How large they are.
        tasks: All registered ones by default.

    Returns:
        The checkpoint's folder of each task.

    Raises:
        BenchmarkError: The architecture of a task has no record in `shapes`, or a task has labels and its contract
            names none.
    """
    found = {}
    for task in tuple(Task) if tasks is None else tasks:
        contract = CONTRACTS[task]
        target = folder / f"{contract.model}-{size.value}"
        found[task] = target
        if target.exists():
            _LOG.info("%s is there already", target)
            continue
        model, tokenizer = make_checkpoint(shape_of(contract.architecture), size, _ANSWERS[contract.answers](contract))
        partial = target.with_name(target.name + ".partial")
        shutil.rmtree(partial, ignore_errors=True)
        model.save_pretrained(partial)
        tokenizer.save_pretrained(partial)
        partial.rename(target)
        parameters = model.num_parameters()
        _LOG.info("wrote %s: %.1f M random parameters, %.2f GB", target, parameters / 1e6, parameters * 4 / 1e9)
    return found


def make_checkpoint(shape: Shape, size: FixtureSize, entries: dict[str, Any]) -> tuple[Any, Any]:
    """A model of ``transformers`` with random weights, and its tokenizer.

    Args:
        shape: The architecture.
        size: How large it is.
        entries: Further ones of its configuration, such as its labels.
    """
    import torch

    library = import_module("transformers")
    config = getattr(library, shape.config_class)(**shape.sizes[size], **shape.settings, **entries)
    torch.manual_seed(0)
    model = getattr(library, shape.model_class)(config)
    if shape.generation:
        model.generation_config.update(**shape.generation)
    backend = TOKENIZERS[shape.tokenizer]()
    tokenizer_class = getattr(library, shape.tokenizer_class)
    return model, tokenizer_class(tokenizer_object=backend, model_max_length=shape.maximum_tokens)


def _labelled(contract: TaskContract) -> dict[str, Any]:
    labels = contract.default_labels
    if len(labels) < 2:
        raise BenchmarkError(
            f"a checkpoint of random weights has the labels of its task's contract, two at least, but {contract.task} "
            f"has {len(labels)}; give it default_labels"
        )
    return {"id2label": dict(enumerate(labels)), "label2id": {label: index for index, label in enumerate(labels)}}


_ANSWERS: Final[dict[AnswerKind, Callable[[TaskContract], dict[str, Any]]]] = {
    AnswerKind.TEXT: lambda _: {},
    AnswerKind.LABELS: _labelled,
}
"""Entries of a configuration that its answers need."""


def _texts() -> list[str]:
    return [path.read_text(encoding="utf-8") for path in sorted((ROOT / "tests" / "articles").glob("*.txt"))]


def _bytes() -> Any:
    """Byte-level BPE with ``<s> text </s>``."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=_TOKENS,
        special_tokens=list(_BYTES_SPECIALS),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(_texts(), trainer)
    tokenizer.post_processor = processors.RobertaProcessing(("</s>", 2), ("<s>", 0), add_prefix_space=False)
    return tokenizer


def _wordpiece() -> Any:
    """Uncased WordPiece with ``[CLS] text [SEP]``."""
    from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

    tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]"))  # noqa: S106 - no password
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.decoder = decoders.WordPiece()
    trainer = trainers.WordPieceTrainer(
        vocab_size=_TOKENS, special_tokens=list(_WORDPIECE_SPECIALS), show_progress=False
    )
    tokenizer.train_from_iterator(_texts(), trainer)
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    return tokenizer


def _unigram() -> Any:
    """Unigram with ``text <sep> <cls>``."""
    from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

    tokenizer = Tokenizer(models.Unigram())
    # As the tokenizer class builds it: transformers 5 takes the vocabulary alone from what was saved.
    quotes = [normalizers.Replace("``", '"'), normalizers.Replace("''", '"')]
    tokenizer.normalizer = normalizers.Sequence([*quotes, normalizers.NFKD(), normalizers.StripAccents()])
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Metaspace()])
    tokenizer.decoder = decoders.Metaspace()
    trainer = trainers.UnigramTrainer(
        vocab_size=_TOKENS,
        special_tokens=list(_UNIGRAM_SPECIALS),
        unk_token="<unk>",  # noqa: S106
        show_progress=False,
    )
    tokenizer.train_from_iterator(_texts(), trainer)
    tokenizer.post_processor = processors.TemplateProcessing(
        single="$A:0 <sep>:0 <cls>:2", special_tokens=[("<sep>", 4), ("<cls>", 3)]
    )
    return tokenizer


TOKENIZERS: Final[dict[str, Callable[[], Any]]] = {"bytes": _bytes, "wordpiece": _wordpiece, "unigram": _unigram}
"""How the tokenizers of `shapes` are trained, each to a ``tokenizers.Tokenizer``."""
