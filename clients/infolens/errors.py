"""Every error that infolens raises.

::

    InfoLensError
    ├── InvalidArticleError        the article cannot be analyzed: blank, too large, not UTF-8 (also a ValueError)
    ├── InvalidSettingError        a setting, URL or argument is out of range (also a ValueError)
    ├── ClientClosedError          the client was used after `close`
    └── ServerError                the server did not give an answer
        ├── ServerUnavailableError     nobody listens, the connection broke, or the server is stopping
        │   └── ModelUnavailableError  the server runs, but does not serve the model that was asked for
        ├── RequestTimeoutError        no answer in time (also a TimeoutError)
        ├── ServerOverloadedError      the server is busy: it refused instead of keeping the request waiting
        ├── RequestRejectedError       the server looked at the request and refused it
        ├── InferenceFailedError       a model failed while it worked on the request
        └── UnexpectedResponseError    the answer is not what the contract promises

A message states the rule, the value and the way out. Nothing of the transport libraries leaks: whatever protocol a
client speaks, these are the errors it raises.
"""

from __future__ import annotations


class InfoLensError(Exception):
    """The root: ``except InfoLensError`` catches everything that infolens raises on purpose."""


class InvalidArticleError(InfoLensError, ValueError):
    """The article cannot be analyzed, whatever the server: it is blank, too large or not valid text."""


class InvalidSettingError(InfoLensError, ValueError):
    """A setting, URL or argument is out of its range."""


class ClientClosedError(InfoLensError):
    """The client was used after it had been closed."""


class ServerError(InfoLensError):
    """The server did not give an answer."""


class ServerUnavailableError(ServerError):
    """Nobody listens at the address, the connection broke, or the server is stopping."""


class ModelUnavailableError(ServerUnavailableError):
    """The server runs, but does not serve the model that was asked for."""


class RequestTimeoutError(ServerError, TimeoutError):
    """No answer came in time: the client's deadline passed, or the server dropped the request from its queue."""


class ServerOverloadedError(ServerError):
    """The server is busy: its queue is full, or the answer would come too late, so it refused the request at once."""


class RequestRejectedError(ServerError):
    """The server looked at the request and refused it."""


class InferenceFailedError(ServerError):
    """A model failed while it worked on the request."""


class UnexpectedResponseError(ServerError):
    """The answer is not what the contract promises: another server, or another version of it."""
