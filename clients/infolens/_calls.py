"""What the blocking and the asyncio client have in common: everything but the waiting."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final, TypeVar

from ._transports.about import read_object, read_served
from ._transports.base import ConnectionSettings, InferRequest
from ._transports.failures import is_busy
from ._transports.keys import find_key, warn_if_readable, with_key
from ._transports.retry import check_timeout
from ._transports.url import ServerURL
from ._transports.wire import for_older, pack, parse_tasks
from ._values.evidence import check_evidence
from .contract import CONTRACTS, INFO_LENS, LABELS_PARAMETER, SERVED_PARAMETER, Task
from .errors import (
    InvalidArticleError,
    InvalidSettingError,
    ServerError,
    ServerOverloadedError,
    UnexpectedResponseError,
)
from .types import Article, Report, ServedTask, ServerStatus, SummaryOptions

Answer = TypeVar("Answer")

DEFAULT_BATCH_IN_FLIGHT: Final = 64


def connection_settings(
    url: ServerURL, api_key: str | None, headers: Mapping[str, str] | None, root_certificates: str | Path | None
) -> ConnectionSettings:
    """The settings of a connection, from the arguments of a client's constructor, which calls this.

    Raises:
        InvalidSettingError: The key cannot be one.
    """
    key = find_key(api_key, headers or {})
    warn_if_readable(url, key, stacklevel=3)
    return ConnectionSettings(
        headers=with_key(headers or {}, key),
        root_certificates=None if root_certificates is None else Path(root_certificates),
    )


def to_article(article: object, title: str | None = None) -> Article:
    """The article that a caller means.

    Raises:
        InvalidArticleError: It is none, or a title was given twice.
    """
    if isinstance(article, Article):
        if title is not None:
            raise InvalidArticleError(
                "a title goes with a text; an Article brings its own: Article(text=..., title=...)"
            )
        return article
    if isinstance(article, str):
        return Article(text=article, title=title)
    raise InvalidArticleError(f"an article is an Article or its text as a str, not {type(article).__name__}")


def request_for(
    article: Article,
    tasks: Iterable[Task | str] | Task | str | None,
    options: SummaryOptions | None,
    *,
    partial: bool,
    evidence: bool = False,
) -> tuple[InferRequest, tuple[Task, ...]]:
    """The request for some tasks of an article, and the tasks that it asks for.

    Raises:
        InvalidSettingError: As of `check_asked`.
    """
    chosen = check_asked(tasks, options, partial=partial, evidence=evidence)
    return pack(article, chosen, options, partial=partial, evidence=evidence), chosen


def check_asked(
    tasks: Iterable[Task | str] | Task | str | None,
    options: SummaryOptions | None,
    *,
    partial: bool,
    evidence: bool = False,
    timeout_s: float | None = None,
) -> tuple[Task, ...]:
    """Check what is asked of an article, and return the tasks.

    Raises:
        InvalidSettingError: A task is unknown, ``options`` are none, ``partial`` or ``evidence`` is no boolean,
            ``evidence`` is wanted of no task that has labels, or ``timeout_s`` is no time-out.
    """
    check_partial(partial)
    if options is not None and not isinstance(options, SummaryOptions):
        raise InvalidSettingError(f"options are SummaryOptions, not {type(options).__name__}")
    if timeout_s is not None:
        check_timeout(timeout_s)
    chosen = parse_tasks(tasks)
    check_evidence(evidence, chosen)
    return chosen


@dataclass(frozen=True, kw_only=True)
class Serving:
    """What the configurations of a server say of its tasks."""

    models: tuple[str, ...]
    """Every model that a task needs, in the order in which an article passes through them."""
    labels: dict[str, tuple[str, ...]]
    """The labels of each task that has labels, by task."""
    tasks: dict[str, ServedTask]
    """What answers each task, by task, where the server's door says it there."""

    def added_to(self, status: ServerStatus) -> ServerStatus:
        """A server's state with what its configurations say; what it says of its tasks elsewhere counts first."""
        return replace(status, labels={**status.labels, **self.labels}, tasks={**self.tasks, **status.tasks})


def entries() -> tuple[str, ...]:
    """The models that clients send requests to: the ensemble of each task, and the model of all tasks."""
    return (*(contract.ensemble for contract in CONTRACTS.values()), INFO_LENS)


def serving(configurations: Mapping[str, Mapping[str, Any]]) -> Serving:
    """Read the configurations of `entries`, by model; a model that the server does not have has an empty one.

    A task that is asked for by default and is not there is listed with the models that it would have.
    """
    models: list[str] = []
    labels: dict[str, tuple[str, ...]] = {}
    tasks: dict[str, ServedTask] = {}
    for task, contract in CONTRACTS.items():
        config = configurations[contract.ensemble]
        if not config and not contract.by_default:
            continue
        steps = config.get("ensemble_scheduling", {}).get("step", ())
        models += [str(step["model_name"]) for step in steps] or contract.served().chain
        models.append(contract.ensemble)
        parameters = config.get("parameters", {})
        if named := parameters.get(LABELS_PARAMETER, {}).get("string_value"):
            labels[task.value] = tuple(json.loads(named))
        if told := read_object(parameters.get(SERVED_PARAMETER, {}).get("string_value", "").encode()):
            tasks[task.value] = read_served(task.value, told)
    return Serving(models=(*models, INFO_LENS), labels=labels, tasks=tasks)


def check_in_flight(in_flight: int) -> int:
    """Return how many requests may be under way.

    Raises:
        InvalidSettingError: It is not a whole number of at least 1.
    """
    if not isinstance(in_flight, int) or isinstance(in_flight, bool) or in_flight < 1:
        raise InvalidSettingError(f"in_flight is a whole number of at least 1, not {in_flight!r}")
    return in_flight


def refused_in(report: Report) -> ServerOverloadedError | None:
    """The refusal by a busy server that a partial answer holds, where it does."""
    for what, reason in report.failed.items():
        if is_busy(reason):
            return ServerOverloadedError(f"the server did not answer {what}: {reason}")
    return None


def asked_again(request: InferRequest, error: ServerError) -> InferRequest | None:
    """What to ask in place of a request that a server of an earlier version refused; None where that is not the cause.

    Such a server refuses the names of outputs that it does not have, before it does any work.
    """
    newest = {contract.unread_output for contract in CONTRACTS.values()}
    # A server that lacks the newest outputs alone keeps the others: its signals are worth another question.
    for older in (for_older(request, known={*request.outputs} - newest), for_older(request)):
        new = set(request.outputs).difference(older.outputs)
        if any(f"unexpected inference output '{name}'" in str(error) for name in new):
            return older
    return None


def check_partial(partial: bool) -> None:
    """Check the argument ``partial``.

    Raises:
        InvalidSettingError: It is not True or False.
    """
    if not isinstance(partial, bool):
        raise InvalidSettingError(f"partial is True or False, not {partial!r}")


def present(answer: Answer | None, task: Task) -> Answer:
    """The one answer that was asked for."""
    if answer is None:
        raise UnexpectedResponseError(f"the answer has no {task.value}, although that was asked for")
    return answer
