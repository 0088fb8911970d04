"""A repository that answers whatever the SDK asks of it at next to no cost: ``info_lens``, an ensemble of one model."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from google.protobuf import text_format
from tritonclient.grpc import model_config_pb2

from infolens.contract import CONTRACTS, Task
from serving.runtime import ROOT

LABELS: Final = {task: list(CONTRACTS[task].default_labels) for task in (Task.CATEGORY, Task.VERACITY)}
CATEGORY: Final = LABELS[Task.CATEGORY][0]
"""What every article is."""
_MODEL: Final = """
import time

import numpy as np
import triton_python_backend_utils as pb_utils

VALUES = {values!r}
SHAPES = {shapes!r}


class TritonPythonModel:
    def execute(self, requests):
        time.sleep({work_s})
        answers = []
        for request in requests:
            rows = len(pb_utils.get_input_tensor_by_name(request, "text").as_numpy())
            tensors = []
            for name, (kind, size) in SHAPES.items():
                value = VALUES.get(name, b"" if kind == "object" else 0)
                row = value if isinstance(value, list) else [value] * size
                tensors.append(pb_utils.Tensor(name, np.array([row] * rows, dtype=kind)))
            answers.append(pb_utils.InferenceResponse(tensors))
        return answers
"""
_KINDS: Final = {"TYPE_STRING": "object", "TYPE_FP32": "float32", "TYPE_INT32": "int32"}


def write_answers(repository: Path, *, work_s: float = 0.05) -> Path:
    """Write the repository; returns its folder.

    Args:
        repository: The folder, made if it is not there.
        work_s: How long an answer takes; it uses no processor.
    """
    real = (ROOT / "model_repository" / "info_lens" / "config.pbtxt").read_text(encoding="utf-8")
    known = text_format.Parse(real, model_config_pb2.ModelConfig())
    inputs = [one for one in known.input if one.name == "text"]
    data_type = model_config_pb2.DataType.Name
    shapes = {one.name: (_KINDS[data_type(one.data_type)], one.dims[0]) for one in known.output}
    values: dict[str, object] = {"summary": b"A summary.", "summary_sentences": b"[]", "summary_unsupported": b"[]"}
    values |= {one.name: b"[]" for one in known.output if one.name.endswith("_unread")}
    for task, labels in LABELS.items():
        values[str(task)] = labels[0].encode()
        values[f"{task}_probability"] = 1.0
        values[f"{task}_probabilities"] = [1.0, *[0.0] * (len(labels) - 1)]
        values[f"{task}_labels"] = [label.encode() for label in labels]
    answers = model_config_pb2.ModelConfig(
        name="answers", backend="python", max_batch_size=8, input=inputs, output=known.output
    )
    answers.instance_group.add(count=4, kind=model_config_pb2.ModelInstanceGroup.KIND_CPU)
    lens = model_config_pb2.ModelConfig(
        name="info_lens", platform="ensemble", max_batch_size=8, input=inputs, output=known.output
    )
    step = lens.ensemble_scheduling.step.add(model_name="answers", model_version=-1)
    step.input_map["text"] = "text"
    for output in known.output:
        step.output_map[output.name] = output.name
    for config in (answers, lens):
        (repository / config.name / "1").mkdir(parents=True)
        (repository / config.name / "config.pbtxt").write_text(text_format.MessageToString(config))
    model = _MODEL.format(values=values, shapes=shapes, work_s=work_s)
    (repository / "answers" / "1" / "model.py").write_text(model)
    return repository
