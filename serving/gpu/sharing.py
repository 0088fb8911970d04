"""Whether one process computes for all on a server's GPU: the summarizer's, to which classifiers send their batches."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from tritonclient.grpc import model_config_pb2 as pb

from infolens.targets import Target
from serving.errors import RepositoryError

from .configs import parse_config

VARIABLE: Final = "INFOLENS_GPU_HOST"
"""Tells backends where the socket of that process is. Whoever starts the server sets it to `OFF` against this."""
OFF: Final = "off"
_FOLDER: Final = "gpu"
_SOCKET: Final = "host"
_REHEARSAL: Final = "rehearse_gpu"
_DEVICE: Final = "device"


def shares_gpu(configs: Iterable[Path], target: Target) -> bool:
    """Whether a summarizer and others are to compute on the same GPU, or rehearse that on the processor.

    Args:
        configs: The configurations that models are served with.
        target: What models run on.
    """
    found = [config for path in configs if (config := _read(path)) is not None]
    sessions = [config for config in found if config.backend == "onnxruntime"]
    devices = {config.parameters[_DEVICE].string_value for config in found if config.backend == "summarizer"}
    if any(_REHEARSAL in config.parameters for config in sessions):
        return bool(devices)
    on_gpu = any(group.kind == pb.ModelInstanceGroup.KIND_GPU for config in sessions for group in config.instance_group)
    # TensorRT builds for minutes, which several processes do at a time.
    return target is Target.CUDA and on_gpu and bool(devices - {"cpu"})


def _read(path: Path) -> pb.ModelConfig | None:
    """A configuration; None for one that is wrong, which others tell: `check_repository`, or Triton."""
    try:
        return parse_config(path)
    except RepositoryError:
        return None


class HostPlace:
    """Where the backends of a server meet who compute on the same GPU.

    Args:
        folder: Gets a folder for the socket, for this user alone; None for one that goes with `close`.
    """

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder
        self._own: tempfile.TemporaryDirectory[str] | None = None
        self._shared = False

    def look(self, configs: Iterable[Path], target: Target) -> None:
        """See whether there is to be one, as `shares_gpu` says it, and nobody has set `VARIABLE` to `OFF`."""
        self._shared = os.environ.get(VARIABLE) != OFF and shares_gpu(configs, target)

    def variables(self) -> dict[str, str]:
        """The environment variable that tells the backends; empty where there is to be none."""
        if not self._shared:
            return {}
        if self._folder is not None:
            place = self._folder / _FOLDER
            place.mkdir(mode=0o700, parents=True, exist_ok=True)
        else:
            self._own = self._own or tempfile.TemporaryDirectory(prefix="infolens-gpu-", ignore_cleanup_errors=True)
            place = Path(self._own.name)
        return {VARIABLE: str(place.resolve() / _SOCKET)}

    def close(self) -> None:
        """Remove what was made in no folder of the server's."""
        if self._own is not None:
            self._own.cleanup()
            self._own = None
