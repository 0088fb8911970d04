"""``python -m export reference``: what the articles were like that a model learned from, for one that does not say."""

from __future__ import annotations

import argparse
import hashlib
import logging
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

from infolens.contract import CONTRACTS, AnswerKind, Task
from reading.reference import FILE, Counts

from .arguments import add_repository
from .errors import RepositoryError, TableError
from .progress import size, step
from .reference import with_row
from .repository.contents import newest_version, require_artefacts
from .repository.model_card import CARD
from .repository.transaction import move_in, write_files
from .repository.workspace import workspace

_LOG = logging.getLogger(__name__)

ALL: Final = "all"
"""As a split: every row."""
_PART_ROWS: Final = 4096
_TOLD_EVERY: Final = 50_000
"""Articles between two lines of the log."""
_COLUMNS: Final = ("text", "label", "title", "source")
_BODY: Final = {AnswerKind.TEXT: "article", AnswerKind.LABELS: "text"}
"""How training calls the column of the article."""
_DESCRIPTION: Final = f"""\
Count the labels, lengths and commonest words of the articles that a model was trained on, and write them as {FILE}
beside the newest version of the model. By that file the server tells when the articles that come are others (drift).
A model that `python -m training fit` has trained brings it along; this is for those that have none. The file holds
shares and the 256 commonest words of all articles together, no text. It is no part of the model's revision, and counts
from the server's next start on.
"""
_EXAMPLES: Final = """examples:
  python -m export reference distilbert --data category.parquet
  python -m export reference category_roberta --data a.csv b.jsonl --text-column body --label-column section
  python -m export reference bart --data pairs.parquet                the column article, as training reads it
  python -m export reference xlnet --data veracity.parquet --sources gossipcop,isot
"""


def add_command(commands: Any) -> None:
    """Add the command ``reference``."""
    command = commands.add_parser(
        "reference",
        help="count what a model's training articles were like, so that the server can tell of drift",
        description=_DESCRIPTION,
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    command.add_argument("model", help="name of the model in the repository; `python -m export list` shows them")
    command.add_argument(
        "--data",
        nargs="+",
        required=True,
        type=Path,
        metavar="FILE",
        help="the tables that it was trained on: Parquet, CSV, or JSON (lines)",
    )
    command.add_argument(
        "--split",
        default="train",
        metavar="NAME",
        help=f"the rows that are counted, where a table has the column split; {ALL} for every row (default: train)",
    )
    command.add_argument(
        "--sources",
        default="",
        metavar="NAMES",
        help="the collections that are counted, by the column source, with commas between them (default: all)",
    )
    for column in _COLUMNS:
        command.add_argument(
            f"--{column}-column",
            default="",
            metavar="NAME",
            help=f"its name in the tables (default: {'text, of summaries article' if column == 'text' else column})",
        )
    add_repository(command)


def run(options: argparse.Namespace) -> int:
    """Run the command; returns the exit code.

    Raises:
        RepositoryError: There is no such model, or the repository cannot be written.
        TableError: A table cannot be used, or has a label that the model does not tell.
    """
    artefacts = require_artefacts(options.repository)
    if options.model not in artefacts:
        raise RepositoryError(f"{options.repository} has no model {options.model!r}; it has: {', '.join(artefacts)}")
    artefact = artefacts[options.model]
    kind = CONTRACTS[Task(artefact.task)].answers
    names = {column: getattr(options, f"{column}_column") or column for column in _COLUMNS}
    names["text"] = options.text_column or _BODY[kind]
    sources = tuple(filter(None, (name.strip() for name in options.sources.split(","))))
    with step(f"counting {', '.join(map(str, options.data))}"):
        counts = count(options.data, names, labels=artefact.labels, split=options.split, sources=sources)
    text, version = counts.to_json(), newest_version(options.repository / options.model)
    _write(options.repository, options.model, version, text)
    _LOG.info(
        "%s: %s articles, %s. The server reads it at its next start; the model's revision stays as it is",
        options.repository / options.model / str(version) / FILE, f"{counts.articles:,}", size(len(text.encode())),
    )  # fmt: skip
    return 0


def count(
    files: Sequence[Path], names: dict[str, str], *, labels: Sequence[str], split: str, sources: Sequence[str] = ()
) -> Counts:
    """Count the articles of some tables, part by part; of articles with the same text the first counts.

    Args:
        files: The tables.
        names: Of their columns: ``text``, ``label``, ``title``, ``source``.
        labels: Those of the model; none for a model that writes texts.
        split: The rows that are counted, where there is a column ``split``; `ALL` for every row.
        sources: The collections that are counted; empty for all.

    Raises:
        TableError: A table cannot be read, lacks a column, or has another label; or no article is left.
    """
    counts, seen, found = Counts(), set[bytes](), set[str]()
    for file in files:
        for frame in _parts(file):
            needed = (names["text"], *((names["label"],) if labels else ()), *((names["source"],) if sources else ()))
            for name in needed:
                if name not in frame:
                    raise TableError(f"{file} has no column {name!r}; it has {', '.join(map(str, frame))}: see --help")
            if "split" in frame and split != ALL:
                frame = frame[frame["split"] == split]
            if sources:
                found |= set(map(str, frame[names["source"]]))
                frame = frame[frame[names["source"]].isin(sources)]
            titles = frame[names["title"]] if names["title"] in frame else [""] * len(frame)
            told = frame[names["label"]] if labels else [""] * len(frame)
            for text, title, label in zip(frame[names["text"]], titles, told, strict=True):
                if not isinstance(text, str) or not text.strip():
                    continue
                mark = hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=12).digest()
                if mark in seen:
                    continue
                seen.add(mark)
                if labels and label not in labels:
                    raise TableError(
                        f"{file} has the label {label!r}, which the model does not tell; it tells {', '.join(labels)}. "
                        "Give the table that it was trained on, as `python -m training data prepare` writes it"
                    )
                counts.add(text, title if isinstance(title, str) else "", label)
                if not counts.articles % _TOLD_EVERY:
                    _LOG.info("%s articles counted", f"{counts.articles:,}")
    if missing := sorted(set(sources) - found):
        raise TableError(f"no article is of the collection {missing[0]!r}: the tables have {', '.join(sorted(found))}")
    if not counts.articles:
        raise TableError(f"{', '.join(map(str, files))}: no row has a text and the split {split!r}; see --split {ALL}")
    return counts


def _parts(file: Path) -> Iterator[Any]:
    """The rows of a table, as pandas has them, so many at a time that a large file needs little memory."""
    import pandas as pd

    kind = file.suffix.lower()
    try:
        if kind == ".parquet":
            import pyarrow.parquet as pq

            with pq.ParquetFile(file) as table:
                yield from (batch.to_pandas() for batch in table.iter_batches(batch_size=_PART_ROWS))
        elif kind == ".csv":
            with pd.read_csv(file, chunksize=_PART_ROWS) as parts:
                yield from parts
        elif kind == ".jsonl":
            with pd.read_json(file, lines=True, chunksize=_PART_ROWS) as parts:
                yield from parts
        elif kind == ".json":
            yield pd.read_json(file)
        else:
            raise TableError(f"{file}: a table's name ends in .parquet, .csv, .jsonl or .json")
    except (OSError, ValueError) as error:  # pandas and pyarrow raise kinds of these two
        raise TableError(f"{file} cannot be read as a table: {error}") from error


def _write(repository: Path, name: str, version: int, text: str) -> None:
    """Write the file, and the row of the card that tells of it: both or none."""
    card = repository / name / CARD
    files = {f"{name}/{version}/{FILE}": text.encode()}
    if card.is_file():
        files[f"{name}/{CARD}"] = with_row(card.read_text(encoding="utf-8"), version, text).encode()
    with workspace(repository) as staging:
        write_files(staging / "new", dict(files))
        move_in(staging, repository, [], files)
