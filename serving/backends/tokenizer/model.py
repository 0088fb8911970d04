"""Triton backend ``tokenizer``: articles in, token ids out, with a Hugging Face ``tokenizer.json``.

All requests of a batch are tokenized together, and each one is padded to the smallest length bucket that holds it, so
that the dynamic batcher of the next model finds requests of equal shape. A bad article is an error of its own request.

Parameters of ``config.pbtxt`` (``string_value`` each):

* ``reads``: the inputs that are joined with a line break, such as ``title,text``. Required.
* ``max_tokens``: the maximum number of tokens that the model reads, special tokens included. Required.
* ``buckets``: ascending lengths to pad to, such as ``64,128,256``; the last is ``max_tokens``. Default: ``max_tokens``.
* ``tokenizer_file``: beside the version's artefacts. Default: ``tokenizer.json``.
* ``max_article_bytes``: a larger article is refused. Default: 262144.
* ``scripts``: ``latin`` (default) refuses an article most of whose letters are not of the Latin alphabet; ``any`` reads
  it, for models of other languages.
* ``least_words``, ``least_read``, ``most_unknown``: from where on a text is too little to judge by (`unclear`).
* ``padding_side``, ``pad_id``, ``pad_type_id``: default to the ``padding`` block of ``tokenizer.json``.
* ``setting.<name>``: JSON ``{"minimum", "maximum", "default", "steps_per_unit"}`` of a setting of the next model. The
  input ``<name>`` carries its value; the output ``<name>`` is a ``UINT8`` tensor of ``(value - minimum) *
  steps_per_unit + 1`` elements, since the dynamic batcher never mixes requests of unequal shape.

Outputs, those of them that the configuration lists: ``input_ids``, ``attention_mask``, ``token_type_ids`` [n, L],
``tokens``, ``truncated_tokens``, ``unclear`` [n, 1], the settings [n, length], and ``verbatim`` [n, 1]: an article that
is no longer than ``min_length`` is its own summary, and the others are empty. It takes ``min_length`` down to its own
length, since a model that must go on past its text makes words up.
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
from tokenizers import Encoding, Tokenizer

if __package__:
    from serving.backends import wanted

    from . import configuration, reading, unclear
else:  # Triton imports this file as the module "model", with its folder on the path
    import configuration  # type: ignore[import-not-found, no-redef]
    import reading  # type: ignore[import-not-found, no-redef]
    import unclear  # type: ignore[import-not-found, no-redef]
    import wanted  # type: ignore[import-not-found, no-redef]

CONTROL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ufeff]")


class BadInputError(ValueError):
    """What the caller sent breaks a rule; the message is the answer to the request."""


def join_article(parts: Mapping[str, bytes | None], options: configuration.Options) -> str:
    """The text that is tokenized: the parts that are not blank, joined with a line break.

    Raises:
        BadInputError: Too large, not UTF-8, or a required part is blank or cannot be read.
    """
    size_bytes = sum(len(part) for part in parts.values() if part is not None)
    if size_bytes > options.max_article_bytes:
        raise BadInputError(
            f"the article is too large: {size_bytes} bytes of UTF-8, the limit is {options.max_article_bytes}; "
            "send its beginning (what the models read stands there)"
        )
    kept = []
    for name in options.reads:
        part = parts.get(name)
        try:
            text = "" if part is None else CONTROL.sub(" ", part.decode("utf-8")).strip()
        except UnicodeDecodeError as error:
            raise BadInputError(f"{name} is not UTF-8: byte {error.start} cannot be decoded; send UTF-8 text") from None
        if not reading.is_blank(text):
            kept.append(text)
        elif name in options.required:
            raise BadInputError(f"{name} is blank: send the article's text, at least one visible character")
        if options.latin_only and name in options.required and (reason := reading.why_unreadable(text)):
            raise BadInputError(f"{name} {reason}; send the article's text in English")
    return "\n".join(kept)


def choose_settings(
    given: Mapping[str, npt.NDArray[Any] | None], settings: Sequence[configuration.Setting]
) -> dict[str, float]:
    """The settings of one request: what it carries, else the defaults.

    Args:
        given: The request's input of each setting, [n, 1], or None where it left it out.
        settings: The settings that the model has.

    Raises:
        BadInputError: Out of range, unlike for the rows of one request, or ``min_length`` above ``max_length``.
    """
    chosen: dict[str, float] = {}
    for setting in settings:
        array = given.get(setting.name)
        if array is None or array.size == 0:
            chosen[setting.name] = setting.default
            continue
        values = {float(value) for value in array.ravel()}
        if len(values) > 1:
            raise BadInputError(
                f"{setting.name} differs within one request ({sorted(values)}): send one request for each value"
            )
        value = values.pop()
        if not setting.minimum <= value <= setting.maximum:
            raise BadInputError(
                f"{setting.name} must lie between {setting.minimum:g} and {setting.maximum:g}, not {value:g}"
            )
        chosen[setting.name] = value
    low, high = chosen.get("min_length"), chosen.get("max_length")
    if low is not None and high is not None and low > high:
        if given.get("min_length") is not None:
            raise BadInputError(f"min_length ({low:g}) must not be above max_length ({high:g}): change one of them")
        chosen["min_length"] = high
    return chosen


def cut_tokens(encoding: Encoding, special_tokens: int) -> int:
    """How many tokens of an article are past ``max_tokens``."""
    # Each overflowing piece carries the special tokens of its own.
    return sum(len(piece.ids) - special_tokens for piece in encoding.overflowing)


def to_arrays(
    encodings: Sequence[Encoding], options: configuration.Options, special_tokens: int
) -> dict[str, npt.NDArray[Any]]:
    """The integer outputs of one request of n articles, padded to the bucket of the longest one."""
    length = options.bucket(max(len(encoding.ids) for encoding in encodings))
    shape = (len(encodings), length)
    arrays: dict[str, npt.NDArray[Any]] = {
        "input_ids": np.full(shape, options.pad_id, options.outputs.get("input_ids", np.int32)),
        "attention_mask": np.zeros(shape, options.outputs.get("attention_mask", np.int32)),
        "token_type_ids": np.full(shape, options.pad_type_id, options.outputs.get("token_type_ids", np.int32)),
        "tokens": np.zeros((len(encodings), 1), options.outputs.get("tokens", np.int32)),
        "truncated_tokens": np.zeros((len(encodings), 1), options.outputs.get("truncated_tokens", np.int32)),
    }
    for row, encoding in enumerate(encodings):
        kept = len(encoding.ids)
        columns = slice(length - kept, length) if options.pad_left else slice(0, kept)
        arrays["input_ids"][row, columns] = encoding.ids
        arrays["attention_mask"][row, columns] = 1
        arrays["token_type_ids"][row, columns] = encoding.type_ids
        cut = cut_tokens(encoding, special_tokens)
        arrays["tokens"][row] = kept + cut
        arrays["truncated_tokens"][row] = cut
    return {name: arrays[name] for name in options.outputs}


def follow_down(settings: Mapping[str, float], tokens: Sequence[int]) -> dict[str, float]:
    """The settings of a request whose articles have so many tokens: none must be summarized at more than its length."""
    if "min_length" not in settings:
        return dict(settings)
    return {**settings, "min_length": min(settings["min_length"], max(tokens))}


def verbatim(texts: Sequence[str], tokens: Sequence[int], min_length: float) -> npt.NDArray[np.object_]:
    """The articles that are their own summaries, on one line each; the others are empty."""
    answers = np.empty((len(texts), 1), np.object_)
    for row, (text, count) in enumerate(zip(texts, tokens, strict=True)):
        answers[row, 0] = " ".join(text.split()).encode() if count <= min_length else b""
    return answers


class ArticleTokenizer:
    """A ``tokenizer.json`` with the options of a model: the whole backend, without Triton."""

    def __init__(self, path: Path, config: Mapping[str, Any]) -> None:
        if not path.is_file():
            raise ValueError(f"no tokenizer at {path}: export the model again")
        self._tokenizer: Tokenizer = Tokenizer.from_file(str(path))
        self.options = configuration.read_options(config, self._tokenizer.padding)
        self._unknown_id = unclear.unknown_token(path) if self.options.unclear else None
        self._special_tokens = self._tokenizer.num_special_tokens_to_add(False)
        if self.options.max_tokens <= self._special_tokens:
            raise ValueError(f"max_tokens must be above the {self._special_tokens} special tokens")
        self._tokenizer.no_padding()
        self._tokenizer.enable_truncation(self.options.max_tokens)
        # "</s>" within an article is text: nobody ends an article early by writing it.
        self._tokenizer.encode_special_tokens = True

    def __call__(
        self, requests: Sequence[Mapping[str, npt.NDArray[Any] | None]]
    ) -> list[dict[str, npt.NDArray[Any]] | BadInputError]:
        """Tokenize a batch of requests.

        Args:
            requests: The inputs of each request by name: texts as arrays [n, 1] of bytes, settings [n, 1].

        Returns:
            For each request, in order, its outputs by name or the error that it gets.
        """
        options = self.options
        prepared: list[tuple[list[str], dict[str, float]] | BadInputError] = []
        for request in requests:
            try:
                settings = choose_settings(request, options.settings)
                columns = {name: array.ravel() for name in options.reads if (array := request.get(name)) is not None}
                rows = {len(column) for column in columns.values()}
                if len(rows) != 1:
                    raise BadInputError(f"the inputs {options.reads} need one row for each article")
                texts = [
                    join_article({name: column[row] for name, column in columns.items()}, options)
                    for row in range(rows.pop())
                ]
                prepared.append((texts, settings))
            except BadInputError as error:
                prepared.append(error)

        texts = [text for item in prepared if not isinstance(item, BadInputError) for text in item[0]]
        encodings = iter(self._tokenizer.encode_batch_fast(texts))
        answers: list[dict[str, npt.NDArray[Any]] | BadInputError] = []
        for item in prepared:
            if isinstance(item, BadInputError):
                answers.append(item)
                continue
            mine = [next(encodings) for _ in item[0]]
            outputs = to_arrays(mine, options, self._special_tokens)
            tokens = [len(one.ids) + cut_tokens(one, self._special_tokens) for one in mine]
            settings = follow_down(item[1], tokens)
            for setting in options.settings:
                outputs[setting.name] = np.zeros((len(mine), setting.encode(settings[setting.name])), np.uint8)
            if options.verbatim:
                outputs[configuration.VERBATIM] = verbatim(item[0], tokens, item[1]["min_length"])
            if options.unclear is not None:
                cut = [cut_tokens(one, self._special_tokens) for one in mine]
                ids = [one.ids for one in mine]
                outputs[unclear.OUTPUT] = options.unclear.judge_all(item[0], ids, cut, self._unknown_id)
            answers.append(outputs)
        return answers


class TritonPythonModel:
    """The interface that Triton's Python backend calls."""

    def initialize(self, args: Mapping[str, str]) -> None:
        """Load the tokenizer; a failure here is a model that does not load."""
        if int(np.__version__.split(".")[0]) >= 2:
            raise RuntimeError(f"numpy {np.__version__} empties every output; the runtime needs numpy below 2")
        config = json.loads(args["model_config"])
        file = config.get("parameters", {}).get("tokenizer_file", {}).get("string_value", "tokenizer.json")
        self._tokenizer = ArticleTokenizer(Path(args["model_repository"], args["model_version"], file), config)
        self._names = [tensor["name"] for tensor in config["input"]]
        self._callers = wanted.Callers(wanted.open_board())

    def execute(self, requests: Sequence[Any]) -> list[Any]:
        """Answer a batch of requests, each with its outputs or its own error."""
        return self._callers.answer(requests, self._answer)

    def _answer(self, requests: Sequence[Any]) -> list[Any]:
        inputs = []
        for request in requests:
            tensors = {name: pb_utils.get_input_tensor_by_name(request, name) for name in self._names}
            inputs.append({name: None if t is None else t.as_numpy() for name, t in tensors.items()})
        return [_response(answer) for answer in self._tokenizer(inputs)]


def _response(answer: dict[str, npt.NDArray[Any]] | BadInputError) -> Any:
    if isinstance(answer, BadInputError):
        return pb_utils.InferenceResponse(
            error=pb_utils.TritonError(f"bad input: {answer}", pb_utils.TritonError.INVALID_ARG)
        )
    return pb_utils.InferenceResponse([pb_utils.Tensor(name, array) for name, array in answer.items()])
