"""What a part sends at toy size."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import torch

from benchmarks.gpu.context import Context, Row, Setting, Skipped
from benchmarks.gpu.roofline import Rates

RATES = Rates(copy_bytes_per_s=1e10, operations_per_s={"fp32": 1e11, "fp16": 2e11, "bf16": 2e11})


class Sent:
    """A context's results, by kind."""

    def __init__(self, rates: Rates | None = RATES) -> None:
        self.everything: list[Row | Skipped | Setting | Rates] = []
        self.context = Context(
            device="cpu", toy=True, deadline_s=time.monotonic() + 600, send=self.everything.append, rates=rates
        )

    def rows(self, table: str) -> list[dict[str, Any]]:
        return [dict(one.cells) for one in self.everything if isinstance(one, Row) and one.table == table]

    def skipped(self) -> dict[str, str]:
        return {one.what: one.reason for one in self.everything if isinstance(one, Skipped)}

    def by(self, part: Callable[[Context], None]) -> Sent:
        """Run a part with one thread: two of them make models of this size several times slower."""
        before = torch.get_num_threads()
        torch.set_num_threads(1)
        try:
            part(self.context)
        finally:
            torch.set_num_threads(before)
        return self
