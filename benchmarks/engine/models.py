"""The models that are measured: where both forms of them lie, and what they are asked."""

from __future__ import annotations

import hashlib
import json
import logging
import shutil
import subprocess
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from benchmarks.common.environments import last_lines
from benchmarks.common.fixtures import FixtureSize, make_fixtures
from benchmarks.common.served import served_models
from benchmarks.common.server import ROOT, BenchmarkError
from benchmarks.common.shapes import shape_of
from engine.artefact import Artefact, read
from engine.article import Article
from engine.settings import Settings
from infolens.contract import SUMMARY_SETTINGS, Task

from .cases import cases_of, long_cases
from .comparing import Case
from .work import Articles, Defaults, random_articles

CACHE: Final = ROOT / ".cache"
GRAPH: Final = "model.onnx"
_STEPS: Final = "steps"
"""The folder beside it that ``python -m export.uncompared.forms`` writes."""
_SEED: Final = 0
_TOKENS_IN, _TOKENS_OUT = 512, 60
"""The work for a model of full size, as `benchmarks.peers` gives it."""
_HIGHEST_ID: Final = 1700
"""Ordinary tokens of every fixture lie below it."""
_LOG: Final = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Model:
    """A model in both forms."""

    words: str
    graph: Path
    """The one graph."""
    artefact: Artefact
    """The graphs of the engine."""
    cases: tuple[Case, ...]
    typical: Article
    """What steps are measured with: the longest article that is summarised freely."""

    @property
    def source_length(self) -> int:
        """Tokens of the longest article."""
        return max(len(article.ids) for case in self.cases for article in case.articles)

    @property
    def target_length(self) -> int:
        """Tokens of the longest summary that is asked for."""
        return max(article.settings.max_length for case in self.cases for article in case.articles)

    @property
    def beams(self) -> tuple[int, ...]:
        """What is asked for."""
        found = {article.settings.num_beams for case in self.cases for article in case.articles}
        return tuple(sorted(found))


def served(repository: Path, articles: int) -> Model:
    """The summarizer of a model repository, asked in the words of its tokenizer.

    Args:
        repository: A model repository.
        articles: Of a case.

    Raises:
        BenchmarkError: It has no summarizer that is one graph, or its other form cannot be written.
    """
    models = served_models(repository)[Task.SUMMARY]
    version = newest(repository / models.name)
    about = facts(version)
    artefact = in_steps(version)
    asked = {setting.name: setting.default for setting in SUMMARY_SETTINGS}
    settings = Settings(
        min_length=int(asked["min_length"]),
        max_length=int(asked["max_length"]),
        length_penalty=asked["length_penalty"],
        num_beams=about["num_beams"],
        no_repeat_ngram_size=artefact.no_repeat_ngram_size,
        early_stopping=artefact.early_stopping,
    )
    defaults = Defaults(
        settings=settings,
        quotes=(about["style"], about["extraction"]) == ("extractive", "search"),
        searched=about["extraction"] != "choice",
    )
    tokenizer = newest(repository / models.tokenizer) / "tokenizer.json"
    source = Articles(tokenizer, defaults, longest=about["max_tokens"], seed=_SEED)
    words = f"{models.name} ({about['parameters'] / 1e6:.1f} M weights)"
    return _model(words, version, artefact, cases_of(source, articles))


def full(articles: int, size: FixtureSize = FixtureSize.FULL, cache: Path = CACHE) -> Model:
    """BART with random weights in int8, made and written in both forms where it is missing.

    Args:
        articles: Of a case.
        size: How large the model is.
        cache: Keeps the checkpoint in ``fixtures``, and both forms in ``engine``.

    Raises:
        BenchmarkError: It could not be written or read.
    """
    shape = shape_of("bart")
    checkpoint = make_fixtures(cache / "fixtures", size, [Task.SUMMARY])[Task.SUMMARY]
    version = in_both_forms(checkpoint, cache / "engine")
    artefact = _read(version / _STEPS)
    settings = Settings(
        min_length=_TOKENS_OUT,
        max_length=_TOKENS_OUT,
        length_penalty=2.0,
        no_repeat_ngram_size=artefact.no_repeat_ngram_size,
        early_stopping=artefact.early_stopping,
    )
    found = random_articles(articles, _TOKENS_IN, _HIGHEST_ID, settings)
    published = {FixtureSize.FULL: shape.published, FixtureSize.SMALL: f"a small {shape.name}"}[size]
    return _model(f"{published}, random weights", version, artefact, long_cases(found))


def newest(model: Path) -> Path:
    """The folder of a model's newest version.

    Raises:
        BenchmarkError: There is none.
    """
    versions = [folder for folder in model.iterdir() if folder.name.isdecimal()] if model.is_dir() else []
    if not versions:
        raise BenchmarkError(f"{model} has no version: export the model again")
    return max(versions, key=lambda folder: int(folder.name))


def facts(version: Path) -> dict[str, Any]:
    """What ``artefact.json`` of a version says.

    Raises:
        BenchmarkError: It is missing or damaged, or the version is not one graph in int8.
    """
    try:
        found: dict[str, Any] = json.loads((version / "artefact.json").read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise BenchmarkError(f"{version / 'artefact.json'} cannot be read ({error}): export the model again") from error
    if found.get("precision") != "int8" or not (version / GRAPH).is_file():
        raise BenchmarkError(
            f"both forms are written from {GRAPH} in int8, and {version} has none: export the checkpoint as one graph "
            "into another repository, and name that with --repository"
        )
    return found


def in_steps(version: Path, cache: Path = CACHE / "engine") -> Artefact:
    """The engine's form of a version, written by ``python -m export steps`` where it is missing.

    Raises:
        BenchmarkError: It cannot be written or read; the message ends with the last lines of the export.
    """
    files = sorted(version.glob(f"{GRAPH}*"))  # The weights of a large model have a file of their own.
    return _read(_written(cache / _digest(files), "export", "steps", str(version)))


def in_both_forms(checkpoint: Path, cache: Path = CACHE / "engine") -> Path:
    """A folder with both forms of a checkpoint, written by ``python -m export.uncompared.forms`` where it is missing.

    Nothing is compared with ``transformers``. What was written of an earlier checkpoint of the same name is deleted.

    Raises:
        BenchmarkError: It cannot be written; the message ends with the last lines of the export.
    """
    folder = cache / f"{checkpoint.name}-{_digest(sorted(checkpoint.iterdir()))}"
    for old in set(cache.glob(f"{checkpoint.name}-*")) - {folder}:
        shutil.rmtree(old, ignore_errors=True)
    return _written(folder, "export.uncompared.forms", str(checkpoint))


def _digest(files: Iterable[Path]) -> str:
    """What is written from files depends on: their content, and the code that writes."""
    writers = [*sorted((ROOT / "export").rglob("*.py")), *sorted((ROOT / "engine").glob("*.py"))]
    digest = hashlib.sha256()
    for path in (*files, *writers):
        with path.open("rb") as stream:
            digest.update(hashlib.file_digest(stream, "sha256").digest())
    return digest.hexdigest()[:16]


def _written(folder: Path, *command: str) -> Path:
    """The folder, written by a module of the room ``export`` where it is missing."""
    if folder.is_dir():
        return folder
    _LOG.info("==> writing %s", folder)
    words = [sys.executable, "-m", *command, "--out", str(folder)]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=False)  # noqa: S603 - ours
    if done.returncode:
        raise BenchmarkError(f"python -m {' '.join(command)} failed: {last_lines(done.stderr or done.stdout)}")
    return folder


def _read(folder: Path) -> Artefact:
    try:
        return read(folder)
    except ValueError as error:
        raise BenchmarkError(str(error)) from error


def _model(words: str, version: Path, artefact: Artefact, cases: Sequence[Case]) -> Model:
    free = [article for case in cases for article in case.articles if article.plain]
    return Model(
        words=words,
        graph=version / GRAPH,
        artefact=artefact,
        cases=tuple(cases),
        typical=max(free, key=lambda article: len(article.ids)),
    )
