"""The versions of a task's registered model, each with its test figure, its baseline's and what its run came to."""

from __future__ import annotations

import json
import logging
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from infolens.contract import CONTRACTS, AnswerKind, Task
from training.errors import TrackingError
from training.metrics.headline import DECIDING
from training.tracking.client import Tracking, first_line

logger = logging.getLogger(__name__)

SCORES: Final = DECIDING
"""The test figure that decides, by what the answers are made of."""
PREVIOUS: Final = "previous"
"""The alias of the version that was the champion before."""
PROMOTED_AT: Final = "promoted_at"
PROMOTED_BECAUSE: Final = "promoted_because"
PROMOTED_BY: Final = "promoted_by"
"""Tags of a version that was promoted: when (UTC), why (and why each time before), and the name of the user."""
REFUSED_BECAUSE: Final = "refused_because"
"""Tag of a version that was judged and did not become the champion: why not."""
_ENDLESS: Final = 1e300
"""From here on a number is what a database keeps in place of an infinite one."""
_LOST: Final = {
    "FAILED": "its run failed; if its checkpoint is whole, record it again with 'record DIR'",
    "KILLED": "its run was stopped; if its checkpoint is whole, record it again with 'record DIR'",
}


@dataclass(frozen=True, kw_only=True)
class Version:
    """A registered version of a model, as it was recorded."""

    number: int
    recorded: datetime
    """In UTC."""
    base: str = ""
    """A hub id, a folder, or ``starter``; empty where the run does not say."""
    architecture: str = ""
    """The ``model_type``; empty where the run does not say."""
    figure: float | None = None
    """The figure of `SCORES` on its test articles; None where none was recorded."""
    baseline: float | None = None
    """The same figure of its baseline, on the same articles."""
    test_hash: str = ""
    """Which articles it was tested on."""
    test_articles: int = 0
    """How many these were; 0 where the run does not say."""
    aliases: tuple[str, ...] = ()
    tags: Mapping[str, str] = field(default_factory=dict)
    fault: str = ""
    """Why it can never be promoted; empty where it can."""
    registered: Any = None
    """MLflow's own record of it."""

    @property
    def built(self) -> str:
        """Base and architecture, for people."""
        base = Path(self.base).name if self.base.startswith(("/", ".")) else self.base
        return f"{base} ({self.architecture})" if base and self.architecture else base or self.architecture


def read_versions(client: Any, task: Task) -> list[Version]:
    """Read every version that a registry has of a task's model, the newest first.

    Args:
        client: An ``mlflow.MlflowClient``.
        task: Whose model; it is registered under the task's name.

    Returns:
        The versions; none where there is no such model.

    Raises:
        TrackingError: The registry does not answer or refuses.
    """
    from mlflow.exceptions import MlflowException

    try:
        aliases = client.get_registered_model(task.value).aliases
        found = _all_versions(client, task)
    except MlflowException as error:
        if error.error_code == "RESOURCE_DOES_NOT_EXIST":
            return []
        raise TrackingError(f"the registry refuses: {first_line(error)}") from error
    named: dict[int, list[str]] = {}
    for alias, number in aliases.items():
        named.setdefault(int(number), []).append(str(alias))
    versions = [_version(client, task, one, tuple(sorted(named.get(int(one.version), ())))) for one in found]
    return sorted(versions, key=lambda version: -version.number)


def some_versions(client: Any, task: Task, tracking: Tracking) -> list[Version]:
    """The versions of `read_versions`, of which there must be some.

    Raises:
        TrackingError: There is none, or the registry does not answer.
    """
    versions = read_versions(client, task)
    if not versions:
        raise TrackingError(
            f"{tracking.shown}: there is no model {task.value!r} with the alias 'challenger'; 'fit' gives it to "
            "every model that it records"
        )
    return versions


def numbered(task: Task, versions: Sequence[Version], number: int) -> Version:
    """The version that has a number.

    Raises:
        TrackingError: There is none.
    """
    found = next((one for one in versions if one.number == number), None)
    if found is None:
        known = ", ".join(str(one.number) for one in versions[:10]) + (", ..." if len(versions) > 10 else "")
        raise TrackingError(f"{task.value}: there is no version {number}; the registry has {known}")
    return found


def holder(versions: Sequence[Version], alias: str) -> Version | None:
    """The version that has an alias, or None."""
    return next((version for version in versions if alias in version.aliases), None)


def _all_versions(client: Any, task: Task) -> list[Any]:
    found: list[Any] = []
    token = None
    while token is None or token:
        page = client.search_model_versions(f"name = '{task.value}'", page_token=token)
        found += page
        token = page.token or ""
    return found


def _version(client: Any, task: Task, registered: Any, aliases: tuple[str, ...]) -> Version:
    name = SCORES[CONTRACTS[task].answers]
    run, fault = _run(client, registered)
    tags = dict(registered.tags)
    figure, baseline = (number(tags.get(f"{part}_{name}")) for part in ("test", "baseline"))
    document = read_metrics(client, registered.run_id) if run is not None else {}
    if baseline is None and document:
        baseline = baseline_of(document, task)
    if not fault and registered.status != "READY":
        fault = f"the registry says that it is {registered.status}; record its checkpoint again with 'record DIR'"
    if not fault and figure is None:
        fault = f"it has no test figure (tag test_{name}); record its checkpoint again with 'record DIR'"
    return Version(
        number=int(registered.version),
        recorded=datetime.fromtimestamp(registered.creation_timestamp / 1000, tz=UTC),
        base=str(document.get("base") or (run.data.params.get("base", "") if run is not None else "")),
        architecture=str(document.get("architecture", "")),
        figure=figure,
        baseline=baseline,
        test_hash=tags.get("test_hash", ""),
        test_articles=int(document.get("articles", {}).get("test", 0)),
        aliases=aliases,
        tags=tags,
        fault=fault,
        registered=registered,
    )


def _run(client: Any, registered: Any) -> tuple[Any, str]:
    """The run of a version, None where it is gone; and why the version is out of question, empty where it is not."""
    from mlflow.exceptions import MlflowException

    if not registered.run_id:
        return None, "it belongs to no run; register checkpoints with 'record DIR'"
    try:
        run = client.get_run(registered.run_id)
    except MlflowException as error:
        if error.error_code in {"RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"}:
            return None, "its run is gone"
        raise TrackingError(f"the run of version {registered.version} cannot be read: {first_line(error)}") from error
    if run.info.lifecycle_stage == "deleted":
        return run, f"its run was deleted; 'mlflow runs restore --run-id {registered.run_id}' brings it back"
    return run, _LOST.get(run.info.status, "")


def read_metrics(client: Any, run_id: str) -> dict[str, Any]:
    """What ``metrics.json`` of a run says; empty where the run has no such file, or it cannot be read."""
    with tempfile.TemporaryDirectory() as place:
        try:
            found = client.download_artifacts(run_id, "metrics.json", place)
            document = json.loads(Path(found).read_text(encoding="utf-8"))
        except Exception as error:  # MLflow raises what its stores raise
            logger.debug("run %s: no metrics.json: %s", run_id, first_line(error))
            return {}
    return document if isinstance(document, dict) and _is_sound(document) else {}


_GROUPS: Final = ("articles", "baseline", "config", "data_hash", "test")


def _is_sound(document: Mapping[str, Any]) -> bool:
    """Whether what is read of a ``metrics.json`` has the form in which 'fit' writes it; others write runs too."""
    groups = {name: document[name] for name in _GROUPS if name in document}
    return (
        all(isinstance(group, dict) for group in groups.values())
        and isinstance(groups.get("baseline", {}).get("test", {}), dict)
        and isinstance(document.get("lead_1", {}), dict)
        and all(isinstance(count, int) for count in groups.get("articles", {}).values())
        and all(isinstance(digest, str) for digest in groups.get("data_hash", {}).values())
        and all(isinstance(document.get(name, ""), str) for name in ("base", "architecture"))
        and number(document.get("minutes", 0)) is not None
    )


def baseline_of(document: Mapping[str, Any], task: Task) -> float | None:
    """The deciding figure of the baseline in a ``metrics.json`` or in figures that were measured, if it is there."""
    kind = CONTRACTS[task].answers
    return number(_BASELINES[kind](document).get(SCORES[kind]))


_BASELINES: Final[dict[AnswerKind, Callable[[Mapping[str, Any]], Mapping[str, Any]]]] = {
    AnswerKind.LABELS: lambda document: document.get("baseline", {}).get("test", {}),
    AnswerKind.TEXT: lambda document: document.get("lead_1", {}),
}
BASELINE_WORDS: Final = {
    AnswerKind.LABELS: "TF-IDF with logistic regression",
    AnswerKind.TEXT: "the article's first sentence",
}
"""What a model stands beside."""


def shown(figure: float | None) -> str:
    """A figure for people: four decimals from 0 to 1, two from 0 to 100; empty where there is none."""
    return "" if figure is None else f"{figure:.4f}" if abs(figure) < 2 else f"{figure:.2f}"


def number(value: Any) -> float | None:
    """A finite number from a tag or a document, or None."""
    try:
        found = float(value)
    except (TypeError, ValueError, OverflowError):
        return None
    return found if abs(found) < _ENDLESS else None
