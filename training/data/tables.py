"""The tables of a run: one for each split, by the policy of `policy`, with the task's columns.

``title``, ``text``, ``label`` and ``source`` for the classifiers, ``article``, ``summary`` and ``source`` for
summaries; other columns are kept as they are. What does not fit is refused with the file, the column and the row.
"""

from __future__ import annotations

import logging

import pandas as pd

from infolens.contract import Task
from training.errors import DataError

from .cleaning import clean_text, clean_title
from .policy import CopyFilter, RowPolicy, read_rows
from .reading import read_table
from .schema import OUT_OF_DOMAIN, SPLITS, schema_of

logger = logging.getLogger(__name__)

DEFAULT_POLICY = RowPolicy()


def load_splits(source: str, task: Task, policy: RowPolicy = DEFAULT_POLICY) -> dict[str, pd.DataFrame]:
    """Read, check, clean, split and de-duplicate a task's data.

    Args:
        source: What `reading.read_parts` reads.
        task: What the data is for.
        policy: What becomes of its rows.

    Returns:
        A table per split of `SPLITS`, and of `OUT_OF_DOMAIN` where something is held out; each has the columns of
        `schema.schema_of` and ``split``, and the rows in the order of the source.

    Raises:
        DataError: The source cannot be read or does not fit; the message names the file, the column and the row.
        SettingError: The policy's labels do not fit together.
    """
    copies = CopyFilter(schema_of(task), near=policy.near_copies)
    parts, sources = [], set()
    for part in read_rows(source, task, policy):
        if part.problems:
            raise DataError(f"{source}: {part.problems[0]}")
        sources |= set(part.fitting["source"])
        copies.add(part.articles)
        parts.append(part.articles)
    for name in policy.hold_out:
        if name not in sources:
            known = ", ".join(sorted(sources))
            raise DataError(
                f"{source}: column 'source' never says {name!r}, so it cannot be held out; it says: {known}"
            )
    frame = pd.concat(parts).drop(index=list(copies.dropped))
    if copies.dropped:
        logger.info("dropped %d duplicates", len(copies.dropped))
    names = (*SPLITS, OUT_OF_DOMAIN) if policy.hold_out else SPLITS
    result = {split: frame[frame["split"] == split].reset_index(drop=True) for split in names}
    for split, table in result.items():
        if table.empty:
            raise DataError(f"{source}: the {split} split has no rows; give more data or other --validation and --test")
    logger.info("%s: %s", source, ", ".join(f"{len(table):,} {split}" for split, table in result.items()))
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
