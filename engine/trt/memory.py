"""The buffers of a bucket in PyTorch's tensors, and the flags that the host reads late."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt

from engine.article import beginning
from engine.settings import Bucket, Rules
from engine.tensors import NEXT, QUOTED, STATE

from .parts import Part, Spec

if TYPE_CHECKING:
    import torch

AHEAD: Final = 2
"""Steps that a device is given before the end of an earlier one is waited for."""
_STATE: Final = frozenset(tensor.name for tensor in (*STATE, QUOTED))


class Memory:
    """All tensors that a step reads and writes.

    Attributes:
        sides: Twice the state: a step reads the one and writes the other.
        caches: Keys and values of the beams, written in place.
        cross: What the encoder wrote of every article.
        told: What the host writes when an article joins.
        text: The encoder's inputs, for one article.
        read: The encoder's outputs, for one article.
    """

    def __init__(self, encoder: Part, step: Part, bucket: Bucket, rules: Rules, device: str) -> None:
        """Make them; every slot is empty.

        Args:
            encoder: The encoder.
            step: The step, with all that slots can ask for.
            bucket: Their sizes.
            rules: What every search begins with.
            device: ``cuda``, or ``cpu``.
        """
        self._device = device
        self.text = self._zeros(encoder.inputs)
        self.read = self._zeros(encoder.outputs)
        state = {name: spec for name, spec in step.inputs.items() if name in _STATE}
        written = {name.removesuffix(NEXT) for name in step.outputs}
        self.sides = [self._zeros(state), self._zeros(state)]
        self.cross = self._zeros({name: step.inputs[name] for name in encoder.outputs})
        self.caches = self._zeros({name: step.inputs[name] for name in sorted(written - state.keys())})
        known = {*state, *self.cross, *self.caches}
        self.told = self._zeros({name: spec for name, spec in step.inputs.items() if name not in known})
        rows = beginning(bucket, rules)
        self.beginning = {name: self.device_tensor(rows[name]) for name in state}
        for side in self.sides:
            for name, tensor in side.items():
                tensor.copy_(self.beginning[name].expand_as(tensor))
            side["done"].fill_(True)
        # An empty slot sees one place: attention over none is not a number.
        self.cross["cross_mask"][:, 0] = True
        # What the host writes for an empty slot is used in no result, but divided by.
        self.told["spans"].fill_(1)
        self.told["num_beams"].fill_(1)

    def _zeros(self, specs: Mapping[str, Spec]) -> dict[str, torch.Tensor]:
        import torch

        return {
            name: torch.zeros(spec.shape, dtype=getattr(torch, spec.dtype), device=self._device)
            for name, spec in specs.items()
        }

    def device_tensor(self, rows: npt.NDArray[np.generic]) -> torch.Tensor:
        """A copy on the device."""
        import torch

        return torch.from_numpy(np.array(rows)).to(self._device)

    def of_step(self, part: Part, side: int) -> dict[str, torch.Tensor]:
        """The tensors of a step that reads one side and writes the other, by the names of the part."""
        now, then = self.sides[side], self.sides[1 - side]
        everything = {**self.told, **self.cross, **self.caches, **now}
        everything |= {f"{name}{NEXT}": tensor for name, tensor in (*self.caches.items(), *then.items())}
        return {name: everything[name] for name in (*part.inputs, *part.outputs)}

    @property
    def of_encoder(self) -> dict[str, torch.Tensor]:
        """The tensors of the encoder."""
        return {**self.text, **self.read}

    def clear(self, slot: int) -> None:
        """Forget the keys and values of a slot.

        What is masked still counts where it is no number, such as what an overflow has left.
        """
        for cache in self.caches.values():
            cache[slot].zero_()

    def store(self, slot: int) -> None:
        """Put what the encoder has read into a slot."""
        for name, tensor in self.read.items():
            self.cross[name][slot].copy_(tensor[0])


class Flags:
    """Which slots are done, as of a step that the device has finished already."""

    def __init__(self, slots: int, device: str) -> None:
        """Flags BOOL (slots,) of a device."""
        import torch

        on_gpu = device == "cuda"
        self._event: Any = torch.cuda.Event if on_gpu else _Now
        # Memory that the device writes to by itself; one more row than there are steps on the way.
        self._rows = [torch.ones(slots, dtype=torch.bool, pin_memory=on_gpu) for _ in range(AHEAD + 1)]
        self._waiting: deque[tuple[int, Any, torch.Tensor]] = deque()
        self.step = 0
        """How many steps there were."""
        self._known: tuple[int, list[bool]] = (0, [True] * slots)

    def record(self, done: torch.Tensor) -> None:
        """Note the flags of a step that was just given to the device; waits for the one before the last."""
        self.step += 1
        row, event = self._rows[self.step % len(self._rows)], self._event()
        row.copy_(done, non_blocking=True)
        event.record()
        self._waiting.append((self.step, event, row))
        if len(self._waiting) > AHEAD:
            self._waiting[0][1].synchronize()
        self._look()

    def read(self) -> tuple[int, list[bool]]:
        """The newest flags that are known, and the step that they are of."""
        self._look()
        return self._known

    def _look(self) -> None:
        while self._waiting and self._waiting[0][1].query():
            step, _, row = self._waiting.popleft()
            self._known = (step, row.tolist())


class _Now:
    """Stands for an event where the host computes itself."""

    def record(self) -> None: ...

    def synchronize(self) -> None: ...

    def query(self) -> bool:
        return True
