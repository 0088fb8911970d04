"""The summarizer on TensorRT."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from engine.artefact import ENCODER, PLAIN, STEP, Artefact
from engine.article import Article, Integers, check, choices_of, wishes_of
from engine.executor import UnavailableError
from engine.settings import Bucket

from .library import load_library
from .memory import Flags, Memory
from .parts import Part, Plan
from .plans import Target, plans

if TYPE_CHECKING:
    import torch


class TensorRTExecutor:
    """See `engine.executor.Executor`. A step is a CUDA graph, one for each direction between the two sides of state."""

    sizes: Sequence[int] = ()

    def __init__(
        self, artefact: Artefact, bucket: Bucket, parts: Mapping[str, Part], *, name: str, device: str
    ) -> None:
        """Make the buffers and tie the parts to them.

        Args:
            artefact: The model.
            bucket: The sizes that the parts are built for.
            parts: The compiled graphs by the names of the artefact's.
            name: What runs it, in words.
            device: ``cuda``, or ``cpu`` where the parts run there.

        Raises:
            ValueError: The parts do not fit the bucket.
        """
        self.bucket, self.name = bucket, name
        self._artefact, self._device = artefact, device
        self._articles: dict[int, tuple[Article, int]] = {}
        """The articles by slot, with the number of steps before each."""
        self._side = 0
        self._stream = _stream(device)
        with self._on_stream():
            self._memory = memory = Memory(parts[ENCODER], parts[STEP], bucket, artefact.rules, device)
            self._flags = Flags(bucket.slots, device)
            self._encode = parts[ENCODER].bound(memory.of_encoder)
            self._steps: dict[str, list[Callable[[], object]]] = {
                name: [part.bound(memory.of_step(part, side)) for side in (0, 1)]
                for name, part in parts.items()
                if name != ENCODER
            }

    @contextmanager
    def _on_stream(self) -> Iterator[None]:
        import torch

        with torch.no_grad(), nullcontext() if self._stream is None else torch.cuda.stream(self._stream):
            yield

    def join(self, slot: int, article: Article) -> None:
        """See `engine.executor.Executor.join`."""
        rules, bucket, memory = self._artefact.rules, self.bucket, self._memory
        check(article, bucket, rules, self._artefact.architecture.vocabulary)
        if slot in self._articles:
            raise ValueError(f"slot {slot} has an article: leave it first")
        rows = wishes_of(article.settings, bucket) | choices_of(article, bucket, rules, self._artefact.spacing)
        ids = np.full((1, bucket.source_length), rules.pad_token, np.int32)
        mask = np.zeros((1, bucket.source_length), np.int32)
        count = len(article.ids)
        ids[0, :count], mask[0, :count] = article.ids, article.seen
        with self._on_stream():
            for name, tensor in memory.told.items():
                tensor[slot].copy_(memory.device_tensor(rows[name]))
            for name, row in (("input_ids", ids), ("attention_mask", mask)):
                memory.text[name].copy_(memory.device_tensor(row))
            self._encode()
            memory.store(slot)
            memory.clear(slot)
            for name, tensor in memory.sides[self._side].items():
                tensor[slot].copy_(memory.beginning[name])
        self._articles[slot] = (article, self._flags.step)

    def step(self) -> None:
        """See `engine.executor.Executor.step`."""
        plain = PLAIN in self._steps and all(article.plain for article, _ in self._articles.values())
        with self._on_stream():
            self._steps[PLAIN if plain else STEP][self._side]()
            self._side = 1 - self._side
            self._flags.record(self._memory.sides[self._side]["done"])

    def done(self) -> Sequence[int]:
        """See `engine.executor.Executor.done`."""
        step, flags = self._flags.read()
        # Flags of a step before an article joined are those of the article before it.
        return [slot for slot, (_, joined) in sorted(self._articles.items()) if flags[slot] and step > joined]

    def summary(self, slot: int) -> Integers:
        """See `engine.executor.Executor.summary`."""
        with self._on_stream():
            best: torch.Tensor = self._memory.sides[self._side]["best_tokens"][slot, 0]
            tokens: Integers = best.cpu().numpy().copy()
        return tokens

    def leave(self, slot: int) -> None:
        """See `engine.executor.Executor.leave`."""
        del self._articles[slot]
        with self._on_stream():
            self._memory.sides[self._side]["done"][slot] = True

    def move(self, source: int, target: int) -> None:  # noqa: ARG002 - the protocol's
        """Not of use here: a step costs the same whichever slots are empty."""
        raise ValueError("slots of this executor are not moved: it is not packed")

    def close(self) -> None:
        """See `engine.executor.Executor.close`."""
        if self._stream is not None:
            self._stream.synchronize()
        self._steps.clear()
        self._encode = lambda: None
        del self._memory


def open_executor(artefact: Artefact, bucket: Bucket, folder: Path) -> TensorRTExecutor:
    """The executor on the current GPU; plans that are missing are built first, which takes from seconds to minutes.

    Args:
        artefact: The model, in fp32, fp16 or bf16.
        bucket: The sizes of the buffers.
        folder: Where plans are kept.

    Raises:
        UnavailableError: TensorRT, PyTorch or a GPU is missing.
        ValueError: The model has no plans, or TensorRT refuses it.
    """
    library = load_library()
    target = _target()
    found = plans(artefact, bucket, library, target, folder)
    parts = {name: Plan(library, plan, name) for name, plan in found.items()}
    return TensorRTExecutor(artefact, bucket, parts, name=f"{library.version} on {target.name}", device="cuda")


def _target() -> Target:
    try:
        import torch
    except ImportError as error:
        raise UnavailableError(
            f"PyTorch, which holds TensorRT's buffers, is missing ({error}): install torch"
        ) from error
    if not torch.cuda.is_available():
        raise UnavailableError("PyTorch finds no GPU here, or is a build for CPUs: install a CUDA build of torch")
    major, minor = torch.cuda.get_device_capability()
    return Target(name=torch.cuda.get_device_name(), compute_capability=f"{major}.{minor}")


def _stream(device: str) -> torch.cuda.Stream | None:
    import torch

    return torch.cuda.Stream() if device == "cuda" else None
