"""The models that ask the ensembles of several tasks: the one that answers all of them, and the one of evidence."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Protocol

from tritonclient.grpc import model_config_pb2 as pb

from infolens.contract import (
    EVIDENCE,
    EVIDENCE_MODEL,
    EVIDENCE_PARAMETER,
    FAILED,
    LABELS_PARAMETER,
    TEXT,
    TITLE,
    AnswerKind,
    ServedModel,
    TaskContract,
    Tensor,
)

from .artefact import Artefact
from .deployment import Deployment


class Answered(Protocol):
    """A task that the repository answers."""

    @property
    def contract(self) -> TaskContract:
        """Its names."""
        ...

    @property
    def models(self) -> ServedModel:
        """The models that answer it."""
        ...

    @property
    def artefact(self) -> Artefact:
        """What its checkpoint is."""
        ...

    @property
    def labels(self) -> str:
        """Its labels as JSON; an empty list for a task without any."""
        ...

    @property
    def outputs(self) -> tuple[Tensor, ...]:
        """What its ensemble gives."""
        ...


def asking_all(config: pb.ModelConfig, every: Sequence[Answered], deployment: Deployment) -> dict[str, pb.ModelConfig]:
    """The model of all tasks, and that of evidence where a task has labels, by name.

    The first is no ensemble: one with parallel branches crashes Triton 2.51 when a branch fails or a caller leaves. It
    never uses the response cache: an answer without the tasks that failed must not be taken for a whole one.

    Args:
        config: The model of all tasks so far: its name, and the inputs and outputs of the tasks.
        every: The tasks.
        deployment: How the repository is run.
    """
    config.backend = "fan_out"
    config.instance_group.add(count=1, kind=pb.ModelInstanceGroup.KIND_CPU)
    branches: dict[str, Mapping[str, object]] = {
        one.contract.ensemble: {
            "task": one.contract.task,
            "inputs": [tensor.name for tensor in one.contract.inputs],
            "outputs": [tensor.name for tensor in one.outputs],
        }
        for one in every
    }
    # The summary takes longest, so it starts first; only evidence takes longer.
    order = [one.contract.ensemble for one in every]
    found = {config.name: config}
    if any(one.contract.answers is AnswerKind.LABELS for one in every):
        config.output.append(_output(EVIDENCE))
        branches[EVIDENCE_MODEL] = {
            "task": EVIDENCE.name,
            "inputs": [tensor.name for tensor in config.input if tensor.name in (TITLE.name, TEXT.name)],
            "outputs": [EVIDENCE.name],
            "parameter": EVIDENCE_PARAMETER,
            "places": 2 * deployment.evidence_running,
        }
        order.insert(0, EVIDENCE_MODEL)
        found[EVIDENCE_MODEL] = _evidence(every, deployment)
    config.output.append(_output(FAILED))
    limits = {name: str(getattr(deployment, name)) for name in ("max_running", "max_wait_ms")}
    labels = {f"{LABELS_PARAMETER}.{one.contract.task}": one.labels for one in every if json.loads(one.labels)}
    _set_parameters(config, {**_branches(branches), "order": ",".join(order), **limits, **labels})
    return found


def _evidence(every: Sequence[Answered], deployment: Deployment) -> pb.ModelConfig:
    """The model that asks classifiers about an article without each of its sentences."""
    config = pb.ModelConfig(
        name=EVIDENCE_MODEL,
        backend="evidence",
        max_batch_size=deployment.request_batch_size,
        input=[
            pb.ModelInput(name=one.name, data_type=pb.TYPE_STRING, dims=one.dims, optional=one.optional)
            for one in (TITLE, TEXT)
        ],
        output=[_output(EVIDENCE)],
        instance_group=[pb.ModelInstanceGroup(count=1, kind=pb.ModelInstanceGroup.KIND_CPU)],
    )
    branches: dict[str, Mapping[str, object]] = {}
    for one in every:
        if one.contract.answers is AnswerKind.LABELS:
            inputs = [tensor.name for tensor in one.contract.model_inputs(token_types=one.artefact.token_types)]
            outputs = [tensor.name for tensor in one.contract.model_outputs()]
            reads = [tensor.name for tensor in one.contract.inputs if tensor.name in one.contract.reads]
            branches[one.models.tokenizer] = {"task": one.contract.task, "inputs": reads, "outputs": inputs}
            branches[one.models.name] = {"task": one.contract.task, "inputs": inputs, "outputs": outputs}
    numbers = {
        "rows": str(deployment.request_batch_size),
        "max_running": str(deployment.evidence_running),
        "max_waiting": str(deployment.evidence_running),
    }
    _set_parameters(config, {**_branches(branches), **numbers})
    return config


def _output(tensor: Tensor) -> pb.ModelOutput:
    return pb.ModelOutput(name=tensor.name, data_type=pb.TYPE_STRING, dims=tensor.dims)


def _branches(shares: Mapping[str, Mapping[str, object]]) -> dict[str, str]:
    return {f"branch.{model}": json.dumps(share) for model, share in shares.items()}


def _set_parameters(config: pb.ModelConfig, parameters: Mapping[str, str]) -> None:
    for key, text in parameters.items():
        config.parameters[key].string_value = text
