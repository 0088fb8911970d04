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
* ``window``: a longer text is laid out in windows of so many tokens, each with its special tokens, cut between
  sentences where that is possible; buckets above are whole windows. Default: 0, none.
* ``spread``: ``1`` lays the windows evenly over a text that has more tokens than all of them (`spread.spread`); ``0``
  (default) at its beginning.
* ``extraction``: how a summary comes to consist of the article's sentences. ``search`` (default): the next model may
  write nothing else. ``nearest``: it writes a free draft, and the last model takes the nearest sentences. ``choice``:
  it says of each word whether it belongs into the summary, and the last model takes the best set.
* ``setting.<name>``: JSON ``{"minimum", "maximum", "default", "steps_per_unit", "by_length", "choices"}`` of a setting
  of the next model. The input ``<name>`` carries its value. One that is ``by_length`` (as by default) has an output
  ``<name>``, a ``UINT8`` tensor of ``(value - minimum) * steps_per_unit + 1`` elements, since the dynamic batcher never
  mixes requests of unequal shape.

Outputs, those of them that the configuration lists: ``input_ids``, ``attention_mask``, ``token_type_ids`` [n, L],
``tokens``, ``truncated_tokens``, ``unclear`` [n, 1], the settings [n, length], ``unread`` [n, 1], a JSON list of
``[start, end]``: which characters of the last of ``reads``, as it was sent, are not read (`unread`); and for a summary:

* ``sentence_ends`` [n, L], which sentences may be quoted (`windows.place`); [n, 1] of zeros for the style ``free``.
* ``sampling`` [n, 1 or 2 + max_length], how it is drawn (`settings.sampling`).
* ``source`` [n, 1], the article with its sentences (`source.sources`), and whether it is its own summary: one that is
  no longer than ``min_length`` is. It takes ``min_length`` down to its own length, since a model that must go on past
  its text makes words up. ``verbatim`` [n, 1] is an older form of the same.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import triton_python_backend_utils as pb_utils
from tokenizers import Encoding, Tokenizer

if __package__:
    from reading.sentences import split
    from serving.backends import wanted
    from serving.backends.numpy_check import check_numpy

    from . import configuration, reading, rows, source, unclear, unread
    from .settings import BadInputError, choose_settings, follow_down, quotes_only, sampling, style
else:  # Triton imports this file as the module "model", with its folder on the path
    import configuration  # type: ignore[import-not-found, no-redef]
    import rows  # type: ignore[import-not-found, no-redef]
    import source  # type: ignore[import-not-found, no-redef]
    import unclear  # type: ignore[import-not-found, no-redef]
    import unread  # type: ignore[import-not-found, no-redef]
    import wanted  # type: ignore[import-not-found, no-redef]
    from numpy_check import check_numpy  # type: ignore[import-not-found, no-redef]
    from sentences import split  # type: ignore[import-not-found, no-redef]
    from settings import (  # type: ignore[import-not-found, no-redef]
        BadInputError,
        choose_settings,
        follow_down,
        quotes_only,
        sampling,
        style,
    )

    import reading  # type: ignore[no-redef]  # the module beside this one, not the room

CONTROL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ufeff]")


def join_article(parts: Mapping[str, bytes | None], options: configuration.Options) -> str:
    """The article: the parts that are not blank, joined with a line break; control characters are blanks.

    What goes on as ``source`` keeps the blanks around it, so that places in it are those in what was sent.

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
            text = "" if part is None else CONTROL.sub(" ", part.decode("utf-8"))
        except UnicodeDecodeError as error:
            raise BadInputError(f"{name} is not UTF-8: byte {error.start} cannot be decoded; send UTF-8 text") from None
        if not reading.is_blank(text):
            kept.append(text if options.source else text.strip())
        elif name in options.required:
            raise BadInputError(f"{name} is blank: send the article's text, at least one visible character")
        if options.latin_only and name in options.required and (reason := reading.why_unreadable(text)):
            raise BadInputError(f"{name} {reason}; send the article's text in English")
    return "\n".join(kept)


@dataclass(frozen=True, kw_only=True)
class _Question:
    """A request that can be answered."""

    texts: Sequence[str]
    last_parts: Sequence[bytes]
    """The last part of each article as it was sent."""
    settings: Mapping[str, float]
    aligned: bool
    """Whether the tokens are joined with the sentences of the texts."""
    placed: bool
    """Whether the tokens' places in the texts are wanted; to find them takes a quarter more time."""


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
        # "</s>" within an article is text: nobody ends an article early by writing it.
        self._tokenizer.encode_special_tokens = True
        self._frame: rows.Frame | None = None
        if self.options.quotes or self.options.window:
            self._frame = rows.Frame.of(self._tokenizer)
            if 0 < self.options.window <= self._special_tokens:
                raise ValueError(f"window must be above the {self._special_tokens} special tokens")
            self._tokenizer.no_truncation()
        else:
            self._tokenizer.enable_truncation(self.options.max_tokens)

    def __call__(
        self, requests: Sequence[Mapping[str, npt.NDArray[Any] | None]]
    ) -> list[dict[str, npt.NDArray[Any]] | BadInputError]:
        """Tokenize a batch of requests.

        Args:
            requests: The inputs of each request by name: texts as arrays [n, 1] of bytes, settings [n, 1].

        Returns:
            For each request, in order, its outputs by name or the error that it gets.
        """
        prepared: list[_Question | BadInputError] = []
        for request in requests:
            try:
                prepared.append(self._prepare(request))
            except BadInputError as error:
                prepared.append(error)
        questions = [item for item in prepared if isinstance(item, _Question)]
        plain, placed = (
            self._encode([text for one in questions if one.placed == places for text in one.texts], places=places)
            for places in (False, True)
        )
        return [
            self._answer(item, [next(placed if item.placed else plain) for _ in item.texts])
            if isinstance(item, _Question)
            else item
            for item in prepared
        ]

    def _prepare(self, request: Mapping[str, npt.NDArray[Any] | None]) -> _Question:
        options = self.options
        settings = choose_settings(request, options.settings)
        columns = {name: array.ravel() for name in options.reads if (array := request.get(name)) is not None}
        counts = {len(column) for column in columns.values()}
        if len(counts) != 1:
            raise BadInputError(f"the inputs {options.reads} need one row for each article")
        texts = [
            join_article({name: column[row] for name, column in columns.items()}, options)
            for row in range(counts.pop())
        ]
        aligned = bool(options.window) or (options.quotes and quotes_only(settings, options.settings))
        last_parts = columns.get(options.reads[-1], np.full(len(texts), b"", np.object_)).tolist()
        placed = aligned or (options.unread and any(unread.is_long(text, options.max_tokens) for text in texts))
        return _Question(texts=texts, last_parts=last_parts, settings=settings, aligned=aligned, placed=placed)

    def _encode(self, texts: Sequence[str], *, places: bool) -> Iterator[Encoding]:
        encode = self._tokenizer.encode_batch if places else self._tokenizer.encode_batch_fast
        return iter(encode([text.strip() for text in texts], add_special_tokens=self._frame is None) if texts else [])

    def _answer(self, question: _Question, encodings: Sequence[Encoding]) -> dict[str, npt.NDArray[Any]]:
        options, texts = self.options, question.texts
        splits = question.aligned or options.source
        spans: list[Sequence[tuple[int, int]]] = [split(text) for text in texts] if splits else []
        outputs: dict[str, npt.NDArray[Any]] = {}
        choice: source.Choice | None = None
        articles: list[rows.Whole] = []
        pieces: list[list[unread.Span]] = []
        if self._frame is None:
            arrays = rows.to_arrays(encodings, options, self._special_tokens)
        else:
            articles = [
                rows.Whole.of(encoding, text, spans[row] if question.aligned else None)
                for row, (encoding, text) in enumerate(zip(encodings, texts, strict=True))
            ]
            arrays, places, pieces = rows.lay_out(articles, options, self._frame)
            if question.aligned:
                spans = [one.sentences for one in articles]
            if options.quotes:
                quoting = quotes_only(question.settings, options.settings)
                free = np.zeros((len(texts), 1), np.int32)
                outputs[configuration.SENTENCE_ENDS] = places if quoting and options.extraction.graph else free
                if quoting and options.extraction.text:
                    choice = source.Choice.of(places, question.settings, options.extraction.scored)
                outputs[configuration.SAMPLING] = sampling(question.settings, len(texts))
        outputs |= {name: arrays[name] for name in options.outputs}
        if options.unclear is not None:
            outputs[unclear.OUTPUT] = options.unclear.judge_all(texts, arrays, self._unknown_id)
        if options.unread:
            outputs[configuration.UNREAD] = self._unread(question, encodings, arrays, articles, pieces)
        tokens = arrays["tokens"].ravel().tolist()
        lengths = follow_down(question.settings, tokens)
        for setting in options.settings:
            if setting.by_length:
                outputs[setting.name] = np.zeros((len(texts), setting.encode(lengths[setting.name])), np.uint8)
        if options.source or options.verbatim:
            own = [count <= question.settings["min_length"] for count in tokens]
            if options.source:
                written = style(question.settings, options.settings)
                outputs[configuration.SOURCE] = source.sources(texts, spans, own, written, choice)
            if options.verbatim:
                outputs[configuration.VERBATIM] = source.own_summaries(texts, own)
        return outputs

    def _unread(
        self,
        question: _Question,
        encodings: Sequence[Encoding],
        arrays: Mapping[str, npt.NDArray[Any]],
        articles: Sequence[rows.Whole],
        pieces: Sequence[Sequence[unread.Span]],
    ) -> npt.NDArray[np.object_]:
        """What is not read of each article, BYTES [n, 1]; costs next to nothing for those of which all is."""
        cut = arrays["truncated_tokens"].ravel()
        read = arrays["tokens"].ravel() - cut - self._special_tokens
        found: list[list[unread.Span]] = [[] for _ in encodings]
        for row in np.flatnonzero(cut).tolist():
            text, part = question.texts[row], CONTROL.sub(" ", question.last_parts[row].decode())
            offsets = articles[row].offsets if articles else None
            if reading.is_blank(part):  # an optional one, and the title alone is longer than what is read
                continue
            if offsets is None:
                placed = encodings[row] if question.placed else next(self._encode([text], places=True))
                spans = [(unread.first_unread(placed, text, int(read[row])), len(text))]
            else:
                spans = unread.gaps(pieces[row], offsets, text)
            found[row] = unread.in_part(spans, text, part)
        return unread.to_array(found)


class TritonPythonModel:
    """The interface that Triton's Python backend calls."""

    def initialize(self, args: Mapping[str, str]) -> None:
        """Load the tokenizer; a failure here is a model that does not load."""
        check_numpy()
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
