"""A CPU in a GPU's place, for tests: the configurations of a GPU, with all else as there, computed by the processor.

The tokenizers, lengths, batches, queues and graphs are those of the target. No production server runs so: it is slow.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
from pathlib import Path
from typing import Final

from google.protobuf import text_format
from tritonclient.grpc import model_config_pb2 as pb

from infolens.targets import Target
from serving.repository import config_files

from .configs import parse_config

_DEVICE: Final = "device"
_LENGTHS: Final = "lengths"
_REHEARSAL: Final = "rehearse_gpu"
"""Has the backend pad and bind batches on a CPU as it does on a GPU."""


def stand_in(repository: Path, target: Target, cache: Path) -> Path:
    """A repository of links to the same models, whose configurations for a target have a CPU in the GPU's place.

    Args:
        repository: The model repository.
        target: The target whose configurations are rewritten: instances of KIND_GPU are of KIND_CPU, nothing is left to
            TensorRT, and the engine of summaries computes on the ``cpu``.
        cache: Holds the new repository.

    Raises:
        RepositoryError: A configuration for the target is no text, or no configuration.
    """
    name = f"{target.record.config_name}.pbtxt"
    place = cache / "stand-in" / hashlib.sha256(os.fsencode(repository.resolve() / name)).hexdigest()[:16]
    models = config_files(repository, target.record.config_name)
    # A wrong one is told before anything is made.
    texts = {model: _on_cpu(parse_config(path)) for model, path in models.items() if path.parent != model}
    place.parent.mkdir(parents=True, exist_ok=True)
    partial = Path(tempfile.mkdtemp(suffix=".partial", dir=place.parent))
    for model in models:
        (partial / model.name).mkdir()
        for entry in model.iterdir():
            if entry.name != "configs":
                (partial / model.name / entry.name).symlink_to(entry.resolve(), target_is_directory=entry.is_dir())
        if model in texts:
            (partial / model.name / "configs").mkdir()
            (partial / model.name / "configs" / name).write_text(texts[model], encoding="utf-8")
    shutil.rmtree(place, ignore_errors=True)
    partial.rename(place)
    return place


def _on_cpu(config: pb.ModelConfig) -> str:
    for group in config.instance_group:
        group.kind = pb.ModelInstanceGroup.KIND_CPU
        del group.gpus[:]
    if config.HasField("optimization"):
        config.optimization.ClearField("execution_accelerators")
    if _DEVICE in config.parameters:
        config.parameters[_DEVICE].string_value = "cpu"
    if _LENGTHS in config.parameters and config.backend == "onnxruntime":
        config.parameters[_REHEARSAL].string_value = "1"
    return str(text_format.MessageToString(config))
