"""The configurations that models are served with, parsed, and what they say of where a model computes."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from google.protobuf import text_format
from tritonclient.grpc import model_config_pb2 as pb

from serving.errors import RepositoryError
from serving.repository import configs_again, read_config

DEVICE: Final = "device"
"""The parameter that tells the engine of summaries what to compute on."""
SUMMARIZER: Final = "summarizer"
SESSIONS: Final = "onnxruntime"
"""The backends that compute: the engine of summaries, and the one of models in one graph."""
_NOT_GPU: Final = ("", "auto", "cpu")
_BRANCH: Final = "branch."


def parse_config(path: Path) -> pb.ModelConfig:
    """A configuration; fields that are unknown here are left out.

    Raises:
        RepositoryError: The file is no text, or no configuration.
    """
    try:
        return text_format.Parse(read_config(path), pb.ModelConfig(), allow_unknown_field=True)
    except text_format.ParseError as error:
        why = str(error).splitlines()[0]
        raise RepositoryError(f"{path} is no configuration of a model ({why}): {configs_again(path)}") from None


def is_whole(config: pb.ModelConfig) -> bool:
    """Whether a configuration says what runs the model, which that of an empty file does not, or of half of one."""
    return bool(config.ensemble_scheduling.step if config.platform == "ensemble" else config.backend or config.platform)


def asks(config: pb.ModelConfig) -> set[str]:
    """The names of the models that a model asks: the steps of an ensemble, the branches of one that asks several."""
    branches = {key.removeprefix(_BRANCH) for key in config.parameters if key.startswith(_BRANCH)}
    return branches | {step.model_name for step in config.ensemble_scheduling.step}


def falls_to_cpu(config: pb.ModelConfig) -> str:
    """What in a model's configuration has the CPU compute it, or lets it; empty where nothing does."""
    device = config.parameters[DEVICE].string_value if DEVICE in config.parameters else ""
    if config.backend == SUMMARIZER and device in _NOT_GPU:
        return f"parameter {DEVICE} names what computes on the GPU, not {device!r}"
    if config.backend == SESSIONS and any(one.kind == pb.ModelInstanceGroup.KIND_CPU for one in config.instance_group):
        return "instance_group is of KIND_GPU, not KIND_CPU"
    return ""
