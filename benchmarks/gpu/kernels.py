"""Where the time of some work goes, by kernel."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from torch.autograd import DeviceType
from torch.profiler import ProfilerActivity, profile

from .timing import synchronize

_CALLS: Final = 5
_SHOWN: Final = 15
_NAME_CHARACTERS: Final = 160


@dataclass(frozen=True, kw_only=True)
class Kernel:
    """One kernel of a GPU, or one operator of PyTorch on a CPU."""

    kernel: str
    calls: float
    """How often it runs in one call of the work."""
    us: float
    """What these take together, microseconds."""
    share: float
    """Part of the time that the device is at work."""


def kernels_of(call: Callable[[], object], device: str) -> list[Kernel]:
    """The kernels that take most, most first; the others together are the last one.

    Args:
        call: The work, which is called several times.
        device: ``cuda`` or ``cpu``.
    """
    activities = {"cuda": [ProfilerActivity.CUDA, ProfilerActivity.CPU], "cpu": [ProfilerActivity.CPU]}[device]
    kind = {"cuda": DeviceType.CUDA, "cpu": DeviceType.CPU}[device]
    call()
    synchronize(device)
    with profile(activities=activities, acc_events=True) as found:
        for _ in range(_CALLS):
            call()
        synchronize(device)
    counts: dict[str, int] = defaultdict(int)
    times_us: dict[str, float] = defaultdict(float)
    for event in found.events():
        if event.device_type == kind:
            counts[event.name] += 1
            times_us[event.name] += _own_us(event, device)
    total = sum(times_us.values())
    if not total:
        raise LookupError("the profiler saw no kernel; it may not be allowed to on this machine")
    order = sorted(times_us, key=lambda name: -times_us[name])

    def kernel(name: str, names: list[str]) -> Kernel:
        taken = sum(times_us[one] for one in names)
        calls = sum(counts[one] for one in names) / _CALLS
        return Kernel(kernel=name[:_NAME_CHARACTERS], calls=calls, us=taken / _CALLS, share=taken / total)

    rest = order[_SHOWN:]
    shown = [kernel(name, [name]) for name in order[:_SHOWN]]
    return [*shown, kernel(f"{len(rest)} others", rest)] if rest else shown


def _own_us(event: Any, device: str) -> float:
    """What an event takes without those inside it; a kernel has none."""
    return float(event.self_cpu_time_total if device == "cpu" else event.time_range.elapsed_us())
