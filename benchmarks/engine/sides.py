"""The two sides of the comparison: both take articles one by one and answer each with its tokens."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, Protocol

import numpy as np
import numpy.typing as npt
import onnxruntime as ort

from engine.artefact import Artefact
from engine.article import Article, Integers
from engine.opening import EngineOptions, open_engine
from infolens.contract import SUMMARY_SETTINGS

Answer = Callable[[Integers | Exception], None]
BUCKET_TOKENS: Final = 64
"""The served graph reads articles whose lengths are multiples of this: the tokenizer pads them."""


class Side(Protocol):
    """Something that summarises."""

    def submit(self, article: Article, answer: Answer) -> None:
        """Have an article summarised; ``answer`` is called on another thread, with INT64 (tokens,) without padding."""

    def close(self) -> None:
        """End it; nothing is waiting any more."""


class LoopSide:
    """The graph that is a whole search, as it is served: instances of one thread, an article at a time, in order."""

    def __init__(self, graph: Path, *, operators: Path | None, instances: int, pad_token: int) -> None:
        """Load it.

        Args:
            graph: ``model.onnx``.
            operators: The native operators.
            instances: Sessions, and threads that run them.
            pad_token: What stands behind an article and behind a summary.
        """
        self._pad_token = pad_token
        self._waiting: queue.SimpleQueue[tuple[Article, Answer] | None] = queue.SimpleQueue()
        sessions = [session_of(graph, operators) for _ in range(instances)]
        self._threads = [threading.Thread(target=self._work, args=(session,)) for session in sessions]
        for thread in self._threads:
            thread.start()

    def submit(self, article: Article, answer: Answer) -> None:
        """See `Side`."""
        self._waiting.put((article, answer))

    def close(self) -> None:
        """See `Side`."""
        for _ in self._threads:
            self._waiting.put(None)
        for thread in self._threads:
            thread.join()

    def _work(self, session: ort.InferenceSession) -> None:
        while (job := self._waiting.get()) is not None:
            article, answer = job
            try:
                found: Integers | Exception = self._run(session, article)
            except Exception as error:
                found = error
            answer(found)

    def _run(self, session: ort.InferenceSession, article: Article) -> Integers:
        (rows,) = session.run(None, graph_inputs(article, self._pad_token))
        return without_padding(rows[0].astype(np.int64), self._pad_token)


class SlotsSide:
    """The engine with slots, on as many threads."""

    def __init__(
        self,
        artefact: Artefact,
        *,
        operators: Path | None,
        workers: int,
        slots: int,
        beams: tuple[int, ...],
        source_length: int,
        target_length: int,
    ) -> None:
        """Open it.

        Args:
            artefact: Its graphs.
            operators: The native operators.
            workers: Threads.
            slots: Articles at a time, for each worker and number of beams.
            beams: Of its buffers.
            source_length: Tokens of the longest article.
            target_length: Tokens of the longest summary.
        """
        options = EngineOptions(
            device="cpu",
            workers=workers,
            slots=slots,
            beams=beams,
            source_length=source_length,
            target_length=target_length,
            operators=operators,
        )
        self._engine = open_engine(artefact.folder, options)

    def submit(self, article: Article, answer: Answer) -> None:
        """See `Side`."""
        self._engine.submit(article, answer)

    def close(self) -> None:
        """See `Side`."""
        self._engine.close()


def session_of(graph: Path, operators: Path | None, *, profile: Path | None = None) -> ort.InferenceSession:
    """A session of one thread.

    Args:
        graph: The file.
        operators: The native operators.
        profile: What the files begin with to which it writes what each node takes; None for no such file.
    """
    options = ort.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    if operators is not None:
        options.register_custom_ops_library(str(operators))
    if profile is not None:
        options.enable_profiling, options.profile_file_prefix = True, str(profile)
    return ort.InferenceSession(graph, options, providers=["CPUExecutionProvider"])


def graph_inputs(article: Article, pad_token: int) -> dict[str, npt.NDArray[Any]]:
    """An article as the whole graph takes it, its lengths and beams as lengths of dummies."""
    tokens = len(article.ids)
    padding = (0, -tokens % BUCKET_TOKENS)
    settings, sampling, ends = article.settings, np.zeros(1, np.float32), np.zeros(1, np.int32)
    if article.sentence_ends is not None:
        ends = np.pad(article.sentence_ends, padding, constant_values=-1)
    if article.sampling is not None:
        drawn = article.sampling
        sampling = np.concatenate([np.array([drawn.temperature, drawn.top_p], np.float32), drawn.draws])
    found: dict[str, npt.NDArray[Any]] = {
        "input_ids": np.pad(article.ids, padding, constant_values=pad_token)[None],
        "attention_mask": np.pad(np.ones(tokens, np.int32), padding)[None],
        "sentence_ends": ends[None],
        "sampling": sampling[None],
    }
    for setting in (one for one in SUMMARY_SETTINGS if one.by_length):
        found[setting.name] = np.zeros((1, setting.encode(getattr(settings, setting.name))), np.uint8)
    return found


def without_padding(tokens: Integers, pad_token: int) -> Integers:
    """A summary up to its last token that is none of padding, INT64."""
    (real,) = np.nonzero(tokens != pad_token)
    return tokens[: real[-1] + 1] if len(real) else tokens[:0]
