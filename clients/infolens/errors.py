"""Every error that infolens raises.

::

    InfoLensError
    ├── InvalidArticleError        the article cannot be analyzed: blank, too large, not UTF-8 (also a ValueError)
    ├── InvalidSettingError        a setting, URL, key or argument is out of range (also a ValueError)
    ├── InvalidTableError          the file is no table of articles that can be read (also a ValueError)
    ├── ClientClosedError          the client was used after `close`
    └── ServerError                the server did not give an answer
        ├── ServerUnavailableError     nobody listens, the connection broke, or the server heals or stops
        │   └── ModelUnavailableError  the server runs, but does not serve the model that was asked for
        ├── RequestTimeoutError        no answer in time (also a TimeoutError)
        ├── ServerOverloadedError      the server is busy: it refused instead of keeping the request waiting
        │   └── RateLimitedError       this API key has asked more than it may for now
        ├── RequestRejectedError       the server looked at the request and refused it
        │   ├── AuthenticationError    the server wants an API key, or does not know the one that was sent
        │   ├── PermissionDeniedError  the API key is valid, but not for this
        │   └── PredictionNotFoundError  nothing is kept under this id, or no more
        ├── InferenceFailedError       a model failed while it worked on the request
        └── UnexpectedResponseError    the answer is not what the contract promises
            └── WrongServerError           what listens there is another server, or speaks another protocol

    InsecureKeyWarning             a warning: an API key is sent over a connection that others can read

A message states the rule, the value and the way out. Nothing of the transport libraries leaks: whatever protocol a
client speaks, these are the errors it raises. None of them holds an API key. `infolens.problems` writes them as
problem details (RFC 9457), and reads them.
"""

from __future__ import annotations


class InfoLensError(Exception):
    """The root: ``except InfoLensError`` catches everything that infolens raises on purpose."""


class InvalidArticleError(InfoLensError, ValueError):
    """The article cannot be analyzed, whatever the server: it is blank, too large or not valid text."""


class InvalidSettingError(InfoLensError, ValueError):
    """A setting, URL, key or argument is out of its range."""


class InvalidTableError(InfoLensError, ValueError):
    """A file is no table of articles that can be read: another thing, too large, broken or without texts and links."""


class ClientClosedError(InfoLensError):
    """The client was used after it had been closed."""


class ServerError(InfoLensError):
    """The server did not give an answer.

    Attributes:
        retry_after_s: In how many seconds the server wants to be asked again; None where it does not say.
        request_id: The server's id of the request, as its log has it; None where it does not say.
        trace_id: The trace with the server's spans of the request; None where it kept none.
    """

    trace_id: str | None = None

    def __init__(self, *words: object, retry_after_s: float | None = None, request_id: str | None = None) -> None:
        super().__init__(*words)
        self.retry_after_s = retry_after_s
        self.request_id = request_id


class ServerUnavailableError(ServerError):
    """Nobody listens at the address, the connection broke, or the server heals or stops.

    ``retry_after_s`` is set where the server itself says so: it is there, and will answer again.
    """


class ModelUnavailableError(ServerUnavailableError):
    """The server runs, but does not serve the model that was asked for."""


class RequestTimeoutError(ServerError, TimeoutError):
    """No answer came in time: the client's deadline passed, or the server dropped the request from its queue."""


class ServerOverloadedError(ServerError):
    """The server is busy: its queue is full, or the answer would come too late, so it refused the request at once."""


class RateLimitedError(ServerOverloadedError):
    """This API key has used up its requests for now, or has too many under way; ``retry_after_s`` says how long."""


class RequestRejectedError(ServerError):
    """The server looked at the request and refused it."""


class AuthenticationError(RequestRejectedError):
    """The server wants an API key and got none, or one that is unknown, expired or revoked."""


class PermissionDeniedError(RequestRejectedError):
    """The API key is valid, but its role does not allow this."""


class PredictionNotFoundError(RequestRejectedError):
    """The server keeps no prediction under this id, or no more."""


class InferenceFailedError(ServerError):
    """A model failed while it worked on the request."""


class UnexpectedResponseError(ServerError):
    """The answer is not what the contract promises: another server, or another version of it."""


class WrongServerError(UnexpectedResponseError):
    """What listens at the address is another server, or speaks another protocol than the URL says."""


class InsecureKeyWarning(UserWarning):
    """An API key is sent without TLS to another machine: everybody on the way can read it."""
