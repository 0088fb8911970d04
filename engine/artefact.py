"""The folder of a step-by-step summarizer: graphs that share one file of weights, and what the host must know of them.

* ``encoder.onnx``: an article's keys and values of all cross attentions, from ``input_ids`` and ``attention_mask``,
  both INT32 (slots, source). A graph in int8 has a further input ``room`` INT64 (1,): how many places the outputs
  have, padding added.
* ``step.onnx``: one token more for every slot, see `tensors`.
* ``plain.onnx``: the same for slots that neither quote nor draw; not there where ``step.onnx`` costs them nothing.
* ``begin.onnx``: writes what `article.beginning` says into the slots whose flag in the input ``fresh`` BOOL (slots,) is
  set, for devices whose memory the host does not write.
* ``weights.bin``: their weights.
* ``spacing.npy``: INT32 (2, vocabulary), `article.Spacing`.
* ``engine.json``: precision, `settings.Architecture` and `settings.Rules`.

Dimensions of the graphs have names (`settings.Bucket.sizes`); who loads them says what they are.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

from .article import Spacing
from .settings import Architecture, Rules

ENCODER: Final = "encoder.onnx"
STEP: Final = "step.onnx"
PLAIN: Final = "plain.onnx"
BEGIN: Final = "begin.onnx"
WEIGHTS: Final = "weights.bin"
SPACING: Final = "spacing.npy"
MANIFEST: Final = "engine.json"
PRECISIONS: Final = ("fp32", "fp16", "bf16", "int8")
_FORMAT: Final = 1


@dataclass(frozen=True, kw_only=True)
class Artefact:
    """A folder of this kind that was read."""

    folder: Path
    precision: str
    """One of `PRECISIONS`."""
    architecture: Architecture
    rules: Rules
    no_repeat_ngram_size: int
    """What the checkpoint asks of every summary."""
    early_stopping: bool | str
    """Likewise."""
    spacing: Spacing

    def path(self, name: str) -> Path:
        """A file of the folder."""
        return self.folder / name

    @property
    def has_plain(self) -> bool:
        """Whether there is a graph for slots that neither quote nor draw."""
        return self.path(PLAIN).is_file()

    def hash(self) -> str:
        """SHA-256 over graphs and weights: what an engine that is built from them depends on."""
        found = hashlib.sha256()
        for name in (ENCODER, STEP, PLAIN, WEIGHTS):
            if self.path(name).is_file():
                with self.path(name).open("rb") as stream:
                    found.update(hashlib.file_digest(stream, "sha256").digest())
        return found.hexdigest()


def manifest(
    precision: str,
    architecture: Architecture,
    rules: Rules,
    *,
    no_repeat_ngram_size: int,
    early_stopping: bool | str,
) -> str:
    """The text of ``engine.json``."""
    document = {
        "format": _FORMAT,
        "precision": precision,
        "architecture": asdict(architecture),
        "rules": asdict(rules),
        "no_repeat_ngram_size": no_repeat_ngram_size,
        "early_stopping": early_stopping,
    }
    return json.dumps(document, indent=2) + "\n"


def read(folder: Path) -> Artefact:
    """Read a folder.

    Raises:
        ValueError: A file is missing or damaged, or of a format that is not known; the message says which and what
            helps.
    """
    missing = [name for name in (MANIFEST, ENCODER, STEP, BEGIN, WEIGHTS, SPACING) if not (folder / name).is_file()]
    if missing:
        raise ValueError(f"{folder} lacks {', '.join(missing)}: export the model again")
    try:
        document: dict[str, Any] = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
        if document["format"] != _FORMAT:
            raise ValueError(f"its format is {document['format']}, and this program reads {_FORMAT}")
        if document["precision"] not in PRECISIONS:
            raise ValueError(f"its precision is one of {', '.join(PRECISIONS)}, not {document['precision']!r}")
        rules: dict[str, Any] = {
            key: tuple(value) if isinstance(value, list) else value for key, value in document["rules"].items()
        }
        architecture = Architecture(**document["architecture"])
        return Artefact(
            folder=folder,
            precision=document["precision"],
            architecture=architecture,
            rules=Rules(**rules),
            no_repeat_ngram_size=document["no_repeat_ngram_size"],
            early_stopping=document["early_stopping"],
            spacing=_spacing(folder / SPACING, architecture.vocabulary),
        )
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise ValueError(f"{folder} cannot be used ({error}): export the model again") from error


def _spacing(path: Path, vocabulary: int) -> Spacing:
    """Read ``spacing.npy``.

    Raises:
        ValueError: It is damaged, or not of this vocabulary.
    """
    # Mapped, not loaded: what is no array is refused, and a damaged header takes no memory.
    table = np.lib.format.open_memmap(path, mode="r")
    shape = (2, vocabulary)
    if table.shape != shape or table.dtype != np.int32:
        raise ValueError(f"{path.name} is INT32 {shape}, not {table.dtype} {table.shape}")
    if table.min() < 0 or table.max() >= vocabulary:
        raise ValueError(f"{path.name} has tokens from 0 to {vocabulary - 1}, not {table.min()} to {table.max()}")
    spaced, unspaced = np.array(table)
    return Spacing(spaced=spaced, unspaced=unspaced)
