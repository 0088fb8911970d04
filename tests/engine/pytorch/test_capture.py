"""What PyTorch is told where a CUDA graph cannot be captured; none is captured without a GPU."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from engine.pytorch.capture import capture


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Any, ...]]:
    """A card on which no capture is valid, and what it is told."""
    told: list[tuple[Any, ...]] = []
    current, pool = SimpleNamespace(device_index=0, wait_stream=lambda _: None), (0, 7)
    generator = SimpleNamespace(graphsafe_set_state=lambda state: told.append(("generator", state)))

    @contextmanager
    def invalid(graph: Any, **_: Any) -> Iterator[None]:
        yield
        raise RuntimeError("CUDA error: operation failed due to a previous error during capture")

    for name, value in {
        "current_stream": lambda: current,
        "Stream": lambda: SimpleNamespace(wait_stream=lambda _: None),
        "stream": lambda _: nullcontext(),
        "CUDAGraph": SimpleNamespace,
        "graph_pool_handle": lambda: pool,
        "graph": invalid,
        "set_stream": lambda stream: told.append(("stream", stream is current)),
        "default_generators": (generator,),
    }.items():
        monkeypatch.setattr(torch.cuda, name, value)
    end = "_cuda_endAllocateToPool"
    monkeypatch.setattr(torch._C, end, lambda *call: told.append(("pool", *call)), raising=False)
    monkeypatch.setattr(torch, "Generator", lambda _: SimpleNamespace(graphsafe_get_state=lambda: "anew"))
    return told


def test_a_capture_that_fails_is_forgotten(told: list[tuple[Any, ...]]) -> None:
    calls: list[int] = []
    with pytest.raises(RuntimeError, match="during capture"):
        capture(lambda: calls.append(0))
    assert told == [("stream", True), ("pool", 0, (0, 7)), ("generator", "anew")]
    assert len(calls) == 2, "one to warm up, one to be captured"
