"""The figures that a report opens with, each against its aim and its floor."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from benchmarks.gpu.children.child import Status
from benchmarks.gpu.context import Cell
from benchmarks.gpu.run import Run

from .cells import line


@dataclass(frozen=True, kw_only=True)
class Headline:
    """A figure that the report opens with: the best row of some tables."""

    title: str
    tables: tuple[str, ...]
    columns: tuple[str, ...]
    """The first of them that a row has is the figure."""
    aim: float
    where: Mapping[str, Cell]
    """A row with something else in one of these columns does not count."""
    most: bool = False
    """The largest is the best one, and the aim is the least that it should be."""


_MS: Final = ("ms", "p50_ms", "median_ms")
HEADLINES: Final = (
    Headline(
        title="a beam step for one article, 4 beams (ms)",
        tables=("step",),
        columns=("step_ms", *_MS),
        aim=0.5,
        where={"batch": 1, "beams": 4, "tokens_in": 512, "tokens_out": 60},
    ),
    Headline(
        title="a summary: 512 tokens in, 60 out, 4 beams, one article (ms)",
        tables=("whole", "sweep"),
        columns=("whole_ms", "summary_ms", *_MS),
        aim=35,
        where={"batch": 1, "beams": 4, "tokens_in": 512, "tokens_out": 60},
    ),
    Headline(
        title="such summaries a second, at the best batch", tables=("sweep",), columns=("articles_per_s",), aim=300,
        where={"beams": 4, "tokens_in": 512, "tokens_out": 60}, most=True,
    ),
    Headline(
        title="all three answers through the whole server, one client (ms)", tables=("served",), columns=("p50_ms",),
        aim=50, where={"asked": "info_lens", "load": "one client"},
    ),
    Headline(
        title="such requests a second, at random moments, 99 of 100 within 500 ms", tables=("served",),
        columns=("answered_per_s",), aim=300, where={"asked": "info_lens", "holds": True}, most=True,
    ),
)  # fmt: skip


def in_short(run: Run) -> list[str]:
    """Whether the step is right, and the headlines as a table, each against its aim and its floor."""
    found = [] if run.toy else list(filter(None, (_headline(headline, run.tables) for headline in HEADLINES)))
    if not found:
        why = "small models tell nothing of them" if run.toy else "the parts below say why"
        return [_tokens(run), "", f"No figure with an aim was measured: {why}."]
    head = ["| | measured | aim | | floor ms | times the floor | how |", "|---|---:|---:|---|---:|---:|---|"]
    return [_tokens(run), "", *head, *found]


def _tokens(run: Run) -> str:
    """Whether the engine writes what ``transformers`` writes, in words."""
    rows = [row for row in run.tables.get("check", ()) if row.get("passed") is not None]
    wrong = [str(row.get("check")) for row in rows if not row["passed"]]
    if wrong:
        words = f"no ({'; '.join(wrong)}): times below are those of a step that is wrong"
    elif any(result.part.name == "correctness" and result.status is not Status.DONE for result in run.results):
        words = "not shown, since the part did not come to its end"
    elif rows:
        words = f"yes, in {sum(int(row.get('summaries') or 0) for row in rows)} summaries"
    else:
        words = "not compared in this run"
    return f"**The step writes the tokens of `transformers` in fp32:** {words}."


def _headline(headline: Headline, tables: Mapping[str, Sequence[Mapping[str, Cell]]]) -> str:
    values: list[tuple[float, Mapping[str, Cell]]] = []
    for row in (row for table in headline.tables for row in tables.get(table, ())):
        figure = next((row[column] for column in headline.columns if column in row), None)
        fits = all(row.get(column, value) == value for column, value in headline.where.items())
        if fits and isinstance(figure, int | float):
            values.append((figure, row))
    if not values:
        return ""
    best, row = (max if headline.most else min)(values, key=lambda pair: pair[0])
    met = best >= headline.aim if headline.most else best <= headline.aim
    words = [str(value) for value in row.values() if isinstance(value, str)]
    how = ", ".join([*words, *([f"batch {row['batch']}"] if headline.most and "batch" in row else [])])
    cells: list[Cell] = [headline.title, best, headline.aim, "met" if met else "**missed**"]
    return line([*cells, row.get("floor_ms"), row.get("times_floor"), how])
