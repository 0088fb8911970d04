"""What the workers of a run read: initial weights, tokenizer and token ids, in one folder that travels to them.

::

    prepared/model/        weights and tokenizer, as `save_pretrained` writes them
    prepared/train/        an Arrow table (datasets.Dataset), mapped into memory: input_ids, labels, length ...
    prepared/validation/   the same
    prepared/job.json      passes over the stages of a curriculum; written last
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

JOB: Final = "job.json"


@dataclass(frozen=True, kw_only=True)
class Prepared:
    """A prepared folder."""

    folder: Path
    passes: tuple[float, ...] = ()
    """Passes over each stage; empty where there are none, only epochs."""
    key: str = ""
    """Changes with everything that the folder was made from."""

    @property
    def model(self) -> Path:
        """Weights and tokenizer before training."""
        return self.folder / "model"


def write_prepared(
    folder: Path,
    *,
    model: Any,
    tokenizer: Any,
    tables: Mapping[str, Mapping[str, Sequence[Any]]],
    passes: Sequence[float] = (),
    key: str = "",
) -> Prepared:
    """Write a prepared folder: ``tables`` maps ``train`` and ``validation`` to columns of equal length."""
    import datasets
    import transformers

    datasets.utils.logging.disable_progress_bar()
    transformers.utils.logging.disable_progress_bar()
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    model.save_pretrained(folder / "model")
    tokenizer.save_pretrained(folder / "model")
    for name, columns in tables.items():
        datasets.Dataset.from_dict(dict(columns)).save_to_disk(folder / name)
    (folder / JOB).write_text(json.dumps({"passes": list(passes), "key": key}), encoding="utf-8")
    return Prepared(folder=folder, passes=tuple(passes), key=key)


def read_prepared(folder: Path) -> Prepared | None:
    """A folder that `write_prepared` has finished, or None."""
    try:
        job = json.loads((folder / JOB).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return Prepared(folder=folder, passes=tuple(job["passes"]), key=job["key"])


def read_table(folder: Path) -> Any:
    """The table of a split, memory mapped."""
    from datasets import load_from_disk

    return load_from_disk(str(folder))
