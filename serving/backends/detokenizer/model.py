"""Triton backend ``detokenizer``: token ids in, text out, with a Hugging Face ``tokenizer.json``.

The configuration has one integer input [n, L] and one BYTES output [n, 1]. Special tokens are skipped. A BYTES input
``verbatim`` [n, 1], where there is one, has texts that are answers already: what is not empty there comes out as it is.

Parameters of ``config.pbtxt`` (``string_value`` each):

* ``tokenizer_file``: beside the version's artefacts. Default: ``tokenizer.json``.
* ``unfinished``: what becomes of a text that its greatest length cut off, which is a row of ids without padding at its
  end. ``keep`` (default) leaves it; ``cut`` ends it with its last whole sentence, or with an ellipsis when not even
  the first one is whole.
* ``pad_id``: needed for ``cut``.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import triton_python_backend_utils as pb_utils
from tokenizers import Tokenizer

if __package__:
    from serving.backends import wanted
else:  # Triton imports this file as the module "model", with its folder on the path
    import wanted  # type: ignore[import-not-found, no-redef]

VERBATIM = "verbatim"
_SENTENCE_END = re.compile(r"""[.!?\u2026]["'\u201d\u2019)\]]*(?=\s+["'\u201c\u2018(\[]*[A-Z0-9]|$)""")
_SHORT_FORM = re.compile(
    r"(?:\b[A-Za-z]|\b(?:mr|mrs|ms|dr|prof|gov|sen|rep|gen|col|lt|sgt|capt|st|sr|jr|no|vs|inc|co|corp|ltd))$",
    re.IGNORECASE,
)


def cut_unfinished(text: str) -> str:
    """The text up to the end of its last whole sentence; all of it and an ellipsis when no sentence is whole.

    A full stop after an initial ("George W.", "U.S.") or a title ("Mr.") ends no sentence.
    """
    ends = [match for match in _SENTENCE_END.finditer(text) if not _SHORT_FORM.search(text, 0, match.start())]
    if ends:
        return text[: ends[-1].end()]
    return text.rstrip(" ,;:-") + "\u2026"


class BadInputError(ValueError):
    """The ids of one request are outside the vocabulary of this tokenizer."""


class Detokenizer:
    """A ``tokenizer.json`` that reads ids: the whole backend, without Triton."""

    def __init__(self, path: Path, *, cut_unless_padded_with: int | None = None) -> None:
        self._pad = cut_unless_padded_with
        if not path.is_file():
            raise ValueError(f"no tokenizer at {path}: export the model again")
        self._tokenizer: Tokenizer = Tokenizer.from_file(str(path))
        self._size = self._tokenizer.get_vocab_size()

    def __call__(
        self,
        requests: Sequence[npt.NDArray[Any]],
        verbatim: Sequence[npt.NDArray[np.object_] | None] = (),
    ) -> list[npt.NDArray[np.object_] | BadInputError]:
        """Decode a batch of requests of ids [n, L].

        Args:
            requests: The ids of each request.
            verbatim: For each request the texts [n, 1] that stand for its own, where they are not empty; or nothing.

        Returns:
            For each request, in order, its texts [n, 1] in UTF-8 or the error that it gets.
        """
        good: list[list[int]] = []
        errors: dict[int, BadInputError] = {}
        for index, ids in enumerate(requests):
            wrong = ids[(ids < 0) | (ids >= self._size)]
            if wrong.size:
                errors[index] = BadInputError(f"token id {wrong.flat[0]} is not within 0 and {self._size - 1}")
            else:
                good.extend(ids.tolist())
        texts = iter(self._tokenizer.decode_batch(good, skip_special_tokens=True))
        answers: list[npt.NDArray[np.object_] | BadInputError] = []
        for index, ids in enumerate(requests):
            if index in errors:
                answers.append(errors[index])
                continue
            answer = np.empty((len(ids), 1), np.object_)
            for row in range(len(ids)):
                text = next(texts).strip()
                if text and self._pad is not None and ids[row, -1] != self._pad:
                    text = cut_unfinished(text)
                answer[row, 0] = text.encode()
            given = verbatim[index] if verbatim else None
            answers.append(answer if given is None else np.where(given != b"", given, answer))
        return answers


def read_cut(parameters: Mapping[str, str]) -> int | None:
    """The padding id when unfinished texts are to be cut, else None.

    Raises:
        ValueError: ``unfinished`` has no such value, or ``pad_id`` is missing.
    """
    unfinished = parameters.get("unfinished", "keep")
    if unfinished not in {"keep", "cut"}:
        raise ValueError(f"parameter unfinished is keep or cut, not {unfinished!r}")
    if unfinished == "keep":
        return None
    if "pad_id" not in parameters:
        raise ValueError("parameter unfinished: cut needs the parameter pad_id, which marks a whole text")
    return int(parameters["pad_id"])


class TritonPythonModel:
    """The interface that Triton's Python backend calls."""

    def initialize(self, args: Mapping[str, str]) -> None:
        """Load the tokenizer; a failure here is a model that does not load."""
        if int(np.__version__.split(".")[0]) >= 2:
            raise RuntimeError(f"numpy {np.__version__} empties every output; the runtime needs numpy below 2")
        config = json.loads(args["model_config"])
        inputs = [tensor["name"] for tensor in config["input"] if tensor["name"] != VERBATIM]
        if len(inputs) != 1 or len(config["output"]) != 1:
            raise ValueError(
                f"the detokenizer backend has one input (token ids), perhaps {VERBATIM}, and one output (text)"
            )
        self._input = inputs[0]
        self._has_verbatim = len(config["input"]) > 1
        self._output = config["output"][0]["name"]
        parameters = {key: value["string_value"] for key, value in config.get("parameters", {}).items()}
        path = Path(args["model_repository"], args["model_version"], parameters.get("tokenizer_file", "tokenizer.json"))
        self._detokenizer = Detokenizer(path, cut_unless_padded_with=read_cut(parameters))
        self._callers = wanted.Callers(wanted.open_board())

    def execute(self, requests: Sequence[Any]) -> list[Any]:
        """Answer a batch of requests, each with its texts or its own error."""
        return self._callers.answer(requests, self._answer)

    def _answer(self, requests: Sequence[Any]) -> list[Any]:
        ids = [pb_utils.get_input_tensor_by_name(request, self._input).as_numpy() for request in requests]
        given = [pb_utils.get_input_tensor_by_name(request, VERBATIM) for request in requests if self._has_verbatim]
        verbatim = [None if tensor is None else tensor.as_numpy() for tensor in given]
        return [self._response(answer) for answer in self._detokenizer(ids, verbatim)]

    def _response(self, answer: npt.NDArray[np.object_] | BadInputError) -> Any:
        if isinstance(answer, BadInputError):
            return pb_utils.InferenceResponse(
                error=pb_utils.TritonError(f"bad input: {answer}", pb_utils.TritonError.INVALID_ARG)
            )
        return pb_utils.InferenceResponse([pb_utils.Tensor(self._output, answer)])
