"""Which process runs a model: this one, or the one that owns the GPU, where the launcher says that there is one."""

from __future__ import annotations

import logging
import os
from functools import partial
from pathlib import Path

from engine.sessions.client import HostedSession, Session
from engine.sessions.opening import Wanted, open_model
from engine.sessions.parameters import count, parameters_of, switch
from engine.sessions.providers import REHEARSAL

HOST = "INFOLENS_GPU_HOST"
"""The environment variable that names the socket of the process that owns the GPU."""
WAIT = "gpu_host_wait_s"
"""The parameter for how long to wait for that process."""
_WAIT_S = 60
_LOG = logging.getLogger(__name__)


def open_where(wanted: Wanted, operators: Path | None) -> Session:
    """Open a model in the process that owns the GPU, if it is one for that GPU; else here.

    Args:
        wanted: The model.
        operators: The library of native operators, if there is one.

    Raises:
        ValueError: It cannot be opened; the message says what helps.
    """
    open_own = partial(open_model, wanted, operators)
    place, parameters = os.environ.get(HOST, ""), parameters_of(wanted.config)
    on_gpu = wanted.kind == "GPU" or switch(parameters, REHEARSAL)
    if not place or not on_gpu:
        return open_own()
    if wanted.number:
        _LOG.warning(
            "%s computes on the GPU with the number %d in a process of its own: the one that summarizes uses number 0",
            wanted.config["name"],
            wanted.number,
        )
        return open_own()
    wait_s = count(parameters, WAIT) if WAIT in parameters else _WAIT_S
    return HostedSession(wanted, Path(place), wait_s=wait_s, open_own=open_own)
