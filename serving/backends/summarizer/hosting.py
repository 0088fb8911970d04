"""Has the summarizer's process run the models of others on its GPU, where the launcher names a place for that."""

from __future__ import annotations

import logging
import os
from pathlib import Path

from engine.sessions.host import Host

HOST = "INFOLENS_GPU_HOST"
"""The environment variable that names the socket, as the backend ``onnxruntime`` reads it."""
HANDING_OVER_S = 20.0
"""How long a summarizer that is replaced by another goes on for the others, until they have opened their models
there."""
_LOG = logging.getLogger(__name__)


def open_host(operators: Path | None) -> Host | None:
    """A host that listens, so that others open their models beside the summarizer; None where there is to be none.

    Args:
        operators: The library of native operators, if there is one.
    """
    place = os.environ.get(HOST, "")
    if not place:
        return None
    host = Host(Path(place), operators)
    try:
        host.start()
    except OSError as error:
        _LOG.warning(
            "classifiers compute on the GPU in processes of their own: %s cannot be listened at: %s", place, error
        )
        return None
    return host
