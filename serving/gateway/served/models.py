"""Which model answers a task, in which version and revision, and what its labels and limits are."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from infolens.contract import CONTRACTS, LABELS_PARAMETER, SUMMARY_SETTINGS, AnswerKind, Task
from serving.gateway.catalogue import Catalogue, CatalogueModel

_REVISION_DIGITS: Final = 12
_CARD: Final = "README.md"
_OF_CARDS: Final = frozenset({_CARD, "calibration.png", "reference.json"})
"""What is said of a model and is no part of it: its card, where a newer version took its place, and what its training
articles were like."""
_LINEAGE: Final[Mapping[str, Callable[[], Any]]] = {
    **dict.fromkeys(("source", "registered_model", "registered_version", "run_id"), str),
    **dict.fromkeys(("base", "base_revision", "licence", "teacher", "data", "recipe_hash", "git_revision"), str),
    **dict.fromkeys(("data_hash", "articles", "test", "baseline", "out_of_domain", "out_of_domain_baseline"), dict),
    "tested_on": int,
    "baseline_is": str,
}
"""What `lineage` of ``artefact.json`` says, and what each of it is."""
_IS: Final[Mapping[str, tuple[str, str]]] = {
    Task.SUMMARY: (
        "A few sentences that say what the article says: its own (style extractive), or a model's (style free).",
        "No guarantee in the style free: a sentence may join what the article does not (`unsupported`: some of it).",
    ),
    Task.CATEGORY: (
        "The label that fits the wording of the article best, of those that the model learned.",
        "Not a topic in words of its own: an article that fits no label gets one all the same.",
    ),
    Task.VERACITY: (
        "Whether the article is worded like the real or the fake articles that the model learned from.",
        "Not a fact check: the model knows nothing of the world.",
    ),
}
_OTHERWISE: Final[Mapping[AnswerKind, tuple[str, str]]] = {
    AnswerKind.TEXT: ("A text that a model wrote.", "No guarantee of what it says."),
    AnswerKind.LABELS: ("The label that fits the article best.", "No guarantee that it is right."),
}


@dataclass(frozen=True, kw_only=True)
class ServedTask:
    """The model that answers a task."""

    task: Task
    ensemble: str
    """The name that Triton clients ask."""
    model: str
    version: str
    revision: str
    """The first digits of the SHA-256 of its files; empty where they cannot be read."""
    labels: tuple[str, ...]
    max_tokens: int | None
    accuracy: Mapping[str, float | None] | None
    """How often its label is right, by where its articles are from; None where nothing was measured."""
    lineage: Mapping[str, Any] | None
    """Where it comes from, as the export found it; None where its artefact is of before and does not say."""
    card: Path | None
    defaults: Mapping[str, float]
    """What counts for the settings that are of the model, where a request leaves them out, by name."""

    @property
    def named(self) -> dict[str, str]:
        """Model, version and revision, as answers have them."""
        return {"model": self.model, "version": self.version, "revision": self.revision}

    @property
    def claims(self) -> tuple[str, str]:
        """What its answers are, and what they are not."""
        return _IS.get(self.task) or _OTHERWISE[CONTRACTS[self.task].answers]

    @property
    def document(self) -> dict[str, Any]:
        """All that ``/v1/models`` says of it."""
        is_, is_not = self.claims
        return {
            "task": str(self.task),
            "name": self.ensemble,
            **self.named,
            "labels": list(self.labels) or None,
            "max_tokens": self.max_tokens,
            "accuracy": self.accuracy,
            "lineage": self.lineage,
            "is": is_,
            "is_not": is_not,
            "card": f"models/{self.task}/card" if self.card else None,
        }


class Served:
    """The models of all tasks, looked up anew when the catalogue has changed.

    Args:
        catalogue: The models that Triton has loaded.
        repository: The folder that holds a folder for each model.
    """

    def __init__(self, catalogue: Catalogue, repository: Path) -> None:
        self._catalogue = catalogue
        self._repository = repository
        self._seen: Mapping[str, CatalogueModel] = {}
        self._tasks: Mapping[Task, ServedTask] = {}
        self._revisions: dict[Path, tuple[object, str]] = {}

    async def tasks(self) -> Mapping[Task, ServedTask]:
        """The model of each task that is served.

        Raises:
            RefusedError: Triton cannot be asked now.
        """
        if not self._catalogue.models_by_name:
            await self._catalogue.refresh()
        models = self._catalogue.models_by_name
        if models is not self._seen:
            self._tasks = await asyncio.to_thread(self._read, models)
            self._seen = models
        return self._tasks

    def _read(self, models: Mapping[str, CatalogueModel]) -> Mapping[Task, ServedTask]:
        found = {}
        for task, contract in CONTRACTS.items():
            if contract.ensemble not in models:
                continue
            reached = self._catalogue.reached_from([contract.ensemble])
            for name in sorted(reached):
                if reached.issuperset(contract.served(name).chain):
                    found[task] = self._served(task, models, name)
        return found

    def _served(self, task: Task, models: Mapping[str, CatalogueModel], name: str) -> ServedTask:
        contract = CONTRACTS[task]
        ensemble, model = models[contract.ensemble], models.get(name)
        version = max(model.versions if model else ("",), key=lambda one: int(one or 0), default="")
        folder = self._repository / name / version
        card = self._repository / name / _CARD
        artefact = _artefact(folder)
        limit = artefact.get("max_tokens")
        return ServedTask(
            task=task,
            ensemble=ensemble.name,
            model=name,
            version=version,
            revision=self._revision(folder),
            labels=tuple(json.loads(ensemble.parameters.get(LABELS_PARAMETER) or "[]")),
            max_tokens=limit if isinstance(limit, int) else None,
            accuracy=_accuracy(artefact),
            lineage=_lineage(artefact),
            card=card if card.is_file() else None,
            defaults=_defaults(models.get(contract.served(name).tokenizer)),
        )

    def _revision(self, folder: Path) -> str:
        """The revision of the files in a folder, computed once for each state of them."""
        try:
            paths = sorted(path for path in folder.iterdir() if path.is_file() and path.name not in _OF_CARDS)
            stamps = [(path.name, path.stat().st_size, path.stat().st_mtime_ns) for path in paths]
            known = self._revisions.get(folder)
            if known is None or known[0] != stamps:
                known = self._revisions[folder] = (stamps, _digest(paths))
        except OSError:
            return ""
        return known[1]


def _digest(paths: Sequence[Path]) -> str:
    digest = hashlib.sha256()
    for path in paths:
        with path.open("rb") as file:
            digest.update(path.name.encode() + b"\0" + hashlib.file_digest(file, "sha256").digest())
    return digest.hexdigest()[:_REVISION_DIGITS]


def _defaults(tokenizer: CatalogueModel | None) -> dict[str, float]:
    """What a tokenizer gives the settings that are of the model: its configuration's."""
    parameters = tokenizer.parameters if tokenizer else {}
    named = {one.name: parameters.get(f"setting.{one.name}") for one in SUMMARY_SETTINGS if one.of_the_model}
    return {name: json.loads(text)["default"] for name, text in named.items() if text}


def _accuracy(artefact: Mapping[str, Any]) -> dict[str, float | None] | None:
    """What the calibration of a classifier has measured; its last figures are those over all collections."""
    calibration = artefact.get("calibration")
    if not isinstance(calibration, dict) or not calibration:
        return None
    figures = calibration.get("figures")
    known = calibration.get("in_domain")
    unseen = figures[-1] if isinstance(figures, list) and figures else None
    found = {
        "in_domain": _share(known, "accuracy"),
        "unseen": _share(unseen, "accuracy"),
        "unseen_answered": _share(unseen, "accuracy_answered"),
        "answered": _share(unseen, "coverage"),
    }
    return None if all(one is None for one in found.values()) else found


def _share(figures: object, name: str) -> float | None:
    value = figures.get(name) if isinstance(figures, dict) else None
    return value if isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= 1 else None


def _lineage(artefact: Mapping[str, Any]) -> dict[str, Any] | None:
    """Where a model comes from, with an empty value for what its artefact does not say, or says in another form."""
    found = artefact.get("lineage")
    if not isinstance(found, dict):
        return None
    empty = {name: make() for name, make in _LINEAGE.items()}
    return {name: found[name] if type(found.get(name)) is type(value) else value for name, value in empty.items()}


def _artefact(folder: Path) -> Mapping[str, Any]:
    """What the export wrote beside the model; empty where it wrote nothing that can be read."""
    try:
        document = json.loads((folder / "artefact.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return document if isinstance(document, dict) else {}
