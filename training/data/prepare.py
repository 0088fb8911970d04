"""``data prepare``: any table to one clean parquet file with our columns, splits that share nothing, and no bad rows.

Two passes over the parts of the source: the first finds rows that do not fit and copies, the second writes. The file is
written beside its place and renamed, so it is there only when it is whole.
"""

from __future__ import annotations

import errno
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from infolens.contract import Task
from training.errors import DataError, StorageError

from .cleaning import clean_text, clean_title, fingerprint, split_of
from .labels import label_problem, label_rule
from .near_duplicates import SplitGuard
from .schema import SPLIT_NAMES, check_columns, problems, schema_of
from .stream import stream_table


@dataclass(frozen=True, kw_only=True)
class PrepareOptions:
    """What becomes of a table."""

    columns: Mapping[str, str]
    """Our column name -> the source's, where they differ."""
    validation: float = 0.1
    """Share of the articles for validation where the source has no column ``split``."""
    test: float = 0.1
    clean: bool = True
    """Strip markers that leak the label."""
    skip_bad_rows: bool = False
    """Leave out rows that do not fit instead of refusing the table."""
    labels: tuple[str, ...] = ()
    """What a label may be, and how the source writes it (see `labels.label_rule`); empty takes any."""
    near_duplicates: bool = True
    """Leave out articles that stand, nearly the same, in a split that matters more."""


def prepare_table(source: str, task: Task, out: Path, options: PrepareOptions) -> Counter[str]:
    """Write the prepared table; returns how many rows were read, written and dropped, and why.

    Raises:
        DataError: A row does not fit, nothing is left, or nothing can be learned from the labels.
        SettingError: The options' labels do not fit together.
        StorageError: ``out`` is there already, is no parquet file, or the disk is full.
    """
    if out.suffix != ".parquet":
        raise StorageError(f"--out is a .parquet file, not {out}")
    if out.exists():
        raise StorageError(f"{out}: is there already; name another file with --out, or move it away")
    rule = label_rule(options.labels)
    dropped = _rows_to_drop(source, task, options)
    counts: Counter[str] = Counter()
    labels: dict[str, Counter[str]] = defaultdict(Counter)
    partial = out.with_name(out.name + ".partial")
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        _write(partial, _kept(source, task, options, dropped, counts, labels))
        if not counts["written"]:
            raise DataError(f"{source}: no row is left; dropped: {_reasons(counts)}")
        problem = label_problem(task, labels, rule) if schema_of(task).labelled else ""
        if problem:
            raise DataError(f"{source}: {problem}")
        partial.replace(out)
    except OSError as error:
        if error.errno == errno.ENOSPC:
            raise StorageError(f"the disk of {out.parent} is full: free some space, or name another place") from error
        raise StorageError(f"{out}: cannot be written: {error}") from error
    finally:
        partial.unlink(missing_ok=True)
    return counts


def _write(path: Path, parts: Iterator[pd.DataFrame]) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    writer: Any = None
    try:
        for part in parts:
            table = pa.Table.from_pandas(part, preserve_index=False)
            writer = writer or pq.ParquetWriter(path, table.schema, compression="zstd")
            writer.write_table(table.cast(writer.schema))
    finally:
        if writer is not None:
            writer.close()


def _parts(source: str, task: Task, options: PrepareOptions) -> Iterator[pd.DataFrame]:
    """The source's parts in our columns, cleaned, with a split; rows that do not fit have the split ``bad``."""
    schema, rule = schema_of(task), label_rule(options.labels)
    names = [schema.body, schema.answer, *schema.optional]
    for part in stream_table(source, options.columns):
        if part.index[:1].tolist() == [0]:
            check_columns(part, task, source)
        first = int(part.index[0])
        bad = list(problems(part, task, rule, first_row=first + 1))
        if bad and not options.skip_bad_rows:
            raise DataError(f"{source}: {bad[0]}. Mend it, or leave such rows out with --skip-bad-rows")
        frame = part.reindex(columns=[*names, "split"])
        for name in schema.optional:
            frame[name] = frame[name].fillna("").astype(str)
        wrong = {problem.row - 1 for problem in bad}
        frame["split"] = [
            "bad" if row in wrong else _split(text, named, "split" in part, options)
            for row, text, named in zip(frame.index, frame[schema.body], frame["split"], strict=True)
        ]
        good = frame["split"] != "bad"
        if schema.labelled:
            frame[schema.answer] = [rule.read(value) for value in frame[schema.answer]]
        if options.clean:
            frame.loc[good, schema.body] = frame.loc[good, schema.body].map(clean_text)
            if "title" in frame:
                frame.loc[good, "title"] = frame.loc[good, "title"].map(clean_title)
        yield frame


def _split(text: str, named: Any, has_column: bool, options: PrepareOptions) -> str:
    if has_column:
        return SPLIT_NAMES[str(named).lower()]
    return split_of(text, validation=options.validation, test=options.test)


def _rows_to_drop(source: str, task: Task, options: PrepareOptions) -> dict[int, str]:
    """Row -> why it goes."""
    schema = schema_of(task)
    dropped: dict[int, str] = {}
    guard = SplitGuard()
    seen: set[str] = set()
    for part in _parts(source, task, options):
        for row, text, answer, split in zip(
            part.index, part[schema.body], part[schema.answer], part["split"], strict=True
        ):
            if split == "bad":
                dropped[row] = "does not fit"
                continue
            if not text.strip():
                dropped[row] = "empty after cleaning"
                continue
            # An article may have several reference summaries, yet never in two splits.
            mark = split + fingerprint(text) + (fingerprint(answer) if not schema.labelled else "")
            if mark in seen:
                dropped[row] = "repeats an article of its split"
                continue
            seen.add(mark)
            if options.near_duplicates:
                for pair in guard.add(row, text, split):
                    dropped.setdefault(pair.dropped, f"near copy of an article in {pair.kept_split}")
    return dropped


def _kept(
    source: str,
    task: Task,
    options: PrepareOptions,
    dropped: Mapping[int, str],
    counts: Counter[str],
    labels: Mapping[str, Counter[str]],
) -> Iterator[pd.DataFrame]:
    schema = schema_of(task)
    for part in _parts(source, task, options):
        counts["read"] += len(part)
        for row in part.index:
            if row in dropped:
                counts[f"dropped: {dropped[row]}"] += 1
        kept = part[[row not in dropped for row in part.index]]
        counts["written"] += len(kept)
        for split, count in kept["split"].value_counts().items():
            counts[f"written: {split}"] += int(count)
            if schema.labelled:
                labels[str(split)].update(kept[schema.answer][kept["split"] == split].tolist())
        if len(kept):
            yield kept.astype(str)


def _reasons(counts: Counter[str]) -> str:
    return ", ".join(
        f"{count:,} {name.removeprefix('dropped: ')}" for name, count in counts.items() if "dropped" in name
    )
