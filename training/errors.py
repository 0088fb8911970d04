"""What can go wrong before a training run: errors that name the place, the rule and the way out.

::

    TrainingError
    ├── DataError       a file, a column or a row does not fit the task
    ├── BaseModelError  the base model is missing or has the wrong architecture
    └── SettingError    a ``--set name=value`` is unknown or out of range
"""


class TrainingError(Exception):
    """Base of every error that a user of the training commands can cause and mend."""


class DataError(TrainingError):
    """The data does not fit the task; the message names the file, the column and the row."""


class BaseModelError(TrainingError):
    """The base model cannot be loaded, or it is not of the task's architecture."""


class SettingError(TrainingError):
    """A setting is unknown, or its value is of the wrong type or out of range."""
