"""Triton backend ``labels``: the probabilities of a classifier in, its label out, the probabilities beside it.

The configuration has one FP32 input [n, C]. Its outputs, any of them, are told apart by name: ``...probabilities``
(FP32 [n, C], as they came), ``...probability`` (FP32 [n, 1], of the best class), ``...labels`` (BYTES [n, C], the
labels in the order of the probabilities), and any other (BYTES [n, 1], the label of the best class). Only those that a
request asks for are made. The labels stand one on a line in ``labels.txt``, beside the version's artefacts or else
beside the configuration, where Triton's own ``label_filename`` finds it too; the parameter ``labels_file`` names
another file.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import triton_python_backend_utils as pb_utils

if __package__:
    from serving.backends import wanted
else:  # Triton imports this file as the module "model", with its folder on the path
    import wanted  # type: ignore[import-not-found, no-redef]


class BadInputError(ValueError):
    """The values of one request are not probabilities."""


def read_labels(model: Path, version: str, file: str) -> tuple[str, ...]:
    """The labels of a model: the version's own, else the model's.

    Raises:
        ValueError: There is no such file, or it holds no label or an empty one.
    """
    for path in (model / version / file, model / file):
        if path.is_file():
            labels = tuple(line.strip() for line in path.read_text(encoding="utf-8").strip().splitlines())
            if not all(labels):
                raise ValueError(f"{path} holds an empty label: one label a line, no empty lines")
            return labels
    raise ValueError(f"no {file} in {model / version} nor in {model}: export the model again")


class Labeller:
    """Labels with the outputs that a configuration asks for: the whole backend, without Triton."""

    def __init__(self, labels: Sequence[str], config: Mapping[str, Any]) -> None:
        if len(config["input"]) != 1:
            raise ValueError("the labels backend has one input, the probabilities")
        self.input: str = config["input"][0]["name"]
        classes = int(config["input"][0]["dims"][-1])
        if classes != len(labels):
            raise ValueError(f"{len(labels)} labels for {classes} classes of the input {self.input}")
        self._labels = np.array([label.encode() for label in labels], np.object_)
        self._outputs: tuple[str, ...] = tuple(tensor["name"] for tensor in config["output"])

    def __call__(
        self, probabilities: npt.NDArray[np.float32], wanted: Collection[str] | None = None
    ) -> dict[str, npt.NDArray[Any]]:
        """The outputs, by name, for probabilities [n, C]: those that are wanted, or all.

        Raises:
            BadInputError: A probability is not a finite number.
        """
        if not np.isfinite(probabilities).all():
            raise BadInputError("the classifier gave probabilities that are not finite numbers: its model is damaged")
        best = probabilities.argmax(axis=1, keepdims=True)
        answer: dict[str, npt.NDArray[Any]] = {}
        for name in self._outputs:
            if wanted is not None and name not in wanted:
                continue
            if name.endswith("probabilities"):
                answer[name] = probabilities
            elif name.endswith("probability"):
                answer[name] = np.take_along_axis(probabilities, best, axis=1)
            elif name.endswith("labels"):
                answer[name] = np.tile(self._labels, (len(probabilities), 1))
            else:
                answer[name] = self._labels[best]
        return answer


class TritonPythonModel:
    """The interface that Triton's Python backend calls."""

    def initialize(self, args: Mapping[str, str]) -> None:
        """Read the labels; a failure here is a model that does not load."""
        if int(np.__version__.split(".")[0]) >= 2:
            raise RuntimeError(f"numpy {np.__version__} empties every output; the runtime needs numpy below 2")
        config = json.loads(args["model_config"])
        file = config.get("parameters", {}).get("labels_file", {}).get("string_value", "labels.txt")
        self._labeller = Labeller(read_labels(Path(args["model_repository"]), args["model_version"], file), config)
        self._callers = wanted.Callers(wanted.open_board())

    def execute(self, requests: Sequence[Any]) -> list[Any]:
        """Answer a batch of requests, each with its outputs or its own error."""
        return self._callers.answer(requests, self._answer)

    def _answer(self, requests: Sequence[Any]) -> list[Any]:
        responses = []
        for request in requests:
            probabilities = pb_utils.get_input_tensor_by_name(request, self._labeller.input).as_numpy()
            try:
                outputs = self._labeller(probabilities, request.requested_output_names())
            except BadInputError as error:
                failure = pb_utils.TritonError(str(error), pb_utils.TritonError.INTERNAL)
                responses.append(pb_utils.InferenceResponse(error=failure))
                continue
            tensors = [pb_utils.Tensor(name, array) for name, array in outputs.items()]
            responses.append(pb_utils.InferenceResponse(tensors))
        return responses
