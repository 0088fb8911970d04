"""Triton backend ``labels``: the probabilities of a classifier in, its label out, the probabilities beside it.

The configuration has one FP32 input [n, C], and may have the input ``unclear`` (INT32 [n, 1], why no classifier can
judge the text; 0 where it can). Its outputs, any of them, are told apart by name: ``...probabilities`` (FP32 [n, C], as
they came), ``...probability`` (FP32 [n, 1], of the best class), ``...labels`` (BYTES [n, C], the labels in the order of
the probabilities), ``..._doubt`` (BYTES [n, 1], why there is doubt; empty where there is none), ``..._signal`` (BYTES
[n, 1], the label of the best class, or the word of doubt), and any other (BYTES [n, 1], the label of the best class).
Only those that a request asks for are made. The parameters ``temperature`` (default 1), ``threshold`` (0),
``doubt_word`` (unsure) and ``unclear_reasons`` (JSON, ``{"1": "text too short"}``) say when there is doubt; see
`doubt`. The labels stand one on a line in ``labels.txt``, beside the version's artefacts or else
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
    from serving.backends.numpy_check import check_numpy

    from .doubt import Band
else:  # Triton imports this file as the module "model", with its folder on the path
    import wanted  # type: ignore[import-not-found, no-redef]
    from doubt import Band  # type: ignore[import-not-found, no-redef]
    from numpy_check import check_numpy  # type: ignore[import-not-found, no-redef]


UNCLEAR = "unclear"


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
        probabilities = [tensor for tensor in config["input"] if tensor["name"] != UNCLEAR]
        if len(probabilities) != 1:
            raise ValueError(f"the labels backend has one input, the probabilities, and may have {UNCLEAR}")
        self.input: str = probabilities[0]["name"]
        self.has_unclear = len(config["input"]) > 1
        parameters = {key: value["string_value"] for key, value in config.get("parameters", {}).items()}
        self._band = Band.read(parameters)
        classes = int(probabilities[0]["dims"][-1])
        if classes != len(labels):
            raise ValueError(f"{len(labels)} labels for {classes} classes of the input {self.input}")
        self._labels = np.array([label.encode() for label in labels], np.object_)
        self._outputs: tuple[str, ...] = tuple(tensor["name"] for tensor in config["output"])

    def __call__(
        self,
        probabilities: npt.NDArray[np.float32],
        wanted: Collection[str] | None = None,
        unclear: npt.NDArray[np.int32] | None = None,
    ) -> dict[str, npt.NDArray[Any]]:
        """The outputs, by name: those that are wanted, or all.

        Args:
            probabilities: FP32 [n, C].
            wanted: Names of outputs; None for all.
            unclear: INT32 [n, 1]; None where the configuration has no such input.

        Raises:
            BadInputError: A probability is not a finite number.
        """
        if not np.isfinite(probabilities).all():
            raise BadInputError("the classifier gave probabilities that are not finite numbers: its model is damaged")
        best = probabilities.argmax(axis=1, keepdims=True)
        names = [name for name in self._outputs if wanted is None or name in wanted]
        asks = any(name.endswith(("_doubt", "_signal")) for name in names)
        doubt = self._band.why(probabilities, unclear) if asks else np.empty(0, np.object_)
        answer: dict[str, npt.NDArray[Any]] = {}
        for name in names:
            if name.endswith("probabilities"):
                answer[name] = probabilities
            elif name.endswith("probability"):
                answer[name] = np.take_along_axis(probabilities, best, axis=1)
            elif name.endswith("labels"):
                answer[name] = np.tile(self._labels, (len(probabilities), 1))
            elif name.endswith("_doubt"):
                answer[name] = doubt
            elif name.endswith("_signal"):
                answer[name] = np.where(doubt == b"", self._labels[best], self._band.word.encode())
            else:
                answer[name] = self._labels[best]
        return answer


class TritonPythonModel:
    """The interface that Triton's Python backend calls."""

    def initialize(self, args: Mapping[str, str]) -> None:
        """Read the labels; a failure here is a model that does not load."""
        check_numpy()
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
            unclear = None
            if self._labeller.has_unclear:
                unclear = pb_utils.get_input_tensor_by_name(request, UNCLEAR).as_numpy()
            try:
                outputs = self._labeller(probabilities, request.requested_output_names(), unclear)
            except BadInputError as error:
                failure = pb_utils.TritonError(str(error), pb_utils.TritonError.INTERNAL)
                responses.append(pb_utils.InferenceResponse(error=failure))
                continue
            tensors = [pb_utils.Tensor(name, array) for name, array in outputs.items()]
            responses.append(pb_utils.InferenceResponse(tensors))
        return responses
