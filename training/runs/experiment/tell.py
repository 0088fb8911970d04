"""The runs of an experiment, as MLflow has them, and the registered versions that came of them."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from infolens.contract import CONTRACTS, AnswerKind, Task
from training.errors import TrackingError
from training.runs.promotion.versions import (
    SCORES,
    Version,
    baseline_of,
    holder,
    number,
    read_metrics,
    read_versions,
)
from training.tracking.client import REASON, WORKED_S, Tracking, first_line, open_client
from training.tracking.recording import CHAMPION, HASH_DIGITS

FIGURES: Final = {
    AnswerKind.LABELS: ("macro_f1", "accuracy", "calibration_error"),
    AnswerKind.TEXT: ("rougeLsum", "rouge1", "rouge2"),
}
"""What is told of each run, the deciding figure first."""
_TOLD_APART: Final = frozenset({"task", "data", "parameters"})
"""What stands among a run's parameters and is no setting, or has a column of its own."""
_MEMORY: Final = re.compile(r"worker[_/]\d+[_/]peak_memory_mb")
_ENDS: Final = {
    "RUNNING": "it still runs, or its process died without a word",
    "SCHEDULED": "it has not begun",
    "KILLED": "whoever started it stopped it",
    "FAILED": "no reason was recorded; its log tells",
    "FINISHED": "it has no test figures",
}
"""Status -> why a run has no test figures, where none of its tags says so."""
_PARENT: Final = "mlflow.parentRunId"


@dataclass(frozen=True, kw_only=True)
class Source:
    """The articles of a run."""

    file: str
    """Where they were read; empty where the run does not say."""
    rows: Mapping[str, int]
    """By split."""
    hashes: Mapping[str, str]
    """By split; only their first digits where only the data sets of MLflow tell."""

    @property
    def key(self) -> tuple[str, str, str]:
        """What tells one source from another."""
        train, test = (self.hashes.get(split, "")[:HASH_DIGITS] for split in ("train", "test"))
        return self.file, train, test


@dataclass(frozen=True, kw_only=True)
class Run:
    """One run."""

    run_id: str
    name: str
    status: str
    started: datetime
    """In UTC."""
    minutes: float | None
    """Minutes of work, without the time between sessions where it was interrupted; None where it has not ended."""
    memory_mb: float | None
    """What the worker that used most had; None where it was not recorded."""
    figures: Mapping[str, float]
    """Test figures, by the names of `FIGURES`, and that of ``out_of_domain``; none where it did not come so far."""
    baseline: Mapping[str, float]
    """The baseline's, on the same articles."""
    settings: Mapping[str, str]
    source: Source
    version: int | None = None
    """The registered version that came of it."""
    reason: str = ""
    """Why it has no figures."""
    children: Mapping[str, int] = field(default_factory=dict)
    """Runs inside it, such as the trials of a search, by their status."""


@dataclass(frozen=True, kw_only=True)
class TaskTold:
    """What an experiment has of one task."""

    task: Task
    runs: tuple[Run, ...]
    """Those with test figures, the best first; the runs on the champion's test articles (or the newest's) precede."""
    others: tuple[Run, ...]
    """Those without, the newest first; runs inside a run are counted there."""
    versions: tuple[Version, ...]
    """What the registry has, the newest first."""

    @property
    def name(self) -> str:
        """The figure that decides."""
        return SCORES[CONTRACTS[self.task].answers]

    @property
    def champion(self) -> Version | None:
        """The version that is served by that name."""
        return holder(self.versions, CHAMPION)

    @property
    def comparable(self) -> tuple[Run, ...]:
        """The runs that were tested on the same articles as the first of them."""
        return tuple(run for run in self.runs if run.source.key[2] == self.runs[0].source.key[2])

    @property
    def differing(self) -> tuple[str, ...]:
        """The settings in which the runs differ from one another."""
        names = dict.fromkeys(name for run in self.runs for name in run.settings)
        return tuple(
            name for name in names if len({run.settings[name] for run in self.runs if name in run.settings}) > 1
        )

    @property
    def sources(self) -> tuple[Source, ...]:
        """Every source of articles that a run had, in the order of the runs.

        A run that broke off says only which file it read: that is a source where no other run tells more of the file.
        """
        every = [run.source for run in (*self.runs, *self.others) if run.source.file]
        told = {source.file for source in every if source.hashes}
        found: dict[tuple[str, str, str], Source] = {}
        for source in every:
            if source.hashes or source.file not in told:
                found.setdefault(source.key, source)
        return tuple(found.values())


@dataclass(frozen=True, kw_only=True)
class Told:
    """An experiment."""

    experiment: str
    store: str
    """The store's URI, without the name and password that it may hold."""
    when: datetime
    tasks: tuple[TaskTold, ...]
    """Only those that have runs or versions."""


def tell(tracking: Tracking, tasks: Sequence[Task] = tuple(Task)) -> Told:
    """Read an experiment.

    Args:
        tracking: Where the store is, and the experiment's name.
        tasks: Which tasks to tell of.

    Raises:
        TrackingError: The store does not answer, or has no such experiment; nothing is made there.
    """
    client = open_client(tracking, make_experiment=False)
    try:
        experiment = client.get_experiment_by_name(tracking.experiment)
        if experiment is None:
            known = ", ".join(sorted(one.name for one in client.search_experiments())) or "none"
            raise TrackingError(
                f"{tracking.shown}: there is no experiment {tracking.experiment!r}; name one with --experiment, or "
                f"another store with --tracking-uri. It has: {known}"
            )
        runs = _all_runs(client, experiment.experiment_id)
        told = [_tell_task(client, task, runs) for task in tasks]
    except TrackingError:
        raise
    except Exception as error:  # MLflow raises what its stores raise
        raise TrackingError(f"{tracking.shown}: {first_line(error)}") from error
    return Told(
        experiment=tracking.experiment,
        store=tracking.shown,
        when=datetime.now(tz=UTC),
        tasks=tuple(one for one in told if one.runs or one.others or one.versions),
    )


def _all_runs(client: Any, experiment_id: str) -> list[Any]:
    found: list[Any] = []
    token = None
    while token is None or token:
        page = client.search_runs([experiment_id], page_token=token)
        found += page
        token = page.token or ""
    return found


def _task_of(run: Any, by_id: Mapping[str, Any]) -> str:
    own = run.data.tags.get("task") or run.data.params.get("task")
    parent = by_id.get(run.data.tags.get(_PARENT, ""))
    return str(own or (parent and (parent.data.tags.get("task") or parent.data.params.get("task"))) or "")


def _tell_task(client: Any, task: Task, every: Sequence[Any]) -> TaskTold:
    by_id = {run.info.run_id: run for run in every}
    mine = [run for run in every if _task_of(run, by_id) == task.value]
    versions = tuple(read_versions(client, task))
    numbers = {version.registered.run_id: version.number for version in reversed(versions)}
    children: dict[str, Counter[str]] = {}
    for run in mine:
        if (parent := run.data.tags.get(_PARENT)) in by_id:
            children.setdefault(parent, Counter())[run.info.status] += 1
    told = [_tell_run(client, task, run, numbers, children.get(run.info.run_id, {})) for run in mine]
    name = SCORES[CONTRACTS[task].answers]
    finished = [run for run in told if name in run.figures]
    inside = {run.info.run_id for run in mine if run.data.tags.get(_PARENT) in by_id}
    others = [run for run in told if name not in run.figures and run.run_id not in inside]
    first = _first_hash(finished, holder(versions, CHAMPION))
    finished.sort(key=lambda run: (run.source.key[2] != first, -run.figures[name], run.started))
    others.sort(key=lambda run: run.started, reverse=True)
    return TaskTold(task=task, runs=tuple(finished), others=tuple(others), versions=versions)


def _first_hash(runs: Sequence[Run], champion: Version | None) -> str:
    """The articles whose runs stand first: those of the champion's test if a run has them, else the newest run's."""
    hashes = {run.source.key[2] for run in runs}
    if champion is not None and champion.test_hash[:HASH_DIGITS] in hashes:
        return champion.test_hash[:HASH_DIGITS]
    return max(runs, key=lambda run: run.started).source.key[2] if runs else ""


def _tell_run(client: Any, task: Task, run: Any, numbers: Mapping[str, int], children: Mapping[str, int]) -> Run:
    kind = CONTRACTS[task].answers
    metrics, tags = run.data.metrics, run.data.tags
    figures = _figures(metrics, "test", FIGURES[kind])
    document = read_metrics(client, run.info.run_id) if figures else {}
    baseline = _figures(metrics, "baseline", FIGURES[kind])
    if SCORES[kind] not in baseline and (value := baseline_of(document, task)) is not None:
        baseline = {**baseline, SCORES[kind]: value}
    if away := _figures(metrics, "out_of_domain", FIGURES[kind][:1]):
        figures["out_of_domain"] = away[SCORES[kind]]
    ended = run.info.end_time
    took = (ended - run.info.start_time) / 60_000 if ended else None
    if WORKED_S in tags:
        took = float(tags[WORKED_S]) / 60
    settings = document.get("config") or run.data.params
    return Run(
        run_id=run.info.run_id,
        name=str(run.info.run_name),
        status=str(run.info.status),
        started=datetime.fromtimestamp(run.info.start_time / 1000, tz=UTC),
        minutes=float(document["minutes"]) if "minutes" in document else took,
        memory_mb=max((value for name, value in metrics.items() if _MEMORY.fullmatch(name)), default=None),
        figures=figures,
        baseline=baseline,
        settings={name: _said(value) for name, value in settings.items() if name not in _TOLD_APART},
        source=_source(run, document),
        version=numbers.get(run.info.run_id),
        reason="" if figures else tags.get(REASON) or _ENDS.get(run.info.status, ""),
        children=children,
    )


def _figures(metrics: Mapping[str, float], part: str, names: Sequence[str]) -> dict[str, float]:
    """Figures of a run, which are grouped by a slash; older runs have them with an underscore."""
    found = {}
    for name in names:
        for written in (f"{part}/{name}", f"{part}_{name}"):
            if (value := number(metrics.get(written))) is not None:
                found[name] = value
                break
    return found


def _said(value: Any) -> str:
    if isinstance(value, list | tuple):
        return ", ".join(map(str, value))
    return f"{value:g}" if isinstance(value, float) else str(value)


def _source(run: Any, document: Mapping[str, Any]) -> Source:
    if "data_hash" in document:
        file = str(document.get("config", {}).get("data", ""))
        return Source(file=file, rows=document.get("articles", {}), hashes=document["data_hash"])
    entries = run.inputs.dataset_inputs if run.inputs else []
    splits = {next((tag.value for tag in entry.tags), ""): entry.dataset.digest for entry in entries}
    return Source(file=run.data.params.get("data", ""), rows={}, hashes=splits)


def short(path: str) -> str:
    """The name of a file or folder, without the folders above it."""
    return Path(path).name or path
