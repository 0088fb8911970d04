"""What differs between the configurations of a model for CPUs and for a target with a GPU."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from tritonclient.grpc import model_config_pb2 as pb

from export.repository.artefact import Artefact
from export.repository.deployment import Deployment
from infolens.contract import Task
from infolens.targets import Target

_TENSORRT_WORKSPACE_BYTES: Final = 2 << 30
"""What TensorRT may take of a GPU's memory while it tries out kernels."""
_TENSORRT_CACHE: Final = "plans"
"""Where TensorRT keeps what it has built: in the folder that Triton runs in, the environment that it was built with."""


def instances(deployment: Deployment, count: int) -> pb.ModelInstanceGroup:
    """Where a classifier runs, and how many copies of it there are.

    A server uses one GPU, the first that it sees: ``CUDA_VISIBLE_DEVICES`` says which that is.
    """
    if deployment.target.record.on_gpu:
        return pb.ModelInstanceGroup(count=count, kind=pb.ModelInstanceGroup.KIND_GPU, gpus=[0])
    return pb.ModelInstanceGroup(count=count, kind=pb.ModelInstanceGroup.KIND_CPU)


def classifier_parameters(
    artefact: Artefact, deployment: Deployment, lengths: tuple[int, ...], memory_patterns: str
) -> Mapping[str, str]:
    """The parameters of a model in one graph, by name, as NVIDIA's native backend ``onnxruntime`` reads them.

    ``lengths`` is read by our backend alone, which records a CUDA graph for each.

    Args:
        artefact: The model.
        deployment: How the repository is run.
        lengths: The token lengths that its inputs are padded to.
        memory_patterns: Whether ONNX Runtime plans its memory by shapes, ``0`` or ``1``.
    """
    model = deployment.model(Task(artefact.task))
    parameters = {
        "intra_op_thread_count": str(model.threads),
        "inter_op_thread_count": "1",
        "session.intra_op.allow_spinning": "0",
        "enable_mem_pattern": memory_patterns,
    }
    if deployment.target.record.on_gpu:
        # Else ONNX Runtime takes twice as much memory each time that it needs more.
        parameters |= {"arena_extend_strategy": "1", "lengths": ",".join(map(str, lengths))}
        if model.memory_bytes:
            parameters["gpu_mem_limit"] = str(model.memory_bytes)
    return parameters


def accelerate(config: pb.ModelConfig, artefact: Artefact, deployment: Deployment) -> None:
    """Have a classifier computed by TensorRT where that is the target: `execution_accelerators` of the native backend.

    Args:
        config: Gets it.
        artefact: The model.
        deployment: How the repository is run.
    """
    if deployment.target is not Target.TENSORRT:
        return
    accelerator = config.optimization.execution_accelerators.gpu_execution_accelerator.add(name="tensorrt")
    accelerator.parameters.update(
        {
            "precision_mode": artefact.precision.upper(),
            "max_workspace_size_bytes": str(_TENSORRT_WORKSPACE_BYTES),
            "trt_engine_cache_enable": "true",
            "trt_engine_cache_path": _TENSORRT_CACHE,
            "trt_timing_cache_enable": "true",
            "trt_timing_cache_path": _TENSORRT_CACHE,
        }
    )
