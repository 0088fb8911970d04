"""What the machine is, and what its card reaches: the ceilings that other parts are held against."""

from __future__ import annotations

import platform
import time
from importlib import metadata
from pathlib import Path
from typing import Final

import torch

from benchmarks.common.machine import this_machine
from benchmarks.gpu.context import Context
from benchmarks.gpu.nvidia_smi import CONSTANT, NOW, number, query, reasons
from benchmarks.gpu.roofline import BYTES, Rates
from benchmarks.gpu.timing import Timing, synchronize, time_call

_PACKAGES: Final = ("torch", "transformers", "tokenizers", "triton", "onnx", "onnxruntime", "numpy")
_FLAGS: Final = ("avx512f", "avx512_vnni", "avx512_bf16", "amx_tile", "amx_int8", "amx_bf16")
_DTYPES: Final = {"bf16": torch.bfloat16, "fp16": torch.float16, "fp32": torch.float32}
_LIMIT_S: Final = 1.5
"""Maximum seconds of the calls that count, of each measurement."""
_LOAD_S: Final = 2.0
"""Seconds of products before the card is read under load: by then it has found its clocks."""


def run(context: Context) -> None:
    """Send the tables ``machine``, ``clocks``, ``bandwidth`` and ``matrix``, and the rates."""
    context.attempt("machine", "the versions", lambda: _versions(context))
    context.attempt("machine", "the processor", lambda: _processor(context))
    if context.cuda:
        context.attempt("machine", "the card", lambda: _card(context))
        context.attempt("machine", "the driver", lambda: _facts(context, query(CONSTANT)))
        context.attempt("clocks", "the clocks at rest", lambda: _clocks(context, "at rest", query(NOW)))
    copied = context.attempt("bandwidth", "copies within the memory", lambda: _copies(context), at_least_s=1)
    reached = {precision: _try_product(context, precision) for precision in _DTYPES}
    known = {precision: rate for precision, rate in reached.items() if rate is not None}
    if copied is not None and set(known) == set(BYTES):
        context.send(Rates(copy_bytes_per_s=copied, operations_per_s=known))
    else:
        context.skip("matrix", "the floors of later parts", "a rate that they are made of is missing")
    if context.cuda:
        context.attempt("bandwidth", "copies from and to the processor", lambda: _transfers(context), at_least_s=3)
        context.attempt("matrix", "fp32 with TF32", lambda: _product(context, "fp32", tf32=True), at_least_s=2)
        context.attempt("clocks", "the card under load", lambda: _under_load(context), at_least_s=_LOAD_S + 2)


def _facts(context: Context, found: dict[str, str]) -> None:
    for what, value in found.items():
        context.row("machine", what=what, value=value)


def _versions(context: Context) -> None:
    found = {"python": platform.python_version()}
    for package in _PACKAGES:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            found[package] = "not installed"
    found["CUDA of torch"] = torch.version.cuda or "none"
    found["cuDNN"] = str(torch.backends.cudnn.version() or "none")
    _facts(context, found)


def _processor(context: Context) -> None:
    machine = this_machine()
    info = Path("/proc/cpuinfo")
    lines = info.read_text(encoding="utf-8", errors="replace").splitlines() if info.exists() else []
    flags = next((line.split() for line in lines if line.startswith("flags")), [])
    found = {"processor": machine.cpu, "cores": str(machine.cores), "memory": f"{machine.memory_bytes / 2**30:.0f} GiB"}
    found["its extensions"] = ", ".join(flag for flag in _FLAGS if flag in flags) or "neither AVX-512 nor AMX"
    _facts(context, found)


def _card(context: Context) -> None:
    card = torch.cuda.get_device_properties(0)
    found = {
        "card": card.name,
        "its compute capability": f"{card.major}.{card.minor}",
        "its memory": f"{card.total_memory / 2**30:.1f} GiB",
        "its multiprocessors": str(card.multi_processor_count),
        "its L2 cache": f"{card.L2_cache_size / 2**20:.0f} MiB",
    }
    _facts(context, found)


def _clocks(context: Context, moment: str, found: dict[str, str]) -> None:
    context.row(
        "clocks",
        moment=moment,
        sm_mhz=number(found.get("clocks.sm")),
        memory_mhz=number(found.get("clocks.mem")),
        power_w=number(found.get("power.draw")),
        temperature_c=number(found.get("temperature.gpu")),
        held_back_by=reasons(found.get("clocks_event_reasons.active")),
    )


def _bandwidth(context: Context, way: str, moved_bytes: int, timing: Timing) -> float:
    per_s = moved_bytes / timing.median_ms * 1e3
    context.row("bandwidth", way=way, moved_gb=moved_bytes / 1e9, median_ms=timing.median_ms, gb_per_s=per_s / 1e9)
    return per_s


def _copies(context: Context) -> float:
    """Bytes a second of a copy within the card's memory, read and written."""
    numbers = 2**20 if context.toy else 2**30
    source = torch.rand(numbers, device=context.device)
    target = torch.empty_like(source)
    timing = time_call(lambda: target.copy_(source), context.device, limit_s=_LIMIT_S)
    copied = _bandwidth(context, "a copy within the memory, read and written", 2 * 4 * numbers, timing)
    timing = time_call(source.sum, context.device, limit_s=_LIMIT_S)
    _bandwidth(context, "a sum, read alone", 4 * numbers, timing)
    return copied


def _transfers(context: Context) -> None:
    numbers = 2**20 if context.toy else 2**28
    here = torch.rand(numbers).pin_memory()
    there = torch.empty_like(here, device=context.device)
    for way, target, source in (("to the card, pinned", there, here), ("from the card, pinned", here, there)):
        timing = time_call(
            lambda target=target, source=source: target.copy_(source, non_blocking=True),  # type: ignore[misc]
            context.device,
            limit_s=_LIMIT_S,
        )
        _bandwidth(context, way, 4 * numbers, timing)


def _factors(context: Context, precision: str) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Two random matrices and the place of their product; a card's power, and so its clocks, depend on the numbers."""
    size = 256 if context.toy else 8192
    first, second = (torch.randn(size, size, device=context.device, dtype=_DTYPES[precision]) for _ in range(2))
    return first, second, torch.empty_like(first)


def _try_product(context: Context, precision: str) -> float | None:
    return context.attempt("matrix", precision, lambda: _product(context, precision), at_least_s=1)


def _product(context: Context, precision: str, *, tf32: bool = False) -> float:
    """Operations a second of a large product."""
    torch.set_float32_matmul_precision("high" if tf32 else "highest")
    first, second, product = _factors(context, precision)
    timing = time_call(
        lambda: torch.matmul(first, second, out=product),
        context.device,
        warmup=3 if context.toy else 10,
        runs=5 if context.toy else 50,
        limit_s=_LIMIT_S,
    )
    return _matrix(context, f"{precision} with TF32" if tf32 else precision, len(first), timing)


def _matrix(context: Context, precision: str, size: int, timing: Timing) -> float:
    per_s = 2 * size**3 / timing.median_ms * 1e3
    context.row(
        "matrix",
        numbers=precision,
        size=size,
        median_ms=timing.median_ms,
        least_ms=timing.least_ms,
        tera_operations_per_s=per_s / 1e12,
    )
    return per_s


def _under_load(context: Context) -> None:
    """Read the card while it multiplies, and how fast it still does after some seconds of that."""
    first, second, product = _factors(context, "bf16")

    def multiply() -> None:
        for _ in range(10):
            torch.matmul(first, second, out=product)
        synchronize(context.device)

    end_s = time.monotonic() + _LOAD_S
    while time.monotonic() < end_s:
        multiply()
    _clocks(context, "multiplying bf16", query(NOW, multiply))
    timing = time_call(lambda: torch.matmul(first, second, out=product), context.device, runs=50, limit_s=_LIMIT_S)
    _matrix(context, "bf16 after seconds of load", len(first), timing)
