"""Info Lens: summary, category and veracity of a news article, from a Triton Inference Server.

>>> from infolens import Client
>>> with Client() as client:  # doctest: +SKIP
...     report = client.analyze("The home side won the final ...", title="Late goal decides the cup")
...     print(report.category.label)
Sports
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

from .contract import CATEGORIES, VERACITIES, Task
from .errors import (
    AuthenticationError,
    ClientClosedError,
    InferenceFailedError,
    InfoLensError,
    InsecureKeyWarning,
    InvalidArticleError,
    InvalidSettingError,
    InvalidTableError,
    ModelUnavailableError,
    PermissionDeniedError,
    PredictionNotFoundError,
    RateLimitedError,
    RequestRejectedError,
    RequestTimeoutError,
    ServerError,
    ServerOverloadedError,
    ServerUnavailableError,
    UnexpectedResponseError,
    WrongServerError,
)
from .types import (
    Article,
    BatchResult,
    Category,
    Evidence,
    Labelled,
    Lineage,
    Quote,
    Reading,
    Report,
    ServedTask,
    ServerStatus,
    Span,
    Summary,
    SummaryOptions,
    Unsupported,
    Veracity,
)

if TYPE_CHECKING:
    from ._feedback.quality import Agreement, Drift, DriftBucket, Estimate, ModelQuality, Quality, RatedDay, RatingBatch
    from ._feedback.values import Forgotten, KeptAnswer, KeptArticle, KeptPrediction, Rated
    from ._links.values import LinkedArticle, LinkedReport
    from ._transports.retry import RetryPolicy
    from ._transports.traces import continuing_trace
    from ._transports.url import DEFAULT_URL
    from .aio import AsyncClient
    from .client import Client

    __version__: str

_LATER: Final = {
    "Agreement": "._feedback.quality",
    "AsyncClient": ".aio",
    "Client": ".client",
    "DEFAULT_URL": "._transports.url",
    "Drift": "._feedback.quality",
    "DriftBucket": "._feedback.quality",
    "Estimate": "._feedback.quality",
    "Forgotten": "._feedback.values",
    "KeptAnswer": "._feedback.values",
    "KeptArticle": "._feedback.values",
    "KeptPrediction": "._feedback.values",
    "LinkedArticle": "._links.values",
    "LinkedReport": "._links.values",
    "ModelQuality": "._feedback.quality",
    "Quality": "._feedback.quality",
    "Rated": "._feedback.values",
    "RatedDay": "._feedback.quality",
    "RatingBatch": "._feedback.quality",
    "RetryPolicy": "._transports.retry",
    "continuing_trace": "._transports.traces",
}
"""Name -> module of what is imported when it is first asked for: whoever needs the contract alone, as every command
line does for its help, waits for no transport."""

__all__ = [
    "CATEGORIES",
    "DEFAULT_URL",
    "VERACITIES",
    "Agreement",
    "Article",
    "AsyncClient",
    "AuthenticationError",
    "BatchResult",
    "Category",
    "Client",
    "ClientClosedError",
    "Drift",
    "DriftBucket",
    "Estimate",
    "Evidence",
    "Forgotten",
    "InferenceFailedError",
    "InfoLensError",
    "InsecureKeyWarning",
    "InvalidArticleError",
    "InvalidSettingError",
    "InvalidTableError",
    "KeptAnswer",
    "KeptArticle",
    "KeptPrediction",
    "Labelled",
    "Lineage",
    "LinkedArticle",
    "LinkedReport",
    "ModelQuality",
    "ModelUnavailableError",
    "PermissionDeniedError",
    "PredictionNotFoundError",
    "Quality",
    "Quote",
    "RateLimitedError",
    "Rated",
    "RatedDay",
    "RatingBatch",
    "Reading",
    "Report",
    "RequestRejectedError",
    "RequestTimeoutError",
    "RetryPolicy",
    "ServedTask",
    "ServerError",
    "ServerOverloadedError",
    "ServerStatus",
    "ServerUnavailableError",
    "Span",
    "Summary",
    "SummaryOptions",
    "Task",
    "UnexpectedResponseError",
    "Unsupported",
    "Veracity",
    "WrongServerError",
    "__version__",
    "continuing_trace",
]


def __getattr__(name: str) -> Any:
    """What `_LATER` names, and the version."""
    if name == "__version__":
        value: Any = _version()
    elif name in _LATER:
        value = getattr(import_module(_LATER[name], __name__), name)
    else:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


def _version() -> str:
    from importlib import metadata

    try:
        return metadata.version("infolens")
    except metadata.PackageNotFoundError:  # run from a checkout that is not installed
        return "0+unknown"
