"""Triton backend ``detokenizer``: token ids in, text out, with a Hugging Face ``tokenizer.json``.

Inputs, those of them that the configuration lists:

* one of any other name: the ids that the model wrote [n, L], integers. Special tokens are skipped. Required. For an
  article whose ``source`` says ``choice``, and the style ``extractive``, they are no ids but what the model says of the
  article's words [n, 1 + 2 * M]: see `reading.choice.Prediction.unpack`.
* ``source``: BYTES [n, 1], the article behind each row: a JSON object with its ``text``, its ``sentences`` as pairs of
  characters, ``style`` (``free`` or ``extractive``), and ``verbatim``: whether the article is its own summary.
* ``input_ids`` and ``sentence_ends``, integers [n, M]: the article's tokens, and at each the index of the last token of
  its sentence, -1 where there is none, or 2^30 in one that was not read to its end. Both are needed for rows of the
  style ``extractive``: their text is cut out of the article, sentence by sentence. Ids that are no such sentences are
  an error, never a text. Where ``source`` says how many ``tokens`` each sentence has, and the ``room`` for them, the
  row is a draft, and its text is the sentences of the article that come nearest to its own (`nearest`); or, where it
  also says ``choice``, those that are chosen by their words (`choosing`).
* ``verbatim``: BYTES [n, 1], as earlier exports have it: what is not empty there comes out as it is.

Outputs, BYTES [n, 1]: one of any name has the texts. With ``source`` there may be two more, which are JSON lists:
``NAME_sentences`` has the sentences that the text quotes (``index``, ``start`` and ``end`` in characters of the
article, ``truncated`` where one was cut), and ``NAME_unsupported`` what it says that the article does not hold
(``start`` and ``end`` in characters of the text, ``text``, ``kind``).

Parameters of ``config.pbtxt`` (``string_value`` each):

* ``tokenizer_file``: beside the version's artefacts. Default: ``tokenizer.json``.
* ``unfinished``: what becomes of a text that its greatest length cut off, which is a row of ids without padding at its
  end. ``keep`` (default) leaves it; ``cut`` ends it with its last whole sentence, or with an ellipsis when not even
  the first one is whole.
* ``pad_id``: needed for ``cut``.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import triton_python_backend_utils as pb_utils
from tokenizers import Tokenizer

if __package__:
    from serving.backends import wanted
    from serving.backends.numpy_check import check_numpy

    from . import choosing, nearest, quotes, writing
else:  # Triton imports this file as the module "model", with its folder on the path
    import choosing  # type: ignore[import-not-found, no-redef]
    import nearest  # type: ignore[import-not-found, no-redef]
    import quotes  # type: ignore[import-not-found, no-redef]
    import wanted  # type: ignore[import-not-found, no-redef]
    import writing  # type: ignore[import-not-found, no-redef]
    from numpy_check import check_numpy  # type: ignore[import-not-found, no-redef]

VERBATIM, SOURCE, INPUT_IDS, SENTENCE_ENDS = "verbatim", "source", "input_ids", "sentence_ends"
BESIDE = (VERBATIM, SOURCE, INPUT_IDS, SENTENCE_ENDS)
"""The inputs that are not the ids."""
SENTENCES, UNSUPPORTED = "_sentences", "_unsupported"
"""What the names of the further outputs end in."""
Arrays = Mapping[str, npt.NDArray[Any]]


class BadInputError(ValueError):
    """The ids of one request are outside the vocabulary of this tokenizer."""


@dataclass(frozen=True, kw_only=True)
class Names:
    """What a configuration calls its tensors."""

    ids: str
    beside: tuple[str, ...]
    """Those of `BESIDE` that there are."""
    text: str
    outputs: tuple[str, ...]

    @classmethod
    def read(cls, config: Mapping[str, Any]) -> Names:
        """The names of a configuration.

        Raises:
            ValueError: An input or output is missing or has no such name.
        """
        given, outputs = ([one["name"] for one in config[key]] for key in ("input", "output"))
        ids = [name for name in given if name not in BESIDE]
        texts = [name for name in outputs if not name.endswith((SENTENCES, UNSUPPORTED))]
        if len(ids) != 1 or len(texts) != 1:
            raise ValueError(
                f"the detokenizer backend has one input of ids, perhaps {', '.join(BESIDE)}, and one output of texts; "
                f"the inputs are {given} and the outputs {outputs}"
            )
        more = {name for name in outputs if name != texts[0]}
        if unknown := more - {texts[0] + SENTENCES, texts[0] + UNSUPPORTED}:
            raise ValueError(f"beside {texts[0]} the detokenizer backend has no outputs {sorted(unknown)}")
        if (more and SOURCE not in given) or ((INPUT_IDS in given) != (SENTENCE_ENDS in given)):
            raise ValueError(
                f"outputs beside {texts[0]} need the input {SOURCE}, and {INPUT_IDS} and {SENTENCE_ENDS} go together; "
                f"the inputs are {given}"
            )
        beside = tuple(name for name in BESIDE if name in given)
        return cls(ids=ids[0], beside=beside, text=texts[0], outputs=tuple(outputs))


class Detokenizer:
    """A ``tokenizer.json`` that reads ids: the whole backend, without Triton."""

    def __init__(self, path: Path, *, cut_unless_padded_with: int | None = None) -> None:
        self._pad = cut_unless_padded_with
        if not path.is_file():
            raise ValueError(f"no tokenizer at {path}: export the model again")
        self._tokenizer: Tokenizer = Tokenizer.from_file(str(path))
        self._tokenizer.encode_special_tokens = True  # "</s>" within an article is text
        self._vocabulary: dict[str, int] = self._tokenizer.get_vocab(with_added_tokens=True)
        self._size = self._tokenizer.get_vocab_size()
        self._special = frozenset(
            token for token, added in self._tokenizer.get_added_tokens_decoder().items() if added.special
        )
        self._twins = quotes.twins(self._vocabulary)
        # Words that a vocabulary has in small letters are words of the language, rather than names.
        self._common = frozenset(token[1:] for token in self._vocabulary if token.startswith(quotes.MARKS))

    @cached_property
    def _chooser(self) -> choosing.Chooser:
        return choosing.Chooser(self._vocabulary)

    def __call__(
        self,
        requests: Sequence[npt.NDArray[Any]],
        beside: Sequence[Arrays] = (),
        *,
        check: Collection[int] = (),
    ) -> list[list[writing.Written] | BadInputError | quotes.NoQuoteError]:
        """Decode a batch of requests of ids [n, L].

        Args:
            requests: The ids of each request, or what else its rows hold.
            beside: The other inputs of each request by name; or nothing.
            check: The requests that are asked for what their article does not hold, by index.

        Returns:
            For each request, in order, a summary for each row or the error that it gets.
        """
        sources = [_sources(beside[index] if beside else {}) for index in range(len(requests))]
        good: list[list[int]] = []
        errors: dict[int, BadInputError] = {}
        for index, ids in enumerate(requests):
            if any(source.chosen for source in sources[index]):  # one style for all rows of a request
                good.extend([] for _ in ids)
                continue
            wrong = ids[(ids < 0) | (ids >= self._size)]
            if wrong.size:
                errors[index] = BadInputError(f"token id {wrong.flat[0]} is not within 0 and {self._size - 1}")
            else:
                good.extend(ids.tolist())
        texts = iter(self._tokenizer.decode_batch(good, skip_special_tokens=True))
        answers: list[list[writing.Written] | BadInputError | quotes.NoQuoteError] = []
        for index, ids in enumerate(requests):
            if index in errors:
                answers.append(errors[index])
                continue
            mine = [next(texts) for _ in ids]
            given = beside[index] if beside else {}
            try:
                rows = zip(ids, mine, sources[index] or (None,) * len(mine), strict=True)
                asked = index in check
                answers.append([self._row(row, *parts, given, check=asked) for row, parts in enumerate(rows)])
            except quotes.NoQuoteError as error:
                answers.append(error)
        return answers

    def _row(
        self,
        row: int,
        ids: npt.NDArray[Any],
        decoded: str,
        source: quotes.Source | None,
        beside: Arrays,
        *,
        check: bool,
    ) -> writing.Written:
        """What one row of a request says."""
        text = decoded.strip()
        unfinished = self._pad is not None and ids.size > 0 and ids[-1] != self._pad
        if text and unfinished:
            text = writing.cut_unfinished(text)
        if source is None:
            given = beside[VERBATIM][row, 0] if VERBATIM in beside else b""
            return writing.Written(text=given.decode() or text)
        if source.verbatim:
            return writing.own(source)
        if not source.extractive:
            return writing.free(text, source, self._common, check=check)
        if source.tokens is not None and not source.chosen:
            chosen = nearest.choose(text, source)
            return writing.extractive(chosen, source, lambda last: self._beginning(source, chosen.indices[-1], last))
        if SENTENCE_ENDS not in beside or beside[SENTENCE_ENDS].shape != beside[INPUT_IDS].shape:
            raise quotes.NoQuoteError("a row that must quote comes without the article's tokens and sentences")
        if source.chosen:
            parsed, cut = self._chooser.choose(ids, beside[INPUT_IDS][row], beside[SENTENCE_ENDS][row], source)
            return writing.extractive(parsed, cut, lambda last: self._beginning(cut, parsed.indices[-1], last))
        read = quotes.read_sentences(beside[INPUT_IDS][row], beside[SENTENCE_ENDS][row])
        tokens = [token for token in ids.tolist() if token not in self._special]
        parsed = quotes.parse(tokens, read, self._twins, may_be_cut=unfinished)
        return writing.extractive(parsed, source, lambda last: self._tokenizer.decode(tokens[-last:]))

    def _beginning(self, source: quotes.Source, index: int, tokens: int) -> str:
        """The first so many tokens of a sentence of the article, as text."""
        start, end = source.sentences[index]
        ids = self._tokenizer.encode(source.text[start:end], add_special_tokens=False).ids
        text: str = self._tokenizer.decode(ids[:tokens])
        return text


def _sources(beside: Arrays) -> list[quotes.Source]:
    """The article of each row of a request; none where it comes without."""
    return [quotes.Source.read(document) for document in beside[SOURCE][:, 0]] if SOURCE in beside else []


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
        check_numpy()
        config = json.loads(args["model_config"])
        self._names = Names.read(config)
        parameters = {key: value["string_value"] for key, value in config.get("parameters", {}).items()}
        path = Path(args["model_repository"], args["model_version"], parameters.get("tokenizer_file", "tokenizer.json"))
        self._detokenizer = Detokenizer(path, cut_unless_padded_with=read_cut(parameters))
        self._callers = wanted.Callers(wanted.open_board())

    def execute(self, requests: Sequence[Any]) -> list[Any]:
        """Answer a batch of requests, each with its texts or its own error."""
        return self._callers.answer(requests, self._answer)

    def _answer(self, requests: Sequence[Any]) -> list[Any]:
        names = self._names
        ids, beside = [], []
        for request in requests:
            ids.append(pb_utils.get_input_tensor_by_name(request, names.ids).as_numpy())
            tensors = {name: pb_utils.get_input_tensor_by_name(request, name) for name in names.beside}
            beside.append({name: tensor.as_numpy() for name, tensor in tensors.items() if tensor is not None})
        asked = [request.requested_output_names() for request in requests]
        check = {index for index, outputs in enumerate(asked) if names.text + UNSUPPORTED in outputs}
        answers = self._detokenizer(ids, beside, check=check)
        return [self._response(answer, outputs) for answer, outputs in zip(answers, asked, strict=True)]

    def _response(
        self, answer: list[writing.Written] | BadInputError | quotes.NoQuoteError, outputs: Collection[str]
    ) -> Any:
        if isinstance(answer, BadInputError):
            error = pb_utils.TritonError(f"bad input: {answer}", pb_utils.TritonError.INVALID_ARG)
            return pb_utils.InferenceResponse(error=error)
        if isinstance(answer, quotes.NoQuoteError):
            words = f"{answer}: its export is broken; export it again, or ask for the style free"
            return pb_utils.InferenceResponse(error=pb_utils.TritonError(words, pb_utils.TritonError.INTERNAL))
        name = self._names.text
        columns = {
            name: [one.text for one in answer],
            name + SENTENCES: [json.dumps(list(one.sentences)) for one in answer],
            name + UNSUPPORTED: [json.dumps(list(one.unsupported), ensure_ascii=False) for one in answer],
        }
        wanted_names = [one for one in self._names.outputs if one in outputs]
        return pb_utils.InferenceResponse([pb_utils.Tensor(one, to_column(columns[one])) for one in wanted_names])


def to_column(texts: Sequence[str]) -> npt.NDArray[np.object_]:
    """Texts in UTF-8 as the rows of a tensor, [n, 1]."""
    column = np.empty((len(texts), 1), np.object_)
    column[:, 0] = [text.encode() for text in texts]
    return column
