"""The files of a run."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import asdict
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from benchmarks.common.reports import write_json, write_text
from benchmarks.gpu.context import reason_of
from benchmarks.gpu.run import PartResult, Run

from .page import Facts, markdown

if TYPE_CHECKING:
    from .pictures import Picture

_NAMED: Final = 3
"""So many parts at most stand in the name of a report."""


def document(run: Run, facts: Facts) -> dict[str, Any]:
    """Everything of a run; keys carry their units."""
    return {
        "card": run.card,
        "date": facts.day.isoformat(),
        "machine": asdict(facts.machine),
        "command": facts.command,
        "dry_run": run.toy,
        "cut_off": run.cut_off,
        "seconds": round(run.took_s, 1),
        "limit_s": run.seconds,
        "processes": run.method,
        "rates": asdict(run.rates) if run.rates else None,
        "settings": run.settings,
        "parts": [_part_document(result) for result in run.results],
        "not_begun": [part.name for part in run.parts[len(run.results) :]],
    }


def _part_document(result: PartResult) -> dict[str, Any]:
    return {
        "name": result.part.name,
        "title": result.part.title,
        "status": result.status.value,
        "reason": result.reason,
        "seconds": round(result.seconds, 1),
        "limit_s": round(result.limit_s, 1),
        "tables": result.tables,
        "skipped": [asdict(one) for one in result.skipped],
        "log": result.log,
    }


def summary(run: Run, paths: Sequence[Path]) -> dict[str, Any]:
    """A few words on a run: its files, and how its parts ended."""
    return {
        "card": run.card,
        "dry_run": run.toy,
        "cut_off": run.cut_off,
        "seconds": round(run.took_s, 1),
        "files": [str(path) for path in paths],
        "parts": [
            {
                "name": result.part.name,
                "status": result.status.value,
                "seconds": round(result.seconds, 1),
                "rows": len(result.rows),
                "skipped": len(result.skipped),
            }
            for result in run.results
        ],
    }


def stem_of(run: Run, chosen: Sequence[str], day: date) -> str:
    """The name of a run's files without their endings: the card, the day, and the parts where only some were chosen.

    Of many parts the first is named, and how many more there are.
    """
    if len(chosen) > _NAMED:
        chosen = [chosen[0], "and", str(len(chosen) - 1), "more"]
    card = "dry-run" if run.toy else re.sub(r"[^a-z0-9]+", "-", run.card.lower()).strip("-")
    return "-".join([card, day.isoformat(), *chosen])


def write(run: Run, facts: Facts, stem: Path, *, pictures: bool) -> list[Path]:
    """Write the document and the page, and last the pictures, without which the others are whole.

    Args:
        run: What was measured so far.
        facts: What else the page says.
        stem: Path of the files without their endings.
        pictures: Whether they are drawn too.

    Returns:
        The files, the page first.
    """
    stem.parent.mkdir(parents=True, exist_ok=True)
    page = write_text(stem.with_name(f"{stem.name}.md"), markdown(run, facts, {}))
    paths = [page, write_json(stem.with_name(f"{stem.name}.json"), document(run, facts))]
    if not pictures:
        return paths
    shown: dict[str, Picture] = {}
    problems = []
    about = f"{run.card}, {facts.day}{', a dry run' if run.toy else ''}"
    try:
        # Here, so that all before needs no matplotlib.
        from .pictures import PICTURES, draw
    except ImportError as error:
        write_text(page, markdown(run, facts, {}, [reason_of(error)]))
        return paths
    for table in PICTURES:
        try:
            picture = draw(table, run.tables.get(table, ()), about, stem)
        except Exception as error:  # The figures are worth more than their pictures.
            problems.append(f"{table}: {reason_of(error)}")
        else:
            if picture is not None:
                shown[table] = picture
                paths.append(picture.path)
    write_text(page, markdown(run, facts, shown, problems))
    return paths
