"""One calibration from end to end: tables -> the served model's answers -> temperature and band -> the repository."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from export.errors import RepositoryError, TableError
from export.progress import step
from export.repository.artefact import FILE_NAME, Artefact
from export.repository.contents import newest_version, require_artefacts, serving
from export.repository.deployment import stored_deployment, stored_texts
from export.repository.generated_files import generated_files
from export.repository.model_card import CARD, PICTURE, with_section
from export.repository.transaction import move_in, write_files
from export.repository.workspace import workspace
from infolens.contract import CONTRACTS, AnswerKind, Task

from . import asking, card
from .figures import DIGITS, Judged
from .fitting import LEAST_ANSWERED, Band, fit_band
from .picture import draw
from .tables import Columns, Row, read_rows

_FEWEST: Final = 20
"""So many articles of each half must be enough to judge by."""
_LOG = logging.getLogger(__name__)

Ask = Callable[[Path, str, Artefact, Sequence[Row]], asking.Answers]


@dataclass(frozen=True, kw_only=True)
class CalibrateOptions:
    """Which model to calibrate, and on what."""

    task: Task
    files: tuple[Path, ...]
    """Tables of articles that the model was not trained on."""
    repository: Path = Path("model_repository")
    name: str = ""
    """The model's name in the repository; by default the one that answers the task."""
    columns: Columns = field(default_factory=Columns)
    sources: tuple[str, ...] = ()
    """The collections that are taken; empty for all."""
    risk: float = 0.2
    """Share of the answers that may be wrong."""
    in_domain: tuple[Path, ...] = ()
    """Tables of articles of the collections that the model was trained on, which it has not seen; the accuracy on them
    is measured too. Collections that are calibrated on are left out of them."""
    in_domain_split: str = ""
    """Which of their rows are taken, by their column ``split``; empty for all."""

    def __post_init__(self) -> None:
        if CONTRACTS[self.task].answers is not AnswerKind.LABELS:
            raise TableError(f"a classifier is calibrated, and {self.task} writes texts")


@dataclass(frozen=True, kw_only=True)
class Calibration:
    """A finished calibration."""

    name: str
    artefact: Artefact
    written: tuple[str, ...]
    """Paths in the repository."""


def read_tables(options: CalibrateOptions, labels: Sequence[str]) -> tuple[Row, ...]:
    """The articles of the tables, with a word about each collection in the log.

    Raises:
        TableError: A table cannot be used.
    """
    rows = read_rows(options.files, labels, columns=options.columns, sources=options.sources)
    if len(told := {row.label for row in rows}) < 2:
        raise TableError(
            f"every article is {told.pop()!r}, which tells nothing of a model that says so always: give articles of "
            "several labels"
        )
    counts = Counter(row.source for row in rows)
    _LOG.info("%s", ", ".join(f"{source}: {count:,} articles" for source, count in sorted(counts.items())))
    if len(counts) == 1:
        _LOG.warning("the tables are of one collection: how sure a model is elsewhere only several of them can tell")
    return rows


def read_in_domain(options: CalibrateOptions, labels: Sequence[str] | None, unseen: Sequence[Row]) -> tuple[Row, ...]:
    """The articles of the collections that the model was trained on; none where no table has them.

    Args:
        options: Where they are.
        labels: The labels of the model; None where they are not known yet.
        unseen: The articles that are calibrated on, whose collections are left out.

    Raises:
        TableError: A table cannot be used.
    """
    if not options.in_domain:
        return ()
    return read_rows(
        options.in_domain,
        labels,
        columns=options.columns,
        without={row.source for row in unseen},
        split=options.in_domain_split,
    )


def calibrate(options: CalibrateOptions, *, ask: Ask = asking.ask) -> Calibration:
    """Fit temperature and threshold of a model, and write them into its repository, with its card and a picture.

    Args:
        options: What to calibrate, and on what.
        ask: What asks the model; see `asking.ask`.

    Raises:
        TableError: A table cannot be used, or has too few articles.
        RepositoryError: There is no such model, or the repository cannot be written.
        AskingError: The server that is asked did not start.
    """
    name, artefact = _model(options)
    rows = read_tables(options, artefact.labels)
    known = read_in_domain(options, artefact.labels, rows)
    with step(f"asking {name} about {len(rows):,} articles"):
        answers = ask(options.repository, name, artefact, rows)
    if answers.refused:
        _LOG.warning("%d articles were refused, the first: %s", len(answers.refused), answers.refused[0])
    labels = _classes(artefact, answers.rows)
    sources = [row.source for row in answers.rows]
    fits = np.array([row.fits for row in answers.rows])
    for half in (fits, ~fits):
        if (half & answers.clear).sum() < _FEWEST:
            raise TableError(
                f"{(half & answers.clear).sum()} articles of one half of the tables are enough to judge by, and "
                f"{_FEWEST} are needed: give more, or longer ones"
            )
    band = fit_band(
        answers.probabilities[fits],
        labels[fits],
        _chosen(sources, fits),
        answers.clear[fits],
        risk=options.risk,
    )
    judged = Judged(
        probabilities=answers.probabilities[~fits],
        labels=labels[~fits],
        sources=_chosen(sources, ~fits),
        clear=answers.clear[~fits],
        band=band,
    )
    made = _with(artefact, judged, Counter(_chosen(sources, fits)), len(answers.refused), options.risk)
    # What was measured before holds on: temperature and threshold move no label.
    in_domain = _in_domain(options, ask, name, artefact, known) if known else artefact.calibration.get("in_domain")
    if in_domain is not None:
        made = replace(made, calibration={**made.calibration, "in_domain": in_domain})
    picture = draw(judged, risk=options.risk)
    return Calibration(name=name, artefact=made, written=_write(options.repository, name, made, picture))


def _model(options: CalibrateOptions) -> tuple[str, Artefact]:
    artefacts = require_artefacts(options.repository)
    name = options.name or serving(artefacts, stored_deployment(options.repository)).get(options.task, "")
    if name not in artefacts or artefacts[name].task != options.task:
        there = ", ".join(one for one, artefact in artefacts.items() if artefact.task == options.task)
        wanted = f"model {name!r}" if name else "model"
        raise RepositoryError(f"{options.repository} has no {wanted} for {options.task}; it has: {there or 'none'}")
    return name, artefacts[name]


def _in_domain(
    options: CalibrateOptions, ask: Ask, name: str, artefact: Artefact, rows: Sequence[Row]
) -> dict[str, Any]:
    """How often the model is right on articles of the collections that it was trained on."""
    with step(f"asking {name} about {len(rows):,} articles of the collections that it was trained on"):
        answers = ask(options.repository, name, artefact, rows)
    if answers.refused:
        _LOG.warning("%d articles were refused, the first: %s", len(answers.refused), answers.refused[0])
    right = answers.probabilities.argmax(axis=1) == _classes(artefact, answers.rows)
    return {"articles": len(right), "accuracy": round(float(right.mean()), DIGITS)}


def _classes(artefact: Artefact, rows: Sequence[Row]) -> npt.NDArray[np.int64]:
    classes = {label: index for index, label in enumerate(artefact.labels)}
    return np.array([classes[row.label] for row in rows])


def _chosen(sources: Sequence[str], mask: npt.NDArray[np.bool_]) -> list[str]:
    return [source for source, taken in zip(sources, mask, strict=True) if taken]


def _with(artefact: Artefact, judged: Judged, fitted: Counter[str], refused: int, risk: float) -> Artefact:
    band: Band = judged.band
    calibration = {
        "risk": risk,
        "least_answered": LEAST_ANSWERED,
        "reached": band.reached,
        "fitted_on": dict(sorted(fitted.items())),
        "refused": refused,
        "figures": [judged.figures(name) for name in judged.names()],
    }
    return replace(artefact, temperature=band.temperature, threshold=band.threshold, calibration=calibration)


def _write(repository: Path, name: str, artefact: Artefact, picture: bytes) -> tuple[str, ...]:
    """Write all files of a calibration, or none; returns those that are not as they were."""
    contract = CONTRACTS[Task(artefact.task)]
    path = repository / name / CARD
    before = path.read_text(encoding="utf-8") if path.is_file() else f"# {name}\n"
    text = card.section(artefact.calibration, artefact.temperature, artefact.threshold, doubt_word=contract.doubt_word)
    files = {
        f"{name}/{newest_version(repository / name)}/{FILE_NAME}": artefact.to_json().encode(),
        f"{name}/{CARD}": with_section(before, text).encode(),
        f"{name}/{PICTURE}": picture,
        **generated_files({**require_artefacts(repository), name: artefact}, stored_texts(repository)),
    }
    stale = [one for one, content in files.items() if not _is(repository / one, content)]
    with workspace(repository) as staging:
        write_files(staging / "new", {one: files[one] for one in stale})
        move_in(staging, repository, [], stale)
    return tuple(stale)


def _is(path: Path, content: bytes) -> bool:
    return path.is_file() and path.read_bytes() == content
