"""What a model answers to articles, as it is served: asked of a real server that holds nothing but this model."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

from export.errors import AskingError
from export.repository.artefact import FILE_NAME, Artefact
from export.repository.contents import newest_version
from export.repository.deployment import deployment_file, stored_texts, without_serving
from export.repository.generated_files import write_generated
from export.repository.workspace import workspace
from infolens import Article, Client, InfoLensError, InvalidArticleError, Labelled, RequestRejectedError
from infolens.contract import CONTRACTS, UNCLEAR_REASONS, Task

from .tables import Row

_ROOT: Final = Path(__file__).parents[2]
_IN_FLIGHT: Final = 16
_START_S: Final = 300.0
_ANSWER_S: Final = 120.0


@dataclass(frozen=True, kw_only=True)
class Answers:
    """The answers to the articles that the server took, in their order."""

    rows: tuple[Row, ...]
    probabilities: npt.NDArray[np.float64]
    """[n, C], in the order of the model's labels."""
    clear: npt.NDArray[np.bool_]
    """[n]: whether the text was enough to judge by."""
    refused: tuple[str, ...] = ()
    """Why the server did not take the others."""


def ask(repository: Path, name: str, artefact: Artefact, rows: Sequence[Row]) -> Answers:
    """Ask a model of a repository, uncalibrated, about articles.

    Raises:
        AskingError: The server did not start or answer, or took no article.
        RepositoryError: There is no room beside the repository.
    """
    with workspace(repository) as folder, _serving(_alone(repository, name, artefact, folder), folder) as url:
        return ask_server(url, Task(artefact.task), artefact.labels, rows)


def ask_server(url: str, task: Task, labels: Sequence[str], rows: Sequence[Row]) -> Answers:
    """Ask a server about articles.

    Args:
        url: The server's.
        task: What is asked.
        labels: The labels of its model, in whose order the probabilities come.
        rows: The articles.

    Raises:
        AskingError: It took none of them, or did not answer.
    """
    kept: list[Row] = []
    found: list[Labelled] = []
    refused: list[str] = []
    with Client(url, timeout_s=_ANSWER_S) as client:
        results = client.analyze_many(map(_article, rows), tasks=task, in_flight=_IN_FLIGHT)
        for row, result in zip(rows, results, strict=True):
            if isinstance(result, InvalidArticleError | RequestRejectedError):
                refused.append(str(result))
                continue
            if isinstance(result, InfoLensError):
                raise AskingError(f"an article has no answer: {result}") from result
            answer = result.answers[task]
            assert isinstance(answer, Labelled)  # noqa: S101 - a classifier's
            kept.append(row)
            found.append(answer)
    if not kept:
        raise AskingError(f"the server took none of {len(rows)} articles; of the first it said: {refused[0]}")
    reasons = set(UNCLEAR_REASONS.values())
    return Answers(
        rows=tuple(kept),
        probabilities=np.array([[answer.probabilities[label] for label in labels] for answer in found]),
        clear=np.array([answer.doubt not in reasons for answer in found]),
        refused=tuple(refused),
    )


def _article(row: Row) -> Article | InfoLensError:
    try:
        return Article(text=row.text, title=row.title)
    except InvalidArticleError as error:
        return error


def _alone(repository: Path, name: str, artefact: Artefact, folder: Path) -> Path:
    """A repository that holds one model of another, without its temperature and threshold."""
    alone = folder / "model_repository"
    for part in CONTRACTS[Task(artefact.task)].served(name).chain:
        version = str(newest_version(repository / part))
        shutil.copytree(repository / part / version, alone / part / version, copy_function=_link)
    facts = alone / name / str(newest_version(alone / name)) / FILE_NAME
    facts.unlink()  # It is a link to the original.
    facts.write_text(replace(artefact, temperature=1.0, threshold=0.0, calibration={}).to_json(), encoding="utf-8")
    if text := without_serving(stored_texts(repository)[None]):
        (alone / deployment_file(None)).write_text(text, encoding="utf-8")
    write_generated(alone)
    return alone


def _link(source: str, target: str) -> None:
    """Link a file, which may be gigabytes large; copy it where the file system knows no links."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)


@contextmanager
def _serving(repository: Path, folder: Path) -> Iterator[str]:
    """The gRPC URL of ``python -m serving`` with a repository, on free ports, ended afterwards."""
    ready, log = folder / "ready.json", folder / "server.log"
    ports = [option for port in ("http", "grpc", "metrics") for option in (f"--{port}-port", "0")]
    options = ["--repository", str(repository.absolute()), "--ready-file", str(ready.absolute())]
    with log.open("wb") as sink:
        process = subprocess.Popen(  # noqa: S603 - our own module
            [sys.executable, "-m", "serving", *ports, *options], cwd=_ROOT, stdout=sink, stderr=subprocess.STDOUT
        )
    try:
        until_s = time.monotonic() + _START_S
        while not ready.exists():
            try:
                process.wait(timeout=0.2)
            except subprocess.TimeoutExpired:
                if time.monotonic() < until_s:
                    continue
            words = log.read_text(encoding="utf-8", errors="replace")[-2000:]
            raise AskingError(f"the server that was to be asked did not start; its last words:\n{words}")
        yield json.loads(ready.read_text(encoding="utf-8"))["grpc_url"]
    finally:
        process.terminate()
        process.wait(timeout=60)
