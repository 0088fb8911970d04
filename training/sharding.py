"""Fully sharded data parallel training (FSDP2): weights, gradients and optimizer state shared out over the workers.

The layers are wrapped with ``torch.distributed.fsdp.fully_shard``, which runs on GPUs (nccl) and on CPUs (gloo) alike;
accelerate's FSDP plugin refuses CPUs, so what is tested here would not be what runs there. Checkpoints are whole ones:
they can be read by one process, and by any other number of workers. (Zhao et al., 2023, PyTorch FSDP.)
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

import torch
from torch import nn

LAYERS: Final = frozenset({"TransformerBlock", "XLNetLayer", "BartEncoderLayer", "BartDecoderLayer"})
"""Class names of the layers that are gathered one at a time, so that one layer's weights at a time are whole."""


def shard(model: nn.Module) -> None:
    """Share the model's parameters out over all workers, in place.

    Raises:
        RuntimeError: There is no process group.
    """
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.fsdp import fully_shard

    kind = "cuda" if torch.cuda.is_available() else "cpu"
    mesh = init_device_mesh(kind, (torch.distributed.get_world_size(),))
    for module in list(model.modules()):
        if type(module).__name__ in LAYERS:
            fully_shard(module, mesh=mesh)
    fully_shard(model, mesh=mesh)


def whole(tensor: torch.Tensor) -> torch.Tensor:
    """A tensor's full value on the CPU; every worker must ask for the same one at the same time."""
    full = tensor.full_tensor() if hasattr(tensor, "full_tensor") else tensor
    return full.detach().cpu()


def copy_whole(target: torch.Tensor, value: torch.Tensor) -> None:
    """Write a full value into a tensor, of which this worker may hold a shard only."""
    with torch.no_grad():
        if hasattr(target, "full_tensor"):
            from torch.distributed.tensor import distribute_tensor

            value = distribute_tensor(value.to(target.device), target.device_mesh, target.placements)
        target.copy_(value)


def state_dict(model: nn.Module) -> dict[str, torch.Tensor]:
    """The full state of a sharded model on the CPU; called by every worker."""
    return {name: whole(tensor) for name, tensor in model.state_dict().items()}


def load_weights(model: nn.Module, state: dict[str, torch.Tensor]) -> None:
    """Write full values into a sharded model; what ``state`` does not name stays.

    Raises:
        KeyError: ``state`` names something that the model does not have.
    """
    own = model.state_dict()
    for name, value in state.items():
        copy_whole(own[name], value)


def save_optimizer(model: nn.Module, optimizer: Any, path: Path, *, write: bool) -> None:
    """Gather the optimizer's state and write it where ``write`` says so; called by every worker."""
    from torch.distributed.checkpoint.state_dict import StateDictOptions, get_optimizer_state_dict

    options = StateDictOptions(full_state_dict=True, cpu_offload=True)
    state = get_optimizer_state_dict(model, _plain(optimizer), options=options)
    if write:
        torch.save(state, path)


def load_optimizer(model: nn.Module, optimizer: Any, path: Path) -> None:
    """Read a state of `save_optimizer` into this worker's shard."""
    from torch.distributed.checkpoint.state_dict import StateDictOptions, set_optimizer_state_dict

    state = torch.load(path, map_location="cpu", weights_only=True)
    set_optimizer_state_dict(model, _plain(optimizer), state, options=StateDictOptions(full_state_dict=True))


def _plain(optimizer: Any) -> torch.optim.Optimizer:
    """The torch optimizer inside accelerate's wrapper."""
    inner: torch.optim.Optimizer = getattr(optimizer, "optimizer", optimizer)
    return inner


def parameter_bytes(parameters: Iterable[torch.Tensor]) -> int:
    """Size of the parameters that have gradients, in bytes, over all shards."""
    return sum(p.numel() * p.element_size() for p in parameters if p.requires_grad)
