"""The errors of an export; every message states the rule, the value and what to do."""

from __future__ import annotations


class ExportError(Exception):
    """An export could not be made; the model repository is as it was before it.

    Of several exports by one command, those before it were published: its message says which.
    """


class CheckpointError(ExportError):
    """The checkpoint is missing, incomplete or of another architecture."""


class ParityError(ExportError):
    """The exported model does not answer as the checkpoint does."""


class RepositoryError(ExportError):
    """The model repository cannot be written, or its configuration is out of step with the contract."""


class TableError(ExportError):
    """A table of articles to calibrate on cannot be used."""


class AskingError(ExportError):
    """The server whose answers a calibration needs did not start, or did not answer."""


class DeploymentError(ExportError, ValueError):
    """A number of a deployment is out of its range, or its file cannot be read."""
