"""Tells the models until when an answer is of use.

A time-out is a length of time, so a model that a request reaches late cannot tell whether it is over. And Triton
2.51 keeps time-outs in its queues at a price: with any of the three settings of a queue's policy it loses the wake-up
of the batcher, and answers come half a second late. So the moment itself travels, as a parameter of the request that
ensembles and ``fan_out`` hand on, and the ``onnxruntime`` backend does not run what comes after it.
"""

from __future__ import annotations

import time
from typing import Final

from tritonclient.grpc import service_pb2

DEADLINE: Final = "infolens_deadline_us"
"""Request parameter: the moment in microseconds of ``CLOCK_MONOTONIC``, which all processes of a machine share."""
_LAST: Final = 2**63 - 1


def with_deadline(request: bytes, left_s: float) -> bytes:
    """A request with the moment at which its time is up.

    Args:
        request: A ``ModelInferRequest``, serialised.
        left_s: Seconds until then.

    Returns:
        The same with one parameter more; one of this name in the request gives way to it.
    """
    addition = service_pb2.ModelInferRequest()
    addition.parameters[DEADLINE].int64_param = min(int(1e6 * (time.monotonic() + left_s)), _LAST)
    # Two messages one after the other are one message with the parts of both, the later ones before the earlier.
    return request + bytes(addition.SerializeToString())
