"""All kernels of a step compiled for a GPU that is not there: run as a program, in an environment that has Triton."""

from __future__ import annotations

import sys
import time

import torch
from triton.backends.compiler import GPUTarget
from triton.runtime import driver
from triton.runtime.jit import JITFunction

from engine.pytorch.kernels import attention, norms, products, search, step, words
from engine.pytorch.kernels.step import StepKernels
from engine.pytorch.model.decoder import make_caches
from engine.pytorch.model.weights import Dense, Norm, arranged
from engine.pytorch.search.slots import make_slots
from engine.settings import Architecture, Bucket
from tests.engine.pytorch.small_bart import RULES

ROOM_BYTES = {80: 163 * 1024, 86: 99 * 1024, 90: 227 * 1024}
"""Shared memory that a program may have, by compute capability."""
ARCHITECTURE = Architecture(
    width=1024, encoder_layers=0, decoder_layers=1, encoder_heads=16, decoder_heads=16, vocabulary=200, positions=64,
    activation="gelu", scale_embedding=False,
)  # fmt: skip


class Nowhere:
    """A driver that knows the GPU's kind, and can start nothing."""

    def __init__(self, capability: int) -> None:
        self._target = GPUTarget("cuda", capability, 32)

    def get_current_target(self) -> GPUTarget:
        return self._target

    def get_current_device(self) -> int:
        return 0

    def get_current_stream(self, device: int) -> int:
        return device


def main() -> None:
    capability, beams = map(int, sys.argv[1:])
    driver.set_active(Nowhere(capability))
    torch.set_num_threads(1)
    bucket = Bucket(slots=20, beams=beams, source_length=64, target_length=24)
    slots, caches = make_slots(bucket, RULES, "cpu"), make_caches(ARCHITECTURE, bucket, torch.float16, "cpu")

    def zeros(*shape: int) -> torch.Tensor:
        return torch.zeros(shape, dtype=torch.float16)

    def dense(*names: str) -> Dense:
        outputs, inputs = {"fc1": (4096, 1024), "fc2": (1024, 4096)}.get(names[0][-3:], (1024 * len(names), 1024))
        return Dense(zeros(outputs, inputs), zeros(outputs))

    weights = arranged(
        ARCHITECTURE, dense, lambda _: Norm(zeros(1024), zeros(1024)), words=zeros(256, 1024),
        logits_bias=torch.zeros(256), encoder_positions=zeros(64, 1024), decoder_positions=zeros(64, 1024),
    )  # fmt: skip
    kernels = StepKernels(
        ARCHITECTURE, RULES, slots, "cpu", overlap=capability >= 90, tight=ROOM_BYTES[capability] < step.ROOM_BYTES
    )
    begin = time.monotonic()
    views = [(slots.first(count), caches.first(count)) for count in kernels.counts]
    with torch.no_grad():
        kernels.compile([(some, its.layers, its.cross_bias) for some, its in views], weights, threads=1)
    functions = [value for room in (attention, norms, products, search, words) for value in vars(room).values()]
    found: dict[str, list[int]] = {}
    for function in functions:
        if isinstance(function, JITFunction) and 0 in function.device_caches:
            made = function.device_caches[0][0].values()
            found[function.__name__] = [kernel.metadata.shared for kernel in made]
    count, most_bytes = sum(map(len, found.values())), max(map(max, found.values()))
    assert most_bytes <= ROOM_BYTES[capability], found
    print(f"{count} kernels in {time.monotonic() - begin:.1f} s: {' '.join(found)}")  # noqa: T201


if __name__ == "__main__":
    main()
