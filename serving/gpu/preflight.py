"""Whether this machine, its runtime environment and its models can serve on a GPU: all that is missing, in words.

Nothing falls back to the CPU: a server that was asked for a GPU and has none would answer, a hundred times slower.
"""

from __future__ import annotations

import logging
import os
import shutil
import sysconfig
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from infolens.targets import Target
from serving.environment.packages import NEEDED_ON_GPU, asked, folder_faults
from serving.errors import TargetError

from .driver import Driver, read_driver
from .models import made_for, model_faults, newest

CUDA_VERSION: Final = (13, 0)
"""The CUDA of the wheels in ``requirements/triton-gpu.txt``."""
DRIVER_RELEASE: Final = "580"
"""The first release of NVIDIA's driver that runs it."""
COMPUTE_CAPABILITY: Final = (7, 5)
"""The oldest GPUs that CUDA 13 runs on: Turing, such as a T4."""
_SPARE_BYTES: Final = 2 << 30
"""What the processes' contexts and buffers take at least beside the weights."""
_CPU: Final = "leave --target out, to serve on the CPU"
_PROVIDERS: Final = {Target.CUDA: "CUDAExecutionProvider", Target.TENSORRT: "TensorrtExecutionProvider"}
"""What ONNX Runtime computes with on each target."""
_CHECK: Final = """\
torch, onnxruntime = bring("torch"), bring("onnxruntime")
if torch and torch.version.cuda is None:
    faults.append(f"torch {torch.__version__} is built for CPUs alone")
elif torch and not torch.cuda.is_available():
    faults.append(f"torch {torch.__version__} finds no GPU")
if onnxruntime and sys.argv[1] not in onnxruntime.get_available_providers():
    faults.append(f"onnxruntime {onnxruntime.__version__} has no {sys.argv[1]}")
"""

log = logging.getLogger(__name__)


def preflight(
    repository: Path,
    configs: Mapping[Path, Path],
    target: Target,
    installed: Sequence[Path] = (),
    driver: Driver | None = None,
) -> None:
    """See whether the models of a repository can be served on this machine's GPU, if that is the target.

    Where it is not, it says aloud which models were exported for one.

    Args:
        repository: The model repository.
        configs: The configuration that each model is served with, by its folder (`serving.repository.config_files`).
        target: Where they are to run.
        installed: The folders of packages that they are to run with, where those are installed already.
        driver: What the machine has; None asks it.

    Raises:
        TargetError: They cannot; the message has every reason, and what to do about it.
    """
    if not target.record.on_gpu:
        _warn_of_models_for_gpus([model for model, path in configs.items() if path.parent == model])
        return
    there = [model for model, path in configs.items() if path.parent != model]
    faults = model_faults(repository, configs, target)
    faults += machine_faults(read_driver() if driver is None else driver, sum(map(_weights_bytes, there)))
    if installed:
        faults += folder_faults(installed, NEEDED_ON_GPU)
    if faults:
        lines = [f"cannot serve on the target {target}:", *(f"  * {fault}" for fault in faults), f"  or {_CPU}"]
        raise TargetError("\n".join(lines))
    if target is Target.CUDA and (missing := _missing_for_kernels()):
        log.warning("summaries are slower without %s: kernels are compiled for the GPU when it is first used", missing)


def _missing_for_kernels() -> str:
    """What PyTorch's compiler of kernels lacks on this machine; empty where it has all."""
    if not any(shutil.which(name) for name in (os.environ.get("CC"), "gcc", "clang") if name):
        return "a C compiler (install gcc, or name another one in CC)"
    headers = Path(sysconfig.get_path("include"), "Python.h")
    return "" if headers.is_file() else f"Python's headers ({headers}; Debian and Ubuntu: apt install python3-dev)"


def _warn_of_models_for_gpus(models: list[Path]) -> None:
    for model in models:
        wanted = made_for(model)
        if wanted.record.on_gpu:
            words = "the model %s was exported for %s, and is slow on a CPU or fails: serve it with --target %s"
            log.warning(words, model.name, wanted, wanted)


def machine_faults(driver: Driver, weights_bytes: int) -> list[str]:
    """Why models cannot run on the GPU of a machine, each with what to do about it; empty where they can.

    Args:
        driver: What the machine has.
        weights_bytes: What the models' files hold.
    """
    faults = []
    if not driver.device_files:
        faults.append(
            "there is no device file of a GPU (/dev/nvidia0): install NVIDIA's driver on the machine; a container must "
            "be given the GPU (docker run --gpus all, in Kubernetes nvidia.com/gpu under resources.limits)"
        )
    if not driver.loaded:
        faults.append(
            f"libcuda.so.1, a part of NVIDIA's driver, is not to be found: install the driver, release "
            f"{DRIVER_RELEASE} or newer; into a container NVIDIA's container toolkit brings it"
        )
        return faults
    if driver.cuda_version < CUDA_VERSION:
        faults.append(
            f"NVIDIA's driver runs CUDA {_dotted(driver.cuda_version)}, and {_dotted(CUDA_VERSION)} is needed: install "
            f"its release {DRIVER_RELEASE} or newer"
        )
    if driver.error:
        faults.append(f"NVIDIA's driver does not start (cuInit returned {driver.error}): see what nvidia-smi says")
    elif not driver.gpus:
        hidden = os.environ.get("CUDA_VISIBLE_DEVICES")
        why = "" if hidden is None else f", and CUDA_VISIBLE_DEVICES is {hidden!r}: set it to the number of one, or not"
        faults.append(f"NVIDIA's driver shows no GPU{why or ': see what nvidia-smi says'}")
    elif (gpu := driver.gpus[0]).compute_capability < COMPUTE_CAPABILITY:
        faults.append(
            f"{gpu.name} is of compute capability {_dotted(gpu.compute_capability)}, and CUDA 13 runs on "
            f"{_dotted(COMPUTE_CAPABILITY)} (such as a T4) or newer: take another GPU"
        )
    needed = weights_bytes + _SPARE_BYTES
    if driver.free_bytes is not None and driver.free_bytes < needed:
        faults.append(
            f"{_gigabytes(driver.free_bytes)} of the GPU's memory are free, and these models need more than "
            f"{_gigabytes(needed)}: end what else runs there (nvidia-smi shows it), or take a larger GPU"
        )
    return faults


def _dotted(version: tuple[int, int]) -> str:
    return f"{version[0]}.{version[1]}"


def _gigabytes(count: int) -> str:
    return f"{count / 1e9:.1f} GB"


def _weights_bytes(model: Path) -> int:
    """What the files of a model's newest version hold, in bytes; its tokenizer's text counts for nothing."""
    return sum(path.stat().st_size for path in newest(model).glob("*") if path.is_file() and path.suffix != ".json")


def check_environment(python: str, environment: Mapping[str, str], target: Target) -> None:
    """Have the packages that models will run with look for the GPU, if that is the target.

    Args:
        python: The environment's Python.
        environment: The environment variables of the models' processes.
        target: Where they are to run.

    Raises:
        TargetError: They do not find it, or are built for CPUs.
    """
    if not target.record.on_gpu:
        return
    if fault := asked(python, environment, _CHECK, _PROVIDERS[target]):
        raise TargetError(
            f"the packages of Triton's environment cannot use the GPU: {fault}. They are to be those of "
            f"{' and '.join(f'requirements/{file}' for file in target.record.requirements)}; {_CPU}"
        )
