"""The GPUs of this machine, as NVIDIA's driver tells of them: its libraries, asked through ctypes."""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

CUDA: Final = "libcuda.so.1"
"""The driver's library of CUDA."""
MANAGEMENT: Final = "libnvidia-ml.so.1"
"""The driver's library that tells how much memory is free, without taking any."""
_COMPUTE_CAPABILITY: Final = (75, 76)
"""Attributes of a device: the major and the minor number of its compute capability."""
_NAME_BYTES: Final = 100


@dataclass(frozen=True, kw_only=True)
class Gpu:
    """A GPU."""

    name: str
    compute_capability: tuple[int, int]
    """Its generation, such as (9, 0)."""


@dataclass(frozen=True, kw_only=True)
class Driver:
    """What the driver says."""

    device_files: bool
    """Whether the kernel shows a GPU here."""
    loaded: bool
    """Whether its library can be loaded."""
    cuda_version: tuple[int, int] = (0, 0)
    """The newest CUDA that it runs."""
    error: int = 0
    """The error's number of ``cuInit``; 0 for none."""
    gpus: tuple[Gpu, ...] = ()
    """Those that programs started from here see."""
    free_bytes: int | None = None
    """Free memory of the first one; None where nobody tells."""


def read_driver(load: Callable[[str], Any] = ctypes.CDLL, devices: Path = Path("/dev")) -> Driver:
    """Ask the driver.

    Args:
        load: Loads a library by its name, and raises OSError where there is none.
        devices: The folder of device files.
    """
    files = any(devices.glob("nvidia[0-9]*")) or (devices / "dxg").exists()
    try:
        cuda = load(CUDA)
    except OSError:
        return Driver(device_files=files, loaded=False)
    number = ctypes.c_int()
    cuda.cuDriverGetVersion(ctypes.byref(number))
    version = (number.value // 1000, number.value % 1000 // 10)
    if error := cuda.cuInit(0):
        return Driver(device_files=files, loaded=True, cuda_version=version, error=error)
    cuda.cuDeviceGetCount(ctypes.byref(number))
    gpus = tuple(_gpu(cuda, index) for index in range(number.value))
    free_bytes = _free_bytes(load, _bus_id(cuda)) if gpus else None
    return Driver(device_files=files, loaded=True, cuda_version=version, gpus=gpus, free_bytes=free_bytes)


def _gpu(cuda: Any, index: int) -> Gpu:
    device, number, name = ctypes.c_int(), ctypes.c_int(), ctypes.create_string_buffer(_NAME_BYTES)
    cuda.cuDeviceGet(ctypes.byref(device), index)
    cuda.cuDeviceGetName(name, _NAME_BYTES, device)
    capability = []
    for attribute in _COMPUTE_CAPABILITY:
        cuda.cuDeviceGetAttribute(ctypes.byref(number), attribute, device)
        capability.append(number.value)
    return Gpu(name=name.value.decode(errors="replace"), compute_capability=(capability[0], capability[1]))


def _bus_id(cuda: Any) -> bytes:
    """Where the first GPU is plugged in: CUDA_VISIBLE_DEVICES changes its number, and not this."""
    device, text = ctypes.c_int(), ctypes.create_string_buffer(_NAME_BYTES)
    cuda.cuDeviceGet(ctypes.byref(device), 0)
    cuda.cuDeviceGetPCIBusId(text, _NAME_BYTES, device)
    return text.value


class _Memory(ctypes.Structure):
    """``nvmlMemory_t``: bytes."""

    _fields_ = (("total", ctypes.c_ulonglong), ("free", ctypes.c_ulonglong), ("used", ctypes.c_ulonglong))


def _free_bytes(load: Callable[[str], Any], bus_id: bytes) -> int | None:
    """Free memory of a GPU, in bytes; None where it cannot be told."""
    try:
        library = load(MANAGEMENT)
    except OSError:
        return None
    if library.nvmlInit_v2():
        return None
    try:
        device, memory = ctypes.c_void_p(), _Memory()
        if library.nvmlDeviceGetHandleByPciBusId_v2(bus_id, ctypes.byref(device)):
            return None
        return None if library.nvmlDeviceGetMemoryInfo(device, ctypes.byref(memory)) else int(memory.free)
    finally:
        library.nvmlShutdown()
