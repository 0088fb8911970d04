"""Runs the graphs on a CPU: buffers are memory of numpy, and a step costs its first slots alone."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from engine.article import Article, Integers, beginning, check, choices_of, wishes_of
from engine.settings import Bucket, Settings
from engine.tensors import CHOICES, NEXT, WISHES

from .graphs import CpuGraphs
from .ports import Port, ports_of

_MASK_RANK: Final = 2
"""The mask of an article is BOOL (slots, source), its keys and values are (slots, heads, source, size)."""
Arrays = dict[str, npt.NDArray[Any]]


class CpuExecutor:
    """The summarizer over the buffers of one bucket, see `engine.executor.Executor`."""

    name = "ONNX Runtime on a CPU"

    def __init__(self, graphs: CpuGraphs, bucket: Bucket) -> None:
        """Make the buffers; pages that are never written take no memory.

        Raises:
            UnavailableError: ONNX Runtime cannot run the graphs.
            ValueError: The graphs are not those of a summarizer.
        """
        self.bucket = bucket
        self.sizes: Sequence[int] = range(1, bucket.slots + 1)
        self._graphs, self._rules, self._spacing = graphs, graphs.artefact.rules, graphs.artefact.spacing
        self._encoder = graphs.encoder()
        ports = ports_of(graphs.step(), self._encoder, bucket.sizes, graphs.layout(bucket))
        self._hosted, self._kept, self._cross = map(_zeros, (ports.hosted, ports.kept, ports.cross))
        self._sides = (_zeros(ports.turning), _zeros(ports.turning))
        self._beginning = beginning(bucket, self._rules)
        for side in self._sides:
            for name, value in self._beginning.items():
                side[name][:] = value
            side["done"][:] = True
        for name, row in wishes_of(Settings(max_length=2), bucket).items():
            self._hosted[name][:] = row
        for array in self._cross.values():
            if array.dtype == np.bool_:
                # An empty slot that sees no article at all would compute NaN, which would stay in its caches.
                array[:] = True
        self._flags = tuple(memoryview(side["done"].data) for side in self._sides)
        self._has_room = graphs.has_room
        self._side = 0
        self._articles: list[Article | None] = [None] * bucket.slots
        self._places = [0] * bucket.slots
        """What the encoder wrote for the article of each slot, padding included."""
        self._choosing = 0
        """Slots that quote or draw."""
        self._count = 0
        """Slots up to the last one with an article."""
        self._runs: dict[tuple[bool, int, int], Callable[[], None]] = {}

    def join(self, slot: int, article: Article) -> None:
        """See `engine.executor.Executor`."""
        check(article, self.bucket, self._rules, self._graphs.artefact.architecture.vocabulary)
        self._encode(slot, article)
        rows = wishes_of(article.settings, self.bucket)
        if not article.plain:
            rows |= choices_of(article, self.bucket, self._rules, self._spacing)
            self._choosing += 1
        for name, row in rows.items():
            self._hosted[name][slot] = row
        side = self._sides[self._side]
        for name, row in self._beginning.items():
            side[name][slot] = row
        self._articles[slot] = article
        self._count = max(self._count, slot + 1)

    def step(self) -> None:
        """See `engine.executor.Executor`."""
        if not self._count:
            return
        key = (self._choosing > 0, self._side, self._count)
        run = self._runs.get(key) or self._bind(*key)
        run()
        self._side = 1 - self._side

    def done(self) -> Sequence[int]:
        """See `engine.executor.Executor`; always up to date."""
        flags, articles = self._flags[self._side], self._articles
        return [slot for slot in range(self._count) if flags[slot] and articles[slot] is not None]

    def summary(self, slot: int) -> Integers:
        """See `engine.executor.Executor`."""
        tokens: Integers = self._sides[self._side]["best_tokens"][slot, 0].copy()
        return tokens

    def leave(self, slot: int) -> None:
        """See `engine.executor.Executor`."""
        article, self._articles[slot] = self._articles[slot], None
        for side in self._sides:  # In the other one too, since the next steps may leave this slot out.
            side["done"][slot] = True
        if article is not None and not article.plain:
            self._choosing -= 1
            self._hosted["quoting"][slot] = False
            self._hosted["sampling"][slot] = 0
        while self._count and self._articles[self._count - 1] is None:
            self._count -= 1

    def move(self, source: int, target: int) -> None:
        """See `engine.executor.Executor`."""
        article = self._articles[source]
        if article is None:
            return
        side = self._sides[self._side]
        nodes = int(side["length"][source]) * self.bucket.beams
        for array in self._kept.values():
            array[target, :, :nodes] = array[source, :, :nodes]
        places = self._places[source]
        for array in self._cross.values():
            self._part(array[target], places)[:] = self._part(array[source], places)
            if array.ndim == _MASK_RANK:
                array[target, places:] = False
        for array in side.values():
            array[target] = array[source]
        for tensor in WISHES if article.plain else (*WISHES, *CHOICES):
            self._hosted[tensor.name][target] = self._hosted[tensor.name][source]
        self._articles[target], self._places[target] = article, self._places[source]
        self._choosing += not article.plain
        self._count = max(self._count, target + 1)
        self.leave(source)

    def close(self) -> None:
        """See `engine.executor.Executor`."""
        self._runs.clear()
        self._flags = ()
        for arrays in (self._hosted, self._kept, self._cross, *self._sides):
            arrays.clear()

    def _encode(self, slot: int, article: Article) -> None:
        """Write an article's keys and values into its slot, and where it has tokens."""
        feeds = self._graphs.read(article.ids, article.seen, self.bucket)
        if self._has_room:
            self._places[slot] = self.bucket.source_length
            binding = self._encoder.io_binding()
            for name, array in feeds.items():
                binding.bind_cpu_input(name, array)
            for name, array in self._cross.items():
                row = array[slot : slot + 1]
                binding.bind_output(name, "cpu", 0, row.dtype.type, row.shape, row.ctypes.data)
            self._encoder.run_with_iobinding(binding)
            return
        places = self._places[slot] = feeds["input_ids"].shape[1]
        found = self._encoder.run(list(self._cross), feeds)
        for rows, (written,) in zip(self._cross.values(), found, strict=True):
            self._part(rows[slot], places)[:] = written
            if rows.ndim == _MASK_RANK:
                rows[slot, places:] = False

    def _part(self, row: npt.NDArray[Any], places: int) -> npt.NDArray[Any]:
        """The places of the article in what the encoder wrote into a slot; all of them where the layout is its own."""
        if self._has_room:
            return row
        return row[:places] if row.ndim == _MASK_RANK - 1 else row[:, :places]

    def _bind(self, choosing: bool, side: int, count: int) -> Callable[[], None]:
        """A step of the first slots, from one of the two sides to the other."""
        session = self._graphs.step() if choosing else self._graphs.plain()
        binding = session.io_binding()
        source, target = self._sides[side], self._sides[1 - side]
        inputs = {**self._hosted, **source, **self._kept, **self._cross}
        outputs = {**target, **self._kept}
        for node in session.get_inputs():
            self._bind_rows(binding.bind_input, node.name, inputs[node.name], count)
        for node in session.get_outputs():
            self._bind_rows(binding.bind_output, node.name, outputs[node.name.removesuffix(NEXT)], count)
        run = self._runs[choosing, side, count] = partial(session.run_with_iobinding, binding)
        return run

    @staticmethod
    def _bind_rows(bind: Callable[..., None], name: str, array: npt.NDArray[Any], count: int) -> None:
        bind(name, "cpu", 0, array.dtype.type, (count, *array.shape[1:]), array.ctypes.data)


def _zeros(ports: Sequence[Port]) -> Arrays:
    return {port.name: np.zeros(port.shape, port.dtype) for port in ports}
