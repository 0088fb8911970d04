"""Which kernels compute a step here: those of this folder, where this process can compile and run them."""

from __future__ import annotations

import logging
import time
from importlib.util import find_spec
from typing import TYPE_CHECKING, Final

import torch

from engine.executor import UnavailableError
from engine.pytorch.model.decoder import Caches
from engine.pytorch.model.weights import Weights
from engine.pytorch.options import AUTO, Options
from engine.pytorch.search.slots import Slots
from engine.settings import Architecture, Rules

if TYPE_CHECKING:
    from .step import StepKernels

_LOG: Final = logging.getLogger(__name__)


def open_kernels(
    options: Options, architecture: Architecture, rules: Rules, weights: Weights, slots: Slots, caches: Caches
) -> StepKernels | None:
    """The kernels of a step, compiled and tried; None where PyTorch's operators compute it.

    Args:
        options: Says which.
        architecture: Sizes of the model.
        rules: Of the checkpoint.
        weights: Of the model.
        slots: The searches, all of them done: kernels are tried on them, which changes nothing.
        caches: Of the slots.

    Raises:
        UnavailableError: The options ask for kernels, and something is missing for them.
    """
    device = weights.words.device.type
    if options.step == "torch" or (options.step == AUTO and (options.compiler or device != "cuda")):
        return None
    missing = missing_for_kernels(device)
    if missing is None:
        try:
            return _opened(architecture, rules, weights, slots, caches)
        except Exception as error:  # Whatever a compiler may raise.
            missing = (
                "kernels in Triton cannot be compiled here: it needs a C compiler (gcc, or what CC names), Python's "
                "headers, the driver's libcuda.so.1 and a folder to write to (TRITON_CACHE_DIR); "
                f"{type(error).__name__}: {error}"
            )
    if options.step == AUTO:
        _LOG.warning("%s: PyTorch's operators compute the steps, which takes about twice as long", missing)
        return None
    raise UnavailableError(f"{missing}; or set step to 'torch'")


def _opened(architecture: Architecture, rules: Rules, weights: Weights, slots: Slots, caches: Caches) -> StepKernels:
    from .step import ROOM_BYTES, StepKernels

    before_s = time.monotonic()
    card = torch.cuda.get_device_properties()
    tight = card.shared_memory_per_block_optin < ROOM_BYTES
    kernels = StepKernels(architecture, rules, slots, weights.words.device.type, overlap=card.major >= 9, tight=tight)
    views = [(slots.first(count), caches.first(count)) for count in kernels.counts]
    with torch.no_grad():
        try:
            kernels.compile([(some, its.layers, its.cross_bias) for some, its in views], weights)
        except Exception as error:  # If it was not by chance, the first step raises it again.
            _LOG.info("kernels are compiled one after another: %s: %s", type(error).__name__, error)
        for some, its in views:
            kernels.search(kernels.hidden(some, its.layers, its.cross_bias, weights), some, weights)
    torch.cuda.synchronize()
    _LOG.info("kernels of %d slots, compiled or read in %.1f s", len(slots.done), time.monotonic() - before_s)
    return kernels


def missing_for_kernels(device: str) -> str | None:
    """What kernels in Triton, the language, would need that is not here, as a sentence; None where they run."""
    if device != "cuda":
        return f"kernels in Triton run on a GPU (cuda), not on {device}"
    if not torch.cuda.is_available():
        return "kernels in Triton need a GPU, and there is none"
    if find_spec("triton") is None:
        return "kernels in Triton need the package triton, which CUDA builds of torch bring"
    if torch.cuda.get_device_capability() < (8, 0):
        return "kernels in Triton are for GPUs of the compute capability 8.0 and later"
    return None
