"""Between what bounds the numbers of a deployment lie, and what cannot be meant on a target."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from infolens.targets import Target

AUTO: Final = "auto"
DEVICES: Final = (AUTO, "cpu", "cuda", "tensorrt", "torch")
"""What a summarizer in steps may compute on."""
DEVICES_OF: Final[Mapping[Target, tuple[str, ...]]] = {
    Target.CPU: DEVICES,  # Its configurations are for any machine that has what they name.
    Target.CUDA: (AUTO, "cuda", "torch"),
    Target.TENSORRT: (AUTO, "cuda", "tensorrt", "torch"),
}
"""What it may compute on where its repository is run on a target."""
MOST: Final = 2**31 - 1
"""The largest number that configurations and backends hold in 32 bits."""
MOST_COPIES: Final = 1024
"""The most copies, or threads, of a model that are taken to be meant."""
LEAST_MEMORY_BYTES: Final = 64 << 20
"""The least memory of a GPU in which a session finds room to work."""
_MOST_MEMORY_BYTES: Final = 2**63 - 1
_COPIES: Final = ("instances", "threads", "tokenizers", "postprocessors", "workers")
_COUNTS: Final = ("max_batch_size", "slots", "max_waiting", "joins_per_step")
_ONES: Final = ("request_batch_size", "text_batch_size", "max_running", "max_wait_ms", "evidence_running")


def fault_of_deployment(numbers: Mapping[str, Any]) -> str:
    """Which rule the numbers of a deployment break, with the value and the way out; empty where they break none.

    Args:
        numbers: Its fields, by name.
    """
    least = {**dict.fromkeys(_ONES, 1), "queue_delay_microseconds": 0}
    for name, bound in least.items():
        if fault := _outside(name, numbers[name], bound, MOST):
            return fault
    lengths = numbers["length_buckets"]
    if not lengths or list(lengths) != sorted({*lengths, 1} - {0, 1}) or not 1 < lengths[0] <= lengths[-1] <= MOST:
        return f"length_buckets are numbers of tokens from 2 to {MOST} that rise, not {list(lengths)}"
    return ""


def fault_of_model(task: str, numbers: Mapping[str, Any], *, target: Target, request_batch_size: int) -> str:
    """Which rule the numbers of a task's models break, with the value and the way out; empty where they break none.

    Args:
        task: The task, as messages name it.
        numbers: The fields of the models' deployment, by name.
        target: What the repository is run on.
        request_batch_size: Maximum number of articles in one request.
    """
    if fault := _fault_on_target(task, numbers["device"], numbers["instances"], target):
        return fault
    bounds = {**dict.fromkeys(_COPIES, MOST_COPIES), **dict.fromkeys(_COUNTS, MOST)}
    for name, most in bounds.items():
        if fault := _outside(f"{name} of {task}", numbers[name], 1, most):
            return fault
    largest, together, memory_bytes = (numbers[name] for name in ("max_batch_size", "batch_together", "memory_bytes"))
    if memory_bytes != 0 and not LEAST_MEMORY_BYTES <= memory_bytes <= _MOST_MEMORY_BYTES:
        return (
            f"memory_bytes of {task} is at least {LEAST_MEMORY_BYTES} bytes (64 MiB, in which a session can work) and "
            f"at most {_MOST_MEMORY_BYTES}, or 0 for no limit, not {memory_bytes}"
        )
    if largest < request_batch_size:
        return (
            f"max_batch_size of {task} is at least request_batch_size ({request_batch_size}), not {largest}: raise the "
            "one or lower the other"
        )
    if not 0 <= together <= largest:
        return f"batch_together of {task} lies between 0 and its max_batch_size ({largest}), not {together}"
    return ""


def _fault_on_target(task: str, device: str, instances: int, target: Target) -> str:
    if device not in DEVICES:
        return f"device of {task} is one of {', '.join(DEVICES)}, not {device!r}"
    if device not in DEVICES_OF[target]:
        others = [str(other) for other, devices in DEVICES_OF.items() if device in devices]
        return (
            f"device of {task} is one of {', '.join(DEVICES_OF[target])} on the target {target}, not {device!r}, which "
            f"the target {' or '.join(others)} has: leave it out for {AUTO}"
        )
    if target.record.on_gpu and instances > 1:
        return (
            f"instances of {task} is 1 on a GPU, not {instances}: each would hold its weights and CUDA graphs again, "
            "and graphs are counted by model; leave it out, and raise max_batch_size where more should run together"
        )
    return ""


def _outside(name: str, value: int, least: int, most: int) -> str:
    return "" if least <= value <= most else f"{name} is at least {least}{_at_most(value, most)}, not {value}"


def _at_most(value: int, most: int) -> str:
    return f" and at most {most}" if value > most else ""


def first_fault(faults: Iterable[str]) -> str:
    """The first that is not empty; empty where all are."""
    return next(filter(None, faults), "")
