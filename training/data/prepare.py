"""``data prepare``: any table to one clean parquet file with our columns, splits that share nothing, and no bad rows.

Two passes over the parts of the source: the first finds rows that do not fit and copies, the second writes. The file is
written beside its place and renamed, so it is there only when it is whole.
"""

from __future__ import annotations

import errno
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pandas as pd

from infolens.contract import Task
from training.errors import DataError, StorageError

from .advice.problems import BadRows
from .labels import label_problem
from .policy import Copy, CopyFilter, RowPolicy, read_rows, refusal, settled
from .schema import WEIGHT, schema_of


def prepare_table(
    source: str, task: Task, out: Path, policy: RowPolicy, *, skip_bad_rows: bool = False
) -> Counter[str]:
    """Write the prepared table; returns how many rows were read, written and dropped, and why.

    Args:
        source: What `reading.read_parts` reads.
        task: Whose schema it must fit.
        out: A ``.parquet`` file that is not there yet.
        policy: What becomes of the rows.
        skip_bad_rows: Leave out rows that do not fit instead of refusing the table.

    Raises:
        DataError: A row does not fit, nothing is left, or nothing can be learned from the labels.
        SettingError: The policy's labels do not fit together.
        StorageError: ``out`` is there already, is no parquet file, or the disk is full.
    """
    require_new(out)
    policy = settled(source, policy)
    copies, bad, weighted = CopyFilter(schema_of(task), near=policy.near_copies), BadRows(), False
    for part in read_rows(source, task, policy):
        bad.add(part.problems)
        weighted = weighted or WEIGHT in part.raw
        if skip_bad_rows or not bad:  # else the table is refused, and only what does not fit counts
            copies.add(part.articles)
    if bad and not skip_bad_rows:
        raise refusal(source, bad, policy.rule, way_out="Mend such rows, or leave them out with --skip-bad-rows")
    counts: Counter[str] = Counter()
    labels: dict[str, Counter[str]] = defaultdict(Counter)
    with placed(out) as partial:
        write_parquet(partial, _kept(source, task, policy, copies.dropped, counts, labels, weighted=weighted))
        if not counts["written"]:
            raise DataError(f"{source}: no row is left; dropped: {_reasons(counts)}")
        problem = label_problem(task, labels, policy.rule) if schema_of(task).labelled else ""
        if problem:
            raise DataError(f"{source}: {problem}")
    return counts


def require_new(out: Path) -> None:
    """Refuse a place for a table before any work is done.

    Raises:
        StorageError: It is there already, or is no parquet file.
    """
    if out.suffix != ".parquet":
        raise StorageError(f"--out is a .parquet file, not {out}")
    if out.exists():
        raise StorageError(f"{out}: is there already; name another file with --out, or move it away")


@contextmanager
def placed(out: Path) -> Iterator[Path]:
    """A path to write a file to, which is renamed to ``out`` where the block ends without an error.

    Raises:
        StorageError: It cannot be written, or the disk is full.
    """
    partial = out.with_name(out.name + ".partial")
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        yield partial
        partial.replace(out)
    except OSError as error:
        if error.errno in {errno.ENOSPC, errno.EDQUOT}:
            raise StorageError(f"the disk of {out.parent} is full: free some space, or name another place") from error
        raise StorageError(f"{out}: cannot be written: {error}") from error
    finally:
        partial.unlink(missing_ok=True)


def write_parquet(path: Path, parts: Iterable[pd.DataFrame]) -> None:
    """Write a table part by part; all parts have the columns of the first."""
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


def _kept(
    source: str,
    task: Task,
    policy: RowPolicy,
    copies: Mapping[int, Copy],
    counts: Counter[str],
    labels: Mapping[str, Counter[str]],
    *,
    weighted: bool,
) -> Iterator[pd.DataFrame]:
    """The rows that are kept, part by part; counts them and those that are not on the way."""
    schema = schema_of(task)
    columns = [schema.body, schema.answer, *schema.optional, "split"]
    for part in read_rows(source, task, policy):
        counts["read"] += len(part.raw)
        articles = part.articles
        dropped = [row for row in articles.index if row in copies]
        reasons = [*["does not fit"] * len(part.bad), *["empty after cleaning"] * len(part.blank)]
        reasons += [str(copies[row]) for row in dropped]
        counts.update(f"dropped: {reason}" for reason in reasons)
        kept = articles.drop(index=dropped)
        counts["written"] += len(kept)
        for split, rows in kept.groupby("split"):
            counts[f"written: {split}"] += len(rows)
            if schema.labelled:
                labels[str(split)].update(rows[schema.answer].tolist())
        if len(kept):
            table = kept[columns].astype(str)
            if weighted:
                table[WEIGHT] = kept.get(WEIGHT, 1.0)
            yield table


def _reasons(counts: Counter[str]) -> str:
    return ", ".join(
        f"{count:,} {name.removeprefix('dropped: ')}" for name, count in counts.items() if "dropped" in name
    )
