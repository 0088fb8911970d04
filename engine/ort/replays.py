"""Whether a step that is replayed as a CUDA graph writes what it writes without one.

A replay reads the same memory again. Some kernels of ONNX Runtime copy from memory of the host that is given to others
after a run: a graph with one of them answers rightly at first, and wrongly later, without an error.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, Protocol

import numpy as np
import numpy.typing as npt
import onnxruntime as ort

GRAPH: Final = "gpu_graph_id"
"""The entry of a run's options that says which captured graph it replays; without it there is one for each session."""
_PLAINLY: Final = "-1"
"""The number of a graph that says to use none."""
_COMPARED: Final = ("length", "newest", "tokens", "best_tokens", "finished", "done")
"""What a step decides: numbers that are not rounded."""


class Replayed(Protocol):
    """A session with everything bound."""

    @property
    def session(self) -> ort.InferenceSession:
        """The step."""

    @property
    def binding(self) -> ort.IOBinding:
        """Its memory."""

    def start(self) -> None:
        """Run it, as its graph where it has one."""


def differs(
    run: Replayed,
    source: Mapping[str, ort.OrtValue],
    target: Mapping[str, ort.OrtValue],
    state: Mapping[str, npt.NDArray[Any]],
) -> bool:
    """Whether a step writes something else as a graph than without one.

    Args:
        run: The step.
        source: Memory of the state that it reads, which is overwritten...
        target: ...and of the one that it writes.
        state: What the step begins with, by name, without the first dimension.
    """
    plainly = ort.RunOptions()
    plainly.add_run_config_entry(GRAPH, _PLAINLY)
    found = []
    for start in (lambda: run.session.run_with_iobinding(run.binding, plainly), run.start):
        for name, memory in source.items():
            fill(memory, state[name])
            fill(target[name], np.zeros_like(state[name]))
        start()
        found.append([target[name].numpy().copy() for name in _COMPARED])
    return not all(np.array_equal(one, other) for one, other in zip(*found, strict=True))


def fill(memory: ort.OrtValue, row: npt.NDArray[Any]) -> None:
    """Write a row into every slot of a memory."""
    memory.update_inplace(np.broadcast_to(row, memory.shape()).copy())
