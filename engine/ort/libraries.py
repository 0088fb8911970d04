"""Which library is missing where ONNX Runtime cannot use a GPU, and which wheel brings it."""

from __future__ import annotations

import ctypes
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

import onnxruntime as ort

from engine.executor import UnavailableError

CUDA: Final = "CUDAExecutionProvider"
OLDEST: Final = (1, 28)
"""The oldest release whose CUDA provider is for CUDA 13 and is meant here."""
_WHEELS: Final[Mapping[str, str]] = {
    "libcublas": "nvidia-cublas",
    "libcublasLt": "nvidia-cublas",
    "libcuda": "",
    "libcudart": "nvidia-cuda-runtime",
    "libcudnn": "nvidia-cudnn-cu13",
    "libcufft": "nvidia-cufft",
    "libcurand": "nvidia-curand",
    "libnvJitLink": "nvidia-nvjitlink",
    "libnvrtc": "nvidia-cuda-nvrtc",
}
"""Wheels of CUDA 13 by the beginning of a library's name; nothing for what the GPU's driver brings."""


def require_cuda(
    providers: Sequence[str] | None = None, version: str = ort.__version__, oldest: tuple[int, int] = OLDEST
) -> None:
    """See whether ONNX Runtime is one for GPUs, and load the libraries of NVIDIA's wheels.

    Args:
        providers: Those that it has; None asks it.
        version: Its release.
        oldest: The oldest one that will do.

    Raises:
        UnavailableError: It is not; the message says what to install.
    """
    wanted = ".".join(map(str, oldest))
    if CUDA not in (ort.get_available_providers() if providers is None else providers):
        raise UnavailableError(
            f"ONNX Runtime {version} here is built for CPUs alone: install the wheel onnxruntime-gpu, {wanted} or "
            "newer, in the place of onnxruntime"
        )
    if tuple(map(int, re.findall(r"\d+", version)[:2])) < oldest:
        raise UnavailableError(
            f"ONNX Runtime {version} is older than {wanted}, the first that this is written for: install the wheel "
            f"onnxruntime-gpu, {wanted} or newer"
        )
    ort.preload_dlls()


def lost_provider(message: str | None = None) -> UnavailableError:
    """Why a session has no CUDA provider although ONNX Runtime has one.

    Args:
        message: What the loader says about the provider's library; None tries to load it.
    """
    message = loading_failure() if message is None else message
    if not message:
        return UnavailableError(
            "ONNX Runtime found no GPU that it can use: see whether nvidia-smi shows one, and whether its driver is "
            "one for CUDA 13"
        )
    missing = missing_library(message)
    if not missing:
        return UnavailableError(f"ONNX Runtime cannot load its CUDA provider: {message}")
    return UnavailableError(f"ONNX Runtime cannot load its CUDA provider, as {missing}")


def missing_library(message: str) -> str:
    """Which library of NVIDIA's a message names, and what brings it; nothing if it names none."""
    found = re.search(r"(lib[A-Za-z]+)[\w-]*\.so[.\d]*", message)
    wheel = _WHEELS.get(found.group(1)) if found else None
    if found is None or wheel is None:
        return ""
    return f"{found.group()} is missing: " + (f"install the wheel {wheel}" if wheel else "install the GPU's driver")


def loading_failure() -> str:
    """What the loader says about the CUDA provider's library; nothing if it loads."""
    try:
        ctypes.CDLL(str(Path(ort.__file__).parent / "capi" / "libonnxruntime_providers_cuda.so"))
    except OSError as error:
        return str(error)
    return ""
