"""Fully sharded data parallel training (FSDP2): weights, gradients and optimizer state shared out over the workers.

The layers are wrapped with ``torch.distributed.fsdp.fully_shard``, which runs on GPUs (nccl) and on CPUs (gloo) alike;
accelerate's FSDP plugin refuses CPUs, so what is tested here would not be what runs there. Checkpoints are whole ones:
they can be read by one process, and by any other number of workers. (Zhao et al., 2023, PyTorch FSDP.)
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import nn

from training.models.architectures import architecture_of


def shard(model: Any) -> None:
    """Share the parameters of a model of `transformers` out over all workers, in place.

    Its architecture's layers are gathered one at a time, so that one layer's weights at a time are whole.

    Raises:
        BaseModelError: The model's architecture has no record.
        RuntimeError: There is no process group.
    """
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.fsdp import fully_shard

    kind = "cuda" if torch.cuda.is_available() else "cpu"
    mesh = init_device_mesh(kind, (torch.distributed.get_world_size(),))
    layers = architecture_of(model.config.model_type).layer_classes
    for module in list(model.modules()):
        if type(module).__name__ in layers:
            fully_shard(module, mesh=mesh)
    fully_shard(model, mesh=mesh)


def whole(tensor: torch.Tensor) -> torch.Tensor:
    """A tensor's full value on the CPU; every worker must ask for the same one at the same time."""
    full = tensor.full_tensor() if hasattr(tensor, "full_tensor") else tensor
    return full.detach().cpu()


def copy_whole(target: torch.Tensor, value: torch.Tensor) -> None:
    """Write a full value into a tensor, of which this worker may hold a shard only."""
    with torch.no_grad():
        target.copy_(shard_of(value, target))


def shard_of(value: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """This worker's shard of a full value, where ``target`` has shards; every worker must ask at the same time."""
    from torch.distributed.tensor import DTensor, distribute_tensor

    if not isinstance(target, DTensor) or isinstance(value, DTensor):
        return value
    return distribute_tensor(value.to(target.device), target.device_mesh, target.placements)


def state_dict(model: nn.Module) -> dict[str, torch.Tensor]:
    """The full state of a sharded model on the CPU; called by every worker."""
    return {name: whole(tensor) for name, tensor in model.state_dict().items()}


def parameter_bytes(parameters: Iterable[torch.Tensor]) -> int:
    """Size of the parameters that have gradients, in bytes, over all shards."""
    return sum(p.numel() * p.element_size() for p in parameters if p.requires_grad)
