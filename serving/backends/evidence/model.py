"""Triton backend ``evidence``: an article in, out of it the sentences that moved the answers of classifiers most.

It asks a classifier's tokenizer what is read of the article, and then the classifier about this with the tokens of
each sentence masked in turn (`occlusion`), a few rows at a time: so a request of another caller waits for a few rows,
never for all of them. No sentence is cut out of the text: the tokenizer would then choose others to be read, and what
these do is more than what is to be measured. A sentence that was not read is no evidence.

Its output ``evidence``, BYTES [n, 1] for n articles, is a JSON object from each task to at most three entries
``{"index", "start", "end", "weight"}``, the strongest first: which sentence, where it is in the characters (code
points) of the text as it was sent, and how far the probability of the answered label falls without it.

That is up to 32 times the work of an answer. So only a few requests run at a time, a few more wait, and all others are
refused at once as by a busy server. Between any two questions it looks whether anybody still waits for the answer.

A request may have the parameter ``evidence_tasks``: the tasks that it is about, separated by commas; else all are.

Parameters of ``config.pbtxt`` (``string_value`` each):

* ``branch.<model>``: JSON ``{"task", "inputs", "outputs"}``, two for each task: its tokenizer, with what it takes of
  ``title`` and ``text``, and its classifier, with what it takes of the tokenizer's outputs and the one that it gives:
  probabilities, FP32 [n, C], of which the largest is the answer's.
* ``rows``: how many rows a classifier is asked about at once. Default: 4.
* ``max_running``: requests that run at the same time. Default: 2.
* ``max_waiting``: requests that wait for these. Default: 2.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import triton_python_backend_utils as pb_utils

if __package__:
    from reading.sentences import split
    from serving.backends import wanted
    from serving.backends.numpy_check import check_numpy

    from . import configuration, desk, occlusion, places
    from .configuration import IDS, MASK
else:  # Triton imports this file as the module "model", with its folder on the path
    import configuration  # type: ignore[import-not-found, no-redef]
    import desk  # type: ignore[import-not-found, no-redef]
    import occlusion  # type: ignore[import-not-found, no-redef]
    import places  # type: ignore[import-not-found, no-redef]
    import wanted  # type: ignore[import-not-found, no-redef]
    from configuration import IDS, MASK  # type: ignore[no-redef]
    from numpy_check import check_numpy  # type: ignore[import-not-found, no-redef]
    from sentences import split  # type: ignore[import-not-found, no-redef]

TASKS = "evidence_tasks"
"""The request parameter that names the tasks."""
_BAD_INPUT = "bad input: "
_MAX_TIMEOUT_US = 2**63 - 1


class BadInputError(ValueError):
    """The request breaks a rule; the message says which."""


@dataclass(frozen=True, kw_only=True)
class Question:
    """One request, as it came."""

    articles: tuple[tuple[str, str], ...]
    """Title and text of each article."""
    tasks: frozenset[str]
    """The tasks that it is about; empty for all."""
    notes: Mapping[str, int]
    """What the classifiers are told of it: its ticket and its deadline, where it has them."""
    why_unwanted: Callable[[], Exception | None]
    """Why nobody waits for the answer any more; None while somebody does."""


@dataclass(frozen=True, kw_only=True)
class Read:
    """What a classifier reads of one article: its input, a row of each tensor."""

    tensors: Mapping[str, npt.NDArray[Any]]
    """By name, [L] each."""
    sentences: Mapping[int, Sequence[int]]
    """The positions of each sentence that is read, by its number in the article."""

    def rows(self, runs: Sequence[occlusion.Run | None]) -> dict[str, npt.NDArray[Any]]:
        """The tensors [n, L] of n rows: in each of them some sentences are masked, or none."""
        found = {name: np.repeat(array[None], len(runs), axis=0) for name, array in self.tensors.items()}
        for row, run in enumerate(runs):
            if run is not None:
                found[MASK][row] = places.without(self.tensors[MASK], self.sentences, run.first, run.stop)
        return found


def locate(tensors: Mapping[str, npt.NDArray[Any]], tokens: places.Tokens, title: str, text: str) -> Read:
    """Find the sentences in what a tokenizer gives for one article; errors as of `places.Tokens.sentences`."""
    seen = np.flatnonzero(tensors[MASK])
    found = tokens.sentences(title, text, tensors[IDS][seen])
    return Read(tensors=tensors, sentences={number: seen[list(mine)].tolist() for number, mine in found.items()})


def entries(text: str, read: Read, ask: occlusion.Ask) -> list[dict[str, Any]]:
    """The evidence of one article and one task, as the answer has it."""
    spans, numbers = split(places.CONTROL.sub(" ", text)), list(read.sentences)
    return [
        {
            "index": numbers[run.first],
            "start": spans[numbers[run.first]][0],
            "end": spans[numbers[run.stop - 1]][1],
            "weight": round(weight, 6),
        }
        for run, weight in occlusion.explain(len(numbers), ask)
    ]


def read_question(request: Any, board: wanted.Board) -> Question:
    """What a request asks.

    Raises:
        BadInputError: A text is not UTF-8.
        wanted.UnwantedError: Nobody waits for the answer.
    """
    parameters, sender = request.parameters(), request.get_response_sender()
    ticket, deadline_us = wanted.read_notes(parameters)

    def why_unwanted() -> Exception | None:
        if sender.is_cancelled() if ticket is None else board.has_left(ticket):
            return wanted.UnwantedError(wanted.LEFT, "CANCELLED")
        late = deadline_us is not None and 1e6 * time.monotonic() >= deadline_us
        return wanted.UnwantedError(wanted.EXPIRED, "UNAVAILABLE") if late else None

    if (reason := why_unwanted()) is not None:
        raise reason
    inputs = {tensor.name(): tensor.as_numpy().ravel().tolist() for tensor in request.inputs()}
    if "text" not in inputs:
        raise BadInputError("a request needs the input text")
    titles = inputs.get("title") or [b""] * len(inputs["text"])
    try:
        texts = [text.decode("utf-8") for text in inputs["text"]]
        titles = [title.decode("utf-8") for title in titles]
    except UnicodeDecodeError as error:
        raise BadInputError(f"a text is not UTF-8: byte {error.start} cannot be decoded; send UTF-8 text") from None
    named = json.loads(parameters).get(TASKS, "") if TASKS in parameters else ""
    notes = {wanted.TICKET: ticket, wanted.DEADLINE: deadline_us}
    return Question(
        articles=tuple(zip(titles, texts, strict=True)),
        tasks=frozenset(str(named).split(",")) - {""},
        notes={name: value for name, value in notes.items() if value is not None},
        why_unwanted=why_unwanted,
    )


def ask_triton(
    model: str, tensors: Mapping[str, npt.NDArray[Any]], outputs: Sequence[str], question: Question
) -> dict[str, npt.NDArray[Any]]:
    """The outputs of a model, by name.

    Raises:
        BadInputError: The article breaks a rule.
        Exception: The model gave no answer, or nobody waits for it.
    """
    if (reason := question.why_unwanted()) is not None:
        raise reason
    deadline_us = question.notes.get(wanted.DEADLINE)
    left_us = 0 if deadline_us is None else max(1, int(deadline_us - 1e6 * time.monotonic()))  # 0 is no limit
    response = pb_utils.InferenceRequest(
        model_name=model,
        inputs=[pb_utils.Tensor(name, array) for name, array in tensors.items()],
        requested_output_names=list(outputs),
        timeout=min(left_us, _MAX_TIMEOUT_US),
        parameters=dict(question.notes),
    ).exec()
    if response.has_error():
        message = response.error().message()
        raise BadInputError(message.partition(_BAD_INPUT)[2]) if _BAD_INPUT in message else RuntimeError(message)
    return {tensor.name(): tensor.as_numpy() for tensor in response.output_tensors()}


class TritonPythonModel:
    """The interface that Triton's Python backend calls."""

    def initialize(self, args: Mapping[str, str]) -> None:
        """Read the classifiers; a failure here is a model that does not load."""
        check_numpy()
        self._settings = settings = configuration.read_settings(json.loads(args["model_config"]))
        self._repository = Path(args["model_repository"]).parent
        self._tokens: dict[str, places.Tokens] = {}
        self._board = wanted.open_board()
        self._desk = desk.Desk(settings.max_running, settings.max_waiting, len(settings.classifiers))

    def execute(self, requests: Sequence[Any]) -> None:
        """Take on a batch of requests; each one answers through its own response sender."""
        traced = []
        for request in requests:
            sender, answered = request.get_response_sender(), threading.Event()
            if request.trace().get_context():
                traced.append(answered)
            try:
                question = read_question(request, self._board)
                jobs = {one.task: self._job(one, question) for one in self._chosen(question)}
                self._desk.take(jobs, _answer(sender, answered, len(question.articles)))
            except Exception as error:  # the answer of this request; the others of the batch go on
                _answer(sender, answered)(error)
        # Triton 2.51 gives a request's trace away when this function returns, as of ``fan_out``.
        for answered in traced:
            answered.wait()

    def finalize(self) -> None:
        """Answer the requests that run and wait."""
        self._desk.close()

    def _chosen(self, question: Question) -> list[configuration.Classifier]:
        return [one for one in self._settings.classifiers if not question.tasks or one.task in question.tasks]

    def _job(self, classifier: configuration.Classifier, question: Question) -> desk.Job:
        """What finds the evidence of one task: the entries of each article."""

        def ask(read: Read, runs: Sequence[occlusion.Run | None]) -> list[npt.NDArray[np.float32]]:
            found: list[npt.NDArray[np.float32]] = []
            for first in range(0, len(runs), self._settings.rows):
                rows = read.rows(runs[first : first + self._settings.rows])
                found += list(ask_triton(classifier.model, rows, [classifier.output], question)[classifier.output])
            return found

        def explain() -> list[Any]:
            found = []
            for title, text in question.articles:
                read = self._read(classifier, question, title, text)
                found.append(entries(text, read, partial(ask, read)))
            return found

        return explain

    def _read(self, classifier: configuration.Classifier, question: Question, title: str, text: str) -> Read:
        given = {"title": title, "text": text}
        texts = {name: np.array([[given[name].encode()]], np.object_) for name in classifier.reads if given[name]}
        title = title if "title" in classifier.reads else ""
        tensors = ask_triton(classifier.tokenizer, texts, classifier.inputs, question)
        row = {name: array[0] for name, array in tensors.items()}
        try:
            if classifier.task in self._tokens:
                return locate(row, self._tokens[classifier.task], title, text)
        except LookupError:  # another version has been loaded meanwhile
            pass
        # The first request for evidence pays for this, so that a server that is never asked for any does not.
        self._tokens[classifier.task] = places.Tokens(self._repository / classifier.tokenizer)
        return locate(row, self._tokens[classifier.task], title, text)


def _answer(
    sender: Any, answered: threading.Event, rows: int = 0
) -> Callable[[Mapping[str, list[Any]] | Exception], None]:
    """What sends the answer of a request: the entries of each article by task, or the error in their place."""

    def answer(result: Mapping[str, list[Any]] | Exception) -> None:
        try:
            sender.send(_response(result, rows), flags=pb_utils.TRITONSERVER_RESPONSE_COMPLETE_FINAL)
        finally:
            answered.set()

    return answer


def _response(result: Mapping[str, list[Any]] | Exception, rows: int) -> Any:
    if not isinstance(result, Exception):
        documents = np.empty((rows, 1), np.object_)
        for row in range(rows):
            documents[row, 0] = json.dumps({task: found[row] for task, found in result.items()}).encode()
        return pb_utils.InferenceResponse([pb_utils.Tensor("evidence", documents)])
    codes = {BadInputError: "INVALID_ARG", desk.BusyError: "UNAVAILABLE"}
    code = result.code if isinstance(result, wanted.UnwantedError) else codes.get(type(result), "INTERNAL")
    words = f"{_BAD_INPUT}{result}" if isinstance(result, BadInputError) else str(result)
    return pb_utils.InferenceResponse(error=pb_utils.TritonError(words, getattr(pb_utils.TritonError, code)))
