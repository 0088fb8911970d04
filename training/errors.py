"""What can go wrong before a training run: errors that name the place, the rule and the way out.

::

    TrainingError
    ├── DataError       a file, a column or a row does not fit the task
    ├── BaseModelError  the base model is missing or has the wrong architecture
    ├── SettingError    a ``--set name=value`` or a recipe file does not fit
    ├── StorageError    a place for checkpoints cannot be reached or written to
    ├── TrackingError   the MLflow server cannot be reached, or has no such run or model
    ├── RunError        a run broke off; what it had finished is kept
    │   └── DivergedError   the loss is infinite or not a number
    └── StoppedError    whoever started a command stopped it; what it had finished is kept
"""


class TrainingError(Exception):
    """Base of every error that a user of the training commands can cause and put right."""


class DataError(TrainingError):
    """The data does not fit the task; the message names the file, the column and the row."""


class BaseModelError(TrainingError):
    """The base model cannot be loaded, or it is not of the task's architecture."""


class SettingError(TrainingError):
    """A setting is unknown, or its value is of the wrong type or out of range."""


class StorageError(TrainingError):
    """A folder or URL for checkpoints cannot be reached, or cannot be written to."""


class TrackingError(TrainingError):
    """The MLflow server cannot be reached, or does not have what was asked for."""


class RunError(TrainingError):
    """A run broke off: a full disk, workers that keep dying; the message says how to go on."""


class DivergedError(RunError):
    """The loss is infinite or not a number; the message says at which step, and what may help."""


class StoppedError(TrainingError):
    """A command was stopped (Ctrl-C, SIGTERM); the message is one line that says how to go on."""
