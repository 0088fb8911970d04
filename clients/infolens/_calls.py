"""What the blocking and the asyncio client have in common: everything but the waiting."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final, TypeVar

from ._transports.base import ConnectionSettings, InferRequest
from ._wire import pack, parse_tasks
from .contract import CONTRACTS, ENSEMBLE, Task
from .errors import InvalidArticleError, InvalidSettingError, UnexpectedResponseError
from .types import Article, SummaryOptions

Answer = TypeVar("Answer")

DEFAULT_TIMEOUT_S: Final = 30.0
DEFAULT_IN_FLIGHT: Final = 16

MODELS: Final = (
    *(name for c in CONTRACTS.values() for name in (c.tokenizer, c.model, c.postprocessor, c.ensemble)),
    ENSEMBLE,
)
"""Every model of the contract, in the order in which an article passes through them."""


def connection_settings(headers: Mapping[str, str] | None, root_certificates: str | Path | None) -> ConnectionSettings:
    """The settings of a connection, from a client's arguments."""
    return ConnectionSettings(
        headers=dict(headers or {}), root_certificates=None if root_certificates is None else Path(root_certificates)
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


def requests_for(
    article: Article, tasks: Iterable[Task | str] | Task | str | None, options: SummaryOptions | None
) -> list[tuple[InferRequest, tuple[Task, ...]]]:
    """The requests that answer the tasks, each with the tasks that it answers.

    Raises:
        InvalidSettingError: A task is unknown, or ``options`` are none.
    """
    if options is not None and not isinstance(options, SummaryOptions):
        raise InvalidSettingError(f"options are SummaryOptions, not {type(options).__name__}")
    chosen = parse_tasks(tasks)
    requests = pack(article, chosen, options)
    if len(requests) == 1:
        return [(requests[0], chosen)]
    return [(request, (task,)) for request, task in zip(requests, chosen, strict=True)]


def check_in_flight(in_flight: int) -> int:
    """Return how many requests may be under way.

    Raises:
        InvalidSettingError: It is not a whole number of at least 1.
    """
    if not isinstance(in_flight, int) or isinstance(in_flight, bool) or in_flight < 1:
        raise InvalidSettingError(f"in_flight is a whole number of at least 1, not {in_flight!r}")
    return in_flight


def present(answer: Answer | None, task: Task) -> Answer:
    """The one answer that was asked for."""
    if answer is None:
        raise UnexpectedResponseError(f"the answer has no {task.value}, although that was asked for")
    return answer
