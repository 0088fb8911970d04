"""Runs the graphs on a GPU of NVIDIA's: all buffers are the device's, and a step is a CUDA graph that is replayed.

Steps are given to the device without waiting for them. All sessions compute in the stream of their thread, in which
CUDA's copies between host and device take their turn too: what the host writes for an article that joins is written
after the steps before, and what it reads, every few steps, is what they have written.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np
import numpy.typing as npt
import onnxruntime as ort

from engine.artefact import BEGIN, ENCODER, PLAIN, STEP, Artefact
from engine.article import Article, Integers, beginning, check, choices_of, wishes_of
from engine.executor import UnavailableError
from engine.settings import Bucket, Settings
from engine.tensors import NEXT

from .devices import Device
from .libraries import missing_library
from .ports import Port, ports_of
from .replays import GRAPH, differs, fill

_WARMUP: Final = 2
"""Runs of each step before the first article: the first takes memory, the next is captured."""
_SEEN: Final = 2
"""The length by which it is seen whether a step has copied the state of the slots that are done."""
_CHOOSING: Final = ("quoting", "sampling")
"""The settings of which one is not 0 in a slot that quotes or draws."""
_FRESH: Final = "fresh"
"""The input that says which searches begin, see `engine.artefact`."""
UNSYNCHRONIZED: Final = "disable_synchronize_execution_providers"
"""The entry of a run's options after which it does not wait for the device."""


@dataclass(frozen=True, kw_only=True)
class CudaOptions:
    """How the same tokens are computed."""

    device: Device = field(default_factory=Device)
    look_steps: int = 4
    """After so many steps it is read which searches are over: a device that is asked at every step waits each time."""

    def __post_init__(self) -> None:
        if self.look_steps < 1:
            raise ValueError(f"look_steps is 1 or more, not {self.look_steps}")


@dataclass(frozen=True, kw_only=True)
class _Run:
    """A session with everything bound."""

    session: ort.InferenceSession
    binding: ort.IOBinding
    options: ort.RunOptions

    def start(self) -> None:
        """Give it to the device, after all that it was given before."""
        self.session.run_with_iobinding(self.binding, self.options)


class CudaExecutor:
    """The summarizer over the buffers of one bucket, see `engine.executor.Executor`.

    It is made on the thread that uses it: ONNX Runtime keeps captured graphs for each thread.
    """

    name = "ONNX Runtime on CUDA"
    sizes: Sequence[int] = ()

    def __init__(self, artefact: Artefact, bucket: Bucket, options: CudaOptions | None = None) -> None:
        """Load the graphs, make the buffers and capture the steps.

        Raises:
            UnavailableError: The device cannot run the graphs; the message says what is missing.
            ValueError: The graphs are not those of a summarizer.
        """
        self._options = options or CudaOptions()
        device = self._device = self._options.device
        device.require()
        self.bucket, self._rules, self._spacing = bucket, artefact.rules, artefact.spacing
        self._vocabulary = artefact.architecture.vocabulary
        self._encoder = device.session(artefact.path(ENCODER), {**bucket.sizes, "slots": 1})
        step = device.session(artefact.path(STEP), bucket.sizes, graphs=True)
        plain = device.session(artefact.path(PLAIN), bucket.sizes, graphs=True) if artefact.has_plain else step
        begin = device.session(artefact.path(BEGIN), bucket.sizes)
        ports = ports_of(step, self._encoder, bucket.sizes)
        self._ports: dict[str, Port] = {
            port.name: port for port in (*ports.hosted, *ports.turning, *ports.kept, *ports.cross)
        }
        self._rows = {port.name: np.zeros(port.shape, port.dtype) for port in ports.hosted}
        for name, row in wishes_of(Settings(max_length=2), bucket).items():
            self._rows[name][:] = row
        self._hosted = {name: device.copy(rows.copy()) for name, rows in self._rows.items()}
        self._beginning = beginning(bucket, self._rules)
        self._sides = tuple({port.name: self._empty_state(port) for port in ports.turning} for _ in range(2))
        self._kept = {port.name: device.memory(port.shape, port.dtype) for port in ports.kept}
        # An empty slot that sees no article at all would compute NaN, which would stay in its caches.
        self._cross = {
            port.name: device.copy(np.full(port.shape, port.dtype == np.bool_, port.dtype)) for port in ports.cross
        }
        self._fresh = device.copy(np.zeros(bucket.slots, np.bool_))
        self._side = 0
        self._steps = 0
        """Since it was last read which searches are over."""
        self._stale: set[str] = set()
        """Names of `_hosted` whose rows the device does not have yet."""
        self._articles: list[Article | None] = [None] * bucket.slots
        self._over = [False] * bucket.slots
        self._summaries: npt.NDArray[np.int64] = np.zeros((bucket.slots, bucket.beams, bucket.target_length), np.int64)
        self._runs = {
            (choosing, side): self._bound(session, side)
            for choosing, session in ((False, plain), (True, step))
            for side in range(2)
        }
        self._begins = [self._bound(begin, side) for side in range(2)]
        self._warm()
        self._check_turns()
        self._check_replays()

    def join(self, slot: int, article: Article) -> None:
        """See `engine.executor.Executor`."""
        check(article, self.bucket, self._rules, self._vocabulary)
        rows = wishes_of(article.settings, self.bucket)
        if not article.plain:
            rows |= choices_of(article, self.bucket, self._rules, self._spacing)
        for name, row in rows.items():
            self._rows[name][slot] = row
        for name in (*rows, *self._stale):
            self._hosted[name].update_inplace(self._rows[name])
        self._stale.clear()
        self._encode(slot, article)
        fresh = np.zeros(self.bucket.slots, np.bool_)
        fresh[slot] = True
        self._fresh.update_inplace(fresh)
        self._begins[self._side].start()
        self._side = 1 - self._side
        self._articles[slot], self._over[slot] = article, False

    def step(self) -> None:
        """See `engine.executor.Executor`."""
        choosing = any(article is not None and not article.plain for article in self._articles)
        self._runs[choosing, self._side].start()
        self._side = 1 - self._side
        self._steps += 1
        if self._steps >= self._options.look_steps:
            self._look()

    def done(self) -> Sequence[int]:
        """See `engine.executor.Executor`; as it was last read."""
        return [slot for slot, over in enumerate(self._over) if over]

    def summary(self, slot: int) -> Integers:
        """See `engine.executor.Executor`."""
        tokens: Integers = self._summaries[slot, 0].copy()
        return tokens

    def leave(self, slot: int) -> None:
        """See `engine.executor.Executor`."""
        article, self._articles[slot] = self._articles[slot], None
        if article is not None and not article.plain:
            # The device need not know before the next article comes: until then the slot is done.
            for name in _CHOOSING:
                self._rows[name][slot] = 0
                self._stale.add(name)
        if not self._over[slot]:
            done = self._sides[self._side]["done"]
            flags = done.numpy()
            flags[slot] = True
            done.update_inplace(flags)
        self._over[slot] = False

    def move(self, source: int, target: int) -> None:
        """Never asked for, since all slots are in every step.

        Raises:
            ValueError: Always.
        """
        raise ValueError(f"an executor that is not packed moves no slot, so not {source} to {target} either")

    def close(self) -> None:
        """See `engine.executor.Executor`."""
        self._wait()
        self._runs.clear()
        self._begins.clear()
        for memories in (self._hosted, self._kept, self._cross, *self._sides):
            memories.clear()

    def _warm(self) -> None:
        """Run every step, so that its graph is captured."""
        try:
            for run in self._runs.values():
                for _ in range(_WARMUP):
                    run.start()
            self._wait()
        except Exception as error:
            # cuDNN is looked for by the first node that needs it.
            way = missing_library(str(error)) or "install a newer release, or take another device"
            raise UnavailableError(
                f"ONNX Runtime {ort.__version__} cannot run a step on {self._device.kind} ({error}): {way}"
            ) from error

    def _check_turns(self) -> None:
        """See that every step reads the side that it is given and writes the other.

        ONNX Runtime ignores an option that it does not know, and a replay binds nothing: a step that replayed the graph
        of the other direction would raise nothing, and no search would ever go on.
        """
        for (_, side), run in self._runs.items():
            lengths = [self._sides[at]["length"] for at in (side, 1 - side)]
            for value, memory in zip((_SEEN, 1), lengths, strict=True):
                memory.update_inplace(np.full(self.bucket.slots, value, np.int64))
            run.start()
            if not (lengths[1].numpy() == _SEEN).all():
                raise UnavailableError(
                    f"ONNX Runtime {ort.__version__} replays a step over other memory than it was captured for: "
                    f"install a release that knows the option {GRAPH} of a run, or take another device"
                )

    def _check_replays(self) -> None:
        """See that every step writes as a graph what it writes without one, after all were captured."""
        for (_, side), run in self._runs.items():
            if differs(run, self._sides[side], self._sides[1 - side], self._beginning):
                raise UnavailableError(
                    f"ONNX Runtime {ort.__version__} answers otherwise when it replays a step than when it runs it: "
                    "install another release, or take another device"
                )
        for state in self._sides:
            for name, memory in state.items():
                fill(memory, np.asarray(True) if name == "done" else self._beginning[name])

    def _wait(self) -> None:
        """Until the device has done all that it was given, by whichever session."""
        self._begins[0].binding.synchronize_outputs()

    def _look(self) -> None:
        """Read which searches are over, and the summaries of those that were not before."""
        self._steps = 0
        state = self._sides[self._side]
        flags = state["done"].numpy().tolist()
        over = [bool(flag) and article is not None for flag, article in zip(flags, self._articles, strict=True)]
        if over != self._over:
            self._over, self._summaries = over, state["best_tokens"].numpy()

    def _encode(self, slot: int, article: Article) -> None:
        """Write an article's keys and values into its slot."""
        tokens = len(article.ids)
        ids = np.full((1, self.bucket.source_length), self._rules.pad_token, np.int32)
        mask = np.zeros_like(ids)
        ids[0, :tokens], mask[0, :tokens] = article.ids, article.seen
        binding = self._encoder.io_binding()
        binding.bind_cpu_input("input_ids", ids)
        binding.bind_cpu_input("attention_mask", mask)
        for name, memory in self._cross.items():
            self._device.bind(binding.bind_output, name, self._ports[name], memory, slot)
        self._encoder.run_with_iobinding(binding, _options())

    def _empty_state(self, port: Port) -> ort.OrtValue:
        """A tensor of the state in which all searches are over before they begin."""
        whole = np.zeros(port.shape, port.dtype)
        whole[:] = True if port.name == "done" else self._beginning[port.name]
        return self._device.copy(whole)

    def _bound(self, session: ort.InferenceSession, side: int) -> _Run:
        """A run from one of the two sides to the other."""
        source, target = self._sides[side], self._sides[1 - side]
        inputs = {**self._hosted, **source, **self._kept, **self._cross}
        outputs = {**target, **self._kept}
        binding = session.io_binding()
        for node in session.get_inputs():
            if node.name == _FRESH:
                binding.bind_ortvalue_input(_FRESH, self._fresh)
            else:
                self._device.bind(binding.bind_input, node.name, self._ports[node.name], inputs[node.name])
        for node in session.get_outputs():
            name = node.name.removesuffix(NEXT)
            self._device.bind(binding.bind_output, node.name, self._ports[name], outputs[name])
        options = _options()
        if self._device.graphs:
            # Each side has memory of its own, and so a graph of its own.
            options.add_run_config_entry(GRAPH, str(1 + side))
        return _Run(session=session, binding=binding, options=options)


def _options() -> ort.RunOptions:
    """Those of a run that does not wait for the device."""
    options = ort.RunOptions()
    options.add_run_config_entry(UNSYNCHRONIZED, "1")
    return options
