"""Articles as the tensors of a request, and the tensors of an answer as a report: for servers and gateways.

Programs that ask a server use `Client`, which does this for them.
"""

from infolens._transports.base import InferRequest
from infolens._transports.wire import DTYPES, default_tasks, for_older, pack, parse_tasks, unpack

__all__ = ["DTYPES", "InferRequest", "default_tasks", "for_older", "pack", "parse_tasks", "unpack"]
