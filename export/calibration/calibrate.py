"""One calibration from end to end: tables -> the served model's answers -> temperature and band -> the repository."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

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
from .figures import DIGITS
from .fitting import LEAST_ANSWERED, Band
from .held_out import HeldOut, held_out_of, require_enough, require_labels
from .picture import draw
from .tables import Columns, Row, read_rows
from .turns import Fits, fits

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
    held_out: HeldOut | None = None
    """What the figures are measured on; by default a collection where there are several, and otherwise a half."""
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
    check_rows(options, rows)
    _LOG.info("%s", _counts(rows))
    if len({row.source for row in rows}) == 1:
        _LOG.warning("the tables are of one collection: how sure a model is elsewhere only several of them can tell")
    return rows


def _counts(rows: Sequence[Row]) -> str:
    """How many articles there are of each collection."""
    counts = Counter(row.source for row in rows)
    return ", ".join(f"{source}: {count:,} articles" for source, count in sorted(counts.items()))


def check_rows(options: CalibrateOptions, rows: Sequence[Row]) -> None:
    """Refuse articles that nothing can be fitted on, before a model is asked about them.

    Raises:
        TableError: They have one label, all of them or without the collection that is held out, or are too few; or a
            collection is to be held out, and there is no other.
    """
    if len(told := {row.label for row in rows}) < 2:
        raise TableError(
            f"every article is {told.pop()!r}, which tells nothing of a model that says so always: give articles of "
            "several labels"
        )
    sources = [row.source for row in rows]
    if held_out_of(options.held_out, sources) is HeldOut.COLLECTION:
        for name, count in sorted(Counter(sources).items()):
            require_enough(len(sources) - count, without=name)
        require_labels(sources, [row.label for row in rows])
        return
    for half in (True, False):
        require_enough(sum(row.fits is half for row in rows))


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
    if known:
        _LOG.info("as collections that it was trained on: %s", _counts(known))
    with step(f"asking {name} about {len(rows):,} articles"):
        answers = ask(options.repository, name, artefact, rows)
    if answers.refused:
        _LOG.warning("%d articles were refused, the first: %s", len(answers.refused), answers.refused[0])
    held_out = held_out_of(options.held_out, [row.source for row in answers.rows])
    if held_out is not held_out_of(options.held_out, [row.source for row in rows]):
        _LOG.warning("every article that was answered is of one collection, so the figures are those of a half of it")
    found = fits(answers, artefact.labels, held_out=held_out, risk=options.risk)
    made = _with(artefact, found, held_out, len(answers.refused), options.risk)
    # What was measured before holds on: temperature and threshold move no label.
    in_domain = _in_domain(options, ask, name, artefact, known) if known else artefact.calibration.get("in_domain")
    if in_domain is not None:
        made = replace(made, calibration={**made.calibration, "in_domain": in_domain})
    picture = draw(found.judged, risk=options.risk)
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
    said = [artefact.labels[index] for index in answers.probabilities.argmax(axis=1)]
    right = [label == row.label for label, row in zip(said, answers.rows, strict=True)]
    return {"articles": len(right), "accuracy": round(sum(right) / len(right), DIGITS)}


def _with(artefact: Artefact, found: Fits, held_out: HeldOut, refused: int, risk: float) -> Artefact:
    band, judged = found.served, found.judged
    turns = judged.bands if held_out is HeldOut.COLLECTION else {}
    calibration = {
        "risk": risk,
        "least_answered": LEAST_ANSWERED,
        "reached": band.reached,
        "held_out": held_out.value,
        "fitted_on": dict(found.fitted_on),
        "refused": refused,
        "figures": [{**judged.figures(name), **_turn(turns.get(name))} for name in judged.names()],
    }
    return replace(artefact, temperature=band.temperature, threshold=band.threshold, calibration=calibration)


def _turn(band: Band | None) -> dict[str, float]:
    """What a collection's figures were measured with, where that is not what is served."""
    return {} if band is None else {"temperature": band.temperature, "threshold": band.threshold}


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
