"""Where an exported model comes from: the registered version, the run, the data, the recipe, the code, the figures.

It is read from what training leaves behind: ``metrics.json`` and ``recipe.toml``, in the checkpoint's folder or with
its run in MLflow, and the tags of a registered version.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from enum import StrEnum
from pathlib import Path
from typing import Any, Final

METRICS_FILE: Final = "metrics.json"
RECIPE_FILE: Final = "recipe.toml"
_TEST, _BASELINE = "test_", "baseline_"
"""What the tags of a registered version begin with that are figures."""
_COUNTS: Final = frozenset({"articles", "rows"})
"""Among the figures of a split, how many articles it has."""
_LEADS: Final = {f"lead_{count}": count for count in (1, 2, 3)}
"""A summarizer's baselines: the article's first sentences, by how many."""
_LEAD_FIGURE: Final = "rougeLsum"
_TFIDF: Final = "TF-IDF with logistic regression, trained on the same articles"
_HEADLINES: Final = ("macro_f1", "rougeLsum")
"""The figure that says most, by which models are promoted."""


class Source(StrEnum):
    """Where the export found a checkpoint."""

    REGISTRY = "registry"
    """In an MLflow model registry."""
    TRAINING = "training"
    """In a folder that training wrote, with its figures."""
    HUB = "hub"
    """On the Hugging Face hub."""
    FOLDER = "folder"
    """In a folder that says nothing of how it was trained."""


@dataclass(frozen=True, kw_only=True)
class Lineage:
    """Where a model comes from. What nobody knows is empty, and is never guessed."""

    source: Source
    registered_model: str = ""
    """Its name in the registry."""
    registered_version: str = ""
    """Its version there, a number; an alias that led to it may have moved on since."""
    run_id: str = ""
    """The MLflow run that trained it."""
    base: str = ""
    """What training began with: a hub id, a folder's name, or ``starter`` for a model from scratch. Of a checkpoint of
    the hub: its id."""
    base_revision: str = ""
    """The commit of a checkpoint of the hub."""
    licence: str = ""
    """As the checkpoint's own card on the hub names it, such as ``apache-2.0``."""
    teacher: str = ""
    """The model whose answers it learned from beside the labels."""
    data: str = ""
    """Name of the table or data set."""
    data_hash: dict[str, str] = field(default_factory=dict)
    """A hash of the articles and answers of each split, by its name."""
    articles: dict[str, int] = field(default_factory=dict)
    """How many articles each split has, by its name."""
    recipe_hash: str = ""
    """SHA-256 of the text of ``recipe.toml``, in hexadecimal digits."""
    git_revision: str = ""
    """The revision of the code that trained it, with ``-dirty`` where that was changed."""
    test: dict[str, float] = field(default_factory=dict)
    """Its figures on the test split, by their names, such as ``macro_f1``; empty where none are known."""
    tested_on: int = 0
    """How many articles these were measured on; 0 where that is not known."""
    baseline: dict[str, float] = field(default_factory=dict)
    """Those of the baseline on the same articles."""
    baseline_is: str = ""
    """What the baseline is, in words."""
    out_of_domain: dict[str, float] = field(default_factory=dict)
    """Its figures on articles of sources that it was not trained on."""
    out_of_domain_baseline: dict[str, float] = field(default_factory=dict)
    """Those of the baseline on them."""

    @property
    def headline(self) -> str:
        """The figure that says most, beside the baseline's: ``macro_f1 0.8420, baseline 0.7670``; empty where none."""
        if not (name := self._headline):
            return ""
        beside = f", baseline {self.baseline[name]:.4g}" if name in self.baseline else ""
        return f"{name} {self.test[name]:.4g}{beside}"

    @property
    def is_below_baseline(self) -> bool:
        """Whether the baseline is better in that figure."""
        name = self._headline
        return name in self.baseline and self.test[name] < self.baseline[name]

    @property
    def _headline(self) -> str:
        return next((name for name in _HEADLINES if name in self.test), "")

    def document(self) -> dict[str, Any]:
        """As ``artefact.json`` has it."""
        return {**asdict(self), "source": self.source.value}

    @classmethod
    def of_document(cls, document: Any) -> Lineage:
        """Read what `document` gave.

        Raises:
            ValueError: It is of another form.
        """
        if not isinstance(document, dict) or not document.keys() <= {one.name for one in fields(cls)}:
            raise ValueError("lineage is an object with the fields of an export")
        try:
            found = cls(**{**document, "source": Source(document["source"])})
        except KeyError as error:
            raise ValueError("lineage has no source") from error
        for one in fields(cls):
            value, fault = getattr(found, one.name), f"lineage: {one.name} is not what an export writes"
            if type(value) is not type(_SHAPES[one.name]):
                raise ValueError(fault)
            if isinstance(value, dict) and not all(isinstance(each, _VALUES[one.name]) for each in value.values()):
                raise ValueError(fault)
        return found


_SHAPES: Final = {one.name: getattr(Lineage(source=Source.FOLDER), one.name) for one in fields(Lineage)}
_VALUES: Final[Mapping[str, Any]] = {
    "data_hash": str,
    "articles": int,
    **dict.fromkeys(("test", "baseline", "out_of_domain", "out_of_domain_baseline"), int | float),
}
"""What the values of a field are, where it is a table."""


def of_training(
    metrics: Mapping[str, Any],
    recipe: bytes | None,
    source: Source,
    *,
    run_id: str = "",
    registered_model: str = "",
    registered_version: str = "",
) -> Lineage:
    """The lineage that ``metrics.json`` tells.

    Args:
        metrics: The document, for which `is_of_training` holds.
        recipe: The content of ``recipe.toml``, whose hash counts where the document has none; None where it is gone.
        source: Where both were found.
        run_id: See `Lineage`, as of the next two.
        registered_model: As there.
        registered_version: As there.
    """
    config = _table(metrics.get("config"))
    test, baselines = _table(metrics["test"]), _table(metrics.get("baseline"))
    unseen = "out_of_domain"
    baseline, baseline_is = _figures(baselines.get("test")), _TFIDF
    leads = {name: found for name in _LEADS if _LEAD_FIGURE in (found := _figures(metrics.get(name)))}
    if not baseline and leads:
        best = max(leads, key=lambda name: leads[name][_LEAD_FIGURE])
        baseline, baseline_is = leads[best], f"the article's first sentences, {_LEADS[best]} of them"
    base, counted = str(metrics.get("base", "")), (test.get("articles"), metrics.get("rows"))
    return Lineage(
        source=source,
        base=Path(base).name if base.startswith(("/", ".", "~")) else base,
        teacher=Path(str(config.get("teacher_model") or "")).name,
        data=Path(str(config.get("data") or "")).name,
        data_hash={str(split): str(digest) for split, digest in _table(metrics["data_hash"]).items()},
        articles={
            str(split): count for split, count in _table(metrics.get("articles")).items() if isinstance(count, int)
        },
        recipe_hash=str(metrics.get("recipe_hash") or (hashlib.sha256(recipe).hexdigest() if recipe else "")),
        git_revision=str(metrics.get("git_revision") or ""),
        test=_figures(test),
        tested_on=next((count for count in counted if isinstance(count, int)), 0),
        baseline=baseline,
        baseline_is=baseline_is if baseline else "",
        out_of_domain=_figures(metrics.get(unseen)),
        out_of_domain_baseline=_figures(baselines.get(unseen)),
        run_id=run_id,
        registered_model=registered_model,
        registered_version=registered_version,
    )


def of_tags(
    tags: Mapping[str, str], *, run_id: str = "", registered_model: str = "", registered_version: str = ""
) -> Lineage:
    """The lineage that the tags of a registered version tell, for one whose run has no ``metrics.json``.

    Args:
        tags: ``test_macro_f1``, ``baseline_macro_f1`` and so on, ``data_hash``, ``test_hash``, ``recipe_hash``, and
            ``git_revision``, as far as there are such.
        run_id: See `Lineage`, as of the next two.
        registered_model: As there.
        registered_version: As there.
    """
    baseline = _tagged(tags, _BASELINE)
    hashes = {"train": tags.get("data_hash", ""), "test": tags.get("test_hash", "")}
    return Lineage(
        source=Source.REGISTRY,
        data_hash={split: digest for split, digest in hashes.items() if digest},
        recipe_hash=tags.get("recipe_hash", ""),
        git_revision=tags.get("git_revision", ""),
        test=_tagged(tags, _TEST),
        baseline=baseline,
        baseline_is=_TFIDF if baseline else "",
        run_id=run_id,
        registered_model=registered_model,
        registered_version=registered_version,
    )


def is_of_training(metrics: object) -> bool:
    """Whether a document is a ``metrics.json`` that training wrote; other people's files have that name too."""
    return isinstance(metrics, dict) and all(isinstance(metrics.get(name), dict) for name in ("test", "data_hash"))


def of_folder(folder: Path) -> Lineage:
    """The lineage of a checkpoint's folder: that of its training where this left its files there."""
    metrics = _read(folder / METRICS_FILE)
    if not is_of_training(metrics):
        return Lineage(source=Source.FOLDER)
    recipe, run = folder / RECIPE_FILE, _table(_read(folder / "mlflow.json"))
    known = {"run_id": str(run.get("run_id") or ""), "registered_version": str(run.get("version") or "")}
    if known["registered_version"]:
        known["registered_model"] = str(metrics.get("task", ""))
    return of_training(metrics, recipe.read_bytes() if recipe.is_file() else None, Source.TRAINING, **known)


def _read(file: Path) -> Any:
    try:
        return json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None


def _table(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _figures(value: object) -> dict[str, float]:
    """The plain figures among those of a split, without the numbers of articles."""
    return {name: float(one) for name, one in _table(value).items() if name not in _COUNTS and _is_number(one)}


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _tagged(tags: Mapping[str, str], start: str) -> dict[str, float]:
    found = {}
    for name, text in tags.items():
        if name.startswith(start) and (figure := name.removeprefix(start)) not in _COUNTS:
            try:
                found[figure] = float(text)
            except ValueError:  # such as ``test_hash``
                continue
    return found
