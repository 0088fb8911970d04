"""Work on a GPU as a CUDA graph."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Any, Final

import torch

_WARMUP: Final = 3


def capture(call: Callable[[], object]) -> Callable[[], object]:
    """Work as a CUDA graph, to be replayed.

    A capture that fails leaves no trace: what comes after it in the process runs as if it had not been tried.

    Args:
        call: Reads and writes tensors that stay where they are, and never waits for the device.
    """
    current, stream = torch.cuda.current_stream(), torch.cuda.Stream()
    stream.wait_stream(current)
    with torch.cuda.stream(stream):
        for _ in range(_WARMUP):
            call()
    current.wait_stream(stream)
    graph, pool = torch.cuda.CUDAGraph(), torch.cuda.graph_pool_handle()
    try:
        with torch.cuda.graph(graph, pool=pool):
            call()
    except BaseException:
        _forget_capture(current, pool)
        raise
    replay: Callable[[], object] = graph.replay
    return replay


def _forget_capture(current: torch.cuda.Stream, pool: Any) -> None:
    """Undo what PyTorch 2.11 leaves behind where a capture is not valid, since its end raises before it cleans up.

    The capturing stream stays the current one; the allocator believes in a capture, and returns no memory to the card;
    and the generator raises at the next random number.
    """
    torch.cuda.set_stream(current)
    device = current.device_index
    with contextlib.suppress(RuntimeError):  # Where the capture was valid, and the work alone raised, it has ended.
        torch._C._cuda_endAllocateToPool(device, pool)  # noqa: SLF001 - there is no public way
    anew = torch.Generator(f"cuda:{device}")
    torch.cuda.default_generators[device].graphsafe_set_state(anew.graphsafe_get_state())
