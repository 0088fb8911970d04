"""Triton backend ``summarizer``: the tokens of articles in, those of their summaries out, written step by step.

The model's version folder holds an encoder and one step of the search as graphs (`engine.artefact`). Articles of all
requests sit in slots beside one another, each with an age and settings of its own; one that is done makes room for the
next at once. So a short summary never waits for a long one, whatever their settings, and a batch need not be gathered.

On a GPU this process runs the classifiers too, whose own processes send it their batches (`hosting`): the driver would
give the card to several processes in turns.

``execute`` only queues: a request's answer is sent when the last of its articles is done. Nothing more is done for a
request whose caller has left, or whose time is up: its slots are free for others after the step that runs.

The inputs are those of the one-graph model: ``input_ids``, ``attention_mask``, ``sentence_ends``, ``sampling``, and a
dummy for each setting whose LENGTH says its value. The output is ``sequences``, INT32 [n, max_length], padded.

Parameters of ``config.pbtxt`` (``string_value`` each, all but two of them needed):

* ``device``: ``auto`` (the engine chooses), ``cpu``, ``cuda``, ``tensorrt`` or ``torch``. There is one instance, of
  KIND_CPU whatever the device.
* ``workers``: threads, each with buffers of its own; on CPUs one for each core.
* ``slots``: articles that a thread works on at a time, for each number of beams.
* ``beams``: the widths of the buffers, such as ``1,2,4,8``.
* ``source_length``, ``target_length``: tokens of the longest article and of the longest summary.
* ``max_waiting``: articles that wait for a slot; any more are refused as by a busy server.
* ``joins_per_step``: articles that may join between two steps of a thread, which waits for their encoder.
* ``lengths``: lengths of articles that are summarized once, to warm up, before the model is ready.
* ``memory_bytes``: what ONNX Runtime takes at most of a GPU's memory for each session. Default: no limit.
* ``plans``: the folder in which TensorRT keeps what it has built. Default: ``plans`` in the server's cache, and without
  a launcher the model's own.
* ``setting.<name>``: what the length of a dummy means, as the tokenizer's parameter of the same name has it.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import triton_python_backend_utils as pb_utils

from engine.artefact import Artefact, read
from engine.opening import EngineOptions, open_engine
from engine.scheduling.errors import BusyError, CancelledError, ClosedError, ExpiredError
from engine.sharing import OPENING

if __package__:
    from serving.backends import wanted
    from serving.backends.counts import Counts, counts_path
    from serving.backends.numpy_check import check_numpy

    from . import rows
    from .callers import Caller
    from .configuration import OUTPUT, Options, read_options
    from .hosting import HANDING_OVER_S, open_host
    from .replies import Outbox, Reply, Tokens
    from .warming import warm_up
else:  # Triton imports this file as the module "model", with its folder on the path
    import rows  # type: ignore[import-not-found, no-redef]
    import wanted  # type: ignore[import-not-found, no-redef]
    from callers import Caller  # type: ignore[import-not-found, no-redef]
    from configuration import OUTPUT, Options, read_options  # type: ignore[import-not-found, no-redef]
    from counts import Counts, counts_path  # type: ignore[import-not-found, no-redef]
    from hosting import HANDING_OVER_S, open_host  # type: ignore[import-not-found, no-redef]
    from numpy_check import check_numpy  # type: ignore[import-not-found, no-redef]
    from replies import Outbox, Reply, Tokens  # type: ignore[import-not-found, no-redef]
    from warming import warm_up  # type: ignore[import-not-found, no-redef]

CACHE = "INFOLENS_CACHE"
"""The environment variable by which the launcher says where the server keeps what takes long to build."""
PLANS = "plans"
OPERATORS = Path(__file__).with_name("operators.so")
"""The native operators, where the launcher has put them."""
_BAD_INPUT = "bad input: "


def engine_options(options: Options, *, shared: bool = False) -> EngineOptions:
    """What the engine is told of a configuration.

    Args:
        options: The configuration.
        shared: Whether other models compute in the same process.
    """
    kept = os.environ.get(CACHE)
    plans = options.plans or (kept and str(Path(kept, PLANS)))
    return EngineOptions(
        device=options.device,
        workers=options.workers,
        slots=options.slots,
        beams=options.beams,
        source_length=options.source_length,
        target_length=options.target_length,
        max_waiting=options.max_waiting,
        joins_per_step=options.joins_per_step,
        memory_bytes=options.memory_bytes,
        plans=Path(plans) if plans else None,
        shared=shared,
        operators=OPERATORS if OPERATORS.is_file() else None,
    )


class TritonPythonModel:
    """The interface that Triton's Python backend calls."""

    def initialize(self, args: Mapping[str, str]) -> None:
        """Open the engine and warm it up; a failure here is a model that does not load."""
        check_numpy()
        if args["model_instance_kind"] != "CPU":
            raise ValueError(
                f"a summarizer's instance is of KIND_CPU, whatever the device, not KIND_{args['model_instance_kind']}: "
                "the parameter device says where it computes"
            )
        config = json.loads(args["model_config"])
        self._options = read_options(config)
        folder = Path(args["model_repository"], args["model_version"])
        self._artefact: Artefact = read(folder)
        self._board = wanted.open_board()
        self._host = open_host(OPERATORS if OPERATORS.is_file() else None)
        try:
            with OPENING:
                self._open(folder)
            if self._host is not None:
                self._host.take_over()
        except BaseException:
            if self._host is not None:
                self._host.close()
            raise
        self._outbox = Outbox()
        self._counts = Counts(counts_path(config["name"]), lambda: asdict(self._engine.statistics()))
        self._counts.start()

    def _open(self, folder: Path) -> None:
        shared = self._host is not None
        self._engine = open_engine(folder, engine_options(self._options, shared=shared))
        try:
            warm_up(self._engine, self._options, self._artefact)
        except BaseException:
            self._engine.close()
            raise

    def execute(self, requests: Sequence[Any]) -> None:
        """Queue the articles of requests; each request is answered through its own response sender."""
        for request in requests:
            sender = request.get_response_sender()
            try:
                self._queue(request, sender)
            except Exception as error:  # the answer of this request; the others go on
                _send(sender, error, 0, self._artefact.rules.pad_token)

    def finalize(self) -> None:
        """Answer the requests that are not done, and free the buffers."""
        self._counts.close()
        self._engine.close()
        self._outbox.close()
        if self._host is not None:
            self._host.close(handing_over_s=HANDING_OVER_S)

    def _queue(self, request: Any, sender: Any) -> None:
        caller = Caller.of(request, sender, self._board)
        if (reason := caller.why_unwanted()) is not None:
            raise reason
        given = {tensor.name(): tensor.as_numpy() for tensor in request.inputs()}
        articles = rows.read_articles(given, self._options, self._artefact)
        # All rows of a request have the same settings, and the output is as wide as their longest summary.
        width, pad = articles[0].settings.max_length, self._artefact.rules.pad_token

        def send(result: Sequence[Tokens] | Exception) -> None:
            self._outbox.put(partial(_send, sender, result, width, pad))

        reply = Reply(len(articles), send)
        for index, article in enumerate(articles):
            try:
                self._engine.submit(
                    article,
                    reply.row(index),
                    deadline_s=caller.deadline_s,
                    is_cancelled=lambda: reply.sent or caller.has_left(),
                )
            except Exception as error:  # those that were queued before are dropped
                reply.fail(error)
                return


def _send(sender: Any, result: Sequence[Tokens] | Exception, width: int, pad: int) -> None:
    final = pb_utils.TRITONSERVER_RESPONSE_COMPLETE_FINAL
    try:
        sender.send(_response(result, width, pad), flags=final)
    except Exception as error:
        if isinstance(result, Exception):
            raise
        # A tensor takes shared memory, of which there may be none left; without any answer its caller waits forever.
        sender.send(_response(error, width, pad), flags=final)


def _response(result: Sequence[Tokens] | Exception, width: int, pad: int) -> Any:
    if not isinstance(result, Exception):
        return pb_utils.InferenceResponse([pb_utils.Tensor(OUTPUT, rows.sequences(result, width, pad))])
    words, code = _told(result)
    return pb_utils.InferenceResponse(error=pb_utils.TritonError(words, getattr(pb_utils.TritonError, code)))


def _told(error: Exception) -> tuple[str, str]:
    """What a caller is told of an error, and the name of Triton's code for it."""
    if isinstance(error, wanted.UnwantedError):
        return str(error), error.code
    if isinstance(error, ValueError):
        return f"{_BAD_INPUT}{error}", "INVALID_ARG"
    if isinstance(error, BusyError):
        return f"the server is busy: {error}", "UNAVAILABLE"
    if isinstance(error, ClosedError):
        return "Server is stopping: send the request again once it has started", "UNAVAILABLE"
    if isinstance(error, ExpiredError):
        return wanted.EXPIRED, "UNAVAILABLE"
    if isinstance(error, CancelledError):
        return wanted.LEFT, "CANCELLED"
    return f"the summarizer failed: {error}", "INTERNAL"
