"""How long training takes on N workers, from a measured step and the bytes that the workers exchange.

A step is computing plus exchanging. Computing is a constant and a time per article, fitted to measured steps of one
worker. Exchanging follows the ring algorithms (Patarasuk and Yuan, 2009): DDP reduces every gradient over all workers,
which moves ``2 (N-1)/N`` times the parameters' bytes through each of them; FSDP gathers the weights twice and
scatters the gradients once, ``3 (N-1)/N`` times (Rajbhandari et al., 2020). Exchange that happens during computing
is counted in full, which makes predictions for several workers err on the slow side.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

ROUNDS: Final = {"single": 0.0, "ddp": 2.0, "fsdp": 3.0}
"""How often a strategy moves ``(N-1)/N`` of the parameters."""


@dataclass(frozen=True, kw_only=True)
class CostModel:
    """The costs of a step."""

    fixed_ms: float
    """Time of a step whatever its batch: the optimizer, overheads."""
    article_ms: float
    """Time of each article in a worker's batch."""
    parameter_bytes: int
    """Size of the weights that are trained, in the precision that is exchanged (fp32)."""
    bandwidth_gb_s: float
    """What one worker can send to the next, in 10^9 bytes a second."""

    def compute_ms(self, articles: float) -> float:
        """Computing of one batch of a worker."""
        return self.fixed_ms + self.article_ms * articles

    def exchange_ms(self, workers: int, strategy: str) -> float:
        """Exchanging of one optimizer step."""
        if workers < 2:
            return 0.0
        moved = ROUNDS[strategy] * (workers - 1) / workers * self.parameter_bytes
        return moved / (self.bandwidth_gb_s * 1e9) * 1e3

    def step_ms(
        self, *, articles: float, workers: int, strategy: str, accumulation: int = 1, share: float = 1.0
    ) -> float:
        """One optimizer step.

        Args:
            articles: In a batch of one worker.
            workers: How many there are.
            strategy: ``single``, ``ddp`` or ``fsdp``.
            accumulation: Batches a step; DDP exchanges once for all of them, FSDP for each.
            share: Of a processor that a worker has: below 1 when there are more workers than cores.
        """
        times = accumulation if strategy == "fsdp" else 1
        compute = self.fixed_ms + self.article_ms * articles * accumulation
        return compute / share + times * self.exchange_ms(workers, strategy)


def fit_compute(batches: Sequence[int], steps_ms: Sequence[float]) -> tuple[float, float]:
    """``(fixed_ms, article_ms)`` that explain measured steps of one worker best; neither is negative.

    Raises:
        ValueError: There is no step.
    """
    if not batches:
        raise ValueError("a fit needs at least one measured step")
    if len(set(batches)) < 2:
        return 0.0, float(np.median([ms / batch for batch, ms in zip(batches, steps_ms, strict=True)]))
    slope, constant = np.polyfit(np.asarray(batches, dtype=float), np.asarray(steps_ms, dtype=float), 1)
    if constant < 0 or slope < 0:
        return 0.0, float(np.median([ms / batch for batch, ms in zip(batches, steps_ms, strict=True)]))
    return float(constant), float(slope)


def fit_bandwidth(exchange_ms: float, *, workers: int, strategy: str, parameter_bytes: int) -> float:
    """The bandwidth, in 10^9 bytes a second, at which an exchange takes as long as was measured."""
    moved = ROUNDS[strategy] * (workers - 1) / workers * parameter_bytes
    return moved / max(exchange_ms, 1e-3) / 1e6


def plan(
    model: CostModel,
    *,
    articles: int,
    epochs: float,
    per_device: int,
    workers: Sequence[int],
    strategy: str,
    accumulation: int = 1,
) -> list[dict[str, float]]:
    """Predicted training for each number of workers: ``workers, step_ms, hours, speed_up, efficiency, exchange_share``.

    The batch of each worker stays as it is, so more workers take fewer steps.
    """
    rows = []
    for count in workers:
        kind = strategy if count > 1 else "single"
        step = model.step_ms(articles=per_device, workers=count, strategy=kind, accumulation=accumulation)
        steps = articles * epochs / (per_device * accumulation * count)
        times = accumulation if kind == "fsdp" else 1
        rows.append(
            {
                "workers": count,
                "step_ms": step,
                "hours": step * steps / 3.6e6,
                "exchange_share": times * model.exchange_ms(count, kind) / step,
            }
        )
    alone = model.step_ms(articles=per_device, workers=1, strategy="single", accumulation=accumulation)
    alone_hours = alone * articles * epochs / (per_device * accumulation) / 3.6e6
    for row in rows:
        row["speed_up"] = alone_hours / row["hours"]
        row["efficiency"] = row["speed_up"] / row["workers"]
    return rows
