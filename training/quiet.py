"""What a user of the commands reads: our own log. What the libraries say of themselves is silenced where they say it.

Warnings and errors of the libraries stay. What no setting of theirs silences is left out by its exact words, which
stand in `NOISE` and nowhere else.
"""

from __future__ import annotations

import logging
import os
import re
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final

OURS: Final = ("training", "inspection", "reading", "infolens")
"""The rooms whose log a user reads from ``INFO`` on; of everything else warnings and errors."""
STAMP: Final = re.compile(r"\d\d:\d\d:\d\d ")
"""How a line of our log begins."""
NOISE: Final = (
    # Ray's controller, in C++: it makes an actor that it restarts, and what the actor was given may be gone by then.
    re.compile(r"core_worker\.cc:\d+: Actor with class name: 'PreemptionWatcher' .* has constructor arguments in the"),
    # torch, in C++: DDP was told to look for unused parameters, as a model that leaves out layers needs it.
    re.compile(r"reducer\.cpp:\d+\] Warning: find_unused_parameters=True was specified in DDP constructor, but"),
)
"""Lines of Ray's processes that no setting silences, and that no user can do anything about."""
_SAID_AT_START: Final = {
    "ray._private.authentication.authentication_token_setup": "Token authentication is enabled for this Ray cluster.",
    "ray._private.worker": "SIGTERM handler is not set",  # a thread starts Ray, and the handler is ours
}
"""Logger -> what Ray says on each start on this machine; that authentication is *not* enabled is worth saying."""

_SETTINGS: Final = {
    "TRANSFORMERS_VERBOSITY": "error",  # it warns of what `inspection` checks and we set: padding, new heads
    "HF_DATASETS_DISABLE_PROGRESS_BARS": "1",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",  # there a command's JSON stands
    "MLFLOW_DISABLE_TELEMETRY": "true",  # it tells its makers of what it is used for
    "HF_HUB_DISABLE_TELEMETRY": "1",
}
"""The libraries' own variables, which their processes inherit; what is set already stays."""


class LogHandler(logging.StreamHandler[Any]):
    """Writes the log to standard error, above the progress bar where there is one."""

    def __init__(self) -> None:
        super().__init__(sys.stderr)
        self.setFormatter(logging.Formatter("%(asctime)s %(message)s", datefmt="%H:%M:%S"))

    def emit(self, record: logging.LogRecord) -> None:
        """Write a record, to what is standard error by now."""
        self.setStream(sys.stderr)
        with above_bar():
            super().emit(record)


@contextmanager
def above_bar() -> Iterator[None]:
    """What is written to standard error in this block stands above the progress bar, if one is drawn."""
    tqdm = sys.modules.get("tqdm.std")  # who has drawn no bar need not wait for its import
    if tqdm is None:
        yield
        return
    with tqdm.tqdm.external_write_mode(file=sys.stderr):
        yield


def set_up() -> None:
    """Show our log on standard error, and of the libraries only what matters; before they are imported."""
    for name, value in _SETTINGS.items():
        os.environ.setdefault(name, value)
    if not in_terminal():
        os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")  # in a terminal a download is seen
    if not coloured():
        os.environ.setdefault("RAY_COLOR_PREFIX", "0")
    if not sys.warnoptions:  # other people's deprecations are no news to a user
        warnings.simplefilter("ignore")
    if not logging.getLogger().handlers:  # else somebody else has this process, and says what its log shows
        _show(logging.INFO)
    for name in _SAID_AT_START:
        logging.getLogger(name).addFilter(_is_news)


def set_up_worker(rank: int) -> None:
    """The same in a process of Ray Train, which has handlers of its own: the first worker's log stands for all."""
    root = logging.getLogger()
    for handler in list(root.handlers):
        if isinstance(handler, logging.StreamHandler) and not isinstance(handler, logging.FileHandler):
            root.removeHandler(handler)
    _show(logging.WARNING if rank else logging.INFO)
    logging.getLogger("ray.train").setLevel(logging.WARNING)  # else each checkpoint is told with all figures
    logging.getLogger("transformers").setLevel(logging.ERROR)


def hook() -> Callable[[], None]:
    """A function that sets up Ray's processes: no warnings and logs which do not concern a user of ours.

    Ray runs it in each process before the search path is set, so it must be pickled by value; a function inside another
    one is.
    """

    def set_up() -> None:
        import gc
        import logging
        import os
        import warnings

        import ray

        gc.set_threshold(100_000)  # loading libraries makes as many objects, and they stay
        warnings.simplefilter("ignore")
        if ray.is_initialized():  # else what looks for "the" Ray fails where a machine has two
            os.environ.setdefault("RAY_ADDRESS", ray.get_runtime_context().gcs_address)
        # Asks every second for the dashboard's state API, which is not there.
        logging.getLogger("ray.train.v2._internal.execution.controller.placement_group_cleaner").setLevel(logging.ERROR)
        # Tracebacks of a worker that failed, and of those whose neighbour is gone: `failures` says it in a line. By
        # filters, since Ray Train sets the levels anew.
        for name, words in (("callbacks.backend_setup", "Graceful shutdown"), ("util", "Error in training function")):
            logger = logging.getLogger(f"ray.train.v2._internal.{name}")
            logger.addFilter(lambda record, words=words: not str(record.msg).startswith(words))  # type: ignore[misc]

    return set_up


def _show(level: int) -> None:
    root = logging.getLogger()
    root.addHandler(LogHandler())
    root.setLevel(logging.WARNING)
    for name in OURS:
        logging.getLogger(name).setLevel(level)


def _is_news(record: logging.LogRecord) -> bool:
    return not str(record.msg).startswith(_SAID_AT_START[record.name])


def is_noise(line: str) -> bool:
    """Whether a line of Ray's processes is one of `NOISE`."""
    return any(pattern.search(line) for pattern in NOISE)


def in_terminal() -> bool:
    """Whether somebody looks at standard error while it is written."""
    return sys.stderr is not None and sys.stderr.isatty() and os.environ.get("TERM") != "dumb"


def coloured() -> bool:
    """Whether colours may be written: in a terminal, unless NO_COLOR (no-color.org) is set."""
    return in_terminal() and not os.environ.get("NO_COLOR")


@contextmanager
def mlflow_silenced() -> Iterator[None]:
    """MLflow prints nothing in this block, neither warnings nor what it has registered; errors are raised."""
    from mlflow.utils.autologging_utils import MlflowEventsAndWarningsBehaviorGlobally

    silence = MlflowEventsAndWarningsBehaviorGlobally(
        disable_event_logs=True, disable_warnings=True, reroute_warnings=False
    )
    with silence, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
