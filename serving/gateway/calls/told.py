"""What the models are told with each request: until when its answer is of use, and its ticket.

A time-out is a length of time, so a model that a request reaches late cannot tell whether it is over. And Triton
2.51 keeps time-outs in its queues at a price: with any of the three settings of a queue's policy it loses the wake-up
of the batcher, and answers come half a second late. So the moment itself travels, as a parameter of the request that
ensembles and ``fan_out`` hand on, and the backends do not begin what comes after it. The ticket, a number, travels
in the same way: what it is good for says `board`.
"""

from __future__ import annotations

import time
from typing import Final

from tritonclient.grpc import service_pb2

DEADLINE: Final = "infolens_deadline_us"
"""Request parameter: the moment in microseconds of ``CLOCK_MONOTONIC``, which all processes of a machine share."""
TICKET: Final = "infolens_ticket"
"""Request parameter: the number by which the board names the request."""
_LAST: Final = 2**63 - 1


def told(request: bytes, ticket: int, left_s: float | None) -> bytes:
    """A request with what the models are told.

    Args:
        request: A ``ModelInferRequest``, serialised.
        ticket: Its number.
        left_s: Seconds until its time is up; None is no limit.

    Returns:
        The same with one or two parameters more; those of these names in the request give way to them.
    """
    addition = service_pb2.ModelInferRequest()
    addition.parameters[TICKET].int64_param = ticket
    if left_s is not None:
        addition.parameters[DEADLINE].int64_param = min(int(1e6 * (time.monotonic() + left_s)), _LAST)
    # Two messages one after the other are one message with the parts of both, the later ones before the earlier.
    return request + bytes(addition.SerializeToString())
