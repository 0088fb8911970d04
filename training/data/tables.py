"""The one door for training data: parquet, CSV, JSON lines, a folder of them, or a hub data set, checked and cleaned.

Every source becomes one table per split with the task's columns: ``title``, ``text``, ``label`` and ``source`` for
the classifiers, ``article``, ``summary`` and ``source`` for summaries; other columns are kept as they are. What does
not fit is refused with the file, the column and the row.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import pandas as pd

from infolens.contract import Task
from training.errors import DataError

from .cleaning import clean_text, clean_title, fingerprint, split_of
from .labels import label_rule
from .schema import OUT_OF_DOMAIN, SPLIT_NAMES, SPLITS, Schema, check, schema_of

logger = logging.getLogger(__name__)


def load_splits(
    source: str,
    task: Task,
    *,
    columns: Mapping[str, str] | None = None,
    validation: float = 0.1,
    test: float = 0.1,
    clean: bool = True,
    hold_out: Sequence[str] = (),
    labels: Sequence[str] = (),
) -> dict[str, pd.DataFrame]:
    """Read, check, clean, split and de-duplicate a task's data.

    Args:
        source: A ``.parquet``, ``.csv``, ``.jsonl`` or ``.json`` file, a folder of such files, or a hub data set id.
        task: What the data is for.
        columns: Our column name -> the source's column name, where they differ.
        validation: Fraction that goes to validation when the source has no ``split`` column.
        test: The same for the test split.
        clean: Whether to strip markers that leak the label.
        hold_out: Values of ``source`` that take no part in the three splits: all their rows go to `OUT_OF_DOMAIN`.
        labels: What a label may be, and how the data writes it (see `labels.label_rule`); empty takes any.

    Returns:
        A table per split of `SPLITS`, and of `OUT_OF_DOMAIN` where something is held out; each has the columns of
        `schema.schema_of` and ``split``.

    Raises:
        DataError: The source cannot be read or does not fit; the message names the file, the column and the row.
        SettingError: ``labels`` do not fit together.
    """
    rule = label_rule(labels)
    frame = map_columns(read_table(source), source, columns or {})
    check(frame, task, source, rule)
    schema = schema_of(task)
    if schema.labelled:
        frame[schema.answer] = [rule.read(value) for value in frame[schema.answer]]
    for name in schema.optional:
        if name not in frame:
            frame[name] = ""
        frame[name] = frame[name].fillna("").astype(str)
    frame = _split(frame, schema, source, validation=validation, test=test)
    for name in hold_out:
        rows = frame["source"] == name
        if not rows.any():
            known = ", ".join(sorted(set(frame["source"])))
            raise DataError(
                f"{source}: column 'source' never says {name!r}, so it cannot be held out; it says: {known}"
            )
        frame.loc[rows, "split"] = OUT_OF_DOMAIN
    if clean:
        frame[schema.body] = [clean_text(text) for text in frame[schema.body]]
        if "title" in schema.optional:
            frame["title"] = [clean_title(title) for title in frame["title"]]
        blank = frame[schema.body].str.strip() == ""
        frame = frame[~blank]
    frame = drop_duplicates(frame, schema.body, keep_column=None if schema.labelled else schema.answer)
    names = (*SPLITS, OUT_OF_DOMAIN) if hold_out else SPLITS
    result = {split: frame[frame["split"] == split].reset_index(drop=True) for split in names}
    for split, part in result.items():
        if part.empty:
            raise DataError(f"{source}: the {split} split has no rows; give more data or other --validation and --test")
    logger.info("%s: %s", source, ", ".join(f"{len(part):,} {split}" for split, part in result.items()))
    return result


def read_table(source: str) -> pd.DataFrame:
    """Read a file, a folder of files or a hub data set as one table, as it is.

    Raises:
        DataError: Nothing is there, or it cannot be read.
    """
    path = Path(source)
    if path.is_dir():
        files = sorted(child for child in path.iterdir() if child.suffix in READERS)
        if not files:
            raise DataError(f"{source}: the folder holds no {', '.join(READERS)} file")
        return pd.concat([named_split(_read_file(child), child) for child in files], ignore_index=True)
    if path.is_file():
        return _read_file(path)
    if path.suffix in READERS or source.startswith((".", "/", "~")) or source.count("/") > 1:
        raise DataError(f"{source}: no such file or folder")
    return _read_hub(source)


READERS: Final = {
    ".parquet": pd.read_parquet,
    ".csv": pd.read_csv,
    ".jsonl": lambda path: pd.read_json(path, lines=True, dtype=False),
    ".json": lambda path: pd.read_json(path, lines=_is_json_lines(path), dtype=False),
}


def _read_file(path: Path) -> pd.DataFrame:
    reader = READERS.get(path.suffix)
    if reader is None:
        raise DataError(f"{path}: the kind of file is told by its ending: {', '.join(READERS)}")
    try:
        return reader(path)
    except (ValueError, OSError) as error:
        where = _broken_line(path) if path.suffix in {".jsonl", ".json"} else ""
        raise DataError(f"{path}: cannot be read as {path.suffix[1:]}: {where or error}") from error


def _broken_line(path: Path) -> str:
    """Which line of a JSON lines file is none, and why; empty where all are."""
    with path.open(encoding="utf-8", errors="replace") as lines:
        for number, line in enumerate(lines, start=1):
            try:
                json.loads(line or "{}")
            except ValueError as error:
                return f"line {number}: {error}: {line[:80]!r}"
    return ""


def _is_json_lines(path: Path) -> bool:
    with path.open(encoding="utf-8") as lines:
        return not lines.read(64).lstrip().startswith("[")


def named_split(frame: pd.DataFrame, path: Path) -> pd.DataFrame:
    """Add the split that a file of a folder is named by, as ``train.csv`` and ``test-0000.parquet`` are."""
    name = path.stem.lower().replace("_", "-").split("-")[0]
    if "split" not in frame and name in SPLIT_NAMES:
        frame["split"] = SPLIT_NAMES[name]
    return frame


def _read_hub(name: str) -> pd.DataFrame:
    try:
        from datasets import load_dataset
    except ImportError as error:
        raise DataError(
            f"{name}: no such file or folder, and hub data sets need the package 'datasets' (pip install datasets)"
        ) from error
    identifier, _, configuration = name.partition(":")
    try:
        parts = load_dataset(identifier, configuration or None)
    except Exception as error:
        raise DataError(f"{name}: neither a file here nor a data set that the hub gives: {error}") from error
    frames = []
    for split, part in parts.items():
        frame = with_names(part)
        frame["split"] = split
        frames.append(frame)
    return pd.concat(frames, ignore_index=True)


def with_names(part: Any) -> pd.DataFrame:
    """A ``datasets.Dataset`` as a table, with the names of its classes where it holds their numbers; -1 is none."""
    from datasets import ClassLabel

    frame: pd.DataFrame = part.to_pandas()
    for column, kind in part.features.items():
        if isinstance(kind, ClassLabel):
            frame[column] = [kind.names[number] if number >= 0 else None for number in frame[column]]
    return frame


def map_columns(frame: pd.DataFrame, source: str, columns: Mapping[str, str]) -> pd.DataFrame:
    """Rename a source's columns to ours.

    Raises:
        DataError: It does not have one of them.
    """
    for ours, theirs in columns.items():
        if theirs not in frame:
            raise DataError(f"{source}: no column {theirs!r} to read as {ours!r}; it has: {', '.join(map(str, frame))}")
    frame = frame.drop(columns=[ours for ours, theirs in columns.items() if ours in frame and ours != theirs])
    return frame.rename(columns={theirs: ours for ours, theirs in columns.items()})


def _split(frame: pd.DataFrame, schema: Schema, source: str, *, validation: float, test: float) -> pd.DataFrame:
    frame = frame.copy()
    if "split" not in frame:
        try:
            frame["split"] = [split_of(text, validation=validation, test=test) for text in frame[schema.body]]
        except ValueError as error:
            raise DataError(f"{source}: {error}") from error
        return frame
    frame["split"] = [SPLIT_NAMES[str(value).lower()] for value in frame["split"]]
    return frame


def drop_duplicates(frame: pd.DataFrame, column: str, *, keep_column: str | None = None) -> pd.DataFrame:
    """Keep one row per text: test wins over validation, validation over train.

    Args:
        frame: A table with a ``split`` column.
        column: The text that is compared by its `fingerprint`.
        keep_column: Rows of the *same* split with the same text stay when they differ here: an article may have
            several reference summaries, yet never in two splits.
    """
    marks = pd.Series([fingerprint(text) for text in frame[column]], index=frame.index)
    rank = frame["split"].map({OUT_OF_DOMAIN: 0, "test": 1, "validation": 2, "train": 3})
    best = rank.groupby(marks).transform("min")
    kept = frame[rank == best]
    answers = pd.Series([fingerprint(text) for text in kept[keep_column]], index=kept.index) if keep_column else ""
    result = kept[~(marks[kept.index] + answers).duplicated()]
    if len(result) < len(frame):
        logger.info("dropped %d duplicates", len(frame) - len(result))
    return result


def unlabelled_pairs(source: str) -> list[tuple[str, str]]:
    """Articles without labels: ``(text, title)`` of a source's train split, cleaned; the title may be empty.

    Raises:
        DataError: The source cannot be read, or has neither a ``text`` nor an ``article`` column.
    """
    frame = read_table(source)
    body = next((name for name in ("text", "article") if name in frame), None)
    if body is None:
        raise DataError(f"{source}: no column 'text' or 'article'; it has: {', '.join(map(str, frame))}")
    if "split" in frame:
        frame = frame[frame["split"] == "train"]
    frame = frame.drop_duplicates(body)
    titles = frame["title"].fillna("") if "title" in frame else [""] * len(frame)
    return [(clean_text(str(text)), clean_title(str(title))) for text, title in zip(frame[body], titles, strict=True)]
