"""TensorRT, or TensorRT for RTX, whichever is installed; both have the same interface."""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from functools import cache
from typing import Any, Final

from engine.executor import UnavailableError

_MODULES: Final = ("tensorrt", "tensorrt_rtx", "tensorrt_bindings", "tensorrt_rtx_bindings")
"""As the wheels name them; the complete TensorRT first, which knows GPUs of data centres too."""
_ADVICE: Final = (
    "install tensorrt-cu13, version 10.15 or newer, or for GPUs of the compute capabilities 7.5, 8.x and 12.x "
    "tensorrt-rtx-cu13-libs with tensorrt-rtx-cu13-bindings"
)


@dataclass(frozen=True, kw_only=True)
class Library:
    """An installed TensorRT."""

    module: Any
    logger: Any
    """The only one of the process: TensorRT keeps the first that it is given."""

    @property
    def version(self) -> str:
        """Name and version: what a plan depends on."""
        return f"{self.module.__name__.removesuffix('_bindings')} {self.module.__version__}"


@cache
def load_library() -> Library:
    """Import TensorRT.

    Raises:
        UnavailableError: There is none, its libraries are missing, or it is too old to update caches in place.
    """
    failures = []
    for name in _MODULES:
        try:
            module = importlib.import_module(name)
        except ImportError as error:
            if name not in str(error):  # The package is there, and a library that it needs is not.
                failures.append(f"{name} cannot be loaded ({error})")
            continue
        if not hasattr(module.INetworkDefinition, "add_kv_cache_update"):
            failures.append(f"{name} {module.__version__} cannot update caches in place")
            continue
        return Library(module=module, logger=_logger(module))
    found = "; ".join(failures) or "TensorRT is not installed"
    raise UnavailableError(f"{found}: {_ADVICE}")


def _logger(module: Any) -> Any:
    """Keeps what TensorRT says from warnings on, as ``lines``, so that an error can be told with its reason."""

    class Logger(module.ILogger):  # type: ignore[misc]
        def __init__(self) -> None:
            module.ILogger.__init__(self)
            self.lines: list[str] = []

        def log(self, severity: Any, message: str) -> None:
            # What is said of every INT64 input: that it is one.
            if severity <= module.ILogger.Severity.WARNING and "Int64 binding" not in message:
                self.lines.append(f"{severity.name.lower()}: {message}")

    return Logger()
