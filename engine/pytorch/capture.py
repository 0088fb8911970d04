"""Work on a GPU as CUDA graphs."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from functools import cached_property
from threading import Lock
from typing import Any, Final

import torch

_ONE_AT_A_TIME: Final = Lock()
"""PyTorch captures on the same stream, whichever thread asks for it."""


class Captures:
    """Captures work as CUDA graphs, which take turns in the same memory.

    A graph must leave nothing behind but what it writes to tensors that were there before: the memory of what it
    makes in between belongs to all graphs, and no two of them may run at a time.
    """

    @cached_property
    def _stream(self) -> Any:
        """Work is tried out on a stream of its own; on one, since PyTorch keeps memory for each."""
        return torch.cuda.Stream()

    @cached_property
    def _pool(self) -> Any:
        return torch.cuda.graph_pool_handle()

    def capture(self, call: Callable[[], object]) -> Callable[[], object]:
        """Work as a CUDA graph, to be replayed.

        It runs once before, so that what is compiled or chosen at its first run is. A capture that fails leaves no
        trace: what comes after it in the process runs as if it had not been tried.

        Args:
            call: Reads and writes tensors that stay where they are, and never waits for the device.
        """
        current, stream = torch.cuda.current_stream(), self._stream
        stream.wait_stream(current)
        with torch.cuda.stream(stream):
            call()
        current.wait_stream(stream)
        graph = torch.cuda.CUDAGraph()
        try:
            # What other threads do meanwhile, such as the worker of another engine, does not count.
            with _ONE_AT_A_TIME, torch.cuda.graph(graph, pool=self._pool, capture_error_mode="thread_local"):
                call()
        except BaseException:
            _forget_capture(current, self._pool)
            raise
        replay: Callable[[], object] = graph.replay
        return replay


def capture(call: Callable[[], object]) -> Callable[[], object]:
    """Work as a CUDA graph with memory of its own, see `Captures.capture`."""
    return Captures().capture(call)


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
