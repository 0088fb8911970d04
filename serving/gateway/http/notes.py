"""What is known of a request while it is answered: for the log and the metrics."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from aiohttp import web

from serving.gateway.access.caller import Caller


@dataclass(kw_only=True, slots=True)
class Notes:
    """What handlers add to as they learn of it."""

    request_id: str
    route: str
    """The name of its route, never a path as it came."""
    started_s: float
    """When it came, or its body was whole; on the clock of the event loop."""
    key: str = ""
    """The name of the caller's key, never the key; empty where none was needed."""
    address: str = ""
    """Whose request it is, by what the proxies say that count."""
    model: str = ""
    """A model of the catalogue, once it was found there."""
    bytes_in: int = 0
    bytes_out: int = 0
    """What was sent so far of an answer that goes out piece by piece."""


NOTES: Final = web.RequestKey("notes", Notes)
"""Where a request has them."""
CALLER: Final = web.RequestKey("caller", Caller)
"""Where a request has who sent it, from before its handler is called."""
