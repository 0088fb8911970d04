"""Whole states of a sharded model and its optimizer, through torch's own hooks.

A checkpoint holds whole tensors, whatever the strategy: one process reads it, and any number of workers. With these
hooks whoever saves and loads need not know that the model is sharded.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import nn

from .sharding import shard_of, whole


def takes_whole_weights(model: nn.Module) -> None:
    """Let ``load_state_dict`` of a sharded model take whole tensors; every worker must load the same."""
    model.register_load_state_dict_pre_hook(_share_out_weights)


def _share_out_weights(module: nn.Module, state: dict[str, Any], prefix: str, *_: Any) -> None:
    own = dict(module.named_parameters(remove_duplicate=False))
    for name, value in state.items():
        if (target := own.get(name.removeprefix(prefix))) is not None:
            state[name] = shard_of(value, target)


class WholeOptimizer:
    """Lets ``state_dict`` of a sharded model's optimizer give whole tensors, and ``load_state_dict`` take them.

    The trainer asks one worker alone for the state, and a shard is made whole by all of them together: so all of them
    call `gather` first.
    """

    def __init__(self, optimizer: torch.optim.Optimizer) -> None:
        self.optimizer = optimizer
        self.gathered: dict[int, dict[str, Any]] = {}
        optimizer.register_state_dict_post_hook(self._give_whole)
        optimizer.register_load_state_dict_pre_hook(self._share_out)

    @property
    def parameters(self) -> list[torch.Tensor]:
        """The parameters in the order by which the optimizer's state numbers them."""
        return [parameter for group in self.optimizer.param_groups for parameter in group["params"]]

    def gather(self, *, keep: bool) -> None:
        """Make the state whole, and keep it where ``keep`` says so; called by every worker."""
        gathered = {}
        for number, parameter in enumerate(self.parameters):
            values = self.optimizer.state.get(parameter, {})
            state = {name: whole(v) if isinstance(v, torch.Tensor) else v for name, v in values.items()}
            if keep and state:
                gathered[number] = state
        self.gathered = gathered

    def _give_whole(self, _: torch.optim.Optimizer, state: dict[str, Any]) -> dict[str, Any]:
        """The state with whole tensors.

        Raises:
            RuntimeError: It was not gathered since it was last given.
        """
        if state["state"].keys() != self.gathered.keys():
            raise RuntimeError(
                "the state of a sharded model's optimizer is given once after each gathering: every worker calls "
                "gather(), then one of them state_dict()"
            )
        gathered, self.gathered = self.gathered, {}
        return {**state, "state": gathered}

    def _share_out(self, _: torch.optim.Optimizer, state: dict[str, Any]) -> dict[str, Any]:
        parameters = self.parameters
        return {**state, "state": {n: _shards(values, parameters[n]) for n, values in state["state"].items()}}


def _shards(values: Mapping[str, Any], parameter: torch.Tensor) -> dict[str, Any]:
    """Share out those tensors of a parameter's optimizer state that have its shape, as the parameter is."""
    return {
        name: shard_of(value, parameter)
        if isinstance(value, torch.Tensor) and value.shape == parameter.shape
        else value
        for name, value in values.items()
    }
