"""The tables of a run: one for each split, by the policy of `policy`, with the task's columns.

``title``, ``text``, ``label`` and ``source`` for the classifiers, ``article``, ``summary`` and ``source`` for
summaries; other columns are kept as they are. What does not fit is refused with the file, the column and the row.
"""

from __future__ import annotations

import logging
from collections.abc import Collection
from typing import Final

import pandas as pd

from infolens.contract import Task
from training.errors import DataError

from .advice.problems import BadRows
from .cleaning import clean_text, clean_title
from .files.cells import column_texts, remark_fault, shown_columns, text_fault
from .policy import CopyFilter, RowPolicy, read_rows, refusal, settled
from .reading import read_table, warn_of_others
from .schema import OUT_OF_DOMAIN, SPLITS, schema_of, split_named

logger = logging.getLogger(__name__)

LEAVE_OUT: Final = "Mend such rows, or leave them out with 'data prepare --skip-bad-rows', which writes a clean table"
"""The way out for a command that takes no table with rows that do not fit."""
DEFAULT_POLICY = RowPolicy()
_WAYS: Final = {
    "train": "give rows whose split is train, or leave the column 'split' out",
    "validation": "give more data, or a larger share with --set validation=0.2",
    "test": "give more data, or a larger share with --set test=0.2",
    OUT_OF_DOMAIN: "every article of the sources that are held out is blank: hold out another",
}
"""Split -> what gives it rows."""


def load_splits(
    source: str,
    task: Task,
    policy: RowPolicy = DEFAULT_POLICY,
    *,
    needed: Collection[str] = (*SPLITS, OUT_OF_DOMAIN),
) -> dict[str, pd.DataFrame]:
    """Read, check, clean, split and de-duplicate a task's data.

    Args:
        source: What `reading.read_parts` reads.
        task: What the data is for.
        policy: What becomes of its rows.
        needed: Splits that must have rows; a frozen test set has none but ``test``.

    Returns:
        A table per split of `SPLITS`, and of `OUT_OF_DOMAIN` where something is held out; each has the columns of
        `schema.schema_of` and ``split``, and the rows in the order of the source.

    Raises:
        DataError: The source cannot be read or does not fit; the message names the file, the column and the row.
        SettingError: The policy's labels do not fit together.
    """
    policy = settled(source, policy)
    copies = CopyFilter(schema_of(task), near=policy.near_copies)
    parts, sources, bad = [], set(), BadRows()
    for part in read_rows(source, task, policy):
        bad.add(part.problems)
        if bad:
            continue  # the table is refused, and only what does not fit counts
        sources |= set(part.fitting["source"])
        copies.add(part.articles)
        parts.append(part.articles)
    if bad:
        raise refusal(source, bad, policy.rule, way_out=LEAVE_OUT)
    for name in policy.hold_out:
        if name not in sources:
            known = ", ".join(sorted(sources))
            raise DataError(
                f"{source}: column 'source' never says {name!r}, so it cannot be held out; it says: {known} "
                "(--hold-out '' holds nothing out)"
            )
    frame = pd.concat(parts).drop(index=list(copies.dropped))
    if copies.dropped:
        logger.info("dropped %d duplicates", len(copies.dropped))
    names = (*SPLITS, OUT_OF_DOMAIN) if policy.hold_out else SPLITS
    result = {split: frame[frame["split"] == split].reset_index(drop=True) for split in names}
    for split, table in result.items():
        if table.empty and split in needed:
            raise DataError(f"{source}: the {split} split has no rows; {_WAYS[split]}")
    logger.info("%s: %s", source, ", ".join(f"{len(table):,} {split}" for split, table in result.items()))
    return result


def unlabelled_pairs(source: str, encoding: str = "") -> list[tuple[str, str]]:
    """Articles without labels: ``(text, title)`` of a source's train split, cleaned; the title may be empty.

    Rows without text are left out, and counted in the log.

    Raises:
        DataError: The source cannot be read, or has neither a ``text`` nor an ``article`` column.
    """
    frame = read_table(source, encoding=encoding)
    warn_of_others(source)
    body = next((name for name in ("text", "article") if name in frame), None)
    if body is None:
        raise DataError(f"{source}: no column 'text' or 'article'; it has: {shown_columns(frame)}")
    if "split" in frame:
        frame = frame[[split_named(value) == "train" for value in frame["split"]]]
    titles = column_texts(frame["title"]) if "title" in frame else [""] * len(frame)
    titled: dict[str, str] = {}
    skipped = 0
    for text, title in zip(frame[body], titles, strict=True):
        if text_fault(text) or remark_fault(title):
            skipped += 1
        else:
            titled.setdefault(text, title)
    if skipped:
        logger.warning("%s: rows that are left out, since column %r is no text there: %d", source, body, skipped)
    return [(clean_text(text), clean_title(title)) for text, title in titled.items()]
