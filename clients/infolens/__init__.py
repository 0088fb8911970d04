"""Info Lens: summary, category and veracity of a news article, from a Triton Inference Server.

>>> from infolens import Client
>>> with Client() as client:  # doctest: +SKIP
...     report = client.analyze("The home side won the final ...", title="Late goal decides the cup")
...     print(report.category.label)
Sports
"""

from __future__ import annotations

from importlib import metadata

from ._links.values import LinkedArticle, LinkedReport
from ._transports.retry import RetryPolicy
from ._transports.traces import continuing_trace
from ._transports.url import DEFAULT_URL
from .aio import AsyncClient
from .client import Client
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

try:
    __version__ = metadata.version("infolens")
except metadata.PackageNotFoundError:  # run from a checkout that is not installed
    __version__ = "0+unknown"

__all__ = [
    "CATEGORIES",
    "DEFAULT_URL",
    "VERACITIES",
    "Article",
    "AsyncClient",
    "AuthenticationError",
    "BatchResult",
    "Category",
    "Client",
    "ClientClosedError",
    "Evidence",
    "InferenceFailedError",
    "InfoLensError",
    "InsecureKeyWarning",
    "InvalidArticleError",
    "InvalidSettingError",
    "InvalidTableError",
    "Labelled",
    "LinkedArticle",
    "LinkedReport",
    "ModelUnavailableError",
    "PermissionDeniedError",
    "Quote",
    "RateLimitedError",
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
