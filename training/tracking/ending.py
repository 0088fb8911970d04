"""How a run ends in MLflow when it does not end well: killed by whoever started it, or failed."""

from __future__ import annotations

import gc
import logging
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final

from training.errors import StoppedError

from .client import REASON, WORKED_S, first_line

logger = logging.getLogger(__name__)

KILLED: Final = "KILLED"
FAILED: Final = "FAILED"


@contextmanager
def honest_end(client: Any, run_id: str, worked_s: Callable[[], float] | None = None) -> Iterator[None]:
    """Close a run as ``KILLED`` when the block is interrupted, and as ``FAILED``, with the reason, when it raises.

    A block that ends well leaves the run open: whoever completes it says that it is finished.

    Args:
        client: An ``mlflow.MlflowClient``; None where nothing is recorded.
        run_id: Of the run; empty where nothing is recorded.
        worked_s: Tells how long it was worked on, for the tag `WORKED_S`; None sets none.
    """
    try:
        yield
    except (KeyboardInterrupt, StoppedError) as error:
        _let_go(error)
        end_run(client, run_id, KILLED, worked_s=worked_s and worked_s())
        raise
    except BaseException as error:
        _let_go(error)
        end_run(client, run_id, FAILED, reason=first_line(error), worked_s=worked_s and worked_s())
        raise


def _let_go(error: BaseException) -> None:
    """Free what the frames of an error hold: a write to a database that was interrupted keeps that locked."""
    traceback.clear_frames(error.__traceback__)
    gc.collect()


def end_run(client: Any, run_id: str, status: str, *, reason: str = "", worked_s: float | None = None) -> None:
    """Close a run with a status; a server that is away is said in the log and stops nothing.

    Args:
        client: An ``mlflow.MlflowClient``; None where nothing is recorded.
        run_id: Of the run; empty where nothing is recorded.
        status: One of MLflow's.
        reason: Why it ended, for the tag `REASON`; empty sets none.
        worked_s: How long it was worked on, for the tag `WORKED_S`; None sets none.
    """
    if client is None or not run_id:
        return
    try:
        client.set_terminated(run_id, status=status)
        if reason:
            client.set_tag(run_id, REASON, reason)
        if worked_s is not None:
            client.set_tag(run_id, WORKED_S, f"{worked_s:.1f}")
    except Exception as error:  # MLflow raises what its transports and stores raise
        logger.warning("MLflow did not take that run %s is %s: %s", run_id, status, first_line(error))
