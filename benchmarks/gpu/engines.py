"""Every executor of the engine over one model with random weights: its graphs, and whatever runs them here."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from benchmarks.common.server import ROOT
from engine.artefact import Artefact, read
from engine.article import Article, Integers
from engine.executor import Executor
from engine.opening import DEVICES, EngineOptions
from engine.settings import Bucket

from .context import Context

_STEPS_WITHOUT_AN_END: Final = 4
"""How many times as many steps as a summary has tokens are waited for."""


class GraphsError(Exception):
    """The graphs could not be written; the message is what the writer said last."""


class StuckError(Exception):
    """An executor goes on stepping, and a search that must be over is not."""


@contextmanager
def graphs_of(model: Any, precision: str) -> Iterator[Artefact]:
    """The engine's graphs of a model of ``transformers``, in a folder that is deleted afterwards.

    The writer is a program of another room, and a process of its own: a checkpoint lies between the two.

    Args:
        model: BART.
        precision: One of `engine.artefact.PRECISIONS`.

    Raises:
        GraphsError: They could not be written.
    """
    with tempfile.TemporaryDirectory(prefix="info-lens-engine-") as scratch:
        checkpoint, folder = Path(scratch, "checkpoint"), Path(scratch, "engine")
        model.save_pretrained(checkpoint)
        command = [sys.executable, "-m", "export.graph.step", str(checkpoint), str(folder), "--precision", precision]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)  # noqa: S603 - ours
        if done.returncode:
            said = (done.stderr or done.stdout).strip().splitlines()
            raise GraphsError(said[-1] if said else f"exit code {done.returncode}")
        yield read(folder)


def executor_of(device: str, artefact: Artefact, bucket: Bucket) -> Executor:
    """An executor.

    Raises:
        UnavailableError: This machine cannot run it.
        ValueError: It cannot run this precision.
    """
    options = EngineOptions(
        device=device,
        workers=1,
        slots=bucket.slots,
        beams=(bucket.beams,),
        source_length=bucket.source_length,
        target_length=bucket.target_length,
    )
    return DEVICES[device](artefact, options)(bucket)


def devices_of(context: Context) -> tuple[str, ...]:
    """What is tried: on a GPU all that run there, and on a processor, to rehearse it, what runs there."""
    return ("torch", "cuda", "tensorrt") if context.cuda else ("cpu", "torch")


def precision_of(context: Context) -> str:
    """What is timed: the format that every executor can run on the device."""
    return "fp16" if context.cuda else "fp32"


def summaries(executor: Executor, articles: Sequence[Article]) -> list[Integers]:
    """The summaries of articles that join together, as many as there are slots at most; INT64 (target_length,) each.

    Raises:
        StuckError: They do not end.
    """
    for slot, article in enumerate(articles):
        executor.join(slot, article)
    most = _STEPS_WITHOUT_AN_END * executor.bucket.target_length
    found: dict[int, Integers] = {}
    for _ in range(most):
        executor.step()
        for slot in executor.done():
            found[slot] = executor.summary(slot)
            executor.leave(slot)
        if len(found) == len(articles):
            return [found[slot] for slot in range(len(articles))]
    raise StuckError(f"{len(articles) - len(found)} of {len(articles)} searches were not over after {most} steps")
