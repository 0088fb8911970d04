"""Any file is an answer or a clear error: tables are written in every way, damaged, and given to every reader.

A seed makes each file, so one that fails can be made again: the message names reader and number.
"""

from __future__ import annotations

import datetime
import decimal
import gzip
import io
import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from infolens.contract import Task
from training.data.policy import RowPolicy
from training.data.prepare import prepare_table
from training.data.report import as_text
from training.data.statistics import gather
from training.data.tables import load_splits, unlabelled_pairs
from training.errors import TrainingError

ENCODINGS: Final = (
    "utf-8",
    "utf-8",
    "utf-8",
    "utf-8-sig",
    "utf-16",
    "utf-16-le",
    "utf-16-be",
    "utf-32",
    "cp1252",
    "shift_jis",
)
CELLS: Final[tuple[Any, ...]] = (
    *(
        None,
        "",
        " ",
        "\ufeff",
        "\u200b",
        "a\0b",
        "\ud800",
        "é",
        "x" * 70_000,
        'a "quoted",\nline',
        "NA",
        "=1+1",
        "0",
        "true",
    ),
    *(0, 1, -1, 2**70, 1.5, float("nan"), float("inf"), True, False, [], ["a"], {}, {"a": 1}),
)
"""What may stand in a cell of JSON; a CSV writes it as Python does."""
ARROW_CELLS: Final[tuple[Any, ...]] = (
    *(decimal.Decimal("1.5"), datetime.date(2026, 1, 1), datetime.datetime(9999, 1, 1), datetime.timedelta(days=1)),
    *(b"", b"text", b"\xff\xfe"),
)
PIECES: Final = (
    *(b"\0", b"\xff", b"\xfe\xff", b"\xef\xbb\xbf", b"\xed\xa0\x80", b"PAR1", b"PK\x03\x04", b"\x1f\x8b"),
    *(b'"', b"'", b",", b";", b"\t", b"\n", b"\r", b"\r\n", b"{", b"}", b"[", b"]", b"\\", b"\\ud800"),
    *(b"NaN", b"1e999", b"null", b'"data":', b'{"data": ['),
)
"""What damage puts into a file."""
NAMES: Final = ("title", "text", "label", "split", "source", "article", "summary", "text", "", " label", "x" * 300)


def _rows(rng: random.Random, *, arrow: bool) -> list[dict[str, Any]]:
    """A table of a few rows, of which some cells and names are strange."""
    names = ["text", "label", *rng.sample(NAMES, rng.randrange(4))]
    cells = CELLS + ARROW_CELLS if arrow else CELLS
    rows = [
        {
            name: {
                "label": rng.choice(("real", "fake")),
                "split": rng.choice(("train", "train", "Validation", "test")),
            }.get(name, f"Number {i}: the harbour opens in week {i * 3}.")
            for name in names
        }
        for i in range(rng.choice((0, 1, 12, 40, 40, 40)))
    ]
    for _ in range(rng.choice((0, 0, 0, 1, 3))):
        if rows:
            rng.choice(rows)[rng.choice(names)] = rng.choice(cells)
    if rows and rng.random() < 0.1:  # a whole column of another type
        name, cell = rng.choice(names), rng.choice(cells)
        rows = [row | {name: cell} for row in rows]
    return rows


def _text(rng: random.Random, text: str) -> bytes:
    content = text.encode(rng.choice(ENCODINGS), "replace")
    return gzip.compress(content) if rng.random() < 0.15 else content


def _csv(rng: random.Random) -> bytes:
    frame = pd.DataFrame(_rows(rng, arrow=False), dtype=object)
    text = frame.map(lambda cell: str(cell).encode(errors="replace").decode()).to_csv(
        index=False, sep=rng.choice(",,,;\t")
    )
    return _text(rng, text)


def _json_lines(rng: random.Random) -> bytes:
    rows = _rows(rng, arrow=False)
    return _text(
        rng,
        rng.choice(("\n", "\n\n", "\r\n", "\n\ufeff")).join(
            json.dumps(row, ensure_ascii=rng.random() < 0.5) for row in rows
        ),
    )


def _json(rng: random.Random) -> bytes:
    rows = _rows(rng, arrow=False)
    layouts: tuple[Any, ...] = (
        *([rows] * 9),
        *(
            {"data": rows},
            {"data": rows},
            {"version": 1, "data": rows},
            {"train": rows, "test": rows},
            [rows],
            {"data": {"rows": rows}},
        ),
        *({"text": [1, 2], "label": []}, 5, None, "text", [], {}, [5], [[]]),
    )
    return _text(
        rng, json.dumps(rng.choice(layouts), indent=rng.choice((None, None, 1)), ensure_ascii=rng.random() < 0.5)
    )


def _parquet(rng: random.Random) -> bytes:
    rows = _rows(rng, arrow=True)
    names = list(dict.fromkeys(name for row in rows for name in row)) or ["text", "label"]
    columns = []
    for name in names:
        cells = [row.get(name) for row in rows]
        try:
            column = pa.array(cells)
            # Parquet has no struct without a field, which empty objects alone become.
            pq.write_table(pa.table([column], names=["x"]), io.BytesIO())
        except (pa.ArrowException, UnicodeError, OverflowError, TypeError):
            column = pa.array([ascii(cell) for cell in cells])
        if rng.random() < 0.2 and pa.types.is_string(column.type):
            column = rng.choice((column.dictionary_encode(), column.cast(pa.large_string()), column.cast(pa.binary())))
        columns.append(column)
    if rng.random() < 0.1:
        names, columns = [*names, names[0]], [*columns, columns[0]]
    file = io.BytesIO()
    pq.write_table(pa.table(columns, names=names), file, compression=rng.choice(("none", "snappy", "zstd", "gzip")))
    return file.getvalue()


def _damaged(rng: random.Random, content: bytes) -> bytes:
    """Bytes with some turned, cut, doubled, moved or put in."""
    for _ in range(rng.choice((0, 0, 1, 1, 8))):
        start = rng.randrange(len(content) + 1)
        end = min(len(content), start + rng.choice((0, 1, 2, 4, 40)))
        middle = rng.choice(
            (
                b"",
                *rng.choices(PIECES, k=2),
                rng.randbytes(end - start),
                content[start:end] * 2,
                content[end : end + 20],
            )
        )
        content = content[:start] + middle + content[end:]
    return content[: rng.randrange(len(content) + 1)] if rng.random() < 0.1 else content


WRITERS: Final[dict[str, Callable[[random.Random], bytes]]] = {
    "csv": _csv, "jsonl": _json_lines, "json": _json, "parquet": _parquet,
}  # fmt: skip


def _answers(path: Path, rng: random.Random) -> int:
    """Give a file to everything that reads tables; returns how many of them gave an answer, not an error."""
    task = Task.SUMMARY if rng.random() < 0.2 else Task.VERACITY
    columns = {} if task is Task.VERACITY else {"article": "text", "summary": "label"}
    policy = RowPolicy(columns=columns, encoding="cp1252" if rng.random() < 0.1 else "", near_copies=rng.random() < 0.2)
    out = path.with_name("out.parquet")
    readers: tuple[Callable[[], Any], ...] = (
        lambda: load_splits(str(path), task, policy),
        lambda: as_text(str(path), task, gather(str(path), task, policy)).encode(),
        lambda: prepare_table(str(path), task, out, policy, skip_bad_rows=True),
        lambda: unlabelled_pairs(str(path)),
    )
    answers = 0
    for read in readers:
        said = ""
        try:
            read()
            answers += 1
        except TrainingError as error:
            said = str(error)
        assert not said or path.name in said, said
        assert len(said) < 3000, said
    out.unlink(missing_ok=True)
    return answers


@pytest.mark.parametrize("count", [100, pytest.param(2000, marks=pytest.mark.slow)])
@pytest.mark.parametrize("ending", WRITERS)
def test_a_damaged_file_is_an_answer_or_a_clear_error(ending: str, count: int, tmp_path: Path) -> None:
    path = tmp_path / f"t.{ending}"
    answers = 0
    for number in range(count):
        rng = random.Random(f"{ending} {number}")
        path.write_bytes(_damaged(rng, WRITERS[ending](rng)))
        try:
            answers += _answers(path, rng)
        except Exception as error:
            error.add_note(f"{ending} {number}: {path.read_bytes()[:300]!r}")
            raise
    # Both happen often, else this would say little.
    assert 0.5 * count < answers < 3.5 * count
    assert [left.name for left in tmp_path.iterdir()] == [path.name]
