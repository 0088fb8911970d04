"""The parts that check and time the summarizer, where something is wrong."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

import engine.pytorch.batch
from benchmarks.gpu.kernels import kernels_of
from benchmarks.gpu.parts import correctness, summaries
from benchmarks.gpu.summarizer import Size, Summarizer
from engine.pytorch.batch import BatchExecutor
from engine.pytorch.options import Options
from tests.benchmarks.gpu.sent import Sent


def test_an_engine_that_writes_other_tokens_fails_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    """A search that ignores which words must not be repeated."""
    real = engine.pytorch.batch.wishes_of

    def forgetful(settings: Any, bucket: Any) -> Any:
        return {**real(settings, bucket), "no_repeat_ngram_size": np.asarray(0)}

    monkeypatch.setattr(engine.pytorch.batch, "wishes_of", forgetful)
    sent = Sent()
    with pytest.raises(correctness.DifferentTokensError, match="mixed settings in one batch, small model, beams 4"):
        sent.by(correctness.run)
    assert False in {row["passed"] for row in sent.rows("check")}


def test_a_check_that_breaks_fails_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: Any) -> None:
        raise RuntimeError("CUDA error: an illegal memory access was encountered")

    monkeypatch.setattr(BatchExecutor, "encode", broken)
    monkeypatch.setattr(correctness, "_full", broken)
    sent = Sent()
    with pytest.raises(correctness.DifferentTokensError, match="full size"):
        sent.by(correctness.run)
    assert all("illegal memory access" in reason for reason in sent.skipped().values())


def test_what_does_not_fit_leaves_the_rest(monkeypatch: pytest.MonkeyPatch) -> None:
    real = Summarizer.executor

    def small_card(self: Summarizer, size: Size, options: Options) -> BatchExecutor:
        if size.batch > 1 or options.attention == "products":
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 9.00 GiB.")
        return real(self, size, options)

    monkeypatch.setattr(Summarizer, "executor", small_card)
    sent = Sent().by(summaries.run)
    assert {row["batch"] for row in sent.rows("sweep")} == {1}
    assert "eager, two products" not in {row["way"] for row in sent.rows("ways")}
    reasons = sent.skipped()
    assert "eager, two products, batch 1, 4 beams, 12 tokens out" in reasons
    assert {reason.partition(", batch ")[2] for reason in reasons} >= {f"{n}, 4 beams, 12 tokens out" for n in (2, 3)}
    assert all("out of memory" in reason for reason in reasons.values())


def test_kernels_are_those_of_one_call() -> None:
    x = torch.ones(64, 64)
    found = {kernel.kernel: kernel for kernel in kernels_of(lambda: torch.mm(x, x), "cpu")}
    assert found["aten::mm"].calls == 1
    assert 0 < found["aten::mm"].share <= 1
