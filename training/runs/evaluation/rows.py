"""The rows of the tables that an evaluation asks about, and those that its baseline may learn from."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pandas as pd

from infolens.contract import Task
from training.data.advice.problems import BadRows
from training.data.cleaning import fingerprint
from training.data.files.cells import shown_columns
from training.data.policy import RowPolicy, read_rows, refusal
from training.data.schema import SPLITS, schema_of
from training.data.tables import LEAVE_OUT
from training.errors import DataError

logger = logging.getLogger(__name__)

ALL: Final = "all"
"""Every row, whatever its split."""
SPLIT_CHOICES: Final = (*SPLITS, ALL)


@dataclass(frozen=True, kw_only=True)
class Rows:
    """The rows that are asked about, and those that the baseline learns from."""

    frame: pd.DataFrame
    """The columns of the task's schema and the others of the table; ``row`` (a hash of all that is asked and answered)
    and ``group`` (a hash of the article's words: rows of one article have the same)."""
    train: pd.DataFrame
    """The training rows of the same tables, without the articles of ``frame``; may be empty."""
    files: tuple[dict[str, Any], ...]
    """Name, SHA-256 and rows used of each table."""
    split: str
    """Which rows these are."""
    repeated: int
    """How many rows are left out, since the same one stands there already."""


def hash_of(*parts: str) -> str:
    """16 hexadecimal digits that tell texts apart."""
    return hashlib.blake2b("\0".join(parts).encode("utf-8", "surrogatepass"), digest_size=8).hexdigest()


def load_rows(sources: Sequence[str], task: Task, policy: RowPolicy, *, split: str = "", limit: int = 0) -> Rows:
    """Read the rows to ask about.

    Args:
        sources: Tables, as `data.reading.read_parts` reads them.
        task: Whose columns they have.
        policy: Columns, labels, encoding, and whether texts are cleaned first.
        split: One of `SPLIT_CHOICES`; empty for the test rows of a table that names splits, and all rows of another.
        limit: At most this many rows, chosen by their hash, so always the same ones; 0 takes all.

    Raises:
        DataError: A table cannot be read, a row does not fit, or no row is left.
        SettingError: The policy's labels do not fit together.
    """
    chosen, training, files, splits = [], [], [], set()
    for source in sources:
        frame, names_splits = _read(source, task, policy)
        wanted = split or ("test" if names_splits else ALL)
        if wanted != ALL and not names_splits:
            raise DataError(f"{source}: has no column 'split', so it has no {wanted} rows; ask for --split {ALL}")
        kept = frame if wanted == ALL else frame[frame["split"] == wanted]
        if names_splits and wanted not in ("train", ALL):
            training.append(frame[frame["split"] == "train"])
        chosen.append(kept)
        splits.add(wanted)
        files.append({**file_of(source), "rows": len(kept)})
    frame = pd.concat(chosen, ignore_index=True)
    if frame.empty:
        raise DataError(f"{', '.join(sources)}: no row to ask about; ask for other rows with --split")
    schema = schema_of(task)
    columns = [name for name in ("title", schema.body, schema.answer) if name in frame]
    frame["row"] = [hash_of(*map(str, parts)) for parts in zip(*(frame[name] for name in columns), strict=True)]
    frame["group"] = [fingerprint(text) for text in frame[schema.body]]
    repeated = int(frame["row"].duplicated().sum())
    frame = frame.drop_duplicates("row").reset_index(drop=True)
    if limit and len(frame) > limit:
        first = frame["row"].sort_values().index[:limit]
        frame = frame.loc[sorted(first)].reset_index(drop=True)
    train = pd.concat(training, ignore_index=True) if training else frame.iloc[:0]
    return Rows(
        frame=frame,
        train=without(train, frame, schema.body),
        files=tuple(files),
        split=", ".join(sorted(splits)),
        repeated=repeated,
    )


def training_rows(source: str, task: Task, policy: RowPolicy, asked: pd.DataFrame) -> pd.DataFrame:
    """The training rows of another table, without the articles that are asked about.

    Raises:
        DataError: The table cannot be read, does not fit, or has no training rows.
        SettingError: The policy's labels do not fit together.
    """
    frame, names_splits = _read(source, task, policy)
    train = frame[frame["split"] == "train"] if names_splits else frame
    if train.empty:
        raise DataError(f"{source}: no row has the split 'train', so the baseline cannot learn from it")
    return without(train, asked, schema_of(task).body)


def without(train: pd.DataFrame, asked: pd.DataFrame, body: str) -> pd.DataFrame:
    """The training rows whose article is not among those that are asked about."""
    if train.empty:
        return train
    known = set(asked["group"])
    kept = train[[fingerprint(text) not in known for text in train[body]]].reset_index(drop=True)
    if len(kept) < len(train):
        logger.info("baseline: %d training rows are left out, since they are asked about", len(train) - len(kept))
    return kept


def require_columns(frame: pd.DataFrame, names: Sequence[str]) -> None:
    """Check that a table has the columns that a user named.

    Raises:
        DataError: One is missing.
    """
    for name in names:
        if name not in frame:
            raise DataError(f"--by {name}: the table has no such column; it has: {shown_columns(frame)}")


def _read(source: str, task: Task, policy: RowPolicy) -> tuple[pd.DataFrame, bool]:
    """All rows that fit, and whether the table names their splits."""
    parts, names_splits, bad = [], False, BadRows()
    for part in read_rows(source, task, policy):
        bad.add(part.problems)
        names_splits = names_splits or "split" in part.raw
        parts.append(part.articles)
    if bad:
        raise refusal(source, bad, policy.rule, way_out=LEAVE_OUT)
    return pd.concat(parts, ignore_index=True), names_splits


def file_of(source: str) -> dict[str, Any]:
    """A table's ``name`` and ``sha256``.

    The latter is of its files, one after the other, where it is a folder, and empty where it is no file here.
    """
    return {"name": Path(source).name or source, "sha256": _sha256(Path(source))}


def _sha256(path: Path) -> str:
    files = sorted(child for child in path.rglob("*") if child.is_file()) if path.is_dir() else [path]
    if not path.exists():
        return ""
    digest = hashlib.sha256()
    for file in files:
        with file.open("rb") as stream:
            while block := stream.read(1 << 20):
                digest.update(block)
    return digest.hexdigest()
