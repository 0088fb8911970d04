"""Errors of the serving room.

ServingError
├── RuntimeSetupError   the runtime environment cannot be made here
├── TargetError         this machine or a model cannot serve on the GPU that was asked for
├── RepositoryError     the model repository lacks something
├── PortError           a port is taken
├── IntakeError         links are to be fetched in a way that cannot be
├── EdgeError           TLS, origins, proxies or traces are asked for in a way that cannot be
├── ModelsError         models cannot be fetched, or their hashes written
├── StartError          Triton ended, or did not become ready
├── DoorError           the door ended, or did not listen
├── CrashLoopError      Triton ends again and again
├── KeysError           keys are missing, or their store cannot be used
│   ├── KeyNameError    no key has this name, or one has it already
│   └── KeysAwayError   the store does not answer now
├── ReportsError        the store of the reports cannot be used
│   ├── ReportsAwayError    it does not answer now
│   └── ReportsLimitError   a report is too large, or there are too many
└── FeedbackError       the store of the feedback cannot be used
    ├── FeedbackAwayError   it does not answer now
    └── SpoolFullError      it is away, and the spool before it is full
"""

from __future__ import annotations


class ServingError(Exception):
    """The server cannot be brought up; the message says why and what to do."""


class RuntimeSetupError(ServingError):
    """Triton's runtime environment cannot be made on this machine."""


class TargetError(ServingError):
    """This machine, or a model, cannot serve on the GPU that was asked for."""


class RepositoryError(ServingError):
    """The model repository is not there, or a model in it is not complete."""


class PortError(ServingError):
    """Something listens already on a port that the server needs."""


class EdgeError(ServingError):
    """TLS, origins of web pages, proxies or traces are asked for in a way that cannot be kept to."""


class IntakeError(ServingError):
    """Links are to be fetched in a way that cannot be kept to."""


class ModelsError(ServingError):
    """Models cannot be fetched, are not what their hashes say, or their hashes cannot be written."""


class StartError(ServingError):
    """Triton ended while it started, or was not ready in time."""


class DoorError(ServingError):
    """The door ended while it started, did not listen in time, or ends again and again."""


class CrashLoopError(ServingError):
    """Triton ends again and again, and starting it once more would not help."""


class KeysError(ServingError):
    """The server wants keys that are not there, or their store cannot be used as it is."""


class KeyNameError(KeysError):
    """There is no key of this name, there is one already, or no key can be called so."""


class KeysAwayError(KeysError):
    """The store of the keys does not answer now; later it may."""


class ReportsError(ServingError):
    """The store of the kept reports cannot be used as it is."""


class ReportsAwayError(ReportsError):
    """The store of the kept reports does not answer now; later it may."""


class ReportsLimitError(ReportsError):
    """A report is too large to be kept, or too many are kept already; the message is for its caller."""


class FeedbackError(ServingError):
    """The store of the feedback cannot be used as it is."""


class FeedbackAwayError(FeedbackError):
    """The store of the feedback does not answer now; later it may."""


class SpoolFullError(FeedbackError):
    """The store of the feedback is away, and the spool that holds what comes meanwhile is full."""
