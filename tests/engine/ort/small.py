"""A small BART as a folder of graphs, articles of all kinds for it, and what ``transformers`` writes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from engine.artefact import Artefact, read
from engine.article import Article, Sampling, Spacing
from engine.executor import Executor
from engine.ort.cpu import CpuExecutor
from engine.ort.cuda import CudaExecutor, CudaOptions
from engine.ort.devices import Device
from engine.ort.graphs import CpuGraphs
from engine.settings import Architecture, Bucket, Rules, Settings
from export.graph.checkpoint_weights import CheckpointWeights
from export.graph.step.files import write_engine
from export.parity.sampling import Sampling as Drawn
from infolens.contract import ATTENTION_MASK, INPUT_IDS, SENTENCE_ENDS
from operators.library import ensure_operators
from tests.export.graph.plain import batch_of, expected_of
from tests.export.graph.rows import END, PAD, spacing, tiny_bart

RULES = Rules(start_token=END, end_tokens=(END,), pad_token=PAD, first_token=0, last_token=END)
SOURCE, TARGET = 72, 24
DEFAULTS = {"no_repeat_ngram_size": 3, "forced_bos_token_id": 0, "early_stopping": True, "forced_eos_token_id": END}

Make = Callable[[Bucket], Executor]


def bucket(beams: int, slots: int = 3) -> Bucket:
    return Bucket(slots=slots, beams=beams, source_length=SOURCE, target_length=TARGET)


@dataclass(frozen=True, kw_only=True)
class Asked:
    """An article, and how it is asked of ``transformers``."""

    article: Article
    inputs: dict[str, Any]
    drawn: Drawn | None

    def summary(self, model: Any) -> list[int]:
        """What ``transformers`` writes."""
        settings = self.article.settings
        values = {
            "num_beams": settings.num_beams,
            "min_length": settings.min_length,
            "max_length": settings.max_length,
            "length_penalty": settings.length_penalty,
        }
        quotes = self.article.sentence_ends is not None
        (found,) = expected_of(model, self.inputs, values, [self.drawn], quotes=quotes)
        return found


def asked_of(random: np.random.Generator, beams: int = 4, *, plain: bool = False) -> Asked:
    """An article of random length and settings; some quote, some are drawn, unless all are plain."""
    inputs = batch_of((int(random.integers(3, SOURCE + 1)),), seed=int(random.integers(1 << 30)))
    quotes = not plain and random.random() < 0.4
    draws = not plain and random.random() < 0.4
    longest = int(random.integers(4, TARGET + 1))
    settings = Settings(
        min_length=int(random.integers(0, longest)),
        max_length=longest,
        num_beams=1 if draws else int(random.integers(1, beams + 1)),
        length_penalty=float(random.choice([-1.0, 0.5, 1.0, 2.0])),
        no_repeat_ngram_size=3,
    )
    drawn = Drawn(temperature=0.9, top_p=0.8, numbers=random.random(TARGET).astype(np.float32)) if draws else None
    article = Article(
        ids=inputs[INPUT_IDS.name][0],
        settings=settings,
        sentence_ends=inputs[SENTENCE_ENDS.name][0] if quotes else None,
        sampling=Sampling(temperature=0.9, top_p=0.8, draws=drawn.numbers) if drawn else None,
    )
    assert inputs[ATTENTION_MASK.name].all()
    return Asked(article=article, inputs=inputs, drawn=drawn)


class Small:
    """Its folders are written when they are first asked for."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    @cached_property
    def model(self) -> Any:
        made = tiny_bart()
        made.generation_config.update(**DEFAULTS)
        return made

    def folder(self, precision: str) -> Path:
        folder = self._folder / precision
        if not folder.exists():
            folder.mkdir()
            forms = spacing()
            write_engine(
                folder,
                CheckpointWeights(self.model.state_dict()),
                Architecture.of(self.model.config.to_dict()),
                RULES,
                precision,
                spacing=Spacing(spaced=forms.spaced, unspaced=forms.unspaced),
                no_repeat_ngram_size=3,
            )
        return folder

    def artefact(self, precision: str) -> Artefact:
        return read(self.folder(precision))

    def maker(self, kind: str) -> Make:
        """Makes executors of a kind: a key of `KINDS`."""
        return KINDS[kind](self)


def on_cpu(precision: str, operators: Path | None = None) -> Callable[[Small], Make]:
    def maker(small: Small) -> Make:
        graphs = CpuGraphs(small.artefact(precision), operators)
        return lambda bucket: CpuExecutor(graphs, bucket)

    return maker


def as_on_cuda(precision: str) -> Callable[[Small], Make]:
    """The executor of GPUs, with a CPU in the GPU's place."""
    options = CudaOptions(device=Device(kind="cpu", graphs=False), look_steps=3)
    return lambda small: lambda bucket: CudaExecutor(small.artefact(precision), bucket, options)


KINDS: dict[str, Callable[[Small], Make]] = {
    "fp32": on_cpu("fp32"),
    "int8": on_cpu("int8"),
    "native": on_cpu("int8", ensure_operators().path),
    "cuda": as_on_cuda("fp32"),
}
"""Executors by name; ``native`` is int8 by the native operators, where this machine has them."""
EXACT = ("fp32", "cuda")
"""Those that write what ``transformers`` does."""


def finish(executor: Executor, slots: Sequence[int]) -> dict[int, list[int]]:
    """Step until these slots are done; their summaries without padding."""
    while not set(slots) <= set(executor.done()):
        executor.step()
    return {slot: without_padding(executor, slot) for slot in slots}


def without_padding(executor: Executor, slot: int) -> list[int]:
    return [token for token in executor.summary(slot).tolist() if token != PAD]


def alone(make: Make, asked: Asked) -> list[int]:
    """The summary of an article that has an executor for itself."""
    executor = make(bucket(asked.article.settings.num_beams, slots=1))
    executor.join(0, asked.article)
    found = finish(executor, [0])[0]
    executor.close()
    return found
