"""Where a session computes: the execution providers of ONNX Runtime that a configuration asks for.

What NVIDIA's native backend knows is known here under the same names:

* ``instance_group``: KIND_CPU, or KIND_GPU with the number of the GPU.
* ``optimization { execution_accelerators { gpu_execution_accelerator {...} } }``: ``tensorrt`` with ``precision_mode``,
  ``max_workspace_size_bytes``, ``int8_...`` and ``trt_...``, or ``cuda`` with any option of ONNX Runtime's provider.
* the parameters ``gpu_mem_limit``, ``arena_extend_strategy``, ``cudnn_conv_algo_search`` and
  ``do_copy_in_default_stream``.

A GPU that is asked for is used, or the model does not load: ONNX Runtime by itself would go on with the CPU.
"""

from __future__ import annotations

import ctypes
import hashlib
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import onnxruntime as ort

from engine.executor import UnavailableError
from engine.ort.devices import check_placement, device_of
from engine.ort.libraries import CUDA, lost_provider, require_cuda

from .parameters import BOOLEANS, choose, lengths_of, parameters_of, switch

CPU = "CPUExecutionProvider"
TENSORRT = "TensorrtExecutionProvider"
REHEARSAL = "rehearse_gpu"
"""The parameter that makes an instance on a CPU pad and bind its batches as one on a GPU does."""
CACHE = "INFOLENS_CACHE"
"""The environment variable that names the server's cache; without it the folder of the model's version stands for it.
Paths of TensorRT's caches begin there."""
PLANS = "plans"
"""The folder for the engines of TensorRT where no path is given."""

# As on a CPU: no digits are cut off, and sums of normalisations are in fp32. Memory grows by what is asked for.
_CUDA_DEFAULTS = {
    "use_tf32": "0",
    "enable_skip_layer_norm_strict_mode": "1",
    "arena_extend_strategy": "kSameAsRequested",
}
_CUDA_PARAMETERS: Mapping[str, Mapping[str, str] | None] = {
    "gpu_mem_limit": None,
    "arena_extend_strategy": {"0": "kNextPowerOfTwo", "1": "kSameAsRequested"},
    "cudnn_conv_algo_search": {"0": "EXHAUSTIVE", "1": "HEURISTIC", "2": "DEFAULT"},
    "do_copy_in_default_stream": {key: str(int(value)) for key, value in BOOLEANS.items()},
}
"""Parameters of the native backend, with what their values stand for; None: whatever they are."""
_TENSORRT_NAMES = {
    "max_workspace_size_bytes": "trt_max_workspace_size",
    "int8_calibration_table_name": "trt_int8_calibration_table_name",
    "int8_use_native_calibration_table": "trt_int8_use_native_calibration_table",
}
_TENSORRT_PRECISIONS = {
    "FP32": {},
    "FP16": {"trt_fp16_enable": "1"},
    "BF16": {"trt_bf16_enable": "1"},
    "INT8": {"trt_int8_enable": "1"},
}


@dataclass(frozen=True, kw_only=True)
class Placement:
    """Where a session computes."""

    providers: tuple[tuple[str, dict[str, str]], ...]
    """ONNX Runtime's providers with their options, the one that is wanted first."""
    device: str
    """``cpu`` or ``cuda``: where memory is bound."""
    number: int = 0
    """The GPU's number."""
    shapes: bool = False
    """Whether batches are padded to the shapes that are prepared."""
    graphs: bool = False
    """Whether these are captured as CUDA graphs."""

    @property
    def wanted(self) -> str:
        """The provider without which the session is not what was asked for."""
        return self.providers[0][0]


def placement(config: Mapping[str, Any], kind: str, number: int, version: Path) -> Placement:
    """Where a configuration wants an instance to compute.

    Args:
        config: The model's configuration.
        kind: ``CPU`` or ``GPU``, as Triton says it.
        number: The GPU.
        version: The folder of the model's version.

    Raises:
        ValueError: A parameter has a value that it cannot have.
    """
    parameters = parameters_of(config)
    lengths = lengths_of(parameters)
    if kind == "CPU":
        rehearsal = switch(parameters, REHEARSAL) and bool(lengths)
        return Placement(providers=((CPU, {}),), device="cpu", shapes=rehearsal)
    if kind != "GPU":
        raise ValueError(f"the kind of an instance is KIND_CPU or KIND_GPU, not KIND_{kind}")
    accelerators = config.get("optimization", {}).get("execution_accelerators", {}).get("gpu_execution_accelerator", [])
    asked = {one["name"]: dict(one.get("parameters", {})) for one in accelerators}
    if unknown := sorted(set(asked) - {"tensorrt", "cuda"}):
        raise ValueError(f"a gpu_execution_accelerator is tensorrt or cuda, not {', '.join(unknown)}")
    if "tensorrt" in asked:
        options = tensorrt_options(asked["tensorrt"], config, lengths, version)
        first = [(TENSORRT, {**device_of(number), **options})]
    else:
        first = []
    captured = not first and bool(lengths)
    cuda = cuda_options(parameters, asked.get("cuda", {})) | device_of(number)
    if captured:
        cuda["enable_cuda_graph"] = "1"
    return Placement(providers=(*first, (CUDA, cuda)), device="cuda", number=number, shapes=captured, graphs=captured)


def cuda_options(parameters: Mapping[str, str], accelerator: Mapping[str, str]) -> dict[str, str]:
    """The options of the CUDA provider.

    Args:
        parameters: Those of the model.
        accelerator: Those of the accelerator ``cuda``, which are handed on as they are.

    Raises:
        ValueError: A parameter has a value that it cannot have.
    """
    found = dict(_CUDA_DEFAULTS)
    for key, choices in _CUDA_PARAMETERS.items():
        if key in parameters:
            found[key] = parameters[key] if choices is None else choose(key, parameters[key], choices)
    return {**found, **accelerator}


def tensorrt_options(
    accelerator: Mapping[str, str], config: Mapping[str, Any], lengths: Sequence[int], version: Path
) -> dict[str, str]:
    """The options of the TensorRT provider.

    Without a range of shapes TensorRT builds a new engine, for minutes, whenever a batch is larger or longer than any
    before: the range of all batches is given here, unless the configuration does.

    Raises:
        ValueError: A parameter is unknown, or has a value that it cannot have.
    """
    found = {
        "trt_engine_cache_enable": "1",
        "trt_engine_cache_path": PLANS,
        "trt_timing_cache_enable": "1",
        "trt_timing_cache_path": PLANS,
    }
    for key, value in accelerator.items():
        if key == "precision_mode":
            found |= choose(key, value, _TENSORRT_PRECISIONS)
        elif key in _TENSORRT_NAMES or key.startswith("trt_"):
            found[_TENSORRT_NAMES.get(key, key)] = value
        else:
            raise ValueError(f"parameter {key} of the accelerator tensorrt is unknown: see the native backend's README")
    cache = Path(os.environ.get(CACHE) or version)
    found["trt_timing_cache_path"] = str(cache / found["trt_timing_cache_path"])
    found["trt_engine_cache_path"] = str(cache / found["trt_engine_cache_path"] / contents(version))
    if lengths and not any(key.startswith("trt_profile_") for key in found):
        rows = max(1, int(config.get("max_batch_size", 0)))
        least, most = (
            ",".join(f"{one['name']}:{size}x{length}" for one in config["input"])
            for size, length in ((1, 1), (rows, lengths[-1]))
        )
        found |= {"trt_profile_min_shapes": least, "trt_profile_opt_shapes": most, "trt_profile_max_shapes": most}
    return found


def contents(version: Path) -> str:
    """A name for what the files of a model's version hold.

    ONNX Runtime finds an engine of TensorRT by the names in a graph and by releases: a model with other weights would
    be answered by the engine of the one before, were they not in folders of their own.
    """
    digest = hashlib.sha256()
    for path in sorted(version.glob("*.onnx*")):
        with path.open("rb") as file:
            digest.update(hashlib.file_digest(file, "sha256").digest())
    return digest.hexdigest()[:16]


def open_session(path: Path, options: ort.SessionOptions, where: Placement) -> ort.InferenceSession:
    """Open a graph, and see that it is where it was wanted.

    Raises:
        ValueError: The file is no model, or the GPU cannot run it; the message says what to do.
    """
    try:
        if where.device == "cuda":
            require_cuda()
            options.add_session_config_entry("session.record_ep_graph_assignment_info", "1")
            for _, settings in where.providers:
                for key in ("trt_engine_cache_path", "trt_timing_cache_path"):
                    if key in settings:
                        Path(settings[key]).mkdir(parents=True, exist_ok=True)
        session = ort.InferenceSession(path, options, providers=list(where.providers))
        if where.wanted not in session.get_providers():
            raise _lost(where.wanted)
        if where.device == "cuda":
            assigned: dict[str, list[str]] = {}
            ours = {provider for provider, _ in where.providers}
            for part in session.get_provider_graph_assignment_info():
                name = where.wanted if part.ep_name in ours else part.ep_name
                assigned.setdefault(name, []).extend(node.op_type for node in part.get_nodes())
            check_placement(path, where.wanted, assigned)
    except (ValueError, UnavailableError) as error:
        raise ValueError(str(error)) from error
    except OSError as error:
        raise ValueError(f"{error}: let trt_engine_cache_path name a folder that can be written") from error
    except Exception as error:
        raise ValueError(f"{path} is damaged or not an ONNX model that {where.wanted} can run: {error}") from error
    return session


def _lost(provider: str) -> UnavailableError:
    """Why a session is without the provider that was asked for."""
    if provider == CUDA:
        return lost_provider()
    library = Path(ort.__file__).parent / "capi" / "libonnxruntime_providers_tensorrt.so"
    try:
        ctypes.CDLL(str(library))
    except OSError as error:
        return UnavailableError(
            f"ONNX Runtime cannot load its TensorRT provider ({error}): install TensorRT (the wheel tensorrt-cu13), or "
            "take the accelerator tensorrt out of the configuration, which leaves CUDA"
        )
    return UnavailableError(
        "ONNX Runtime does not use TensorRT here: see whether nvidia-smi shows a GPU, or take the accelerator tensorrt "
        "out of the configuration"
    )
